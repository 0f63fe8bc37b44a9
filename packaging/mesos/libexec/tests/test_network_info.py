"""The addresses of a container as Mesos' NetworkInfo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Pure = Callable[..., Any]


def inspected(mode: str, **networks: dict[str, str]) -> dict[str, Any]:
    return {"HostConfig": {"NetworkMode": mode}, "NetworkSettings": {"Networks": networks}}


def test_the_bridge(pure: Pure) -> None:
    found = pure("network", task={}, inspected=inspected("bridge", bridge={"IPAddress": "172.17.0.2"}))
    assert found == {"ip_addresses": [{"protocol": "IPv4", "ip_address": "172.17.0.2"}]}


def test_both_families_and_what_the_task_asked_for(pure: Pure) -> None:
    task = {"container": {"network_infos": [{"name": "blue", "groups": ["g"], "ip_addresses": [{}]}]}}
    network = {"IPAddress": "10.0.0.2", "GlobalIPv6Address": "fd00::2"}
    assert pure("network", task=task, inspected=inspected("blue", blue=network)) == {
        "name": "blue",
        "groups": ["g"],
        "ip_addresses": [
            {"protocol": "IPv4", "ip_address": "10.0.0.2"},
            {"protocol": "IPv6", "ip_address": "fd00::2"},
        ],
    }


def test_a_network_named_by_its_id(pure: Pure) -> None:
    found = pure("network", task={}, inspected=inspected("6f1c2a", blue={"IPAddress": "10.0.0.2"}))
    assert found["ip_addresses"][0]["ip_address"] == "10.0.0.2"


def test_the_hosts_network_has_no_address_of_its_own(pure: Pure) -> None:
    assert pure("network", task={}, inspected=inspected("host", host={"IPAddress": ""})) is None
    assert pure("network", task={}, inspected=None) is None
