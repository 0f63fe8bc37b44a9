"""What a service can't live with in pymesos 0.3.15, each shown twice: pymesos' driver fails, ours does not.

The strict xfail is the first half: should a pymesos ever pass, the test fails and the workaround can go.
"""

from __future__ import annotations

import importlib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from driver_process import FRAMEWORK, DriverProcess, both_drivers, start
from mesos_docker_scheduler.driver.recordio import RecordParser
from scripted_master import (
    ACCEPTED,
    FRAMEWORK_ID,
    STREAM_ID,
    TAKE_IN,
    Answer,
    Request,
    ScriptedMaster,
    record,
    subscribed_event,
)

OFFERS = {"type": "OFFERS", "offers": {"offers": [{"id": {"value": "o1"}, "agent_id": {"value": "a1"}}]}}
STATUS = {
    "task_id": {"value": "t1"},
    "agent_id": {"value": "a1"},
    "state": "TASK_RUNNING",
    "uuid": "AAAA",
}
UPDATE = {"type": "UPDATE", "update": {"status": STATUS}}
CREDENTIALS = {"principal": "p", "secret": "s"}
# pymesos takes the ids as objects, ours as strings.
DECLINE: dict[str, list[Any]] = {"plain": ["declineOffer", {"value": "o1"}], "ours": ["declineOffer", ["o1"]]}


def refuse(kind: str, refusal: Answer) -> Callable[[Request], Answer]:
    """Answer as usual, except to calls of one type."""

    def answer(request: Request) -> Answer:
        if request.type == kind:
            return refusal
        return TAKE_IN if request.type == "SUBSCRIBE" else ACCEPTED

    return answer


def expect_alive(master: ScriptedMaster, driver: DriverProcess) -> None:
    """Check that the driver still hears the master and has not ended the framework."""
    time.sleep(0.3)
    assert not master.calls("TEARDOWN")
    master.send(UPDATE)
    driver.wait_for("statusUpdate")


# Nothing but an operator's command may tear down.


@both_drivers
def test_an_exception_in_a_callback_ends_nothing(kind: str) -> None:
    with (
        ScriptedMaster() as master,
        start(kind, master.address, callbacks={"resourceOffers": "raise"}) as driver,
    ):
        master.send(OFFERS)
        driver.wait_for("resourceOffers")
        expect_alive(master, driver)


@both_drivers
@pytest.mark.parametrize("refusal", [Answer(400, body="bad"), Answer(500)], ids=["400", "500"])
def test_a_failed_call_in_a_callback_ends_nothing(kind: str, refusal: Answer) -> None:
    with (
        ScriptedMaster(refuse("DECLINE", refusal)) as master,
        start(kind, master.address, callbacks={"resourceOffers": DECLINE[kind]}) as driver,
    ):
        master.send(OFFERS)
        master.wait_for_calls("DECLINE")
        expect_alive(master, driver)


@both_drivers
def test_a_call_that_is_hung_up_on_does_not_end_the_subscription(kind: str) -> None:
    with (
        ScriptedMaster(refuse("DECLINE", Answer(hang_up=True))) as master,
        start(kind, master.address, callbacks={"resourceOffers": DECLINE[kind]}) as driver,
    ):
        master.send(OFFERS)
        master.wait_for_calls("DECLINE")
        expect_alive(master, driver)
        assert len(master.calls("SUBSCRIBE")) == 1


@both_drivers
@pytest.mark.parametrize("ending", ["stop", "abort"])
def test_stopping_leaves_the_framework(kind: str, ending: str) -> None:
    options = {"failover": True} if kind == "plain" else {}
    with ScriptedMaster() as master, start(kind, master.address, **options) as driver:
        driver.wait_for("registered")
        driver.do(ending)
        driver.do("join")
        time.sleep(0.2)
        assert not master.calls("TEARDOWN")


# Nothing may hang or give up.


@both_drivers
def test_a_stuck_call_does_not_hang_stop(kind: str) -> None:
    with (
        ScriptedMaster(refuse("SUPPRESS", Answer(silent=True))) as master,
        start(kind, master.address) as driver,
    ):
        driver.wait_for("registered")
        driver.do("suppressOffers", in_background=True)
        master.wait_for_calls("SUPPRESS")
        driver.do("stop")
        driver.do("join")


@both_drivers
def test_a_silent_network_loss_is_noticed(kind: str) -> None:
    with ScriptedMaster(heartbeat_seconds=0.2) as master, start(kind, master.address) as driver:
        driver.wait_for("registered")
        master.wait_for_calls("SUBSCRIBE", 2, seconds=4)
        driver.wait_for("disconnected")


