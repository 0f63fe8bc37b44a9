"""What may be stopped, in which order, and how an upgrade is shown."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/filter/rolling.py")


@pytest.mark.parametrize(
    ("named", "units"),
    [
        ("zookeeper", ["zookeeper"]),
        ("mesos-slave, zookeeper", ["mesos-slave", "zookeeper"]),
        (" mesos-slave.service mesos-master,", ["mesos-slave", "mesos-master"]),
        (["mesos-slave", "docker"], ["mesos-slave", "docker"]),
        (" ", []),
        ([], []),
    ],
)
def test_units_are_named_as_a_list_or_with_commas(
    plugin: ModuleType, named: str | list[str], units: list[str]
) -> None:
    assert plugin.named_units(named) == units


@pytest.mark.parametrize(
    ("voters", "quorum"),
    [
        ({"a": True}, 0),  # alone: there are no others
        ({"a": True, "b": True, "c": True}, 0),
        ({"a": False, "b": True, "c": True}, 0),
        ({"a": True, "b": True, "c": True, "d": True, "e": False}, 0),
        ({"a": True, "b": True, "c": True}, 2),
        ({"b": True, "c": False}, 0),  # it is none of them, and takes nothing away
        ({}, 0),
    ],
)
def test_one_may_stop_when_the_others_are_a_majority(
    plugin: ModuleType, voters: dict[str, bool], quorum: int
) -> None:
    assert plugin.missing_majority(voters, "a", quorum) == ""


@pytest.mark.parametrize(
    ("voters", "quorum", "reason"),
    [
        (
            {"a": True, "b": True, "c": False},
            0,
            "without it 1 of 3 would take part, and 2 are needed. Bring back c first.",
        ),
        (
            {"a": True, "e": False, "b": False, "c": True, "d": True},
            0,
            "without it 2 of 5 would take part, and 3 are needed. Bring back b, e first.",
        ),
        (
            {"a": True, "b": True},
            0,
            "without it 1 of 2 would take part, and 2 are needed. Bring back more of them first.",
        ),
        (
            {"a": True, "b": True, "c": True},
            3,
            "without it 2 of 3 would take part, and 3 are needed. Bring back more of them first.",
        ),
    ],
)
def test_one_may_not_stop_when_the_majority_would_be_lost(
    plugin: ModuleType, voters: dict[str, bool], quorum: int, reason: str
) -> None:
    assert plugin.missing_majority(voters, "a", quorum) == reason


def test_leaders_are_the_last_and_the_master_the_very_last(plugin: ModuleType) -> None:
    hostvars = {
        "m1": {"__mesos_master_leads": True, "__zookeeper_leads": False},
        "m2": {"__mesos_master_leads": False, "__zookeeper_leads": True},
        "m3": {"__mesos_master_leads": False, "__zookeeper_leads": False},
        "scheduler": {},
    }
    assert plugin.leaders_last(["m1", "m2", "m3", "scheduler"], hostvars) == ["m3", "scheduler", "m2", "m1"]


BEFORE = ["id1 2026-01-01T00:00:01Z /mesos-1", "id2 2026-01-01T00:00:02Z /mesos-2"]


def test_containers_that_stay_are_not_lost(plugin: ModuleType) -> None:
    assert plugin.lost_containers(BEFORE, [*BEFORE, "id3 2026-01-01T00:00:03Z /mesos-3"]) == []


def test_a_container_that_stopped_or_started_again_is_lost(plugin: ModuleType) -> None:
    again = "id2 2026-01-01T00:00:09Z /mesos-2"
    assert plugin.lost_containers(BEFORE, [BEFORE[0]]) == ["/mesos-2"]
    assert plugin.lost_containers(BEFORE, [BEFORE[0], again]) == ["/mesos-2"]
    assert plugin.lost_containers(BEFORE, [BEFORE[0], "id2 137"]) == ["/mesos-2"]


def test_a_container_that_had_done_its_work_is_not_lost(plugin: ModuleType) -> None:
    assert plugin.lost_containers(BEFORE, [BEFORE[0], "id2 0", "id9 1"]) == []


HOSTVARS = {
    "slave1": {
        "__docker_updates": [{"package": "docker.io", "from": "20.10", "to": "26.1"}],
        "__mesos_updates": [{"package": "mesos", "from": "", "to": "build abc"}],
        "foreign_updates": [{"package": "x", "from": "1", "to": "2"}],
        "__docker_upgrade": {"held": ["runc"]},
    },
    "m1": {"__zookeeper_updates": [], "__zookeeper_upgrade": {"held": []}},
}


def test_what_would_be_upgraded_is_a_table(plugin: ModuleType) -> None:
    rows = plugin.planned_updates(["m1", "slave1"], HOSTVARS)
    assert plugin.updates_table(rows) == [
        "HOST    PACKAGE    FROM   TO",
        "slave1  docker.io  20.10  26.1",
        "slave1  mesos      -      build abc",
    ]
    assert plugin.planned_updates(["m1"], HOSTVARS) == []


def test_who_has_updates_and_what_is_held_back(plugin: ModuleType) -> None:
    assert plugin.with_updates(["m1", "slave1"], HOSTVARS, "__docker_updates") == ["slave1"]
    assert plugin.with_updates(["m1", "slave1"], HOSTVARS, "__zookeeper_updates") == []
    assert plugin.held_packages(["m1", "slave1"], HOSTVARS) == ["runc on slave1"]


def test_what_was_shown_is_what_apt_is_told(plugin: ModuleType) -> None:
    assert plugin.pinned_package({"package": "runc", "from": "1", "to": "1.1+ds1-1"}) == "runc=1.1+ds1-1"
