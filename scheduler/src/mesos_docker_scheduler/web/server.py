"""The web server's thread."""

from __future__ import annotations

import asyncio
import functools
import socket
import threading

import uvicorn

from mesos_docker_scheduler.web.access import Guard
from mesos_docker_scheduler.web.certificate import Certificate
from mesos_docker_scheduler.web.protocol import ARRIVAL_SECONDS, MOST_CONNECTIONS, LimitedProtocol

_STOP_SECONDS = 2


def listen(bind: str, port: int) -> socket.socket:
    """Open the address for web servers, which may come one after the other. OSError when it can't be used."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    listener = socket.create_server((bind, port), family=family, backlog=128)
    # asyncio does so only for sockets that name their protocol. Without it each small answer takes 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class WebServer(threading.Thread):
    """Serves the application on a thread of its own. The listener stays open after it.

    With a certificate it speaks TLS, and nothing else.
    """

    def __init__(self, app: Guard, listener: socket.socket, certificate: Certificate | None = None) -> None:
        super().__init__(name="web", daemon=True)
        self._end_streams = app.end_streams
        self._socket = listener.dup()
        self.port: int = listener.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="on",
                server_header=False,
                proxy_headers=False,
                http=LimitedProtocol,
                ws="none",  # a library for them may be there; nothing here speaks it, and it knows no limits
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=_STOP_SECONDS,
                ssl_context_factory=(lambda *_: certificate.context) if certificate is not None else None,
            )
        )

    def run(self) -> None:
        """Serve until `stop`."""
        asyncio.run(self._serve())
        if not self._server.should_exit:
            raise RuntimeError("the web server has ended by itself")

    async def _serve(self) -> None:
        if self._server.config.is_ssl:
            # uvicorn has no setting for it, and asyncio's own is a minute.
            loop = asyncio.get_running_loop()
            create = functools.partial(loop.create_server, ssl_handshake_timeout=ARRIVAL_SECONDS)
            loop.create_server = create  # type: ignore[method-assign]
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Answer what was asked and end."""
        self._end_streams()
        self._server.should_exit = True
        self.join(2 * _STOP_SECONDS + 1)
