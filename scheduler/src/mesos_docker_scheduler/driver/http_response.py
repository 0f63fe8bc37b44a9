"""HTTP responses out of bytes, without sockets."""

from __future__ import annotations

from dataclasses import dataclass, field

import httptools

from mesos_docker_scheduler.errors import Error

_MAX_HEAD_BYTES = 64 * 1024


class ResponseError(Error, ValueError):
    """The peer does not speak HTTP."""


@dataclass
class Response:
    """One response, filled as it arrives: lower-case header names, and what was not taken of the body."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False

    def take_body(self) -> bytes:
        """Hand out the part of the body that arrived since the last call."""
        body = bytes(self.body)
        self.body.clear()
        return body


class ResponseParser:
    """Parses the responses of one connection, several in a row (pipelining) included."""

    def __init__(self) -> None:
        self.keep_alive = True  # whether the last complete response leaves the connection usable
        self._parser = httptools.HttpResponseParser(self)
        self._current = Response()
        self._grown: list[Response] = []
        self._head_bytes = 0

    @property
    def between(self) -> bool:
        """Whether the last response is complete and nothing of the next has come."""
        return self._current.complete

    def feed(self, data: bytes) -> list[Response]:
        """Return the responses whose head or body grew with `data`, in their order.

        ResponseError: this is not HTTP.
        """
        in_body = self._current.status != 0 and not self._current.complete
        self._head_bytes = 0 if in_body else self._head_bytes + len(data)
        self._grown = [self._current] if in_body else []
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ResponseError(f"it does not speak HTTP: {error} at {bytes(data[:80])!r}") from error
        if self._grown:
            self._head_bytes = 0
        elif self._head_bytes > _MAX_HEAD_BYTES:
            raise ResponseError(f"the head of its response is larger than {_MAX_HEAD_BYTES} bytes")
        return self._grown

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Begin a response."""
        self._current = Response()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._current.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Let the response be seen from here on."""
        self._current.status = self._parser.get_status_code()
        self._grown.append(self._current)

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self._current.body += data

    def on_message_complete(self) -> None:
        """End the response."""
        self._current.complete = True
        self.keep_alive = self._parser.should_keep_alive()
