from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

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


def test_an_announcement_leaves_those_of_other_machines(plugin: ModuleType) -> None:
    one, two = {"hostname": "s1", "ip": "10.0.0.1"}, {"hostname": "s2", "ip": "10.0.0.2"}
    both = plugin.with_machine(plugin.with_machine({}, one, 1700000000.5), two, 1800000000.0)
    assert both["windows"][0] == {
        "machine_ids": [one],
        "unavailability": {"start": {"nanoseconds": 1700000000000000000}},
    }
    assert plugin.has_machine(both, one)
    assert plugin.has_machine(both, two)
    without = plugin.without_machine(both, one)
    assert not plugin.has_machine(without, one)
    assert without["windows"] == both["windows"][1:]
    assert plugin.without_machine(without, two) == {"windows": []}
    assert not plugin.has_machine({}, one), "a master without announcements answers so"


def test_a_machine_leaves_a_window_that_it_shares(plugin: ModuleType) -> None:
    one, two = {"hostname": "s1", "ip": "10.0.0.1"}, {"hostname": "s2", "ip": "10.0.0.2"}
    shared = {"windows": [{"machine_ids": [one, two], "unavailability": {"start": {"nanoseconds": 1}}}]}
    assert plugin.without_machine(shared, one) == {
        "windows": [{"machine_ids": [two], "unavailability": {"start": {"nanoseconds": 1}}}]
    }
