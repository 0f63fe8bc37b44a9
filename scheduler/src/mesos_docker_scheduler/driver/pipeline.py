"""Calls on their way to the master over one keep-alive connection, without sockets.

Requests are sent without waiting for the answers before them (HTTP pipelining; libprocess answers in order),
so that the round trip doesn't limit how many pass.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import orjson

from mesos_docker_scheduler.driver.call_times import CallTimes
from mesos_docker_scheduler.driver.calls import Call
from mesos_docker_scheduler.driver.endpoint import Endpoint
from mesos_docker_scheduler.driver.http_response import Response, ResponseParser
from mesos_docker_scheduler.errors import Error
from mesos_docker_scheduler.wording import printable

PATH = "/api/v1/scheduler"
CALL_SECONDS = 75.0  # docs/scheduler-http-api.md, "Network partitions"
MAX_IN_FLIGHT = 1000

_MAX_ERROR_TEXT = 1000


class CallFailed(Error):  # noqa: N818 - the name is part of the driver's interface
    """A call that was not accepted.

    `status` is the HTTP status of the refusal; None when no answer came, and the master may have acted on it.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


Failure = tuple[Call, CallFailed]


def encode_request(
    endpoint: Endpoint, message: dict[str, Any], authorization: str | None, stream_id: str | None
) -> bytes:
    """Build the bytes of one POST. TypeError: the message is not JSON."""
    return _with_length(_request_head(endpoint, authorization, stream_id), message)


def _request_head(endpoint: Endpoint, authorization: str | None, stream_id: str | None) -> bytes:
    """All of a request that is the same for each message to a master."""
    lines = [
        f"POST {PATH} HTTP/1.1",
        f"Host: {endpoint}",
        "Content-Type: application/json",
        "Accept: application/json",
    ]
    if stream_id is not None:
        lines.append(f"Mesos-Stream-Id: {stream_id}")
    if authorization is not None:
        lines.append(f"Authorization: {authorization}")
    return "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")


def _with_length(head: bytes, message: dict[str, Any]) -> bytes:
    body = orjson.dumps(message)
    return b"%s%d\r\n\r\n%s" % (head, len(body), body)


def error_text(response: Response) -> str:
    """Say what an unsuccessful response says, in one line."""
    text = printable(" ".join(bytes(response.body[:_MAX_ERROR_TEXT]).decode("utf-8", "replace").split()))
    return f"HTTP {response.status}: {text}" if text else f"HTTP {response.status}"


@dataclass(frozen=True)
class _Sent:
    call: Call
    at: float


class CallPipeline:
    """The calls of one subscription. `add` may run in any thread, everything else in the driver's.

    `now` is of one clock throughout, in seconds; `times` hears how long each answer took.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        framework_id: str,
        stream_id: str,
        authorization: str | None,
        times: CallTimes | None = None,
    ) -> None:
        self._times = times or CallTimes()
        self._framework_id = {"value": framework_id}
        self._head = _request_head(endpoint, authorization, stream_id)
        self._waiting: deque[tuple[Call, bytes]] = deque()
        self._sent: deque[_Sent] = deque()
        self._parser = ResponseParser()
        self._usual = b""
        self.stale = False  # an answer said that the master no longer knows this subscription
        self.torn_down = False  # the master has accepted TEARDOWN

    def add(self, call: Call) -> None:
        """Queue a call. TypeError: it can't be written as JSON."""
        self._waiting.append((call, _with_length(self._head, {**call, "framework_id": self._framework_id})))

    @property
    def has_waiting(self) -> bool:
        """Whether there is something to send."""
        return bool(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether every call has been answered."""
        return not self._waiting and not self._sent

    @property
    def awaits_teardown(self) -> bool:
        """Whether TEARDOWN was sent and not answered."""
        return any(sent.call["type"] == "TEARDOWN" for sent in self._sent)

    @property
    def deadline(self) -> float | None:
        """When the answer to the oldest call is overdue."""
        return self._sent[0].at + CALL_SECONDS if self._sent else None

    @property
    def queued(self) -> int:
        """How many calls have not been sent. Any thread may ask."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """How many calls were sent and not answered. Any thread may ask."""
        return len(self._sent)

    def take_requests(self, now: float, max_bytes: int) -> bytes:
        """Hand out the bytes to send next: at least one request if there is room for one more in flight."""
        taken: list[bytes] = []
        size = 0
        while self._waiting and len(self._sent) < MAX_IN_FLIGHT and size < max_bytes:
            call, data = self._waiting.popleft()
            self._sent.append(_Sent(call, now))
            taken.append(data)
            size += len(data)
        return b"".join(taken)

    def receive(self, data: bytes, now: float) -> tuple[list[Failure], bool]:
        """Take bytes of the answers that are here `now`.

        Returns the calls that were refused, and whether the connection can go on.
        ResponseError: this is not HTTP.
        """
        data, began = self._without_usual(data, now), self._parser.between
        failures: list[Failure] = []
        if not data:
            return failures, True
        responses = self._parser.feed(data)
        for response in responses:
            if not response.complete:
                continue
            if not self._sent:
                return failures, False  # an answer that nothing was asked for
            call = self._answered(now)
            if 200 <= response.status < 300:
                self.torn_down = self.torn_down or call["type"] == "TEARDOWN"
                continue
            failures.append((call, CallFailed(error_text(response), response.status)))
            # 307: another master leads. 403: "Framework is not subscribed", except to UPDATE_FRAMEWORK,
            # where it means that the new FrameworkInfo is not authorized (src/master/http.cpp).
            if response.status == 307 or (response.status == 403 and call["type"] != "UPDATE_FRAMEWORK"):
                self.stale = True
        if not failures and responses:
            self._learn_usual(data, responses[-1], began)
        return failures, self._parser.keep_alive

    def _answered(self, now: float) -> Call:
        """Take the oldest call that was sent: refused or not, this was its answer."""
        sent = self._sent.popleft()
        self._times.note(sent.call["type"], now - sent.at)
        return sent.call

    def _without_usual(self, data: bytes, now: float) -> bytes:
        """Take the answers at the beginning that are, byte by byte, what the master has answered before.

        Most calls are acknowledgements: to parse "202 Accepted" for each would double their cost here.
        """
        usual, position = self._usual, 0
        if usual and self._parser.between:
            while self._sent and data.startswith(usual, position):
                position += len(usual)
                call = self._answered(now)
                self.torn_down = self.torn_down or call["type"] == "TEARDOWN"
        return data[position:] if position else data

    def _learn_usual(self, data: bytes, last: Response, began: bool) -> None:
        """Note the last answer if `data` ends with all of its bytes, and it accepted without a body."""
        if not self._parser.between:
            return  # the beginning of the next answer is here, too
        start = data.rfind(b"HTTP/1.1 202 ")
        whole = data.startswith(b"\r\n\r\n", start - 4) if start >= 4 else start == 0 and began
        if whole and last.status == 202 and not last.body and self._parser.keep_alive:
            self._usual = data[start:]

    def connection_lost(self, reason: str) -> list[Failure]:
        """Give up the calls whose answers went with the connection; those not sent yet stay."""
        lost = [(sent.call, CallFailed(f"no answer: {reason}")) for sent in self._sent]
        self._sent.clear()
        self._parser = ResponseParser()
        return lost

    def abandon(self, reason: str) -> list[Failure]:
        """Give up every call."""
        lost = self.connection_lost(reason)
        while self._waiting:
            call, _ = self._waiting.popleft()
            lost.append((call, CallFailed(f"not sent: {reason}")))
        return lost
