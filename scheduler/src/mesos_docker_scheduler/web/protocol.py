"""What one client may take of the server: so many connections, and so long for a request to arrive.

Who leaves requests half sent, or opens connections without end, keeps nobody out but himself.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_CONNECTIONS = 500
"""Of all clients."""
MOST_CONNECTIONS_OF_ONE_CLIENT = MOST_CONNECTIONS // 2
ARRIVAL_SECONDS = 10.0
"""For a request's head, and again for its body."""
MOST_HEAD_BYTES = 64 * 1024
"""Of a head whose end has not arrived."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes: int | None = None  # None: the head is complete, or has not begun

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """End it at once if its client has too many."""
        super().connection_made(transport)
        own = sum(_host(other) == _host(self) for other in self.connections)
        if own > MOST_CONNECTIONS_OF_ONE_CLIENT:
            transport.abort()
        else:
            self._expect_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.transport.abort()
        # What is no beginning of a request, such as an empty line, has ended uvicorn's own wait for one.
        if self._deadline is None and not self._is_answering():
            self._expect_more()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_bytes = 0
        if self._deadline is None and not self._is_answering():
            self._expect_more()

    def on_headers_complete(self) -> None:
        """Its body follows, if it has one."""
        super().on_headers_complete()
        self._head_bytes = None
        if self.pipeline:
            self._expect_nothing()  # it is not read before those before it are answered
        else:
            self._expect_more()

    def on_message_complete(self) -> None:
        """All of it is here. The answer may take as long as it likes."""
        super().on_message_complete()
        self._expect_nothing()

    def on_response_complete(self) -> None:
        """It is answered. The body of the next one is read on."""
        super().on_response_complete()
        if self._is_answering() and self.cycle.more_body:
            self._expect_more()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_more(self) -> None:
        self._expect_nothing()
        self._deadline = self.loop.call_later(ARRIVAL_SECONDS, self.transport.abort)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _host(connection: Any) -> str | None:
    return connection.client[0] if connection.client is not None else None
