from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

Load = Callable[[str], ModuleType]
ROLES = ("docker", "zookeeper", "mesos", "mesos_master", "mesos_slave", "scheduler", "monitoring")


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/action/check_variables.py")


@pytest.fixture(scope="module")
def known(plugin: ModuleType) -> set[str]:
    """The name of every variable there is."""
    folders = ("playbooks", *(f"roles/{role}" for role in ROLES))
    return {name for folder in folders for name in plugin.load_specification(folder)}


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


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("scheduler_cuont", "scheduler_count"),
        ("scheduler_imgae", "scheduler_image"),
        ("scheduler_images", "scheduler_image"),
        ("schedular_count", "scheduler_count"),
        ("schedulercount", "scheduler_count"),
        ("mesos_slave_pi", "mesos_slave_ip"),
        ("mesos_slave_atributes", "mesos_slave_attributes"),
        ("docker_registry_mirror", "docker_registry_mirrors"),
        ("zookeeper_adress", "zookeeper_address"),
        ("cluster_netwrok", "cluster_network"),
    ],
)
def test_refuses_misspelled_variables(plugin: ModuleType, known: set[str], name: str, meant: str) -> None:
    message = plugin.misspelled_variable(name, known)
    assert message.startswith(f"{name} is no variable of these roles. Did you mean {meant}? ")
    assert "cluster_foreign_variables" in message


@pytest.mark.parametrize(
    "name",
    [
        "scheduler_image",
        "ansible_host",
        "lab_network",
        "__scheduler_mistakes",
        # Of other people's roles.
        "docker_users",
        "docker_edition",
        "docker_compose_version",
        "docker_apt_repository",
        "docker_service_state",
        "mesos_exporter_version",
        "mesos_version",
        "zookeeper_version",
        "zookeeper_hosts",
        "zookeeper_exporter_version",
        "cluster_name",
        "kafka_zookeeper_servers",
    ],
)
def test_leaves_other_variables_alone(plugin: ModuleType, known: set[str], name: str) -> None:
    assert plugin.misspelled_variable(name, known) is None
    assert plugin.ignored_variable(name, known) is None


def test_what_the_roles_note_for_themselves_is_no_misspelling(plugin: ModuleType, known: set[str]) -> None:
    root = Path(__file__).resolve().parents[2]
    files = [*root.glob("roles/*/*/*.yml"), *root.glob("playbooks/**/*.yml")]
    internal = {name for file in files for name in re.findall(r"\b__\w+", file.read_text(encoding="utf-8"))}
    assert len(internal) > 100
    assert [name for name in internal if plugin.misspelled_variable(name, known)] == []


def test_says_that_a_variable_which_begins_like_ours_does_nothing(
    plugin: ModuleType, known: set[str]
) -> None:
    for name in ("scheduler_replicas", "mesos_slave_extra_flags", "mesos_master_log_level"):
        assert plugin.misspelled_variable(name, known) is None
        assert plugin.ignored_variable(name, known).startswith(f"{name} is no variable of these roles")


@pytest.mark.parametrize("role", ROLES)
def test_finds_every_roles_specification(plugin: ModuleType, role: str) -> None:
    assert all(name.startswith(f"{role}_") for name in plugin.load_specification(f"roles/{role}"))


@pytest.mark.parametrize("inventory", ["lab", "example"])
def test_the_inventories_say_nothing_that_is_refused(
    plugin: ModuleType, known: set[str], inventory: str
) -> None:
    path = Path(__file__).resolve().parents[2] / "inventory" / inventory / "group_vars" / "all" / "main.yml"
    folders = ("playbooks", *(f"roles/{role}" for role in ROLES))
    options = {
        name: option for folder in folders for name, option in plugin.load_specification(folder).items()
    }
    for name, value in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        assert plugin.misspelled_variable(name, known) is None
        assert plugin.ignored_variable(name, known) is None
        if name in options:
            assert plugin.wrong_value(name, value, options[name]) is None
