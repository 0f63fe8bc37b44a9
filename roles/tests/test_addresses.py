"""Which address a host takes, and which addresses and names are refused before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

Load = Callable[[str], ModuleType]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/filter/addresses.py")


def facts(*addresses: str, hostname: str = "", **bridges: str) -> dict[str, Any]:
    """What Ansible knows of a host: its default route has the first address, its bridges have others."""
    interfaces = {name: {"ipv4": {"address": address}} for name, address in bridges.items()}
    return {
        "default_ipv4": {"address": addresses[0]} if addresses else {},
        "all_ipv4_addresses": [*addresses, *bridges.values()],
        "interfaces": ["lo", *(name.replace("_", "-", 1) for name in bridges)],
        **interfaces,
        **({"hostname": hostname} if hostname else {}),
    }


def host(*addresses: str, hostname: str = "", **variables: object) -> dict[str, Any]:
    return {"ansible_facts": facts(*addresses, hostname=hostname), **variables}


class Vanished(Mapping[str, Any]):
    """The variables of a host that was never seen, one of which is made of its facts."""

    def __getitem__(self, name: str) -> object:
        if name == "mesos_master_ip":
            raise AnsibleFilterError("object of type 'dict' has no attribute 'eth1'")
        raise KeyError(name)

    def __iter__(self) -> Any:
        return iter(["mesos_master_ip"])

    def __len__(self) -> int:
        return 1


def test_an_address_is_that_of_the_default_route_without_a_network(plugin: ModuleType) -> None:
    assert plugin.host_address(facts("203.0.113.7", "10.0.0.7")) == "203.0.113.7"
    assert plugin.host_address({}) == ""


@pytest.mark.parametrize("network", ["10.0.0.0/16", "10.0.0.1/16", "10.0.0.7"])
def test_an_address_is_the_one_in_the_network(plugin: ModuleType, network: str) -> None:
    assert plugin.host_address(facts("203.0.113.7", "10.0.0.7"), network) == "10.0.0.7"


def test_dockers_own_bridges_are_no_addresses(plugin: ModuleType) -> None:
    known = facts("172.31.4.5", docker0="172.17.0.1", br_0123456789ab="172.18.0.1")
    assert plugin.host_address(known, "172.16.0.0/12") == "172.31.4.5"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            "192.168.0.0/24",
            "The host has no address in cluster_network 192.168.0.0/24; "
            "its addresses are 203.0.113.7, 10.0.0.7, 10.0.1.7.",
        ),
        (
            "10.0.0.0/16",
            "The host has 2 addresses in cluster_network 10.0.0.0/16; "
            "its addresses are 203.0.113.7, 10.0.0.7, 10.0.1.7.",
        ),
        ("eth1", "cluster_network is 'eth1'; it must be an IPv4 network such as 10.0.0.0/16."),
        ("10.0.0/16", "cluster_network is '10.0.0/16'; it must be an IPv4 network such as 10.0.0.0/16."),
    ],
)
def test_a_network_that_does_not_decide_is_refused(plugin: ModuleType, network: str, message: str) -> None:
    with pytest.raises(AnsibleFilterError) as refused:
        plugin.host_address(facts("203.0.113.7", "10.0.0.7", "10.0.1.7"), network)
    assert refused.value.message == message


def test_addresses_come_from_the_variable_else_the_network_else_the_default_route(plugin: ModuleType) -> None:
    hostvars = {
        "m1": host("10.0.0.1"),
        "m2": host("10.0.0.2", mesos_master_ip="192.168.0.2", cluster_network="10.0.0.0/16"),
        "m3": host("203.0.113.3", "10.0.0.3", cluster_network="10.0.0.0/16"),
        "never-seen": {"cluster_network": "10.0.0.0/16"},
        "said-of-facts": Vanished(),
        "elsewhere": host("203.0.113.3", cluster_network="10.0.0.0/16"),
    }
    assert plugin.addresses(hostvars, hostvars, "mesos_master_ip") == [
        "10.0.0.1",
        "192.168.0.2",
        "10.0.0.3",
        "",
        "",
        "",
    ]


def test_a_host_may_come_from_any_of_its_addresses(plugin: ModuleType) -> None:
    hostvars = {
        "m1": host("203.0.113.1", "10.0.0.20", docker0="172.17.0.1"),
        "m2": host("10.0.0.3", zookeeper_address="192.0.2.2", cluster_network="10.0.0.0/16"),
        "down": {"mesos_slave_ip": "10.0.0.100"},
        "never-seen": {"cluster_network": "10.0.0.0/16"},
    }
    assert plugin.source_addresses(hostvars, hostvars) == [
        "10.0.0.3",
        "10.0.0.20",
        "10.0.0.100",
        "192.0.2.2",
        "203.0.113.1",
    ]
    assert plugin.without_address(hostvars, hostvars) == ["never-seen"]


def test_what_is_neither_an_address_nor_a_network_is_named(plugin: ModuleType) -> None:
    networks = ["10.1.0.0/16", "10.1.2.3", "fd00::/64", "10.1.0.0/33", "prometheus", ""]
    assert plugin.network_mistakes(networks, "firewall_networks") == [
        f"firewall_networks has {wrong!r}; it must be an address or a network, such as 10.1.0.0/16 or"
        " fd00::/64."
        for wrong in ("10.1.0.0/33", "prometheus", "")
    ]


def test_hosts_without_one_address_in_the_network_are_named_with_what_to_set(plugin: ModuleType) -> None:
    network = {"cluster_network": "10.0.0.0/16"}
    hostvars = {
        "m1": host("203.0.113.1", **network),
        "m2": host("203.0.113.2", mesos_master_ip="203.0.113.2", zookeeper_address="203.0.113.2", **network),
        "m3": {**network},
    }
    groups = {"zookeepers": list(hostvars), "mesos_masters": list(hostvars)}
    assert plugin.address_mistakes(groups, hostvars) == [
        "m1: The host has no address in cluster_network 10.0.0.0/16; its addresses are 203.0.113.1. "
        "Set another cluster_network, or zookeeper_address and mesos_master_ip for each such host."
    ]


def test_a_network_that_is_none_is_said_once(plugin: ModuleType) -> None:
    hostvars = {f"s{number}": host(f"10.0.0.{number}", cluster_network="eth1") for number in (1, 2)}
    assert plugin.address_mistakes({"mesos_slaves": list(hostvars)}, hostvars) == [
        "s1, s2: cluster_network is 'eth1'; it must be an IPv4 network such as 10.0.0.0/16. "
        "Set another cluster_network, or mesos_slave_ip for each such host."
    ]


def test_hosts_that_share_an_address_are_named(plugin: ModuleType) -> None:
    """As in Vagrant's VirtualBox, where every machine's default route has the address 10.0.2.15."""
    hostvars = {f"h{number}": host("10.0.2.15", hostname=f"h{number}") for number in (1, 2, 3)}
    groups = {"zookeepers": ["h1", "h2", "h3"], "mesos_masters": ["h1"], "mesos_slaves": ["h2", "h3"]}
    network = "Set cluster_network to the network by which the hosts reach each other"
    assert plugin.address_mistakes(groups, hostvars) == [
        f"h1, h2 and h3 have the address 10.0.2.15:2181 for ZooKeeper. {network}, "
        "or zookeeper_address for each of them.",
        f"h2 and h3 have the address 10.0.2.15:5051 for mesos-slave. {network}, "
        "or mesos_slave_ip for each of them.",
    ]
    hostvars["h3"]["mesos_slave_port"] = 5052
    assert len(plugin.address_mistakes(groups, hostvars)) == 1, "another port is another slave"


def test_slaves_that_share_a_name_are_named(plugin: ModuleType) -> None:
    hostvars = {
        "web1.a.example.org": host("10.0.0.1", hostname="web1"),
        "web1.b.example.org": host("10.0.0.2", hostname="web1"),
        "web2.a.example.org": host("10.0.0.3", mesos_slave_hostname="web3"),
        "web3.a.example.org": host("10.0.0.4", hostname="web3"),
        "web4.a.example.org": {},
        "web5.a.example.org": {},
    }
    advice = "Set mesos_slave_hostname for each of them; otherwise it is the host's short name."
    assert plugin.address_mistakes({"mesos_slaves": list(hostvars)}, hostvars) == [
        f"web1.a.example.org and web1.b.example.org have the name web1 for mesos-slave. {advice}",
        f"web2.a.example.org and web3.a.example.org have the name web3 for mesos-slave. {advice}",
    ]


def test_servers_that_nobody_has_seen_are_named(plugin: ModuleType) -> None:
    hostvars = {"m1": host("10.0.0.1"), "m2": {"mesos_master_ip": "10.0.0.2"}, "m3": {}}
    groups = {"zookeepers": ["m1"], "mesos_masters": ["m1", "m2", "m3"], "mesos_slaves": ["m3"]}
    assert plugin.unknown_addresses(["m1"], groups, hostvars) == [
        "The address of m3, for mesos-master, is not known: the host does not answer, and none is "
        "remembered from an earlier run. Set mesos_master_ip for it in the inventory."
    ]
    assert not plugin.unknown_addresses(["s1"], groups, hostvars), "slaves ask ZooKeeper who leads"
    assert plugin.unknown_addresses(["s1"], {"zookeepers": ["m3"]}, hostvars)


def test_a_public_address_is_named_unless_it_was_asked_for(plugin: ModuleType) -> None:
    public = "8.8.8.8"
    hostvars = {
        "m1": host(public, "10.0.0.1"),
        "m2": host(public, "10.0.0.2", cluster_network="10.0.0.0/16"),
        "m3": host(public, mesos_master_ip=public),
        "m4": host("10.0.0.4", public),
        "m5": {},
    }
    (message,) = plugin.public_addresses({"mesos_masters": list(hostvars)}, hostvars)
    assert message.startswith(
        "mesos-master takes a public address, that of the default route, on m1 (8.8.8.8). "
    )
    assert "Set cluster_network to the network that the hosts share" in message


@pytest.mark.parametrize(
    ("role", "variable"),
    [
        ("zookeeper", "zookeeper_address"),
        ("mesos_master", "mesos_master_ip"),
        ("mesos_slave", "mesos_slave_ip"),
    ],
)
def test_every_role_takes_the_address_in_the_network(role: str, variable: str) -> None:
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text(encoding="utf-8"))
    assert (
        defaults[variable]
        == "{{ ansible_facts | mesos_docker.cluster.host_address(cluster_network | default('')) }}"
    )
