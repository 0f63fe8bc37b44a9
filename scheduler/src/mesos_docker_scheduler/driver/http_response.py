"""HTTP responses out of bytes, without sockets."""

from __future__ import annotations

from dataclasses import dataclass, field

import httptools

_MAX_HEAD_BYTES = 64 * 1024


class ResponseError(ValueError):
    """The peer does not speak HTTP."""


@dataclass
class Response:
    """One response, filled as it arrives. `headers` has lower-case names; `body` holds what was not taken yet."""

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
        self._parser = httptools.HttpResponseParser(self)
        self._started: list[Response] = []
        self._current: Response | None = None
        self._head_bytes = 0
        self.keep_alive = True

    def feed(self, data: bytes) -> list[Response]:
        """Return the responses whose head or body grew with `data`, in their order.

        ResponseError: this is not HTTP.
        """
        if self._current is None or not self._current.status:
            self._head_bytes += len(data)
        self._started = [self._current] if self._current is not None and self._current.status else []
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ResponseError(f"not an HTTP response: {error} in {bytes(data[:80])!r}") from error
        if self._head_bytes > _MAX_HEAD_BYTES and not self._started:
            raise ResponseError(f"a response's head is larger than {_MAX_HEAD_BYTES} bytes")
        return self._started

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Begin a response."""
        self._current = Response()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        assert self._current is not None
        self._current.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Let the response be seen from here on."""
        assert self._current is not None
        self._current.status = self._parser.get_status_code()
        self._head_bytes = 0
        self._started.append(self._current)

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        assert self._current is not None
        self._current.body += data

    def on_message_complete(self) -> None:
        """End the response."""
        assert self._current is not None
        self._current.complete = True
        self.keep_alive = self._parser.should_keep_alive()
        self._current = None
