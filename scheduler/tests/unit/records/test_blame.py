from __future__ import annotations

from dataclasses import replace

import pytest
from mesos_docker_scheduler.records.blame import Fault, blame
from mesos_docker_scheduler.records.tasks import TaskState
from scheduler_fakes import service, task

RAN = task("1", service())
NEVER_RAN = replace(RAN, running_since=None)


@pytest.mark.parametrize(
    ("state", "reason", "before", "after"),
    [
        ("FAILED", None, Fault.UNCLEAR, Fault.SERVICE),
        ("FAILED", "REASON_OF_A_NEWER_MESOS", Fault.UNCLEAR, Fault.SERVICE),
        ("FAILED", "REASON_COMMAND_EXECUTOR_FAILED", Fault.UNCLEAR, Fault.SERVICE),
        ("FAILED", "REASON_CONTAINER_LAUNCH_FAILED", Fault.UNCLEAR, Fault.SERVICE),
        ("FAILED", "REASON_CONTAINER_LIMITATION_MEMORY", Fault.SERVICE, Fault.SERVICE),
        ("FAILED", "REASON_EXECUTOR_TERMINATED", Fault.UNCLEAR, Fault.INFRASTRUCTURE),
        ("FAILED", "REASON_AGENT_RESTARTED", Fault.INFRASTRUCTURE, Fault.INFRASTRUCTURE),
        ("FINISHED", None, Fault.SERVICE, Fault.SERVICE),
        ("ERROR", "REASON_TASK_INVALID", Fault.SERVICE, Fault.SERVICE),
        ("DROPPED", "REASON_INVALID_OFFERS", Fault.INFRASTRUCTURE, Fault.INFRASTRUCTURE),
        ("GONE", None, Fault.INFRASTRUCTURE, Fault.INFRASTRUCTURE),
        ("LOST", None, Fault.INFRASTRUCTURE, Fault.INFRASTRUCTURE),
        ("KILLED", None, Fault.NOBODY, Fault.NOBODY),
    ],
)
def test_whose_fault_it_was(state: str, reason: str | None, before: Fault, after: Fault) -> None:
    assert blame(replace(NEVER_RAN, state=TaskState(state), reason=reason)) is before
    assert blame(replace(RAN, state=TaskState(state), reason=reason)) is after


def test_what_is_killed_for_its_health_is_to_blame() -> None:
    assert blame(replace(RAN, state=TaskState.KILLED, healthy=False)) is Fault.SERVICE


@pytest.mark.parametrize("state", ["FAILED", "FINISHED", "KILLED"])
def test_nobody_is_to_blame_for_what_was_told_to_stop(state: str) -> None:
    assert blame(replace(RAN, state=TaskState(state), kill_reason="surplus", healthy=False)) is Fault.NOBODY
