from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def module(load: Load) -> ModuleType:
    return load("roles/scheduler/library/scheduler_converged.py")


def status(**changes: Any) -> dict[str, Any]:
    service = {"name": "web", "wanted": 2, "running": 2, "waiting": [], "converged": True}
    config = {"sha256": "new", "error": None}
    return {
        "framework_id": "f-1",
        "connected": True,
        "config": config | changes.pop("config", {}),
        "services": [service | changes.pop("service", {})],
    } | changes


def test_nothing_is_missing_when_all_runs(module: ModuleType) -> None:
    assert module.missing(status(), "new") == []


def test_a_status_of_the_old_configuration_does_not_count(module: ModuleType) -> None:
    assert module.missing(status(config={"sha256": "old"}), "new") == [
        "The scheduler has not read the new configuration."
    ]


def test_says_why_a_configuration_was_refused(module: ModuleType) -> None:
    lines = module.missing(status(config={"sha256": "old", "error": "count: -1"}), "new")
    assert lines == ["The scheduler refuses the configuration and keeps the old one: count: -1"]


def test_gives_the_schedulers_reasons(module: ModuleType) -> None:
    service = {"running": 0, "converged": False, "waiting": ["No slave offers 999999 MiB of memory."]}
    assert module.missing(status(service=service), "new") == [
        "web: 0 of 2 run. Waiting for:",
        "  - No slave offers 999999 MiB of memory.",
    ]


def test_a_scheduler_without_a_master_is_not_done_even_when_nothing_should_run(module: ModuleType) -> None:
    service = {"wanted": 0, "running": 0}
    assert module.missing(status(service=service, connected=False), "new") == [
        "The scheduler is not connected to a Mesos master."
    ]


def test_an_answer_that_is_no_status_is_no_crash(module: ModuleType) -> None:
    nothing, problem = module.fetch("http://127.0.0.1:1/v1/status")
    assert nothing is None
    assert "refused" in problem
