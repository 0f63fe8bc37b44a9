from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/filter/verification.py")


def test_a_service_of_the_scheduler(plugin: ModuleType) -> None:
    service = {"name": "web", "running": 1, "wanted": 2, "converged": False, "waiting": ["no room"]}
    assert plugin.service_finding(service) == {
        "what": "service web",
        "is": "1 of 2 run",
        "wrong": ["no room"],
    }
    assert plugin.service_finding(service | {"waiting": []})["wrong"] == ["instances are starting or ending"]
    assert plugin.service_finding(service | {"converged": True})["wrong"] == []


def test_a_table_of_all_that_was_found(plugin: ModuleType) -> None:
    hostvars = {
        "m1": {"__zookeeper_findings": [{"what": "zookeeper", "wrong": []}], "other_findings": 3},
        "slave1": {"__host_findings": [{"what": "disks", "is": "12 % used", "wrong": []}]},
        "s2": {"__host_findings": [{"what": "disks", "is": "99 % used", "wrong": ["full", "slow"]}]},
    }
    found = plugin.findings(["m1", "slave1", "s2"], hostvars)
    assert plugin.verification_table(found) == [
        "m1      zookeeper  ok",
        "slave1  disks      ok     12 % used",
        "s2      disks      wrong  full; slow",
    ]
