from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/filter/mesos_flags.py")


@pytest.mark.parametrize(
    ("name", "value", "argument"),
    [
        ("port", 5050, "--port=5050"),
        ("hostname_lookup", False, "--hostname_lookup=false"),
        ("isolation", ["posix/cpu", "posix/mem"], "--isolation=posix/cpu,posix/mem"),
        ("isolation", "posix/cpu,posix/mem", "--isolation=posix/cpu,posix/mem"),
        (
            "resources",
            {"cpus": 2, "mem": 512, "ports": ["31000-32000", "80-80"]},
            "--resources=cpus:2;mem:512;ports:[31000-32000,80-80]",
        ),
        ("resources", [{"name": "cpus"}], '--resources=[{"name": "cpus"}]'),
        ("attributes", {"rack": "r1", "disk": "ssd"}, "--attributes=rack:r1;disk:ssd"),
        ("modules", {"libraries": []}, '--modules={"libraries": []}'),
    ],
)
def test_writes_a_flag(plugin: ModuleType, name: str, value: object, argument: str) -> None:
    assert plugin.mesos_arguments({name: value}) == [argument]


def test_quotes_what_systemd_would_expand_or_take_for_the_end(plugin: ModuleType) -> None:
    assert plugin.systemd_quoted('--a=b "c" $HOME %n \\') == r'"--a=b \"c\" $$HOME %%n \\"'
    assert plugin.systemd_quoted("--a=b\nc") == r'"--a=b\nc"'


def test_sorts_flags_and_leaves_out_those_without_a_value(plugin: ModuleType) -> None:
    assert plugin.mesos_arguments({"port": 1, "acls": None, "ip": "a"}) == ["--ip=a", "--port=1"]


def test_suggests_the_closest_name(plugin: ModuleType) -> None:
    assert plugin.closest("clutser", ["cluster", "port"]) == "cluster"
    assert plugin.closest("zzz", ["cluster", "port"]) == ""
