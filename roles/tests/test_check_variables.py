from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

Load = Callable[[str], ModuleType]
KNOWN = {"scheduler_image", "scheduler_count", "mesos_slave_ip"}


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("playbooks/action_plugins/check_variables.py")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ({"type": "int"}, 4),
        ({"type": "int"}, "4"),  # -e scheduler_count=4 is a text
        ({"type": "int"}, "-1"),
        ({"type": "float"}, "0.5"),
        ({"type": "bool"}, "false"),
        ({"type": "str"}, ""),
        ({"type": "str"}, 5),
        ({"type": "str", "choices": ["ro", "rw"]}, "ro"),
        ({"type": "list", "elements": "str"}, ["a", "b"]),
        ({"type": "raw"}, {"cpus": 1}),
        ({"type": "raw"}, "cpus:1"),
    ],
)
def test_accepts(plugin: ModuleType, option: dict[str, Any], value: object) -> None:
    assert plugin.wrong_value("variable", value, option) is None


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ({"type": "int"}, "two", "variable: 'two' is not allowed; it must be a whole number."),
        ({"type": "int"}, 2.5, "variable: 2.5 is not allowed; it must be a whole number."),
        ({"type": "int"}, True, "variable: True is not allowed; it must be a whole number."),
        ({"type": "int"}, None, "variable has no value; it must be a whole number."),
        ({"type": "bool"}, "maybe", "variable: 'maybe' is not allowed; it must be true or false."),
        ({"type": "str"}, ["a"], "variable: ['a'] is not allowed; it must be a text."),
        (
            {"type": "str", "choices": ["ro", "rw"]},
            "wr",
            "variable: 'wr' is not allowed; it must be a text, one of ro, rw.",
        ),
        ({"type": "dict"}, "a", "variable: 'a' is not allowed; it must be a dictionary."),
    ],
)
def test_refuses_and_says_what_is_allowed(
    plugin: ModuleType, option: dict[str, Any], value: object, message: str
) -> None:
    assert plugin.wrong_value("variable", value, option) == message


def test_shows_no_secret(plugin: ModuleType) -> None:
    message = plugin.wrong_value("password", ["hunter2"], {"type": "str", "no_log": True})
    assert message
    assert "hunter2" not in message


def test_names_the_key_that_is_wrong_inside_a_dictionary(plugin: ModuleType) -> None:
    option = {"type": "list", "elements": "dict", "options": {"port": {"type": "int", "required": True}}}
    message = plugin.wrong_value("variable", [{"prot": 80}], option)
    assert message
    assert "variable.prot" in message
    assert message.endswith("port.")


def test_refuses_unknown_variables_with_our_prefixes(plugin: ModuleType) -> None:
    assert (
        plugin.unknown_variable("scheduler_imgae", KNOWN)
        == "scheduler_imgae is no variable of these roles. Did you mean scheduler_image?"
    )
    assert plugin.unknown_variable("mesos_qqq", KNOWN) == "mesos_qqq is no variable of these roles."


@pytest.mark.parametrize("name", ["scheduler_image", "ansible_host", "lab_network", "__scheduler_mistakes"])
def test_leaves_other_variables_alone(plugin: ModuleType, name: str) -> None:
    assert plugin.unknown_variable(name, KNOWN) is None


@pytest.mark.parametrize("role", ["docker", "zookeeper", "mesos", "mesos_master", "mesos_slave", "scheduler"])
def test_finds_every_roles_specification(plugin: ModuleType, role: str) -> None:
    assert all(name.startswith(f"{role}_") for name in plugin.load_specification(role))


@pytest.mark.parametrize("inventory", ["lab", "example"])
def test_the_inventories_say_nothing_that_is_refused(plugin: ModuleType, inventory: str) -> None:
    path = Path(__file__).resolve().parents[2] / "inventory" / inventory / "group_vars" / "all" / "main.yml"
    roles = ("docker", "zookeeper", "mesos", "mesos_master", "mesos_slave", "scheduler")
    options = {name: option for role in roles for name, option in plugin.load_specification(role).items()}
    for name, value in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        assert plugin.unknown_variable(name, set(options)) is None
        if name in options:
            assert plugin.wrong_value(name, value, options[name]) is None
