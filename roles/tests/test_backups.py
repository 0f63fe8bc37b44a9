"""Which backups are kept, whether one can be restored, and whether hosts may be given back."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/filter/backups.py")


def manifest(**more: Any) -> dict[str, Any]:
    return {
        "versions": {"mesos": "1.11.0", "scheduler": "0.1.0"},
        "masters": {"a": {"address": "10.0.0.1", "port": 5050}},
        "leader": "a",
        "agents": {"x-S0": "slave1", "x-S1": "slave2"},
        "scheduler": {"framework_id": "x-0000", "schema": 2},
        "files": {"scheduler/state.sqlite": "123"},
    } | more


def master(**more: Any) -> dict[str, Any]:
    """A new host, which has no master yet."""
    return {"address": "10.0.0.1", "port": 5050, "has_log": False, "seed": 0} | more


def plan(plugin: ModuleType, **more: Any) -> dict[str, Any]:
    """The plan for three new masters and a new scheduler, where nothing answers."""
    situation: dict[str, Any] = {
        "backup": {"manifest": manifest(), "mistakes": []},
        "masters": {"a": master(), "b": master(), "c": master()},
        "schedulers": {"s": ""},
        "quorum": 2,
        "answering": [],
        "mesos_version": "1.11.0",
        "schema": 2,
    }
    decided: dict[str, Any] = plugin.restore_plan(**situation | more)
    return decided


def test_the_latest_are_kept(plugin: ModuleType) -> None:
    names = ["20250103T000000Z", "20250101T000000Z", "20250102T000000Z"]
    assert plugin.backups_to_remove(names, 2, "20250104") == ["20250101T000000Z"]
    assert plugin.backups_to_remove(names, 3, "20250104") == []
    assert plugin.backups_to_remove(names, 14, "20250104") == []


def test_only_backups_are_removed(plugin: ModuleType) -> None:
    names = ["20250103T000000Z", "notes", "20250101T000000Z.old", "before 20250102T000000Z"]
    assert plugin.backups_to_remove(names, 1, "20250104") == []


def test_what_was_broken_off_goes_when_it_can_not_be_under_way(plugin: ModuleType) -> None:
    names = [".20250103T235959Z", ".20250104T000000Z", ".git"]
    assert plugin.backups_to_remove(names, 1, "20250104") == [".20250103T235959Z"]


def test_what_the_manifest_says(plugin: ModuleType) -> None:
    self_ = {"address": "10.0.0.1", "hostname": "a.example.org", "port": 5050, "quorum": 2}
    hostvars: dict[str, dict[str, Any]] = {
        "a": {
            "__mesos_master_self": self_,
            "__mesos_master_version": {"stdout": "mesos 1.11.0"},
            "__mesos_master_log_copy": {"agents": {"x-S0": "slave1"}, "changed": False},
        },
        "b": {},  # could not be reached
        "s": {
            "__scheduler_version": {"stdout": "mesos-docker-scheduler 0.1.0"},
            "__scheduler_state_copy": {"framework_id": "x-0000", "schema": 2, "changed": False},
        },
    }
    groups = {"mesos_masters": ["a", "b"], "schedulers": ["s"], "all": ["a", "b", "s", "t"]}
    content = plugin.backup_content(groups, hostvars, "a", "20250102T030405Z")
    assert content == {
        "created": "20250102T030405Z",
        "versions": {"mesos": "1.11.0", "scheduler": "0.1.0"},
        "groups": {"zookeepers": [], "mesos_masters": ["a", "b"], "mesos_slaves": [], "schedulers": ["s"]},
        "masters": {"a": {"address": "10.0.0.1", "port": 5050}},
        "leader": "a",
        "agents": {"x-S0": "slave1"},
        "scheduler": {"framework_id": "x-0000", "schema": 2},
    }
    without = plugin.backup_content(groups | {"schedulers": []}, hostvars, "a", "20250102T030405Z")
    assert "scheduler" not in without
    assert "scheduler" not in without["versions"]


def test_says_what_a_backup_holds(plugin: ModuleType) -> None:
    assert plugin.backup_summary(manifest(), "/b/1") == [
        "The backup: /b/1",
        "The registry of 2 agents, of a: slave1, slave2",
        "The scheduler's state, of framework x-0000",
    ]


@pytest.mark.parametrize(
    ("nodes", "foreign"),
    [
        (["mesos", "prod", "zookeeper"], []),
        (["mesos", "zookeeper", "marathon"], ["/marathon"]),
        ([""], []),
    ],
)
def test_what_zookeeper_holds_for_others(plugin: ModuleType, nodes: list[str], foreign: list[str]) -> None:
    assert plugin.foreign_nodes(nodes, ["/mesos", "/prod/mesos-scheduler"]) == foreign


def test_new_hosts_take_a_backup(plugin: ModuleType) -> None:
    assert plan(plugin) == {"mistakes": [], "begun": False}


def test_a_broken_backup_is_refused_before_all_else(plugin: ModuleType) -> None:
    broken = {"manifest": {}, "mistakes": ["x is missing."]}
    assert plan(plugin, backup=broken, answering=["10.0.0.1:5050"])["mistakes"] == ["x is missing."]


def test_a_master_that_lives_is_refused(plugin: ModuleType) -> None:
    (mistake,) = plan(plugin, answering=["10.0.0.1:5050"], schedulers={"s": "456"})["mistakes"]
    assert "A mesos-master answers at 10.0.0.1:5050" in mistake


def test_a_log_of_its_own_is_never_overwritten(plugin: ModuleType) -> None:
    masters = {"a": master(), "b": master(has_log=True)}
    (mistake,) = plan(plugin, masters=masters)["mistakes"]
    assert mistake.startswith("b has a replicated log of its own")


def test_a_restore_that_was_interrupted_goes_on(plugin: ModuleType) -> None:
    masters = {"a": master(has_log=True, seed=2), "b": master(has_log=True)}
    again = plan(plugin, masters=masters, schedulers={"s": "123"})
    assert again == {"mistakes": [], "begun": True}


def test_a_log_that_was_packed_for_another_quorum_is_none_of_a_restore(plugin: ModuleType) -> None:
    masters = {"a": master(has_log=True, seed=3)}
    assert plan(plugin, masters=masters)["mistakes"] != []


def test_a_state_of_its_own_is_never_overwritten(plugin: ModuleType) -> None:
    (mistake,) = plan(plugin, schedulers={"s": "456"})["mistakes"]
    assert mistake.startswith("s has a scheduler's state of its own")
    assert "group schedulers is empty" in plan(plugin, schedulers={})["mistakes"][0]


@pytest.mark.parametrize(
    ("mesos", "schema", "refused"),
    [
        ("1.11.0", 2, ""),
        ("1.12.0", 2, ""),
        ("1.9.0", 2, "Mesos 1.11.0"),
        ("", 0, ""),
        ("1.11.0", 1, "version 2"),
    ],
)
def test_what_only_newer_programs_can_read_is_refused(
    plugin: ModuleType, mesos: str, schema: int, refused: str
) -> None:
    mistakes = plan(plugin, mesos_version=mesos, schema=schema)["mistakes"]
    assert len(mistakes) == (refused != "")
    assert all(refused in mistake for mistake in mistakes)


def test_where_a_master_may_live(plugin: ModuleType) -> None:
    asked = plugin.addresses_to_ask(manifest(), {"n": master(address="10.0.0.9"), "a": master()})
    assert asked == ["10.0.0.1:5050", "10.0.0.9:5050"]


@pytest.mark.parametrize(
    ("hosts", "refused"),
    [
        ("s", []),
        ("a", ["mesos_masters", "zookeepers"]),
        ("ab", ["mesos_masters", "zookeepers"]),
        ("abc", []),
        ("abcs", []),
    ],
)
def test_a_part_of_the_control_plane_is_not_given_back_beside_the_rest(
    plugin: ModuleType, hosts: str, refused: list[str]
) -> None:
    groups = {"mesos_masters": list("abc"), "zookeepers": list("abc"), "mesos_slaves": ["s"]}
    mistakes = plugin.reset_mistakes(list(hosts), groups)
    assert len(mistakes) == len(refused)
    assert all(
        f"the rest of the {group} goes on" in mistake
        for group, mistake in zip(refused, mistakes, strict=True)
    )


def test_the_only_master_may_be_given_back(plugin: ModuleType) -> None:
    assert plugin.reset_mistakes(["a"], {"mesos_masters": ["a"]}) == []
