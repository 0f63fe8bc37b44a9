"""Sessions of commands in instances, without an executor."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from mesos_docker_scheduler import exec_sessions
from mesos_docker_scheduler.exec_sessions import (
    MOST_SESSIONS,
    Ended,
    ExecSession,
    ExecSessions,
    Output,
    SessionError,
    Terminal,
    task_key,
)

TASK = "web.1.1"


class Wire:
    """What is sent to executors, and what they say."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.now = 100.0
        self.numbers: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
        self.sessions = ExecSessions(self._send, "secret")

    def _send(self, executor_id: str, agent_id: str, data: bytes) -> None:
        assert (executor_id, agent_id) == (TASK, "agent-1")
        self.sent.append(json.loads(data)["exec"])

    def started(self, **more: Any) -> ExecSession:
        session = self.sessions.open(TASK, ("cat",), "owner", **more)
        session.start("agent-1")
        return session

    def say(self, session: ExecSession, kind: str, executor_id: str = TASK, **body: Any) -> None:
        number = next(self.numbers[session.id]) if "key" not in body else 0
        common = {"key": session.key, "session": session.id, "number": number, "type": kind}
        message = {"exec": {**common, **body}}
        self.sessions.heard(executor_id, json.dumps(message).encode())

    def write(self, session: ExecSession, data: bytes) -> None:
        self.say(session, "OUTPUT", stream="stdout", data=base64.b64encode(data).decode())

    def types(self) -> list[str]:
        return [message["type"] for message in self.sent]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    made = Wire()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


def all_of(session: ExecSession) -> list[Output | Ended]:
    return list(iter(session.take, None))


def test_a_command_from_its_start_to_its_end(wire: Wire) -> None:
    session = wire.started(terminal=Terminal("vt100", 24, 80), takes_input=True)
    assert wire.sent == [
        {
            "key": session.key,
            "session": session.id,
            "number": 0,
            "type": "START",
            "command": ["cat"],
            "input": True,
            "terminal": {"type": "vt100", "rows": 24, "columns": 80},
        }
    ]
    wire.say(session, "STARTED")
    assert session.give(0, b"abc", last=False)
    assert session.give(3, b"", last=True)
    session.resize(30, 90)
    assert wire.types()[1:] == ["INPUT", "END_INPUT", "RESIZE"]
    wire.write(session, b"abc")
    wire.say(session, "ENDED", status=3)
    assert all_of(session) == [Output("stdout", b"abc"), Ended(3)]
    assert session.over


def test_an_executor_that_says_nothing(wire: Wire) -> None:
    session = wire.started()
    wire.now += exec_sessions.SILENCE_SECONDS - 1
    session.beat()
    assert wire.types() == ["START", "RECEIVED"]
    # Before anything was asked, silence means nothing.
    wire.say(session, "STARTED")
    wire.now += 10 * exec_sessions.SILENCE_SECONDS
    session.beat()
    assert wire.types() == ["START", "RECEIVED", "RECEIVED"]
    wire.now += exec_sessions.SILENCE_SECONDS + 1
    session.beat()
    assert "does not answer" in str(all_of(session)[-1])
    session.beat()
    assert wire.types() == ["START", "RECEIVED", "RECEIVED"]


def test_output_is_acknowledged_as_it_is_read(wire: Wire) -> None:
    session = wire.started()
    for _ in range(16):
        wire.write(session, b"x" * 16_384)
    assert wire.types() == ["START"]
    while session.take() is not None:
        pass
    assert [one["bytes"] for one in wire.sent if one["type"] == "RECEIVED"] == [
        65536 * n for n in (1, 2, 3, 4)
    ]


def test_an_executor_that_floods(wire: Wire) -> None:
    session = wire.started()
    for _ in range(100):
        wire.write(session, b"x" * 16_384)
    taken = all_of(session)
    assert "writes faster than was agreed" in str(taken[-1])
    assert sum(len(one.data) for one in taken if isinstance(one, Output)) <= 1024 * 1024
    assert "END" in wire.types()


def test_input_waits_for_room(wire: Wire) -> None:
    session = wire.started(takes_input=True)
    data = b"x" * 8192
    offsets = range(0, 48 * 1024, 8192)
    assert all(session.give(offset, data, last=False) for offset in offsets)
    assert not session.give(48 * 1024, data, last=False)
    with pytest.raises(SessionError, match=r"offset: 7 is not allowed; .* 49152"):
        session.give(7, data, last=False)
    wire.say(session, "TAKEN", bytes=8192)
    assert session.give(48 * 1024, data, last=True)
    with pytest.raises(SessionError, match="takes no input, or no more"):
        session.give(56 * 1024, b"", last=True)


