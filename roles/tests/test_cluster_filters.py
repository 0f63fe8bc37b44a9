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