@both_drivers
def test_an_unknown_name_is_tried_again(kind: str) -> None:
    with start(kind, "no-such-host.invalid:5050") as driver:
        for _ in range(50):
            assert driver.do("aborted") is False
            time.sleep(0.1)


@both_drivers
def test_a_refusal_of_the_credentials_is_tried_again(kind: str) -> None:
    answers = iter([Answer(401, body="who?"), Answer(403, body="no")])
    with (
        ScriptedMaster(lambda request: next(answers, TAKE_IN)) as master,
        start(kind, master.address, **CREDENTIALS) as driver,
    ):
        driver.wait_for("registered")


@both_drivers
def test_a_failure_without_a_status_is_understood(kind: str) -> None:
    with ScriptedMaster() as master, start(kind, master.address) as driver:
        driver.wait_for("registered")
        failure = {"agent_id": {"value": "a1"}, "executor_id": {"value": "e1"}}
        master.send({"type": "FAILURE", "failure": failure})
        expect_alive(master, driver)
        driver.wait_for("executorLost")


@both_drivers
def test_a_version_with_a_suffix_is_no_obstacle(kind: str) -> None:
    with ScriptedMaster(version="1.12.0-dev") as master, start(kind, master.address) as driver:
        driver.wait_for("registered")


@both_drivers
def test_more_than_1023_open_files_are_no_obstacle(kind: str) -> None:
    with ScriptedMaster() as master, start(kind, master.address, open_files=1100) as driver:
        driver.wait_for("registered")


# No flood of SUBSCRIBEs.


@both_drivers
def test_a_master_without_a_leader_is_asked_with_pauses(kind: str) -> None:
    with ScriptedMaster(lambda request: Answer(503)) as master, start(kind, master.address):
        time.sleep(3)
        assert 2 <= len(master.calls("SUBSCRIBE")) <= 6


@both_drivers
def test_an_error_event_is_final(kind: str) -> None:
    with ScriptedMaster(subscribed=False) as master, start(kind, master.address) as driver:
        master.send({"type": "ERROR", "error": {"message": "Framework has been removed"}})
        master.drop_streams()
        error = driver.wait_for("error")
        assert error["arguments"] == ["Framework has been removed"]
        time.sleep(1)
        assert len(master.calls("SUBSCRIBE")) == 1
        driver.do("join")


# Calls say what becomes of them.


@both_drivers
def test_a_call_without_a_subscription_says_so(kind: str) -> None:
    task = {"plain": {"value": "t1"}, "ours": "t1"}[kind]
    with (
        ScriptedMaster(lambda request: Answer(503)) as master,
        start(kind, master.address) as driver,
    ):
        assert driver.do("killTask", task) is False


@both_drivers
def test_a_refused_call_is_reported(kind: str) -> None:
    with (
        ScriptedMaster(refuse("DECLINE", Answer(400, body="no such offer"))) as master,
        start(kind, master.address) as driver,
    ):
        driver.wait_for("registered")
        assert driver.do(*DECLINE[kind]) is True
        call, error = driver.wait_for("callFailed")["arguments"]
        assert call["type"] == "DECLINE"
        assert error == "HTTP 400: no such offer"


@both_drivers
def test_updates_are_acknowledged_only_when_told_to(kind: str) -> None:
    with ScriptedMaster() as master, start(kind, master.address) as driver:
        master.send(UPDATE)
        driver.wait_for("statusUpdate")
        time.sleep(0.3)
        assert not master.calls("ACKNOWLEDGE")
        driver.do("acknowledgeStatusUpdate", STATUS)
        [request] = master.wait_for_calls("ACKNOWLEDGE")
        assert request.call["acknowledge"] == {key: STATUS[key] for key in ("agent_id", "task_id", "uuid")}


@both_drivers
def test_a_kill_carries_agent_and_grace_period(kind: str) -> None:
    with ScriptedMaster() as master, start(kind, master.address) as driver:
        driver.wait_for("registered")
        driver.do("killTask", "t1", "a1", 2.5)
        [request] = master.wait_for_calls("KILL")
        assert request.call["kill"] == {
            "task_id": {"value": "t1"},
            "agent_id": {"value": "a1"},
            "kill_policy": {"grace_period": {"nanoseconds": 2_500_000_000}},
        }


@both_drivers
def test_reconciliation_carries_agents(kind: str) -> None:
    tasks = {
        "plain": [{"task_id": {"value": "t1"}, "agent_id": {"value": "a1"}}],
        "ours": [["t1", "a1"]],
    }[kind]
    with ScriptedMaster() as master, start(kind, master.address) as driver:
        driver.wait_for("registered")
        driver.do("reconcileTasks", tasks)
        [request] = master.wait_for_calls("RECONCILE")
        assert request.call["reconcile"]["tasks"] == [
            {"task_id": {"value": "t1"}, "agent_id": {"value": "a1"}}
        ]


