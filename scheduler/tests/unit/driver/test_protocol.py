"""The subscription's state machine, driven by hand: no sockets, and time is a number."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.driver.credential import Credential, Secrets, basic_authorization
from mesos_docker_scheduler.driver.endpoint import Endpoint
from mesos_docker_scheduler.driver.protocol import (
    Ended,
    FrameworkSettings,
    Lost,
    Notice,
    Phase,
    Received,
    Subscribed,
    Subscription,
)
from scripted_master import FRAMEWORK_ID, Answer, record, subscribed_event

M1, M2, M3 = Endpoint("m1"), Endpoint("m2"), Endpoint("m3")
SETTINGS = FrameworkSettings({"user": "root", "name": "test"})
HEAD = b"HTTP/1.1 200 OK\r\nMesos-Stream-Id: s1\r\nTransfer-Encoding: chunked\r\n\r\n"
HEARTBEAT: dict[str, Any] = {"type": "HEARTBEAT"}


def chunk(*events: dict[str, Any] | bytes) -> bytes:
    """Frame events as one HTTP chunk."""
    data = b"".join(map(record, events))
    return b"%x\r\n%s\r\n" % (len(data), data)


def new(
    framework_id: str | None = None, masters: tuple[Endpoint, ...] = (M1,), secrets: Secrets | None = None
) -> Subscription:
    """Make a subscription whose pauses are the longest possible."""
    credential = Credential("p", secrets) if secrets is not None else None
    subscription = Subscription(SETTINGS, framework_id, credential=credential, random=lambda: 1.0)
    subscription.masters_detected(masters, "", 0.0)
    return subscription


def connect(subscription: Subscription, now: float = 0.0) -> Endpoint:
    """Let it connect and send SUBSCRIBE."""
    master = subscription.next_master(now)
    assert master is not None
    subscription.connected(now)
    return master


def subscribe(subscription: Subscription, now: float = 0.0, heartbeat_seconds: float = 15.0) -> list[Notice]:
    """Let it connect and be taken in."""
    connect(subscription, now)
    return subscription.received(HEAD + chunk(subscribed_event(heartbeat_seconds)), now)


def fail(subscription: Subscription, now: float, reason: str = "refused") -> float:
    """Let the next attempt at `now` fail; return how long the pause after it is."""
    assert subscription.next_master(now) is not None
    subscription.closed(reason, now)
    assert subscription.deadline is not None
    return subscription.deadline - now


def sent_call(data: bytes) -> tuple[str, dict[str, Any]]:
    """Take a request apart: its head, its JSON."""
    head, _, body = data.partition(b"\r\n\r\n")
    return head.decode(), json.loads(body)


# SUBSCRIBE


def test_the_first_subscribe_asks_for_an_id() -> None:
    subscription = new()
    subscription.next_master(0.0)
    head, call = sent_call(subscription.connected(0.0))
    assert call == {"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "root", "name": "test"}}}
    assert head.startswith("POST /api/v1/scheduler HTTP/1.1\r\nHost: m1:5050\r\n")
    assert "Mesos-Stream-Id" not in head


def test_a_known_id_stands_in_both_places() -> None:
    subscription = new("f-7", secrets=lambda: ["s"])
    subscription.next_master(0.0)
    head, call = sent_call(subscription.connected(0.0))
    assert call["framework_id"] == call["subscribe"]["framework_info"]["id"] == {"value": "f-7"}
    assert "\r\nAuthorization: Basic cDpz" in head


def test_being_taken_in_tells_id_stream_and_master() -> None:
    subscription = new()
    [notice] = subscribe(subscription)
    assert isinstance(notice, Subscribed)
    assert (notice.framework_id, notice.stream_id, notice.first) == (FRAMEWORK_ID, "s1", True)
    assert notice.master_info["version"] == "1.11.0"
    assert subscription.phase is Phase.SUBSCRIBED
    assert subscription.problem is None


def test_coming_back_is_not_the_first_time() -> None:
    subscription = new("f-1")
    [notice] = subscribe(subscription)
    assert isinstance(notice, Subscribed)
    assert not notice.first


def test_new_settings_hold_for_the_next_subscribe() -> None:
    subscription = new()
    subscription.settings = FrameworkSettings({"name": "other"}, ["web"], {"role_constraints": {}})
    subscription.next_master(0.0)
    _, call = sent_call(subscription.connected(0.0))
    assert call["subscribe"] == {
        "framework_info": {"name": "other"},
        "suppressed_roles": ["web"],
        "offer_constraints": {"role_constraints": {}},
    }


# Events


def test_events_come_out_in_order_and_heartbeats_do_not() -> None:
    subscription = new()
    subscribe(subscription)
    rescind = {"type": "RESCIND", "rescind": {"offer_id": {"value": "o1"}}}
    assert subscription.received(chunk(rescind, HEARTBEAT, {"type": "NEW_ONE"}), 1.0) == [
        Received("RESCIND", {"offer_id": {"value": "o1"}}),
        Received("NEW_ONE", {}),
    ]


@pytest.mark.parametrize(
    "bad", [b"{", b"[]", b"1", b"{}", b'{"type": 3}', b'{"type":"UPDATE","update":[]}', b"\xff"]
)
def test_an_event_that_is_not_understood_is_left_out(bad: bytes) -> None:
    subscription = new()
    subscribe(subscription)
    assert subscription.received(chunk(bad, {"type": "FAILURE", "failure": {}}), 1.0) == [
        Received("FAILURE", {})
    ]


def test_an_update_whose_message_is_no_utf8_is_not_lost() -> None:
    subscription = new()
    subscribe(subscription)
    update = b'{"type":"UPDATE","update":{"status":{"message":"a\xffb"}}}'
    assert subscription.received(chunk(update), 1.0) == [
        Received("UPDATE", {"status": {"message": "a\ufffdb"}})
    ]


def test_an_event_before_subscribed_is_left_out() -> None:
    subscription = new()
    connect(subscription)
    assert subscription.received(HEAD + chunk({"type": "OFFERS", "offers": {}}), 0.0) == []


@pytest.mark.parametrize("subscribed", [True, False])
def test_error_is_the_end(subscribed: bool) -> None:
    subscription = new()
    if subscribed:
        subscribe(subscription)
        head = b""
    else:
        connect(subscription)
        head = HEAD
    error = {"type": "ERROR", "error": {"message": "Framework failed over"}}
    notices = subscription.received(head + chunk(error, {"type": "OFFERS", "offers": {}}), 1.0)
    expected = [Lost("Framework failed over"), Ended("Framework failed over")]
    assert notices == expected[0 if subscribed else 1 :]
    assert subscription.phase is Phase.ENDED
    assert subscription.next_master(1e9) is None
    assert subscription.deadline is None


@pytest.mark.parametrize(
    "odd",
    [
        {"framework_id": {"value": None}},
        {"framework_id": {"value": {}}},
        {"framework_id": {"value": ""}},
        {"framework_id": {"value": "a\nb"}},
        {"framework_id": "f"},
        {"heartbeat_interval_seconds": 1e308},
        {"heartbeat_interval_seconds": 1e7},  # no system call waits for five times that
        {"heartbeat_interval_seconds": -1},
        {"heartbeat_interval_seconds": [15]},
    ],
)
def test_a_subscribed_that_is_not_understood_is_told_and_tried_again(odd: dict[str, Any]) -> None:
    subscription = new()
    connect(subscription)
    event = subscribed_event()
    event["subscribed"] |= odd
    assert subscription.received(HEAD + chunk(event), 0.0) == []
    assert subscription.problem is not None
    assert "SUBSCRIBED is not understood" in subscription.problem
    assert subscription.next_master(0.5) == M1


@pytest.mark.parametrize("odd", [[1], "x", 5, None])
def test_a_master_that_says_nothing_of_itself_is_known_by_its_address(odd: Any) -> None:
    subscription = new()
    connect(subscription)
    event = subscribed_event()
    event["subscribed"]["master_info"] = odd
    [notice] = subscription.received(HEAD + chunk(event), 0.0)
    assert isinstance(notice, Subscribed)
    assert notice.master_info == {"hostname": "m1", "port": 5050}


def test_being_taken_in_a_second_time_is_left_out() -> None:
    subscription = new()
    subscribe(subscription)
    assert subscription.received(chunk(subscribed_event(), HEARTBEAT), 1.0) == []
    assert subscription.phase is Phase.SUBSCRIBED


@pytest.mark.parametrize("message", ["5", "null", "[" * 1010 + "]" * 1010], ids=range(3))
def test_an_error_whose_message_is_no_text_is_the_end_all_the_same(message: str) -> None:
    subscription = new()
    subscribe(subscription)
    error = f'{{"type": "ERROR", "error": {{"message": {message}}}}}'.encode()
    assert subscription.received(chunk(error), 1.0)[-1] == Ended("ERROR without a message")


def test_what_a_master_says_is_cleaned_before_anybody_reads_it() -> None:
    subscription = new()
    refused(subscription, Answer(503, body="a\x1b[2J\x00b"))
    assert subscription.problem == "m1:5050: the master is not ready, HTTP 503: a\ufffd[2J\ufffdb"
    subscribe(subscription, 10.0)
    error = {"type": "ERROR", "error": {"message": "a\x1b[2J"}}
    assert subscription.received(chunk(error), 11.0)[-1] == Ended("a\ufffd[2J")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('"a\\ud800b"', "a?b"),
        ('{"\\udc00": "\\ud800"}', {"?": "?"}),
        ("[NaN, -Infinity, 1e999]", [None] * 3),
        (f"[{10**400}, {-(2**63)}, {2**64 - 1}, true]", [None, -(2**63), 2**64 - 1, True]),
    ],
)
def test_what_is_read_can_be_written_again(text: str, read: Any) -> None:
    subscription = new()
    subscribe(subscription)
    # Half of a pair of surrogates keeps the quick parser from any of these.
    event = f'{{"type": "UPDATE", "update": {{"x": {text}, "y": "\\ud800"}}}}'.encode()
    assert subscription.received(chunk(event), 1.0) == [Received("UPDATE", {"x": read, "y": "?"})]


@given(st.lists(st.integers(min_value=1, max_value=30), max_size=50))
def test_the_stream_may_be_cut_anywhere(sizes: list[int]) -> None:
    events = [{"type": "RESCIND", "rescind": {"offer_id": {"value": str(number)}}} for number in range(3)]
    data = HEAD + chunk(subscribed_event(), events[0]) + chunk(*events[1:])
    subscription = new()
    connect(subscription)
    notices: list[Notice] = []
    for size in sizes:
        notices += subscription.received(data[:size], 0.0)
        data = data[size:]
    notices += subscription.received(data, 0.0) if data else []
    assert [type(notice) for notice in notices] == [Subscribed, Received, Received, Received]


@given(st.binary())
def test_no_bytes_make_it_fail(data: bytes) -> None:
    for head in (b"", HEAD, HEAD + chunk(subscribed_event())):
        subscription = new()
        connect(subscription)
        for notice in subscription.received(head + data, 0.0):
            assert isinstance(notice, Subscribed | Lost | Received | Ended)


# Refusals


def refused(subscription: Subscription, answer: Answer, now: float = 0.0) -> list[Notice]:
    """Let the master answer SUBSCRIBE so."""
    connect(subscription, now)
    return subscription.received(answer.encode(), now)


def test_an_invalid_subscribe_is_the_end() -> None:
    subscription = new()
    [notice] = refused(subscription, Answer(400, body="Failed to validate:\n no user"))
    assert notice == Ended("SUBSCRIBE was refused as invalid, HTTP 400: Failed to validate: no user")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answer(401, body="no"), "m1:5050: the principal and secret are not accepted, HTTP 401: no"),
        (Answer(403), "m1:5050: the principal and secret are not accepted, HTTP 403"),
        (
            Answer(503, body="No leader"),
            "m1:5050: the master is not ready, HTTP 503: No leader",
        ),
        (Answer(404), "m1:5050: SUBSCRIBE was refused, HTTP 404"),
        (Answer(500), "m1:5050: SUBSCRIBE was refused, HTTP 500"),
        (Answer(200), "m1:5050: its answer to SUBSCRIBE has no Mesos-Stream-Id: is this a Mesos master?"),
        (Answer(307), "m1:5050: '' is no address of a master; allowed is host:port or [ipv6 address]:port"),
        (Answer(307, {"Location": "ftp://x"}), "m1:5050: redirected to 'ftp://x', which is not HTTP"),
    ],
)
def test_other_refusals_are_told_and_tried_again(answer: Answer, problem: str) -> None:
    subscription = new()
    assert refused(subscription, answer) == []
    assert subscription.problem == problem
    assert subscription.next_master(0.49) is None
    assert subscription.next_master(0.5) == M1


def sent_secret(subscription: Subscription, now: float) -> str:
    """Let it connect; return the secret that it sends."""
    assert subscription.next_master(now) is not None
    head, _ = sent_call(subscription.connected(now))
    [line] = [line for line in head.split("\r\n") if line.startswith("Authorization: Basic ")]
    return base64.b64decode(line.removeprefix("Authorization: Basic ")).decode().removeprefix("p:")


def test_each_master_is_sent_all_secrets_at_once_that_it_may_know() -> None:
    """Three that each know another one, which lead in turn: none is left out, whatever the order."""
    secrets = ["c", "b", "a"]
    subscription = new(masters=(M1, M2, M3), secrets=lambda: secrets)
    now = 0.0
    for known in ("a", "c", "b", "a", "c"):
        for _ in range(3):
            secret = sent_secret(subscription, now)
            if secret == known:
                break
            assert subscription.received(Answer(401).encode(), now) == []
            assert subscription.deadline == now  # the next one, at once
        [notice] = subscription.received(HEAD + chunk(subscribed_event(15.0)), now)
        assert isinstance(notice, Subscribed)
        assert notice.authorization == basic_authorization("p", known)
        now += 100.0
        subscription.closed("it is started again", now)
        now += 100.0


def test_a_master_that_knows_none_of_the_secrets_is_not_asked_without_pause() -> None:
    subscription = new(secrets=lambda: ["new", "old"])
    for now, secrets in ((0.0, ("new", "old")), (100.0, ("new", "old"))):
        for secret in secrets:
            assert sent_secret(subscription, now) == secret
            subscription.received(Answer(401).encode(), now)
        assert subscription.problem == "m1:5050: the principal and secret are not accepted, HTTP 401"
        assert subscription.deadline is not None
        assert subscription.deadline > now


def test_something_else_than_http_is_told_and_tried_again() -> None:
    subscription = new()
    connect(subscription)
    assert subscription.received(b"SSH-2.0-OpenSSH\r\n", 0.0) == []
    assert subscription.problem is not None
    assert subscription.problem.startswith("m1:5050: it does not speak HTTP")


def test_an_endless_head_is_refused() -> None:
    subscription = new()
    connect(subscription)
    subscription.received(b"HTTP/1.1 200 OK\r\n", 0.0)
    for _ in range(100):
        subscription.received(b"X-Header: " + b"x" * 1000 + b"\r\n", 0.0)
    assert subscription.problem == "m1:5050: the head of its response is larger than 65536 bytes"


# Redirects


def redirect_to(host: str) -> Answer:
    return Answer(307, {"Location": f"//{host}:5050/api/v1/scheduler"})


def test_a_redirect_is_followed_at_once_and_the_configured_master_remembered() -> None:
    subscription = new()
    refused(subscription, redirect_to("m2"))
    assert connect(subscription) == M2
    subscription.closed("gone", 0.0)
    assert subscription.next_master(0.5) == M1


def test_redirects_in_a_circle_end_in_a_pause() -> None:
    subscription = new()
    hosts = []
    for target in ("m2", "m1", "m2", "m1"):
        hosts.append(connect(subscription).host)
        subscription.received(redirect_to(target).encode(), 0.0)
    assert hosts == ["m1", "m2", "m1", "m2"]
    assert subscription.next_master(0.4) is None
    assert subscription.problem == "m2:5050: redirected 3 times without arriving, lastly to m1:5050"


# Which master


def test_a_list_is_tried_through_before_the_first_pause() -> None:
    subscription = new(masters=(M1, M2, M3))
    tried = []
    for _ in range(3):
        master = subscription.next_master(0.0)
        tried.append(master)
        subscription.closed("refused", 0.0)
    assert tried == [M1, M2, M3]
    assert subscription.next_master(0.4) is None
    assert subscription.next_master(0.5) == M1


def test_a_new_leader_is_connected_to_at_once() -> None:
    subscription = new()
    subscribe(subscription)
    notices = subscription.masters_detected((M2,), "", 5.0)
    assert notices == [Lost("the leading master is now m2:5050")]
    assert subscription.next_master(5.0) == M2


def test_a_new_leader_ends_a_pause() -> None:
    subscription = new()
    for now in (0.0, 10.0, 20.0, 30.0):
        fail(subscription, now)
    subscription.masters_detected((M2,), "", 30.1)
    assert subscription.next_master(30.1) == M2


def test_a_leader_that_is_named_again_changes_nothing() -> None:
    subscription = new()
    subscribe(subscription)
    assert subscription.masters_detected((M1,), "", 5.0) == []
    assert subscription.phase is Phase.SUBSCRIBED


def test_without_a_known_leader_a_living_subscription_is_kept_and_no_other_begun() -> None:
    subscription = new()
    subscribe(subscription)
    assert subscription.masters_detected((), "nobody leads", 5.0) == []
    assert subscription.phase is Phase.SUBSCRIBED
    subscription.closed("gone", 6.0)
    assert subscription.next_master(1000.0) is None
    assert subscription.problem == "m1:5050: gone"
    subscription.masters_detected(None, "no connection to zk://z", 1000.0)
    assert subscription.problem == "no connection to zk://z"
    assert subscription.deadline is None
    subscription.masters_detected((M1,), "", 1001.0)
    assert subscription.next_master(1001.0) == M1


def test_no_news_changes_no_master() -> None:
    subscription = new()
    fail(subscription, 0.0)
    assert subscription.masters_detected(None, "no connection to zk://z", 0.1) == []
    assert subscription.problem == "m1:5050: refused"
    assert subscription.next_master(0.5) == M1


# Time


def test_pauses_grow_to_fifteen_seconds() -> None:
    subscription = new()
    now, pauses = 0.0, []
    for _ in range(8):
        pauses.append(fail(subscription, now))
        now += pauses[-1]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


@given(st.lists(st.floats(min_value=0.0, max_value=1.0), min_size=20, max_size=20))
def test_pauses_have_jitter_and_stay_within_bounds(chances: list[float]) -> None:
    left = iter(chances)
    subscription = Subscription(SETTINGS, None, random=lambda: next(left))
    subscription.masters_detected((M1,), "", 0.0)
    for number in range(20):
        longest = min(15.0, 0.5 * 2.0**number)
        assert longest / 2 - 1e-6 <= fail(subscription, number * 100.0) <= longest + 1e-6


def test_pauses_begin_anew_after_a_subscription_that_lived() -> None:
    subscription = new()
    for now in (0.0, 100.0, 200.0):
        fail(subscription, now)
    subscribe(subscription, 300.0)
    assert subscription.closed("gone", 315.0) == [Lost("gone")]
    assert subscription.deadline == 315.5


def test_pauses_grow_when_the_master_takes_us_in_only_to_drop_us() -> None:
    subscription = new()
    now, pauses = 0.0, []
    for _ in range(4):
        subscribe(subscription, now)
        subscription.closed("dropped", now + 0.1)
        assert subscription.deadline is not None
        pauses.append(round(subscription.deadline - now - 0.1, 6))
        now = subscription.deadline
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_five_missed_heartbeats_end_the_subscription() -> None:
    subscription = new()
    subscribe(subscription, 0.0, heartbeat_seconds=10.0)
    subscription.received(chunk(HEARTBEAT), 10.0)
    assert subscription.deadline == 60.0
    assert subscription.check_silence(59.9) == []
    assert subscription.check_silence(60.0) == [Lost("nothing was heard from it for 50 s")]
    assert subscription.phase is Phase.IDLE


def test_a_record_that_never_ends_is_not_waited_for() -> None:
    subscription = new()
    subscribe(subscription, 0.0)
    subscription.received(chunk(HEARTBEAT), 10.0)
    subscription.received(b"a\r\n268435456\n\r\n", 15.0)
    for now in range(20, 85, 5):
        assert subscription.received(chunk(HEARTBEAT), now) == []
        assert subscription.check_silence(now) == []
    assert subscription.check_silence(85.0) == [Lost("nothing was heard from it for 75 s")]


def test_a_master_that_does_not_answer_subscribe_is_given_up() -> None:
    subscription = new()
    connect(subscription, 0.0)
    assert subscription.check_silence(74.9) == []
    subscription.check_silence(75.0)
    assert subscription.phase is Phase.IDLE
    assert subscription.problem == "m1:5050: nothing was heard from it for 75 s"


def test_a_missing_interval_means_fifteen_seconds() -> None:
    subscription = new()
    subscribe(subscription, 0.0, heartbeat_seconds=0)
    assert subscription.deadline == 75.0


# The end


def test_the_end_of_the_stream_is_noticed() -> None:
    subscription = new()
    subscribe(subscription)
    assert subscription.received(b"0\r\n\r\n", 20.0) == [Lost("the master ended the stream")]


def test_stopping_is_quiet_and_final() -> None:
    subscription = new()
    subscribe(subscription)
    assert subscription.stop() == [Lost("the driver stopped")]
    assert subscription.stop() == []
    assert subscription.closed("x", 1.0) == []
    assert subscription.next_master(1e9) is None


# What is logged


def test_a_redirect_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    subscription = new()
    now = 0.0
    for _ in range(3):
        connect(subscription, now)
        subscription.received(Answer(307, {"Location": "//m2:5050/api/v1/scheduler"}).encode(), now)
        now += 100.0
        connect(subscription, now)
        subscription.closed("refused", now)
        now += 100.0
    assert [record.getMessage() for record in caplog.records].count(
        "Master m1:5050 redirects to the leading master m2:5050"
    ) == 1


@pytest.mark.parametrize(("tearing_down", "warnings"), [(False, 1), (True, 0)])
def test_the_end_of_the_stream_is_no_news_after_teardown(
    tearing_down: bool, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    subscription = new()
    subscribe(subscription)
    subscription.tearing_down = tearing_down
    subscription.received(b"0\r\n\r\n", 1.0)
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == warnings
