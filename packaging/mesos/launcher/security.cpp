#include "security.hpp"

#include <set>

#include "abi/http.hpp"
#include "diagnostics.hpp"
#include "wire_format.hpp"

using mesos::ACLs;
using mesos::Authorizer;
using mesos::internal::Firewall;
using process::Owned;
using process::firewall::FirewallRule;
using process::http::Request;
using process::http::Response;

namespace {

class DisabledEndpoints : public FirewallRule {
public:
  explicit DisabledEndpoints(std::set<std::string> paths) : paths(std::move(paths)) {}

  Option<Response> apply(const process::network::inet::Socket&, const Request& request) override
  {
    if (paths.count(request.url.path) == 0) return Option<Response>();
    Response response;
    response.status = "403 Forbidden";
    response.code = 403;
    response.type = Response::BODY;
    response.body = "Endpoint '" + request.url.path + "' is disabled";
    return response;
  }

private:
  std::set<std::string> paths;
};

}

Option<Authorizer*> createAuthorizer(const FlagValues& flags, const std::string& name)
{
  const auto& acls = flags.at<Option<ACLs>>("acls");
  const bool local = name == "local";
  if (local && acls.isNone()) return Option<Authorizer*>();

  logInfo("Creating " + std::string(local ? "default " : "") + "'" + name + "' authorizer");
  Try<Authorizer*> authorizer = local ? Authorizer::create(acls.get()) : Authorizer::create(name);
  if (authorizer.isError()) fail("Could not create '" + name + "' authorizer: " + authorizer.error());

  process::http::authorization::setCallbacks(mesos::authorization::createAuthorizationCallbacks(authorizer.get()));
  return authorizer.get();
}

void installFirewall(const FlagValues& flags)
{
  const auto& firewall = flags.at<Option<Firewall>>("firewall_rules");
  if (firewall.isNone()) return;

  std::vector<Owned<FirewallRule>> rules;
  constexpr int DISABLED_ENDPOINTS = 1, PATHS = 1;  // field numbers of the message and of its one rule
  for (const std::string& rule : fieldsOf(firewall.get().SerializeAsString(), DISABLED_ENDPOINTS)) {
    const std::vector<std::string> paths = fieldsOf(rule, PATHS);
    rules.emplace_back(new DisabledEndpoints({paths.begin(), paths.end()}));
  }
  process::firewall::install(std::move(rules));
}
