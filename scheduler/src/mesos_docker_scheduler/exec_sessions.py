"""Commands that operators run in instances, and their looks at these: what is said of them with executors.

They speak through framework messages, which Mesos carries: no slave opens a port for it. Slaves take such
messages from everybody whom they let in, so each has a key that the executor got with its task, and nobody
else. packaging/mesos/libexec/common/exec_sessions.hpp describes the messages. Mesos may have one overtake
another, or lose some: they are numbered, and a session in which one stays missing ends.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from mesos_docker_scheduler.errors import Error

MOST_SESSIONS = 50
UNREAD_SECONDS = 30.0
"""A session that nobody reads ends after so long."""
HEARTBEAT_SECONDS = 5.0
"""So often the executor hears that somebody is there; it ends a command after 30 s without."""
SILENCE_SECONDS = 20.0

_WINDOW_BYTES = 48 * 1024  # of input; an executor takes 64 KB
_ACKNOWLEDGED_BYTES = 64 * 1024  # at once
_MOST_EARLY = 256
_MISSING_SECONDS = 5.0
_JOINED_BYTES = 32 * 1024
_MOST_UNREAD_BYTES = 1024 * 1024  # an executor sends 256 KB ahead
_NO_ANSWER = (
    "its executor does not answer: its slave can't be reached, or the instance was started by an older"
    " scheduler, or with an older Mesos package (restart its service then)"
)
STOPPED = "it was stopped"

EXEC_SECRET = ("framework", "exec secret")
"""A record of the store: what the keys of all tasks are made of."""

Send = Callable[[str, str, bytes], object]
"""Sends a message to an executor, by its id and its agent's."""


def new_secret() -> str:
    """What the keys of all tasks are made of."""
    return secrets.token_hex(32)


def task_key(secret: str, task_id: str) -> str:
    """The key of a task's messages; "" where there is no secret: nothing can be run in such a task."""
    return hmac.new(secret.encode(), task_id.encode(), "sha256").hexdigest() if secret else ""


class SessionError(Error):
    """A session does not do what was asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal of this type (as in TERM) and size."""

    type: str
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Output:
    """What the command has written to one of its streams."""

    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The command has ended, with a status as a shell tells it; or `error` says what was wrong."""

    status: int | None
    error: str | None = None


@dataclass(slots=True, eq=False)
class ExecSession:
    """One command; without one, a look at the instance itself. Any thread may call its methods.

    `owner`: who may read it.

    `on_news` is called when there is something to take.
    """

    task_id: str
    command: tuple[str, ...]
    terminal: Terminal | None
    input: bool
    owner: object
    key: str = field(repr=False)
    _send: Send = field(repr=False)
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    on_news: Callable[[], None] = field(default=lambda: None, repr=False)
    read: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _agent_id: str = ""
    _news: deque[Output | Ended] = field(default_factory=deque, repr=False)
    _unread: int = 0
    _received: int = 0
    _acknowledged: int = 0
    _taken: int = 0
    _given: int = 0
    _input_ended: bool = False
    _last_part: tuple[int, int, bool] | None = None
    _ended: bool = False
    _asked_at: float | None = None  # what has had no answer since
    _said: int = 0
    _saying: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _next: int = 0
    _early: dict[int, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    _missing_since: float | None = None
    _begun_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._begun_at = time.monotonic()

    def start(self, agent_id: str) -> None:
        """Have the executor start it."""
        with self._lock:
            if self._ended:  # who has asked for it did not wait
                return
            self._agent_id, self._asked_at = agent_id, time.monotonic()
        if self.command:
            self._say("START", command=self.command, input=self.input, terminal=self.terminal)
        else:
            self._say("ATTACH", input=self.input, terminal=self.terminal)

    @property
    def over(self) -> bool:
        """Whether nothing comes any more, or nobody has come to read it."""
        unread = not self.read and time.monotonic() > self._begun_at + UNREAD_SECONDS
        return (self._ended and not self._news) or unread

    def take(self) -> Output | Ended | None:
        """What comes next; None: nothing yet."""
        with self._lock:
            if not self._news:
                return None
            one = self._news.popleft()
            if isinstance(one, Output):
                self._unread -= len(one.data)
            behind = self._received - self._unread - self._acknowledged >= _ACKNOWLEDGED_BYTES
        if behind:
            self._acknowledge()
        return one

    def beat(self) -> None:
        """Say that somebody is there. Ends the session when nothing was heard for long."""
        if self._ended:
            return
        # What is heard meanwhile, in another thread, changes both.
        asked_at, missing_since, now = self._asked_at, self._missing_since, time.monotonic()
        if asked_at is not None and now > asked_at + SILENCE_SECONDS:
            self._end(Ended(None, _NO_ANSWER))
            return
        if missing_since is not None and now > missing_since + _MISSING_SECONDS:
            self._give_up(f"message {self._next} of its executor is missing: it was lost on the way")
            return
        self._acknowledge()

    def _acknowledge(self) -> None:
        with self._lock:
            self._acknowledged = self._received - self._unread
            if self._asked_at is None:
                self._asked_at = time.monotonic()
            self._say("RECEIVED", bytes=self._acknowledged)

    def give(self, offset: int, data: bytes, *, last: bool) -> bool:
        """Hand on input, from this offset on; `last`: no more will come. False: there is no room yet."""
        with self._lock:
            if self._ended:
                raise SessionError("the session has ended")
            if (offset, len(data), last) == self._last_part:
                return True  # asked again
            if not self.input or self._input_ended:
                raise SessionError("the command takes no input, or no more")
            if offset != self._given:
                raise SessionError(
                    f"offset: {offset} is not allowed; it must be that of the next byte, {self._given}"
                )
            if data and self._given + len(data) - self._taken > _WINDOW_BYTES:
                return False
            self._given += len(data)
            self._input_ended = last
            self._last_part = (offset, len(data), last)
            if data:
                self._say("INPUT", data=base64.b64encode(data).decode())
            if last:
                self._say("END_INPUT")
        return True

    def resize(self, rows: int, columns: int) -> None:
        """Tell of the terminal's new size."""
        self._say("RESIZE", rows=rows, columns=columns)

    def stop(self) -> None:
        """End the command, if it has not ended."""
        if not self._ended and self._agent_id:
            self._say("END")
        self._end(Ended(None, STOPPED))

    def heard(self, body: Mapping[str, Any]) -> None:
        """Take what the executor says, once what it has said before is there. One thread may call it."""
        number = _number(body, "number")
        if number < self._next or len(self._early) >= _MOST_EARLY:
            return
        self._asked_at = None
        self._early[number] = body
        while (one := self._early.pop(self._next, None)) is not None:
            self._next += 1
            self._missing_since = None
            self._take(_text(one, "type"), one)
        if self._early and self._missing_since is None:
            self._missing_since = time.monotonic()

    def _take(self, kind: str, body: Mapping[str, Any]) -> None:
        match kind:
            case "OUTPUT":
                self._take_output(body)
            case "TAKEN":
                self._taken = max(self._taken, min(_number(body, "bytes"), self._given))
                self.on_news()
            case "ENDED":
                error = _text(body, "error")
                self._end(Ended(None, error) if error else Ended(_number(body, "status")))

    def _take_output(self, body: Mapping[str, Any]) -> None:
        data = base64.b64decode(_text(body, "data"), validate=True)
        if not data:
            raise ValueError("data is empty")
        stream: Literal["stdout", "stderr"] = "stderr" if body.get("stream") == "stderr" else "stdout"
        with self._lock:
            if self._ended:
                return
            too_much = self._unread + len(data) > _MOST_UNREAD_BYTES
            if not too_much:
                self._received += len(data)
                self._unread += len(data)
                last = self._news[-1] if self._news else None
                if isinstance(last, Output) and last.stream == stream and len(last.data) < _JOINED_BYTES:
                    self._news[-1] = Output(stream, last.data + data)
                else:
                    self._news.append(Output(stream, data))
        if too_much:
            self._give_up("it writes faster than was agreed")
        self.on_news()

    def _give_up(self, problem: str) -> None:
        self._say("END")
        self._end(Ended(None, problem))

    def _end(self, how: Ended) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._news.append(how)
        self.on_news()

    def _say(self, kind: str, **body: Any) -> None:
        with self._saying:
            numbered = {"key": self.key, "session": self.id, "number": self._said, "type": kind, **body}
            self._said += 1
            # The executor of a task without an ExecutorInfo has the task's id.
            self._send(self.task_id, self._agent_id, orjson.dumps({"exec": numbered}))


