from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/filter/service_secrets.py")


def test_names_become_paths_and_paths_stay(plugin: ModuleType) -> None:
    service = {"name": "web", "secrets": {"A": "db", "B": "/run/b", "C": 3}}
    assert plugin.with_secret_paths(service, "/etc/s") == {
        "name": "web",
        "secrets": {"A": "/etc/s/db", "B": "/run/b", "C": 3},
    }


@pytest.mark.parametrize("service", [{"name": "web"}, {"secrets": "no"}, "no service", 3])
def test_what_has_no_secrets_is_left_alone(plugin: ModuleType, service: object) -> None:
    assert plugin.with_secret_paths(service, "/etc/s") == service


def test_so_do_the_secrets_of_files_to_fetch(plugin: ModuleType) -> None:
    files = ["https://h/x", {"uri": "https://h/y"}, {"uri_secret": "db"}, {"uri_secret": "/run/b"}, 3]
    paths = [*files[:2], {"uri_secret": "/etc/s/db"}, *files[3:]]
    assert plugin.with_secret_paths({"fetch": files}, "/etc/s") == {"fetch": paths}
    assert plugin.named_secrets([{"fetch": paths}, {"fetch": "x"}], "/etc/s") == ["db"]


def test_finds_the_names(plugin: ModuleType) -> None:
    services = [{"secrets": {"A": "/etc/s/db", "B": "/run/b"}}, {}, {"secrets": {"C": "/etc/s/api"}}, "x"]
    assert plugin.named_secrets(services, "/etc/s") == ["api", "db"]


def test_each_secret_has_a_file_that_the_scheduler_can_read(plugin: ModuleType) -> None:
    assert plugin.secret_files(
        {"db": "s3cret", "empty": "", "pin": 42, "gcp": {"user": "a"}}, "/etc/s", "scheduler"
    ) == [
        {"path": f"/etc/s/{name}", "content": content, "group": "scheduler", "mode": "0640"}
        for name, content in (("db", "s3cret"), ("empty", ""), ("pin", "42"), ("gcp", '{"user": "a"}'))
    ]
