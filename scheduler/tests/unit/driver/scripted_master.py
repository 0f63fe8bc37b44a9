"""A master that says what a test wants it to say, over real sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FRAMEWORK_ID = "f-1"
STREAM_ID = "stream-{}"


@dataclass(frozen=True)
class Answer:
    """What to answer to a request. `silent` reads on without answering, `hang_up` closes the connection."""

    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    silent: bool = False
    hang_up: bool = False
    delay: float = 0.0

    def encode(self) -> bytes:
        headers = {"Content-Length": str(len(self.body.encode())), **self.headers}
        lines = [f"HTTP/1.1 {self.status} Reason", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join([*lines, "", ""]) + self.body).encode()


TAKE_IN = Answer(200)
ACCEPTED = Answer(202)


@dataclass(frozen=True)
class Request:
    """A request as it came in."""

    call: dict[str, Any]
    headers: dict[str, str]
    connection: int
    at: float

    @property
    def type(self) -> str:
        return str(self.call.get("type"))


class ScriptedMaster:
    """Answers SUBSCRIBE with SUBSCRIBED and every other call with 202, unless told otherwise.

    answer: decides what a request gets; TAKE_IN for SUBSCRIBE opens an event stream.
    heartbeat_seconds: the interval that SUBSCRIBED promises; heartbeats come only when a test sends them.
    subscribed: whether the stream begins with SUBSCRIBED.
    """

    def __init__(
        self,
        answer: Callable[[Request], Answer] | None = None,
        *,
        family: socket.AddressFamily = socket.AF_INET,
        tls: ssl.SSLContext | None = None,
        heartbeat_seconds: float = 15.0,
        subscribed: bool = True,
        version: str = "1.11.0",
    ) -> None:
        self.answer = answer or self._usual_answer
        self.requests: list[Request] = []
        self._heartbeat_seconds = heartbeat_seconds
        self._subscribed = subscribed
        self._version = version
        self._tls = tls
        self._changed = threading.Condition()
        self._connections: list[socket.socket] = []
        self._streams: list[socket.socket] = []
        self._closing = False
        self._listener = socket.create_server(
            ("::1" if family is socket.AF_INET6 else "127.0.0.1", 0), family=family, backlog=100
        )
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @staticmethod
    def _usual_answer(request: Request) -> Answer:
        return TAKE_IN if request.type == "SUBSCRIBE" else ACCEPTED

    # What a test does

    def __enter__(self) -> ScriptedMaster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Vanish, as a process that was killed."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Close every connection."""
        with self._changed:
            connections, self._connections, self._streams = self._connections, [], []
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def drop_streams(self) -> None:
        """Close the event streams alone."""
        with self._changed:
            streams, self._streams = self._streams, []
        for stream in streams:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)

    def send(self, event: dict[str, Any] | bytes) -> None:
        """Send an event on the newest stream; bytes are sent as one record as they are."""
        self.send_raw(record(event))

    def send_raw(self, data: bytes) -> None:
        """Send bytes on the newest stream as one HTTP chunk."""
        self.wait_for(lambda: bool(self._streams), "a subscription")
        self._streams[-1].sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def calls(self, kind: str) -> list[Request]:
        """Return the requests of one type so far."""
        with self._changed:
            return [request for request in self.requests if request.type == kind]

    def wait_for_calls(self, kind: str, count: int = 1, seconds: float = 10.0) -> list[Request]:
        """Wait until so many requests of a type have come."""
        self.wait_for(lambda: len(self.calls(kind)) >= count, f"{count} {kind}", seconds)
        return self.calls(kind)

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise TimeoutError(
                    f"waited {seconds} s for {what}; got {[r.type for r in self.requests][-20:]}"
                )

    # The server

    def _accept(self) -> None:
        number = 0
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            number += 1
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with self._changed:
                self._connections.append(connection)
            self._serve_requests(connection, number)
        connection.close()

    def _serve_requests(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as reader:
            while request := _read_request(reader, number):
                with self._changed:
                    self.requests.append(request)
                    self._changed.notify_all()
                if request.call == {}:  # GET /version, by pymesos
                    connection.sendall(Answer(200, body=json.dumps({"version": self._version})).encode())
                    continue
                answer = self.answer(request)
                time.sleep(answer.delay)
                if answer.hang_up:
                    return
                if answer.silent:
                    continue
                if request.type == "SUBSCRIBE" and answer.status == 200:
                    self._open_stream(connection, answer)
                else:
                    connection.sendall(answer.encode())

    def _open_stream(self, connection: socket.socket, answer: Answer) -> None:
        stream_id = STREAM_ID.format(len(self.calls("SUBSCRIBE")))
        headers = {"Content-Type": "application/json", "Mesos-Stream-Id": stream_id, **answer.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        opening = f"HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode()
        if self._subscribed:
            data = record(subscribed_event(self._heartbeat_seconds))
            opening += b"%x\r\n%s\r\n" % (len(data), data)
        # In one step: who has heard of the stream may ask at once for its end.
        with self._changed:
            connection.sendall(opening)
            self._streams.append(connection)
            self._changed.notify_all()


def subscribed_event(heartbeat_seconds: float = 15.0) -> dict[str, Any]:
    """SUBSCRIBED as Mesos 1.11 sends it, shortened."""
    return {
        "type": "SUBSCRIBED",
        "subscribed": {
            "framework_id": {"value": FRAMEWORK_ID},
            "heartbeat_interval_seconds": heartbeat_seconds,
            "master_info": {"id": "m-1", "hostname": "master.example", "port": 5050, "version": "1.11.0"},
        },
    }


def record(event: dict[str, Any] | bytes) -> bytes:
    """Frame an event as RecordIO."""
    data = event if isinstance(event, bytes) else json.dumps(event).encode()
    return b"%d\n%s" % (len(data), data)


def _read_request(reader: Any, connection: int) -> Request | None:
    line = reader.readline()
    if not line:
        return None
    headers: dict[str, str] = {}
    while (header := reader.readline().strip()) != b"":
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", "0")))
    return Request(json.loads(body) if body else {}, headers, connection, time.monotonic())
