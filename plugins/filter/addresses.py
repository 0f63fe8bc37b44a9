"""Filters that say which addresses a host has for its cluster, and which addresses and names can't be right.

`facts` are Ansible's, with the subset `network`. `hostvars` and `groups` are the variables of those names: of
hosts that don't answer they hold the facts that are cached, if any.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleError, AnsibleFilterError
from jinja2.exceptions import UndefinedError

Facts = Mapping[str, Any]
HostVars = Mapping[str, Mapping[str, Any]]
Groups = Mapping[str, Iterable[str]]

# No other host can reach these, whatever networks they are of.
_DOCKERS_BRIDGES = re.compile(r"docker0|docker_gwbridge|br-[0-9a-f]{12}")


@dataclass(frozen=True)
class _Service:
    """What listens on an address of each host of a group, and the variables that say where."""

    group: str
    name: str
    address: str
    port: str
    default_port: int


_SERVICES = (
    _Service("zookeepers", "ZooKeeper", "zookeeper_address", "zookeeper_client_port", 2181),
    _Service("mesos_masters", "mesos-master", "mesos_master_ip", "mesos_master_port", 5050),
    _Service("mesos_slaves", "mesos-slave", "mesos_slave_ip", "mesos_slave_port", 5051),
)


def host_address(facts: Facts, network: str = "") -> str:
    """Return the host's IPv4 address in the network; without a network, its default route's, or "".

    Raises AnsibleFilterError when the network is no network, or has not exactly one address of the host.
    """
    if not network:
        return str(facts.get("default_ipv4", {}).get("address", ""))
    try:
        wanted = ipaddress.IPv4Network(network, strict=False)
    except ValueError:
        raise AnsibleFilterError(
            f"cluster_network is {network!r}; it must be an IPv4 network such as 10.0.0.0/16."
        ) from None
    addresses = _reachable_addresses(facts)
    found = [address for address in addresses if ipaddress.IPv4Address(address) in wanted]
    if len(found) == 1:
        return found[0]
    count = f"{len(found)} addresses" if found else "no address"
    raise AnsibleFilterError(
        f"The host has {count} in cluster_network {network}; "
        f"its addresses are {', '.join(addresses) or 'unknown'}."
    )


def addresses(hosts: Iterable[str], hostvars: HostVars, variable: str) -> list[str]:
    """Return each host's address: the variable's value where it is set, else host_address; "" if unknown."""
    return [_address(hostvars[host], variable) for host in hosts]


def source_addresses(hosts: Iterable[str], hostvars: HostVars) -> list[str]:
    """Return all IPv4 addresses from which these hosts may come, as far as they are known.

    Which of its addresses a host comes from is for its routes to say.
    """
    found = {
        address
        for host in hosts
        for address in (
            *(_address(hostvars[host], service.address) for service in _SERVICES),
            *_reachable_addresses(_facts(hostvars[host])),
        )
        if address
    }
    return sorted(found, key=ipaddress.IPv4Address)


def without_address(hosts: Iterable[str], hostvars: HostVars) -> list[str]:
    """Return the hosts of which no address is known: they don't answer, and no earlier run has seen them."""
    return [host for host in hosts if not source_addresses([host], hostvars)]


def network_mistakes(networks: Iterable[object], variable: str) -> list[str]:
    """Return which elements of a variable are neither an address nor a network, a sentence each."""
    return [
        f"{variable} has {network!r}; it must be an address or a network, such as 10.1.0.0/16 or fd00::/64."
        for network in networks
        if not _is_network(str(network))
    ]


def address_mistakes(groups: Groups, hostvars: HostVars) -> list[str]:
    """Return what is wrong with the network of hosts and with what two hosts share, a sentence each."""
    return _network_mistakes(groups, hostvars) + _duplicates(groups, hostvars)


def unknown_addresses(hosts: Iterable[str], groups: Groups, hostvars: HostVars) -> list[str]:
    """Return which servers that these hosts must find have no known address, a sentence each.

    All must find ZooKeeper. Only the masters must find each other.
    """
    masters = set(groups.get("mesos_masters", ()))
    wanted = ["zookeepers", "mesos_masters"] if masters.intersection(hosts) else ["zookeepers"]
    return [
        f"The address of {host}, for {service.name}, is not known: the host does not answer, and none is "
        f"remembered from an earlier run. Set {service.address} for it in the inventory."
        for service in _SERVICES
        if service.group in wanted
        for host in groups.get(service.group, ())
        if not _facts(hostvars[host]) and not _address(hostvars[host], service.address)
    ]


