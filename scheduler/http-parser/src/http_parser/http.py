"""An incremental parser of one HTTP response, with the interface of the original http-parser."""

from __future__ import annotations

import httptools


class HttpParser:
    """Parses one HTTP response that arrives in pieces.

    Header names keep the spelling of the peer. `recv_body()` hands out each byte of the de-chunked body once.
    """

    def __init__(self) -> None:
        self._headers: dict[str, str] = {}
        self._headers_complete = False
        self._message_complete = False
        self._body = bytearray()
        self._failed = False
        self._parser = httptools.HttpResponseParser(self)

    def execute(self, data: bytes, length: int) -> int:
        """Parse the first `length` bytes of `data`; return `length`, or 0 when they are not HTTP."""
        if self._failed:
            return 0
        try:
            self._parser.feed_data(data[:length])
        except httptools.HttpParserError:
            self._failed = True
            return 0
        return length

    def get_errno(self) -> int:
        """0, or 1 after bytes that are not HTTP."""
        return int(self._failed)

    def get_status_code(self) -> int:
        """The response's status, 0 before its first line is complete."""
        return self._parser.get_status_code() if self._headers_complete else 0

    def get_headers(self) -> dict[str, str]:
        """The headers so far."""
        return dict(self._headers)

    def is_headers_complete(self) -> bool:
        """Whether the empty line after the headers has been read."""
        return self._headers_complete

    def is_message_complete(self) -> bool:
        """Whether the response has ended."""
        return self._message_complete

    def is_partial_body(self) -> bool:
        """Whether `recv_body()` has something to give."""
        return bool(self._body)

    def is_chunked(self) -> bool:
        """Whether the body's length is not known beforehand."""
        return self._headers_complete and any(
            name.lower() == "transfer-encoding" and "chunked" in value.lower()
            for name, value in self._headers.items()
        )

    def recv_body(self) -> bytes:
        """Take what of the body has arrived since the last call."""
        body = bytes(self._body)
        self._body.clear()
        return body

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers[name.decode("latin-1")] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note the end of the headers."""
        self._headers_complete = True

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self._body += data

    def on_message_complete(self) -> None:
        """Note the end of the response."""
        self._message_complete = True
