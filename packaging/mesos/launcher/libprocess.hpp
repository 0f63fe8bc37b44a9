// Starting what every Mesos daemon stands on: its log, its address, its HTTP server.
#pragma once

#include <string>

#include "abi/process.hpp"
#include "flag_values.hpp"

// Opens the log as the logging flags say (they are read from the command line and the environment once more).
void initializeLogging(int argc, const char* const* argv, const flags::Warnings& warnings);

// Works out where to listen and what to advertise, from --ip, --port, --advertise_ip, --advertise_port and
// --ip_discovery_command, and hands it to libprocess through its environment variables.
void exportAddress(const FlagValues& flags);

// The same for --ip6 and --ip6_discovery_command, which only agents have.
void exportAddress6(const FlagValues& flags);

// Starts libprocess with `id` as the process that unnamed requests go to. `realm` is "mesos-master" or "mesos-agent".
void startLibprocess(const FlagValues& flags, const std::string& id, const std::string& realm);

// Runs the actor until it ends.
void run(process::ProcessBase& actor);