def public_addresses(groups: Groups, hostvars: HostVars) -> list[str]:
    """Return which services take a public address only because the default route has it, a sentence each."""
    messages = []
    for service in _SERVICES:
        taken = {
            host: _address(hostvars[host], service.address)
            for host in groups.get(service.group, ())
            if not _value(hostvars[host], service.address) and not _value(hostvars[host], "cluster_network")
        }
        public = [
            f"{host} ({address})"
            for host, address in taken.items()
            if address and ipaddress.IPv4Address(address).is_global
        ]
        if public:
            messages.append(
                f"{service.name} takes a public address, that of the default route, on {', '.join(public)}. "
                "Whoever reaches it may be able to run anything on every slave. Set cluster_network to the "
                f"network that the hosts share, such as 10.0.0.0/16, or {service.address} if that is meant."
            )
    return messages


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _network_mistakes(groups: Groups, hostvars: HostVars) -> list[str]:
    """Return where cluster_network does not give a host its address, a sentence for each reason."""
    variables_of: dict[tuple[str, str], list[str]] = {}
    for service in _SERVICES:
        for host in groups.get(service.group, ()):
            variables = hostvars[host]
            if not _facts(variables) or _value(variables, service.address):
                continue
            try:
                host_address(_facts(variables), str(_value(variables, "cluster_network") or ""))
            except AnsibleFilterError as error:
                variables_of.setdefault((host, error.message), []).append(service.address)
    # A network that is none is wrong in the same words for all hosts.
    hosts_of: dict[tuple[str, str], list[str]] = {}
    for (host, message), names in variables_of.items():
        hosts_of.setdefault((message, " and ".join(names)), []).append(host)
    return [
        f"{', '.join(hosts)}: {message} Set another cluster_network, or {names} for each such host."
        for (message, names), hosts in hosts_of.items()
    ]


def _duplicates(groups: Groups, hostvars: HostVars) -> list[str]:
    """Return which hosts share what must be each one's own, as far as it is known."""
    messages = []
    for service in _SERVICES:
        sharing: dict[str, list[str]] = {}
        for host in groups.get(service.group, ()):
            if address := _address(hostvars[host], service.address):
                port = _value(hostvars[host], service.port) or service.default_port
                sharing.setdefault(f"{address}:{port}", []).append(host)
        messages += [
            f"{_together(hosts)} the address {where} for {service.name}. Set cluster_network to the network "
            f"by which the hosts reach each other, or {service.address} for each of them."
            for where, hosts in sharing.items()
            if len(hosts) > 1
        ]
    named: dict[str, list[str]] = {}
    for host in groups.get("mesos_slaves", ()):
        if name := _value(hostvars[host], "mesos_slave_hostname") or _facts(hostvars[host]).get("hostname"):
            named.setdefault(str(name), []).append(host)
    messages += [
        f"{_together(hosts)} the name {name} for mesos-slave. Set mesos_slave_hostname for each of them; "
        "otherwise it is the host's short name."
        for name, hosts in named.items()
        if len(hosts) > 1
    ]
    return messages


def _together(hosts: list[str]) -> str:
    return f"{', '.join(hosts[:-1])} and {hosts[-1]} have"


def _address(variables: Mapping[str, Any], variable: str) -> str:
    """Return the address that the variable says, or the facts; "" if neither does."""
    if value := _value(variables, variable):
        return str(value)
    try:
        return host_address(_facts(variables), str(_value(variables, "cluster_network") or ""))
    except AnsibleFilterError:
        return ""


def _facts(variables: Mapping[str, Any]) -> Facts:
    """Return what is known of the host, which is nothing when it was never seen."""
    facts: Facts = variables.get("ansible_facts", {})
    return facts


def _value(variables: Mapping[str, Any], name: str) -> Any:
    """Return a variable's value; None when it is not set, or made of facts that are not known."""
    try:
        return variables.get(name)
    except (AnsibleError, UndefinedError):
        return None


def _reachable_addresses(facts: Facts) -> list[str]:
    """Return the host's IPv4 addresses, of all interfaces but loopback and Docker's own bridges."""
    bridges = [name for name in facts.get("interfaces", ()) if _DOCKERS_BRIDGES.fullmatch(name)]
    inside = {facts.get(name.replace("-", "_"), {}).get("ipv4", {}).get("address") for name in bridges}
    return [address for address in facts.get("all_ipv4_addresses", ()) if address not in inside]


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        functions = (
            host_address,
            addresses,
            source_addresses,
            without_address,
            network_mistakes,
            address_mistakes,
            unknown_addresses,
            public_addresses,
        )
        return {function.__name__: function for function in functions}