def test_messages_of_others_and_such_as_are_none(wire: Wire) -> None:
    session = wire.started()
    wire.say(session, "ENDED", executor_id="other.1.1", status=0)
    assert all_of(session) == []
    for raw in (b"", b"[]", b"{}", b'{"exec": 1}', b"\xff"):
        with pytest.raises((ValueError, LookupError, TypeError)):
            wire.sessions.heard(TASK, raw)
    bodies: tuple[dict[str, Any], ...] = (
        {"type": 1},
        {"type": "OUTPUT", "data": "?"},
        {"type": "TAKEN", "bytes": "0"},
    )
    for number, body in enumerate(bodies):
        message = {"exec": {"key": session.key, "session": session.id, "number": number, **body}}
        with pytest.raises(ValueError):  # noqa: PT011 - each says something else
            wire.sessions.heard(TASK, json.dumps(message).encode())
    assert all_of(session) == []


def test_sessions_belong_to_who_has_opened_them_and_are_not_too_many(wire: Wire) -> None:
    session = wire.started()
    assert wire.sessions.find(session.id, "owner") is session
    assert wire.sessions.find(session.id, "other") is None
    for _ in range(MOST_SESSIONS - 1):
        wire.started()
    with pytest.raises(SessionError, match=f"{MOST_SESSIONS} commands run"):
        wire.started()
    # Those that nobody has come to read make room.
    wire.now += exec_sessions.UNREAD_SECONDS + 1
    wire.started()
    assert wire.types().count("END") == MOST_SESSIONS
    assert wire.sessions.find(session.id, "owner") is None


def test_messages_that_overtake_one_another(wire: Wire) -> None:
    session = wire.started()
    wire.say(session, "ENDED", number=2, status=0)
    wire.say(session, "OUTPUT", number=1, stream="stdout", data="Y2Q=")
    assert all_of(session) == []
    wire.say(session, "OUTPUT", number=0, stream="stdout", data="YWI=")
    assert all_of(session) == [Output("stdout", b"abcd"), Ended(0)]


def test_a_message_that_never_comes(wire: Wire) -> None:
    session = wire.started()
    wire.write(session, b"ab")
    # What was lost last, the next answer tells by its number.
    wire.say(session, "TAKEN", number=2, bytes=0)
    wire.now += 4
    session.beat()
    assert all_of(session) == [Output("stdout", b"ab")]
    wire.now += 2
    session.beat()
    assert all_of(session) == [Ended(None, "message 1 of its executor is missing: it was lost on the way")]
    assert wire.types()[-1] == "END"
    wire.say(session, "OUTPUT", number=1, stream="stdout", data="bGF0ZQ==")
    assert all_of(session) == []


def test_each_message_has_its_own_time_to_come(wire: Wire) -> None:
    session = wire.started()
    for early, late in ((1, 0), (3, 2)):
        wire.say(session, "TAKEN", number=early, bytes=0)
        wire.say(session, "TAKEN", number=early + 2, bytes=0)
        wire.now += 4
        session.beat()
        wire.say(session, "TAKEN", number=late, bytes=0)
    assert all_of(session) == []


def test_a_message_without_the_tasks_key_is_left(wire: Wire) -> None:
    session = wire.started()
    assert session.key == task_key("secret", TASK)
    assert session.key != task_key("secret", "web.1.2")
    assert task_key("", TASK) == ""
    wire.say(session, "ENDED", status=0, key="wrong")
    assert all_of(session) == []
    wire.say(session, "ENDED", status=0)
    assert all_of(session) == [Ended(0)]


def test_what_nobody_waits_for_is_not_started(wire: Wire) -> None:
    session = wire.sessions.open(TASK, ("cat",), "owner")
    wire.sessions.close(session)
    session.start("agent-1")
    assert wire.types() == []


def test_input_that_is_given_again(wire: Wire) -> None:
    session = wire.started(takes_input=True)
    assert session.give(0, b"abc", last=False)
    assert session.give(0, b"abc", last=False)
    assert session.give(3, b"", last=True)
    assert session.give(3, b"", last=True)
    assert wire.types() == ["START", "INPUT", "END_INPUT"]


def test_small_parts_are_joined_and_empty_ones_refused(wire: Wire) -> None:
    session = wire.started()
    for _ in range(1000):
        wire.write(session, b"x")
    with pytest.raises(ValueError, match="data is empty"):
        wire.write(session, b"")
    assert all_of(session) == [Output("stdout", b"x" * 1000)]


def test_a_session_that_is_closed_ends_the_command(wire: Wire) -> None:
    session = wire.started()
    wire.sessions.close(session)
    assert wire.types() == ["START", "END"]
    assert wire.sessions.find(session.id, "owner") is None
