"""The executor's side of the agent's protocol, without sockets."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

Pure = Callable[..., Any]
TASK = {"task_id": {"value": "t"}}
SUBSCRIBED = {
    "type": "SUBSCRIBED",
    "subscribed": {
        "agent_info": {"id": {"value": "agent"}},
        "framework_info": {"capabilities": [{"type": "TASK_KILLING_STATE"}]},
    },
}
LAUNCH = {"type": "LAUNCH", "launch": {"task": TASK}}
RUNNING = {**TASK, "state": "TASK_RUNNING"}


def acknowledge(uuid: str) -> dict[str, Any]:
    return {"type": "ACKNOWLEDGED", "acknowledged": {"task_id": {"value": "t"}, "uuid": uuid}}


def test_the_first_subscription_is_empty(pure: Pure) -> None:
    (call,) = pure("session", steps=[["subscribeCall"]])
    assert call == {
        "type": "SUBSCRIBE",
        "framework_id": {"value": "framework"},
        "executor_id": {"value": "executor"},
        "subscribe": {"unacknowledged_tasks": [], "unacknowledged_updates": []},
    }


def test_updates_are_completed_and_sent_one_by_one(pure: Pure) -> None:
    results = pure(
        "session",
        steps=[
            ["event", SUBSCRIBED],
            ["addUpdate", RUNNING],
            ["addUpdate", {**TASK, "state": "TASK_FINISHED"}],
            ["nextUpdateCall"],
            ["nextUpdateCall"],
            ["updateSent", True],
            ["nextUpdateCall"],
        ],
    )
    first, blocked, second = results[3], results[4], results[6]
    status = first["update"]["status"]
    assert first["type"] == "UPDATE"
    assert (status["state"], status["uuid"], status["source"]) == (
        "TASK_RUNNING",
        results[1],
        "SOURCE_EXECUTOR",
    )
    assert status["agent_id"] == {"value": "agent"}
    assert status["executor_id"] == {"value": "executor"}
    assert status["timestamp"] > 1.7e9
    assert blocked is None
    assert second["update"]["status"]["state"] == "TASK_FINISHED"


def test_a_refused_update_is_sent_again_before_later_ones(pure: Pure) -> None:
    results = pure(
        "session",
        steps=[
            ["event", SUBSCRIBED],
            ["addUpdate", RUNNING],
            ["nextUpdateCall"],
            ["addUpdate", {**TASK, "state": "TASK_FAILED"}],
            ["updateSent", False],
            ["nextUpdateCall"],
        ],
    )
    assert results[5]["update"]["status"]["uuid"] == results[1]


def test_nothing_is_sent_without_a_subscription(pure: Pure) -> None:
    assert pure("session", steps=[["addUpdate", RUNNING], ["nextUpdateCall"]])[1] is None


def test_what_is_not_acknowledged_goes_into_the_next_subscription(pure: Pure) -> None:
    results = pure(
        "session",
        steps=[
            ["event", SUBSCRIBED],
            ["event", LAUNCH],
            ["addUpdate", RUNNING],
            ["nextUpdateCall"],
            ["updateSent", True],
            ["streamEnded"],
            ["subscribeCall"],
            ["event", SUBSCRIBED],
            ["nextUpdateCall"],
        ],
    )
    subscribe = results[6]["subscribe"]
    assert subscribe["unacknowledged_tasks"] == [TASK]
    assert [update["status"]["uuid"] for update in subscribe["unacknowledged_updates"]] == [results[2]]
    assert results[8] is None, "an update inside SUBSCRIBE must not be sent twice"


def test_the_tasks_of_a_group_are_told_of_again(pure: Pure) -> None:
    other = {"task_id": {"value": "other"}}
    group = {"type": "LAUNCH_GROUP", "launch_group": {"task_group": {"tasks": [TASK, other]}}}
    steps = [["event", SUBSCRIBED], ["event", group], ["event", acknowledge("any")], ["subscribeCall"]]
    assert pure("session", steps=steps)[3]["subscribe"]["unacknowledged_tasks"] == [other]


def test_the_first_acknowledgement_settles_the_task_and_its_update_only(pure: Pure) -> None:
    """The uuid of an update is random, so the steps that need it are built as text."""
    script = [["event", SUBSCRIBED], ["event", LAUNCH], ["addUpdate", RUNNING], ["acknowledged", "unknown"]]
    assert pure("session", steps=script)[3] is True
    results = pure(
        "session",
        steps=[*script[:3], ["event", acknowledge("someone else's")], ["subscribeCall"]],
    )
    subscribe = results[4]["subscribe"]
    assert len(subscribe["unacknowledged_updates"]) == 1
    assert subscribe["unacknowledged_tasks"] == []


def test_back_off_doubles_up_to_the_cap_and_starts_anew(pure: Pure) -> None:
    steps = [["nextRetryDelay"]] * 7 + [["event", SUBSCRIBED], ["nextRetryDelay"]]
    results = pure("session", steps=steps)
    assert results[:7] == [10, 20, 40, 80, 160, 250, 250]
    assert results[8] == 10


def test_a_bare_infinity_is_understood(pure: Pure) -> None:
    """Mesos writes infinite limits as no JSON parser takes them; inside texts the word stays as it is."""
    task = r'{"name": "say \"Infinity\"", "limits": {"mem": {"value": Infinity}}}'
    text = f'{{"type": "LAUNCH", "launch": {{"task": {task}}}}}'
    ((event,), *_) = pure("session", steps=[["event", text]])
    assert event["launch"]["task"] == {"name": 'say "Infinity"', "limits": {"mem": {"value": "Infinity"}}}


@given(
    records=st.lists(st.text(min_size=1, max_size=40), max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_records_come_out_however_the_bytes_are_cut(pure: Pure, records: list[str], cuts: list[int]) -> None:
    stream = b"".join(b"%d\n" % len(record.encode()) + record.encode() for record in records)
    # JSON carries text only, so cut between characters; the decoder counts bytes all the same.
    text = stream.decode()
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    chunks = [text[begin:end] for begin, end in pairwise(places)]
    assert pure("records", chunks=chunks) == records


@pytest.mark.parametrize(
    "garbage",
    [
        "abc\n",
        "-1\n",
        "0\n",
        "\n",
        "1 \nx",
        "99999999999999999999999",
        "184467440737095516\nx",
        "HTTP/1.1 200 OK\r\n",
    ],
)
def test_what_is_no_record_is_refused(pure: Pure, garbage: str) -> None:
    with pytest.raises(Exception, match="event stream has"):
        pure("records", chunks=[garbage])


@given(garbage=st.text(max_size=60))
def test_no_garbage_crashes_the_decoder(pure: Pure, garbage: str) -> None:
    try:
        pure("records", chunks=[garbage])
    except Exception as error:
        assert "event stream has" in str(error)  # noqa: PT017 - either outcome is right, a crash is not


@pytest.mark.parametrize("event", ["[]", "{", '{"type": 3}', '"x"', "{}\n"])
def test_a_bad_event_is_an_error_not_a_crash(pure: Pure, event: str) -> None:
    with contextlib.suppress(Exception):
        pure("session", steps=[["event", event]])
    assert pure("duration", text="1ns") == 1, "still there"


def test_where_the_pid_goes(pure: Pure) -> None:
    run = "slaves/S0/frameworks/F/executors/e:1/runs/c-1"
    assert (
        pure("pidsFolder", sandbox=f"/var/lib/mesos/slave/{run}") == f"/var/lib/mesos/slave/meta/{run}/pids"
    )
    assert pure("pidsFolder", sandbox=f"/slaves/x/{run}/") == f"/slaves/x/meta/{run}/pids"
    assert pure("pidsFolder", sandbox="/somewhere/else") == ""


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("15mins", 900e9),
        ("0ns", 0),
        ("250ms", 250e6),
        ("1.5secs", 1.5e9),
        ("2weeks", 1209600e9),
        ("3hrs", 10800e9),
    ],
)
def test_durations(pure: Pure, text: str, nanoseconds: float) -> None:
    assert pure("duration", text=text) == nanoseconds


@pytest.mark.parametrize("text", ["", "5", "secs", "5 secs", "-5secs", "1.2.3secs", "5s", "5seconds"])
def test_what_is_no_duration(pure: Pure, text: str) -> None:
    with pytest.raises(Exception, match="is not a duration"):
        pure("duration", text=text)


@given(text=st.text(max_size=50))
def test_base64_is_that_of_everybody(pure: Pure, text: str) -> None:
    assert pure("base64", text=text) == base64.b64encode(text.encode()).decode()
