// Who may do what: authorizers with their ACLs, and the firewall of HTTP endpoints.
#pragma once

#include <string>

#include "abi/mesos.hpp"
#include "flag_values.hpp"

// The authorizer `name`, "local" being the one that obeys --acls (none without them). Libprocess' own endpoints obey
// it from then on.
Option<mesos::Authorizer*> createAuthorizer(const FlagValues& flags, const std::string& name);

// Closes the endpoints that --firewall_rules disables. Before any endpoint exists.
void installFirewall(const FlagValues& flags);