@both_drivers
def test_the_framework_can_be_updated(kind: str) -> None:
    with ScriptedMaster() as master, start(kind, master.address) as driver:
        driver.wait_for("registered")
        driver.do("updateFramework", {**FRAMEWORK, "failover_timeout": 5.0})
        [request] = master.wait_for_calls("UPDATE_FRAMEWORK")
        info = request.call["update_framework"]["framework_info"]
        assert info == {**FRAMEWORK, "failover_timeout": 5.0, "id": {"value": FRAMEWORK_ID}}


@both_drivers
def test_suppressed_roles_and_offer_constraints_are_subscribed_with(kind: str) -> None:
    constraints: dict[str, Any] = {"role_constraints": {"web": {"groups": []}}}
    with (
        ScriptedMaster() as master,
        start(kind, master.address, suppressed_roles=["web"], offer_constraints=constraints),
    ):
        [request] = master.wait_for_calls("SUBSCRIBE", seconds=3)
        assert request.call["subscribe"]["suppressed_roles"] == ["web"]
        assert request.call["subscribe"]["offer_constraints"] == constraints


@both_drivers
def test_capabilities_are_those_that_were_given(kind: str) -> None:
    framework = {**FRAMEWORK, "capabilities": [{"type": "PARTITION_AWARE"}]}
    with ScriptedMaster() as master, start(kind, master.address, framework=framework):
        [request] = master.wait_for_calls("SUBSCRIBE")
        assert request.call["subscribe"]["framework_info"]["capabilities"] == [{"type": "PARTITION_AWARE"}]


# Finding the master.


@both_drivers
def test_the_configured_master_is_not_forgotten_after_a_redirect(kind: str) -> None:
    with ScriptedMaster() as leader, ScriptedMaster() as other:
        other.answer = lambda request: Answer(307, {"Location": f"//{leader.address}/api/v1/scheduler"})
        with start(kind, other.address) as driver:
            driver.wait_for("registered")
            other.answer = lambda request: TAKE_IN
            leader.close()
            driver.wait_for("reregistered")
            assert len(other.calls("SUBSCRIBE")) >= 2


@both_drivers
def test_a_list_of_masters_is_tried_through(kind: str) -> None:
    with ScriptedMaster() as second, ScriptedMaster() as first:
        first.close()
        with start(kind, f"{first.address},{second.address}") as driver:
            driver.wait_for("registered")


@both_drivers
def test_ipv6_works(kind: str) -> None:
    with ScriptedMaster(family=socket.AF_INET6) as master, start(kind, f"[::1]:{master.port}") as driver:
        driver.wait_for("registered")
        driver.do("suppressOffers")
        [request] = master.wait_for_calls("SUPPRESS")
        assert request.headers["host"] == f"[::1]:{master.port}"


@both_drivers
def test_tls_works(kind: str, certificates: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "master.pem", certificates / "master.key")
    tls = {"ours": {"tls": {"ca_file": str(certificates / "ca.pem")}}, "plain": {}}[kind]
    with (
        ScriptedMaster(tls=context) as master,
        start(kind, f"https://{master.address}", **tls) as driver,
    ):
        driver.wait_for("registered")


@both_drivers
def test_credentials_stay_with_their_driver(kind: str) -> None:
    with (
        ScriptedMaster() as first,
        ScriptedMaster() as second,
        start(kind, first.address, **CREDENTIALS) as driver,
    ):
        driver.wait_for("registered")
        driver.do("suppressOffers")
        [request] = first.wait_for_calls("SUPPRESS")
        assert request.headers["authorization"] == "Basic cDpz"
        driver.do("another driver", master=second.address, options={}, framework=FRAMEWORK)
        driver.wait_for("registered", 2)
        driver.do("suppressOffers")
        [request] = second.wait_for_calls("SUPPRESS")
        assert "authorization" not in request.headers


# Importing.

MODULE = {"plain": "pymesos", "ours": "mesos_docker_scheduler.driver"}


def run_python(*lines: str) -> None:
    """Run a program; RuntimeError with its last words when it fails."""
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(run.stderr[-500:])


@both_drivers
def test_importing_leaves_sigint_alone(kind: str) -> None:
    run_python(
        "import signal",
        "before = signal.getsignal(signal.SIGINT)",
        f"import {MODULE[kind]}",
        "assert signal.getsignal(signal.SIGINT) is before",
    )


@both_drivers
def test_importing_works_outside_the_main_thread(kind: str) -> None:
    run_python(
        "import importlib, threading",
        "worked = []",
        f"thread = threading.Thread(target=lambda: worked.append(importlib.import_module({MODULE[kind]!r})))",
        "thread.start()",
        "thread.join()",
        "assert worked",
    )