class ExecSessions:
    """Those that are open. Any thread may call its methods. `secret`: see `task_key`."""

    def __init__(self, send: Send, secret: str = "") -> None:
        self._send = send
        self._secret = secret
        self._lock = threading.Lock()
        self._open: dict[str, ExecSession] = {}

    def open(
        self,
        task_id: str,
        command: tuple[str, ...],
        owner: object,
        *,
        terminal: Terminal | None = None,
        takes_input: bool = False,
    ) -> ExecSession:
        """Have one more, which is not started yet. SessionError: there are too many."""
        key = task_key(self._secret, task_id)
        session = ExecSession(task_id, command, terminal, takes_input, owner, key, self._send)
        with self._lock:
            for one in [one for one in self._open.values() if one.over]:
                self._open.pop(one.id).stop()
            if len(self._open) >= MOST_SESSIONS:
                raise SessionError(f"{MOST_SESSIONS} commands run in instances already; end some")
            self._open[session.id] = session
        return session

    def find(self, session_id: str, owner: object) -> ExecSession | None:
        """The one with this id, if it is this owner's."""
        with self._lock:
            session = self._open.get(session_id)
        return session if session is not None and session.owner == owner else None

    def close(self, session: ExecSession) -> None:
        """End one, and forget it."""
        session.stop()
        with self._lock:
            self._open.pop(session.id, None)

    def heard(self, executor_id: str, message: bytes) -> None:
        """Take a message of an executor. ValueError: it is not understood."""
        body = orjson.loads(message)["exec"]
        with self._lock:
            session = self._open.get(str(body["session"]))
        key = _text(body, "key")
        if session is not None and session.task_id == executor_id and hmac.compare_digest(session.key, key):
            try:
                session.heard(body)
            except binascii.Error as error:
                raise ValueError(str(error)) from error


def _number(body: Mapping[str, Any], key: str) -> int:
    value = body.get(key)
    if not isinstance(value, int):
        raise ValueError(f"{key} is no number")
    return value


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text")
    return value
