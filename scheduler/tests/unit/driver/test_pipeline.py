from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.driver import calls
from mesos_docker_scheduler.driver.call_times import BOUNDS, CallTimes
from mesos_docker_scheduler.driver.endpoint import Endpoint
from mesos_docker_scheduler.driver.http_response import ResponseError
from mesos_docker_scheduler.driver.pipeline import MAX_IN_FLIGHT, CallPipeline
from scripted_master import Answer

STATUS: dict[str, Any] = {
    "task_id": {"value": "t1"},
    "agent_id": {"value": "a1"},
    "uuid": "AAAA",
    "state": "TASK_RUNNING",
}
ACKNOWLEDGE = calls.acknowledge(STATUS)
ACCEPTED = Answer(202).encode()


def new(*queued: calls.Call) -> CallPipeline:
    """Make a pipeline with calls in it."""
    pipeline = CallPipeline(Endpoint("m1"), "f-1", "s1", "Basic x")
    for call in queued:
        pipeline.add(call)
    return pipeline


def requests(data: bytes) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Take pipelined requests apart."""
    found = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        length = int(headers["Content-Length"])
        found.append((headers, json.loads(rest[:length])))
        data = rest[length:]
    return found


def test_a_request_carries_framework_stream_and_credentials() -> None:
    [(headers, call)] = requests(new(ACKNOWLEDGE).take_requests(0.0, 1000))
    assert (headers["Mesos-Stream-Id"], headers["Authorization"], headers["Host"]) == (
        "s1",
        "Basic x",
        "m1:5050",
    )
    assert call == {
        "type": "ACKNOWLEDGE",
        "framework_id": {"value": "f-1"},
        "acknowledge": {"agent_id": {"value": "a1"}, "task_id": {"value": "t1"}, "uuid": "AAAA"},
    }


def test_calls_go_out_in_order_without_waiting() -> None:
    pipeline = new(*(calls.kill(str(number), None, None) for number in range(100)))
    sent = requests(pipeline.take_requests(0.0, 10**6))
    assert [call["kill"]["task_id"]["value"] for _, call in sent] == [str(number) for number in range(100)]
    assert not pipeline.idle
    assert pipeline.receive(ACCEPTED * 100, 0.0) == ([], True)
    assert pipeline.idle


def test_what_is_in_flight_is_bounded() -> None:
    pipeline = new(*[ACKNOWLEDGE] * (MAX_IN_FLIGHT + 1))
    assert len(requests(pipeline.take_requests(0.0, 10**9))) == MAX_IN_FLIGHT
    assert pipeline.take_requests(0.0, 10**9) == b""
    pipeline.receive(ACCEPTED, 0.0)
    assert len(requests(pipeline.take_requests(0.0, 10**9))) == 1


def test_a_call_larger_than_the_room_is_sent_alone() -> None:
    pipeline = new(calls.decline(["o" * 5000], None), ACKNOWLEDGE)
    assert len(requests(pipeline.take_requests(0.0, 10))) == 1


def test_a_refusal_names_the_call_the_status_and_the_reason() -> None:
    pipeline = new(ACKNOWLEDGE, calls.suppress(None), ACKNOWLEDGE)
    pipeline.take_requests(0.0, 10**6)
    [(call, error)], usable = pipeline.receive(
        ACCEPTED + Answer(400, body="no\n such").encode() + ACCEPTED, 0.0
    )
    assert (call, error.status, str(error), usable) == ({"type": "SUPPRESS"}, 400, "HTTP 400: no such", True)
    assert not pipeline.stale


@pytest.mark.parametrize("status", [307, 403])
def test_some_refusals_say_that_the_subscription_is_over(status: int) -> None:
    pipeline = new(ACKNOWLEDGE)
    pipeline.take_requests(0.0, 10**6)
    pipeline.receive(Answer(status).encode(), 0.0)
    assert pipeline.stale


def test_an_unauthorized_update_of_the_framework_says_nothing_about_the_subscription() -> None:
    pipeline = new({"type": "UPDATE_FRAMEWORK", "update_framework": {}})
    pipeline.take_requests(0.0, 10**6)
    [(_, error)], _ = pipeline.receive(Answer(403, body="role").encode(), 0.0)
    assert error.status == 403
    assert not pipeline.stale


def test_a_lost_connection_fails_what_was_sent_and_keeps_the_rest() -> None:
    pipeline = new(calls.kill("sent", None, None), calls.kill("waits", None, None))
    pipeline.take_requests(0.0, 1)
    [(call, error)] = pipeline.connection_lost("gone")
    assert call["kill"]["task_id"] == {"value": "sent"}
    assert (str(error), error.status) == ("no answer: gone", None)
    assert len(requests(pipeline.take_requests(1.0, 1000))) == 1


def test_the_end_of_the_subscription_fails_everything() -> None:
    pipeline = new(calls.kill("sent", None, None), calls.kill("waits", None, None))
    pipeline.take_requests(0.0, 1)
    assert [str(error) for _, error in pipeline.abandon("over")] == ["no answer: over", "not sent: over"]
    assert pipeline.idle


def test_each_call_has_seventy_five_seconds() -> None:
    pipeline = new(ACKNOWLEDGE, ACKNOWLEDGE)
    assert pipeline.deadline is None
    pipeline.take_requests(10.0, 1)
    pipeline.take_requests(20.0, 1)
    assert pipeline.deadline == 85.0
    pipeline.receive(ACCEPTED, 0.0)
    assert pipeline.deadline == 95.0


def test_a_master_that_closes_is_noticed() -> None:
    pipeline = new(ACKNOWLEDGE)
    pipeline.take_requests(0.0, 1000)
    assert pipeline.receive(Answer(202, {"Connection": "close"}).encode(), 0.0) == ([], False)


def test_an_answer_to_nothing_ends_the_connection() -> None:
    assert new().receive(ACCEPTED, 0.0) == ([], False)


def test_something_else_than_http_is_an_error() -> None:
    with pytest.raises(ResponseError, match="does not speak HTTP"):
        new(ACKNOWLEDGE).receive(b"SSH-2.0\r\n", 0.0)


def test_an_accepted_teardown_is_known() -> None:
    pipeline = new(calls.teardown())
    pipeline.take_requests(0.0, 1000)
    assert not pipeline.torn_down
    pipeline.receive(ACCEPTED, 0.0)
    assert pipeline.torn_down


def test_a_refused_teardown_is_none() -> None:
    pipeline = new(calls.teardown())
    pipeline.take_requests(0.0, 1000)
    pipeline.receive(Answer(500).encode(), 0.0)
    assert not pipeline.torn_down


@given(st.lists(st.sampled_from([200, 202, 400, 500]), min_size=1, max_size=30), st.integers(1, 200))
def test_answers_find_their_calls_however_they_are_cut(statuses: list[int], size: int) -> None:
    pipeline = new(*(calls.kill(str(number), None, None) for number in range(len(statuses))))
    pipeline.take_requests(0.0, 10**6)
    data = b"".join(Answer(status, body="x" * (status % 7)).encode() for status in statuses)
    failures = []
    for start in range(0, len(data), size):
        failures += pipeline.receive(data[start : start + size], 0.0)[0]
    assert [(call["kill"]["task_id"]["value"], error.status) for call, error in failures] == [
        (str(number), status) for number, status in enumerate(statuses) if status >= 400
    ]
    assert pipeline.idle


@given(st.lists(st.binary(min_size=1)))
def test_any_bytes_give_outcomes_or_a_response_error(pieces: list[bytes]) -> None:
    for head in (b"", ACCEPTED, b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n"):
        pipeline = new(*[ACKNOWLEDGE] * 3)
        pipeline.take_requests(0.0, 10**6)
        try:
            for piece in [head, *pieces]:
                pipeline.receive(piece, 0.0)
        except ResponseError:
            pass
        assert len(pipeline.abandon("over")) <= 3


ANSWERS = [
    Answer(202, {"Date": "1"}).encode(),
    Answer(202, {"Date": "2"}).encode(),
    Answer(202, {"Date": "HTTP/1.1 202 "}).encode(),
    Answer(202, body="HTTP/1.1 202 x").encode(),
    Answer(200).encode(),
    Answer(400, body="\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n").encode(),
]


@given(st.lists(st.sampled_from(ANSWERS), max_size=30), st.lists(st.integers(min_value=0), max_size=10))
def test_answers_mean_the_same_however_they_are_cut(answers: list[bytes], cuts: list[int]) -> None:
    calls_made = [calls.kill(str(number), None, None) for number in range(len(answers))]
    whole = b"".join(answers)
    places = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    outcomes = []
    each = [len(b"".join(answers[:number])) for number in range(len(answers) + 1)]
    for bounds in (places, each, [0, *range(1, len(whole) + 1)]):
        pipeline = new(*calls_made)
        pipeline.take_requests(0.0, 10**6)
        failed: list[Any] = []
        for start, end in pairwise(bounds):
            failures, usable = pipeline.receive(whole[start:end], 0.0)
            failed += [
                (call["kill"]["task_id"]["value"], str(error), error.status) for call, error in failures
            ]
        outcomes.append((failed, pipeline.idle, usable if len(bounds) > 1 else True))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert [name for name, _, _ in outcomes[0][0]] == [
        str(number) for number, answer in enumerate(answers) if answer == ANSWERS[-1]
    ]


@pytest.mark.parametrize("first", ANSWERS)
@pytest.mark.parametrize("second", ANSWERS)
def test_a_cut_at_any_byte_changes_no_later_answer(first: bytes, second: bytes) -> None:
    whole = first + second
    for cut in range(1, len(whole)):
        pipeline = new(*[ACKNOWLEDGE] * 4)
        pipeline.take_requests(0.0, 10**6)
        refused = [
            failure
            for data in (whole[:cut], whole[cut:], whole)
            for failure in pipeline.receive(data, 0.0)[0]
        ]
        assert len(refused) == 2 * [first, second].count(ANSWERS[-1]), cut
        assert pipeline.idle, cut


@pytest.mark.parametrize("bad", [object(), "\ud800"])
def test_what_is_not_json_is_refused_where_it_comes_from(bad: object) -> None:
    with pytest.raises(TypeError):
        new({"type": "REQUEST", "request": bad})


def test_tells_how_long_each_type_of_call_took_to_be_answered() -> None:
    times = CallTimes()
    pipeline = CallPipeline(Endpoint("m1"), "f-1", "s1", None, times)
    pipeline.add(calls.kill("1", None, None))
    pipeline.add(ACKNOWLEDGE)
    pipeline.take_requests(10.0, 10**6)
    assert (pipeline.queued, pipeline.in_flight) == (0, 2)
    pipeline.receive(ACCEPTED, 10.0004)
    pipeline.add(ACKNOWLEDGE)
    pipeline.add(ACKNOWLEDGE)
    pipeline.take_requests(11.0, 1)
    assert (pipeline.queued, pipeline.in_flight) == (1, 2)
    pipeline.receive(ACCEPTED + Answer(400).encode(), 12.0)
    found = {kind: (counts, round(seconds, 6)) for kind, counts, seconds in times.read()}
    slow = [0] * (len(BOUNDS) + 1)
    slow[BOUNDS.index(2.5)] = slow[BOUNDS.index(1.0)] = 1
    assert found == {"KILL": ([1] + [0] * len(BOUNDS), 0.0004), "ACKNOWLEDGE": (slow, 3.0)}


def test_what_got_no_answer_has_no_time() -> None:
    times = CallTimes()
    pipeline = CallPipeline(Endpoint("m1"), "f-1", "s1", None, times)
    pipeline.add(ACKNOWLEDGE)
    pipeline.take_requests(0.0, 1000)
    pipeline.connection_lost("reset")
    assert list(times.read()) == []
