"""The web server's thread."""

from __future__ import annotations

import asyncio
import socket
import threading

import uvicorn

from mesos_docker_scheduler.web.access import Guard
from mesos_docker_scheduler.web.protocol import MOST_CONNECTIONS, LimitedProtocol

_STOP_SECONDS = 2


class WebServer(threading.Thread):
    """Serves the application on a thread of its own. OSError when the address can't be used."""

    def __init__(self, app: Guard, bind: str, port: int) -> None:
        super().__init__(name="web", daemon=True)
        self._end_streams = app.end_streams
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        self._socket = socket.create_server((bind, port), family=family, backlog=128)
        # asyncio does so only for sockets that name their protocol. Without it each small answer takes 40 ms.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
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
            )
        )

    def run(self) -> None:
        """Serve until `stop`."""
        asyncio.run(self._server.serve(sockets=[self._socket]))
        if not self._server.should_exit:
            raise RuntimeError("the web server has ended by itself")

    def stop(self) -> None:
        """Answer what was asked and end."""
        self._end_streams()
        self._server.should_exit = True
        self.join(2 * _STOP_SECONDS + 1)