@both_drivers
def test_importing_adds_no_log_handler(kind: str) -> None:
    run_python("import logging", f"import {MODULE[kind]}", "assert not logging.getLogger('pymesos').handlers")


def test_an_earlier_import_of_pymesos_is_made_good() -> None:
    run_python(
        "import signal",
        "before = signal.getsignal(signal.SIGINT)",
        "import pymesos",
        "import mesos_docker_scheduler.driver",
        "assert signal.getsignal(signal.SIGINT) is before",
    )


def test_a_sigint_handler_of_the_program_stays() -> None:
    run_python(
        "import signal",
        "mine = lambda *_: None",
        "signal.signal(signal.SIGINT, mine)",
        "import mesos_docker_scheduler.driver",
        "assert signal.getsignal(signal.SIGINT) is mine",
        "assert signal.signal.__module__ == 'signal'",
    )


# Reading.


class CountedBytes(bytes):
    """Bytes that count how many of them are copied or looked through."""

    work = 0

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        if isinstance(part, bytes):
            CountedBytes.work += len(part)
            return CountedBytes(part)
        return part

    def __add__(self, other: Any) -> CountedBytes:
        CountedBytes.work += len(self) + len(other)
        return CountedBytes(bytes(self) + bytes(other))

    def __radd__(self, other: bytes) -> CountedBytes:
        CountedBytes.work += len(self) + len(other)
        return CountedBytes(bytes(other) + bytes(self))

    def find(self, *arguments: Any) -> int:
        start, end = (*arguments[1:], 0, len(self))[:2]
        CountedBytes.work += min(end, len(self)) - start
        return super().find(*arguments)


def read_with_pymesos(pieces: list[CountedBytes]) -> int:
    """Let pymesos' Connection read the pieces of a stream; return how many events came out."""
    process = importlib.import_module("pymesos.process")
    events: list[Any] = []
    connection = object.__new__(process.Connection)
    body = iter(pieces)
    connection._sock = SimpleNamespace(recv=lambda size: b"a piece")
    connection._stream_id = "stream"
    connection._response = b""
    connection._callback = SimpleNamespace(process_event=events.append)
    connection._parser = SimpleNamespace(
        execute=lambda data, length: length,
        is_headers_complete=lambda: True,
        is_partial_body=lambda: True,
        recv_body=lambda: next(body),
        is_message_complete=lambda: False,
    )
    for _ in pieces:
        connection.read()
    return len(events)


def read_with_ours(pieces: list[CountedBytes]) -> int:
    """Let our parser read them."""
    parser = RecordParser()
    return sum(len(parser.feed(piece)) for piece in pieces)


@both_drivers
def test_reading_a_large_event_is_linear(kind: str) -> None:
    stream = record(b'{"type":"HEARTBEAT","padding":"%s"}' % (b"x" * 1_000_000))
    pieces = [CountedBytes(stream[start : start + 4096]) for start in range(0, len(stream), 4096)]
    CountedBytes.work = 0
    read = {"plain": read_with_pymesos, "ours": read_with_ours}[kind]
    assert read(pieces) == 1
    assert CountedBytes.work <= 3 * len(stream)


def test_reading_many_small_events_at_once_is_linear() -> None:
    stream = record(b'{"type":"HEARTBEAT"}') * 50_000
    CountedBytes.work = 0
    assert read_with_ours([CountedBytes(stream)]) == 50_000
    assert CountedBytes.work <= 3 * len(stream)


# Speed.


@both_drivers
def test_calls_do_not_wait_for_each_others_answers(kind: str) -> None:
    wanted = 200
    got: list[Request] = []

    def answer(request: Request) -> Answer:
        if request.type == "SUBSCRIBE":
            return TAKE_IN
        got.append(request)
        return Answer(silent=True)

    with ScriptedMaster(answer) as master, start(kind, master.address) as driver:
        driver.wait_for("registered")
        for _ in range(wanted):
            driver.do("acknowledgeStatusUpdate", STATUS, in_background=True)
        master.wait_for(lambda: len(got) == wanted, f"{wanted} calls, none of them answered", seconds=3)
        assert {request.headers["mesos-stream-id"] for request in got} == {STREAM_ID.format(1)}
        assert len({request.connection for request in got}) == 1


def test_the_scripted_master_says_subscribed_as_mesos_does() -> None:
    """Guards the tests above: a driver must get far enough for its failure to mean something."""
    assert subscribed_event()["subscribed"]["framework_id"] == {"value": FRAMEWORK_ID}
    with ScriptedMaster() as master, DriverProcess("plain", master.address) as driver:
        driver.wait_for("registered")
        master.send(UPDATE)
        driver.wait_for("statusUpdate")
