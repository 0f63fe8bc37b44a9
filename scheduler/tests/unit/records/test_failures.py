from __future__ import annotations

from dataclasses import replace

import pytest
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.records.blame import Fault
from mesos_docker_scheduler.records.failures import Failures
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
    failures.expire({KEY: True}, until + 59)
    assert KEY in failures.waits()
    failures.expire({KEY: False}, until + 60)
    assert KEY in failures.waits()
    failures.expire({KEY: True}, until + 60)
    assert KEY not in failures.waits()


def test_a_new_version_begins_anew_and_the_old_one_is_forgotten() -> None:
    failures = Failures()
    failures.ended(ended(), WEB, "why", NOW)
    failures.expire({wait_key("web", service(image="demo/web:2").version): False}, NOW)
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
    assert failures.open_until(NOW) is None
    failures.ended(ended(), big, "why", NOW)
    assert failures.open_until(NOW) == NOW + 30


OTHER = service(name="other")
OTHER_KEY = wait_key(OTHER.name, OTHER.version)


def fail_to_start(failures: Failures, of: Service, agent: str, now: float) -> Fault:
    """An instance of a service ends on an agent before it ran."""
    made = replace(task("1", of, agent), launched_at=now, running_since=None, state=TaskState.FAILED)
    return failures.ended(replace(made, reason="REASON_CONTAINER_LAUNCH_FAILED"), of, "why", now)


def test_what_never_starts_on_one_agent_is_tried_on_others_and_holds_nothing_back() -> None:
    failures = Failures(agents=lambda service: 3)
    for second in range(5):
        assert fail_to_start(failures, WEB, "a", NOW + second) is Fault.UNCLEAR
    assert failures.places()[KEY]["a"].failures == 5
    assert KEY not in failures.waits()
    assert failures.agent_waits() == {}


def test_what_starts_on_no_agent_is_its_own_fault() -> None:
    failures = Failures(agents=lambda service: 3)
    for second, agent in enumerate("abc"):
        fail_to_start(failures, WEB, agent, NOW + second)
    assert failures.waits()[KEY].failures == 3
    assert failures.agent_waits() == {}


def test_where_there_is_but_one_agent_its_services_are_to_blame() -> None:
    failures = Failures(agents=lambda service: 1)
    for of in (WEB, OTHER):
        fail_to_start(failures, of, "a", NOW)
    assert failures.waits()[KEY].failures == failures.waits()[OTHER_KEY].failures == 1
    assert failures.agent_waits() == {}


def test_an_agent_where_several_services_fail_that_fail_nowhere_else_is_avoided() -> None:
    failures = Failures(agents=lambda service: 3)
    for second in range(3):
        fail_to_start(failures, WEB, "a", NOW + second)
        fail_to_start(failures, OTHER, "a", NOW + second)
    assert failures.agent_waits()["a"].until > NOW + 2
    assert failures.agent_waits()["a"].why == "other: why"
    assert not {KEY, OTHER_KEY} & failures.waits().keys()


def test_a_start_that_succeeds_a_reset_and_time_make_a_place_good_again() -> None:
    failures = Failures(agents=lambda service: 3)
    fail_to_start(failures, WEB, "a", NOW)
    failures.runs(task("2", WEB, "a", launched_at=NOW + 1))
    assert failures.places() == {}
    fail_to_start(failures, WEB, "a", NOW)
    assert failures.has(KEY)
    failures.forget(KEY)
    assert failures.places() == {}
    fail_to_start(failures, WEB, "a", NOW)
    failures.expire({KEY: True}, NOW + 7199)
    assert KEY in failures.places()
    failures.expire({KEY: True}, NOW + 7200)
    assert failures.places() == {}
    fail_to_start(failures, WEB, "a", NOW)
    failures.expire({}, NOW)
    assert failures.places() == {}, "nobody asks for that version any more"


def test_places_outlive_the_process() -> None:
    failures, again = Failures(agents=lambda service: 3), Failures(agents=lambda service: 3)
    fail_to_start(failures, WEB, "a", NOW)
    records = {key: text for key, text in failures.take_records().items() if text is not None}
    again.restore(records, NOW)
    assert again.places() == failures.places()
