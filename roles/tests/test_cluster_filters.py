from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/filter/cluster.py")


def test_a_mistake_of_many_hosts_is_said_once(plugin: ModuleType) -> None:
    hostvars = {
        "s1": {"__docker_mistakes": ["No engine."], "__mesos_slave_mistakes": ["Bad flag. "], "other": ["x"]},
        "s2": {"__docker_mistakes": [], "__mesos_slave_mistakes": ["Bad flag. "]},
    }
    assert plugin.mistakes(["s1", "s2"], hostvars) == ["No engine. (s1)", "Bad flag. (s1, s2)"]


GROUPS = {"mesos_masters": ["m1", "m2", "m4"], "zookeepers": ["m1", "m2", "m4"], "retired": ["m3"]}


def test_an_inventory_that_replaces_a_master(plugin: ModuleType) -> None:
    assert plugin.replace_mistakes(GROUPS, "m3", "m4") == []
    assert plugin.replace_mistakes(GROUPS, "lost", "m4") == []


@pytest.mark.parametrize(
    ("old", "new", "mistakes"),
    [
        ("", "m4", ["old_master is empty; it must name a host."]),
        ("m3", "", ["new_master is empty; it must name a host."]),
        (
            "m3",
            "m5",
            ["new_master is m5, which is not in the group mesos_masters (m1, m2, m4): put it there."],
        ),
        (
            "m1",
            "m4",
            [
                f"old_master is m1, which still is in the group {group}: put m4 in its place, and m1 into the"
                " group retired, or nowhere when it is lost for good."
                for group in ("mesos_masters", "zookeepers")
            ],
        ),
    ],
)
def test_an_inventory_that_replaces_none(plugin: ModuleType, old: str, new: str, mistakes: list[str]) -> None:
    assert plugin.replace_mistakes(GROUPS, old, new) == mistakes


def test_a_master_does_not_replace_itself(plugin: ModuleType) -> None:
    assert plugin.replace_mistakes(GROUPS, "m4", "m4")[0] == "old_master and new_master are both m4."


def test_of_schedulers_that_leave_the_newest_goes_first(plugin: ModuleType) -> None:
    states = {"a": {"term": 1, "events": 90}, "b": {"term": 2, "events": 5}, "c": {"term": 2, "events": 7}}
    hostvars: dict[str, dict[str, object]] = {
        host: {"__scheduler_leaving_state": {"framework_id": "f", **state}} for host, state in states.items()
    }
    # Their state is in ZooKeeper.
    hostvars |= {"x": {}, "y": {"__scheduler_leaving_state": {"framework_id": "", "term": 9, "events": 0}}}
    assert plugin.newest_scheduler(["a", "b"], hostvars) == "b"
    assert plugin.newest_scheduler(["b", "x", "c", "a", "y"], hostvars) == "c"
    assert plugin.newest_scheduler(["x", "y"], hostvars) == ""
    assert plugin.newest_scheduler([], {}) == ""
    seen = {"a": {"__scheduler_own_state": {"framework_id": "f", "term": 3, "events": 1}}, "b": {}}
    assert plugin.newest_scheduler(["b", "a"], seen, "__scheduler_own_state") == "a"


def test_who_has_the_state_is_changed_first_and_who_leads_last(plugin: ModuleType) -> None:
    hostvars: dict[str, dict[str, object]] = {
        "a": {"__scheduler_leads": True, "__scheduler_has_state": False},
        "b": {"__scheduler_leads": False, "__scheduler_has_state": False},
        "c": {"__scheduler_leads": True, "__scheduler_has_state": True},
        "d": {},
    }
    assert plugin.scheduler_turns(["a", "b", "c", "d"], hostvars) == ["c", "b", "d", "a"]


STATE = {"__scheduler_has_state": True}
SHARED = {"__scheduler_was_at": "/mesos-scheduler"}
NOTHING: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("hosts", "changes", "words"),
    [
        ({"a": NOTHING, "b": NOTHING}, {}, None),  # nothing is there yet
        ({"a": STATE, "b": NOTHING}, {}, None),
        ({"b": NOTHING, "x": STATE, "a": NOTHING}, {}, None),
        ({"a": SHARED, "b": SHARED}, {}, None),
        ({"b": SHARED}, {}, None),  # a is down: b knows all
        ({"b": STATE}, {}, None),
        (
            {"b": NOTHING},
            {},
            "a can't be reached, or --limit leaves it out, and may have",
        ),
        ({"b": NOTHING}, {"lost": True}, None),
        ({"a": SHARED}, {"schedulers": ["a"], "shared": False}, None),
        ({"a": NOTHING, "x": SHARED}, {"schedulers": ["a"], "shared": False}, "a does not know where"),
        ({"a": STATE, "x": SHARED}, {"schedulers": ["a"], "shared": False}, "a does not know where"),
        (
            {"a": SHARED, "b": SHARED},
            {"zookeeper": "zk://z:2181/other"},
            "is at /mesos-scheduler in",
        ),
        ({"a": SHARED, "b": SHARED}, {"switched": True}, None),
        ({"a": STATE, "b": NOTHING}, {"switched": True}, "in another run"),
        ({"a": SHARED}, {"schedulers": ["a"], "shared": False, "switched": True}, "in another run"),
        ({"a": NOTHING, "b": NOTHING}, {"switched": True}, None),
    ],
)
def test_no_state_is_left_behind(
    plugin: ModuleType, hosts: dict[str, Any], changes: dict[str, Any], words: str | None
) -> None:
    asked = {
        "schedulers": ["a", "b"],
        "shared": True,
        "zookeeper": "zk://z1:2181,z2:2181/mesos-scheduler",
        "switched": False,
        "lost": False,
        **changes,
    }
    found = plugin.left_behind(hosts, hosts, **asked)
    assert (found == []) if words is None else (words in found[0])
