from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/filter/operators_words.py")


@pytest.mark.parametrize(
    ("problem", "short_form", "words"),
    [
        ("services[0].count: -1 is not allowed", True, "scheduler_count: -1 is not allowed"),
        ("services[2].ports[0].host_port: x", True, "scheduler_services[1].ports[0].host_port: x"),
        ("services[0].ports[0].host_port: x", False, "scheduler_services[0].ports[0].host_port: x"),
        ("services[1]: 3 is not allowed", True, "scheduler_services[0]: 3 is not allowed"),
        ("framework.role: bad", True, "scheduler_framework_role: bad"),
        ("http.port: 0", False, "scheduler_http_port: 0"),
        ("allowed.users[0]: bad", True, "scheduler_allowed.users[0]: bad"),
        ("allowed: [] is not allowed", True, "scheduler_allowed: [] is not allowed"),
        (
            "services[0].privileged: true is not allowed; allowed.privileged is false",
            True,
            "scheduler_privileged: true is not allowed; scheduler_allowed.privileged is false",
        ),
        ("master: bad", True, "scheduler_master: bad"),
        ("services: is missing", False, "scheduler_services: is missing"),
    ],
)
def test_says_it_in_the_roles_variables(
    plugin: ModuleType, problem: str, short_form: bool, words: str
) -> None:
    assert plugin.operators_words(problem, short_form) == words
