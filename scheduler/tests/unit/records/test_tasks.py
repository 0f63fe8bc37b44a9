from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.records.store import read_task, task_record
from mesos_docker_scheduler.records.tasks import Status, Task, TaskState, advance, new_task_id, parse_task_id
from scheduler_fakes import NOW, answer, service, status, task

WEB = service()
STAGED = task("1", WEB, state=TaskState.STAGING, running_since=None, confirmed=False)
RUNNING = task("1", WEB)


def after(first: Task, *messages: dict[str, Any]) -> Task:
    for number, message in enumerate(messages):
        first = advance(first, Status.from_message(message), NOW + number)
    return first


@pytest.mark.parametrize("end", ["FINISHED", "FAILED", "KILLED", "ERROR", "DROPPED", "GONE"])
def test_states_that_are_an_end(end: str) -> None:
    ended = after(RUNNING, status("1", end))
    assert ended.state.ended
    assert not ended.present


@pytest.mark.parametrize("state", ["LOST", "UNKNOWN", "UNREACHABLE", "GONE_BY_OPERATOR"])
def test_states_from_which_a_task_may_come_back(state: str) -> None:
    absent = after(RUNNING, status("1", state))
    assert not absent.present
    assert not absent.state.ended
    back = after(absent, status("1", "RUNNING"))
    assert back.present
    assert back.returned


@pytest.mark.parametrize("state", ["STAGING", "STARTING", "RUNNING", "KILLING"])
def test_states_of_a_task_that_is_there(state: str) -> None:
    assert after(STAGED, status("1", state)).present


def test_every_state_of_mesos_is_known() -> None:
    assert {state for state in TaskState if state.ended} | {state for state in TaskState if state.absent} | {
        TaskState.STAGING,
        TaskState.STARTING,
        TaskState.RUNNING,
        TaskState.KILLING,
    } == set(TaskState)


def test_a_state_of_a_newer_mesos_is_unknown() -> None:
    assert after(RUNNING, status("1", "DREAMING")).state is TaskState.UNKNOWN


def test_an_older_state_does_not_undo_a_newer_one() -> None:
    assert after(STAGED, status("1", "RUNNING"), status("1", "STARTING")).state is TaskState.RUNNING
    assert after(RUNNING, status("1", "KILLING"), answer("1", "RUNNING")).state is TaskState.KILLING


def test_the_same_update_twice_changes_nothing_more() -> None:
    once = after(STAGED, status("1", "RUNNING", healthy=True))
    assert advance(once, Status.from_message(status("1", "RUNNING", healthy=True)), NOW + 9) == once


def test_an_answer_that_tells_what_we_know_gives_no_new_record() -> None:
    known = after(STAGED, status("1", "RUNNING"))
    told = {**answer("1", "RUNNING"), "message": "Reconciliation: Latest task state"}
    assert advance(known, Status.from_message(told), NOW + 9) is known


def test_the_end_is_the_end() -> None:
    ended = after(RUNNING, status("1", "FAILED"))
    assert after(ended, status("1", "RUNNING")) is ended
    assert after(ended, status("1", "FINISHED")) is ended


@pytest.mark.parametrize("end", ["GONE", "DROPPED"])
def test_but_what_mesos_only_could_not_find_may_turn_up(end: str) -> None:
    back = after(RUNNING, status("1", end), status("1", "RUNNING"))
    assert back.present
    assert back.returned


def test_any_answer_confirms_the_launch() -> None:
    assert after(STAGED, answer("1", "STAGING")).confirmed


def test_remembers_since_when_it_runs_and_is_in_its_state() -> None:
    made = after(
        STAGED, status("1", "STARTING"), status("1", "RUNNING"), status("1", "RUNNING", healthy=True)
    )
    assert (made.running_since, made.state_since) == (NOW + 1, NOW + 1)


def test_keeps_what_the_executor_told_of_the_container() -> None:
    told: dict[str, Any] = {
        "container_status": {
            "container_id": {"value": "c1"},
            "network_infos": [{}, {"ip_addresses": [{}, {"ip_address": "172.17.0.2"}]}],
        }
    }
    made = after(STAGED, status("1", "RUNNING", **told), status("1", "RUNNING", healthy=False))
    assert (made.container, made.address, made.healthy) == ("mesos-c1", "172.17.0.2", False)


def test_an_answer_to_a_question_of_ours_does_not_hide_why_it_ended() -> None:
    made = after(
        RUNNING, status("1", "RUNNING", reason="REASON_X", message="words"), answer("1", "UNREACHABLE")
    )
    assert (made.reason, made.message) == ("REASON_X", "words")


@pytest.mark.parametrize(
    ("checked", "healthy", "expected"),
    [
        (True, None, False),
        (True, True, True),
        (True, False, False),
        (False, None, True),
        (False, False, False),
    ],
)
def test_who_is_in_service(checked: bool, healthy: bool | None, expected: bool) -> None:
    assert replace(RUNNING, has_health_check=checked, healthy=healthy).in_service is expected
    assert not replace(RUNNING, has_health_check=checked, healthy=healthy, kill_reason="surplus").in_service


def test_a_task_id_says_what_the_task_is() -> None:
    made = new_task_id("web-2", WEB.version)
    assert parse_task_id(made) == ("web-2", WEB.version)
    assert new_task_id("web-2", WEB.version) != made


@pytest.mark.parametrize(
    "other", ["", "web", "web.1", "web.0123456789.xyz", "Web.0123456789.0123456789abcdef", "a.b.c.d"]
)
def test_other_ids_are_not_ours(other: str) -> None:
    assert parse_task_id(other) is None


states = st.sampled_from([state.value for state in TaskState])
updates = st.builds(
    lambda state, asked, healthy: {
        **(answer("1", state) if asked else status("1", state)),
        **({} if healthy is None else {"healthy": healthy}),
    },
    states,
    st.booleans(),
    st.none() | st.booleans(),
)


@given(st.lists(updates, max_size=12))
def test_updates_in_any_order_never_break_what_we_know(messages: list[dict[str, Any]]) -> None:
    made = STAGED
    for number, message in enumerate(messages):
        changed = advance(made, Status.from_message(message), NOW + number)
        if made.state in (TaskState.FINISHED, TaskState.FAILED, TaskState.KILLED, TaskState.ERROR):
            assert changed is made
        assert changed.returned >= made.returned
        assert changed.state_since >= made.state_since
        assert (changed.running_since is not None) >= (made.running_since is not None)
        # Twice is as good as once.
        assert advance(changed, Status.from_message(message), NOW + number) == changed
        made = changed


@pytest.mark.parametrize(("containerizer", "name"), [("docker", "mesos-c-1"), ("mesos", "c-1")])
def test_a_container_is_called_as_its_containerizer_calls_it(containerizer: str, name: str) -> None:
    told = {**status("1", "RUNNING"), "container_status": {"container_id": {"value": "c-1"}}}
    assert after(replace(STAGED, containerizer=containerizer), told).container == name


def test_a_task_of_a_former_release_runs_in_docker() -> None:
    record = json.loads(task_record(replace(RUNNING, container="mesos-c-1")))
    del record["containerizer"]
    assert read_task(json.dumps(record)) == replace(RUNNING, container="mesos-c-1")
