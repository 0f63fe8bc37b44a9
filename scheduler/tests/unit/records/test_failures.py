from __future__ import annotations

from dataclasses import replace

import pytest
from mesos_docker_scheduler.records.failures import Failures, Fault
from mesos_docker_scheduler.records.tasks import Task, TaskState, wait_key
from scheduler_fakes import NOW, service, task

WEB = service()
KEY = wait_key(WEB.name, WEB.version)


def ended(state: TaskState = TaskState.FAILED, ran: float | None = 1, **fields: object) -> Task:
    made = task("1", WEB, launched_at=NOW - (ran or 0) - 1, running_since=None if ran is None else NOW - ran)
    return replace(made, state=state, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (ended(), Fault.SERVICE),
        (ended(TaskState.FINISHED), Fault.SERVICE),
        (ended(reason="REASON_EXECUTOR_TERMINATED"), Fault.INFRASTRUCTURE),
        (ended(TaskState.GONE), Fault.INFRASTRUCTURE),
        (ended(TaskState.KILLED), Fault.NOBODY),
        (ended(kill_reason="surplus"), Fault.NOBODY),
    ],
)
def test_blames_the_right_one(made: Task, fault: Fault) -> None:
    assert Failures().ended(made, WEB, "why", NOW) is fault


def test_only_the_services_own_failures_hold_it_back() -> None:
    failures = Failures()
    failures.ended(ended(TaskState.GONE), WEB, "why", NOW)
    assert KEY not in failures.waits()
    failures.ended(ended(), WEB, "why", NOW)
    assert failures.waits()[KEY].failures == 1


def test_after_a_good_run_the_count_begins_anew() -> None:
    failures = Failures()
    for _ in range(3):
        failures.ended(ended(ran=0), WEB, "why", NOW - 1000)
    failures.ended(ended(ran=61), WEB, "why", NOW)
    assert failures.waits()[KEY].failures == 1


def test_a_minute_without_a_failure_while_something_runs_lives_it_down() -> None:
    failures = Failures()
    for started in (NOW - 1, NOW, NOW):
        failures.ended(replace(ended(), launched_at=started), WEB, "why", NOW)
    until = failures.waits()[KEY].until
    assert until > NOW
    failures.forgive({KEY: True}, [], until + 59)
    assert KEY in failures.waits()
    failures.forgive({KEY: False}, [], until + 60)
    assert KEY in failures.waits()
    failures.forgive({KEY: True}, [], until + 60)
    assert KEY not in failures.waits()


def test_a_new_version_begins_anew_and_the_old_one_is_forgotten() -> None:
    failures = Failures()
    failures.ended(ended(), WEB, "why", NOW)
    failures.forgive({wait_key("web", service(image="demo/web:2").version): False}, [], NOW)
    assert failures.waits() == {}


def test_an_agent_on_which_nothing_starts_waits_until_something_runs_there() -> None:
    failures = Failures()
    failures.ended(ended(TaskState.GONE, ran=None), WEB, "why", NOW)
    wait = failures.agent_waits()["a"]
    assert wait is not None
    assert wait.failures == 1
    failures.runs(task("2", WEB, launched_at=NOW + 1))
    assert failures.agent_waits() == {}


def test_an_offer_that_was_gone_is_not_the_agents_fault() -> None:
    failures = Failures()
    failures.ended(ended(TaskState.DROPPED, ran=None, reason="REASON_INVALID_OFFERS"), WEB, "why", NOW)
    assert failures.agent_waits() == {}


def test_a_flood_is_measured_by_what_is_wanted() -> None:
    big, failures = service(count=200), Failures()
    failures.expect(200)
    for _ in range(200):
        failures.ended(ended(), big, "why", NOW)
    assert failures.flooded_until(NOW) is None
    failures.ended(ended(), big, "why", NOW)
    assert failures.flooded_until(NOW) == NOW + 30
