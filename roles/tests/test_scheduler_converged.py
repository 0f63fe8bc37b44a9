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
    service = {
        "name": "web",
        "wanted": 2,
        "running": 2,
        "staging": 0,
        "waiting": [],
        "reasons": [],
        "converged": True,
        "instances": [],
    }
    config = {"sha256": "new", "error": None}
    return {
        "at": 1000.0,
        "events": [],
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


def instance(task_id: str, state: str = "TASK_RUNNING") -> dict[str, Any]:
    return {"task_id": task_id, "state": state, "healthy": None}


def test_waits_while_nothing_has_moved_for_less_than_the_limit(module: ModuleType) -> None:
    patience = module.Patience(30, now=0)
    assert patience.lost(status(), now=0) is None
    assert patience.lost(status(), now=29.9) is None
    assert patience.lost(status(), now=30) == "Nothing has moved for 30 seconds."


def test_a_change_of_the_instances_starts_the_wait_again(module: ModuleType) -> None:
    patience = module.Patience(30, now=0)
    patience.lost(status(), now=0)
    assert patience.lost(status(service={"instances": [instance("a")]}), now=29) is None
    assert patience.lost(status(service={"instances": [instance("a")]}), now=58) is None
    assert patience.lost(status(service={"instances": [instance("b")]}), now=60) is None


def test_waits_for_an_instance_that_is_starting(module: ModuleType) -> None:
    patience = module.Patience(30, now=0)
    starting = status(service={"instances": [instance("a", "TASK_STAGING")], "staging": 1})
    assert patience.lost(starting, now=0) is None
    assert patience.lost(starting, now=100) is None


def test_gives_up_early_when_instances_keep_failing(module: ModuleType) -> None:
    patience = module.Patience(30, now=0)
    ended = [{"kind": "ended", "at": at} for at in (900.0, 1001.0, 1002.0)]
    assert patience.lost(status(events=ended), now=1) is None
    assert (
        patience.lost(status(events=[*ended, {"kind": "ended", "at": 1004.0}]), now=5)
        == "3 instances have failed."
    )


def test_does_not_wait_for_ever_for_a_scheduler_that_does_not_answer(module: ModuleType) -> None:
    patience = module.Patience(30, now=0)
    assert patience.lost(None, now=29) is None
    assert patience.lost(None, now=30) == "Nothing has moved for 30 seconds."


@pytest.mark.parametrize("kind", ["update paused", "rolled back"])
def test_gives_up_when_an_update_has_failed_and_stays_so(module: ModuleType, kind: str) -> None:
    failed = status(service={"converged": False, "reasons": [{"kind": kind}]})
    patience = module.Patience(20, 0)
    assert patience.lost(failed, 0) is None
    assert patience.lost(failed, 3) == "An update has failed."


def test_a_failed_update_that_is_tried_again_is_waited_for(module: ModuleType) -> None:
    failed = status(service={"converged": False, "reasons": [{"kind": "update paused"}]})
    patience = module.Patience(20, 0)
    assert patience.lost(failed, 0) is None
    assert patience.lost(status(service={"converged": False}), 2) is None
    assert patience.lost(failed, 4) is None
