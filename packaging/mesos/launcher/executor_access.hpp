// How executors reach their agent and prove who they are.
#pragma once

#include <string>

#include "abi/mesos.hpp"
#include "flag_values.hpp"

// The key in the file --jwt_secret_key; empty without it.
std::string executorKey(const FlagValues& flags);

// Signs executors' tokens with the key in the file --jwt_secret_key; null without it.
mesos::SecretGenerator* createSecretGenerator(const FlagValues& flags);

// Sets --domain_socket_location to its default where the operator left it open, and checks its length.
void settleDomainSocketLocation(FlagValues& flags);

// The unix socket of --http_executor_domain_sockets; none without it.
Option<process::network::unix::Socket> createExecutorSocket(const FlagValues& flags);
