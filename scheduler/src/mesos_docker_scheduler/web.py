"""What the scheduler serves over HTTP: the status page, /healthz, /metrics and the API. Reading only."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import uvicorn
from jinja2 import Environment, PackageLoader, select_autoescape
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from mesos_docker_scheduler import __version__
from mesos_docker_scheduler.metrics import Metrics
from mesos_docker_scheduler.snapshot import ServiceView, Snapshot

_STUCK_SECONDS = 60.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def application(
    snapshot: Callable[[], Snapshot], alive_at: Callable[[], float], metrics: Metrics
) -> Starlette:
    """Make the application; `alive_at` is the monotonic time at which the controller last did a round."""
    templates = Environment(loader=PackageLoader("mesos_docker_scheduler"), autoescape=select_autoescape())
    templates.filters["clock"] = _clock
    templates.filters["age"] = _age
    page = templates.get_template("status.html")

    async def root(request: Request) -> Response:
        shown = snapshot()
        return HTMLResponse(page.render(status=shown, version=__version__, now=time.time()), headers=_HEADERS)

    async def healthz(request: Request) -> Response:
        shown = snapshot()
        stuck = time.monotonic() - alive_at() > _STUCK_SECONDS
        body = {"status": "stuck" if stuck else "ok", "connected": shown.connected, "problem": shown.problem}
        return JSONResponse(body, status_code=503 if stuck or shown.problem else 200, headers=_HEADERS)

    async def prometheus(request: Request) -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST, headers=_HEADERS)

    async def status(request: Request) -> Response:
        return JSONResponse(snapshot().as_json(), headers=_HEADERS)

    async def explain_all(request: Request) -> Response:
        services = {service.name: _explanation(service) for service in snapshot().services}
        return JSONResponse({"services": services}, headers=_HEADERS)

    async def explain(request: Request) -> Response:
        name = request.path_params["name"]
        services = {service.name: service for service in snapshot().services}
        if name not in services:
            known = ", ".join(services) or "none"
            error = f'service "{name}" is not in the configuration; its services: {known}'
            return JSONResponse({"error": error}, status_code=404, headers=_HEADERS)
        return JSONResponse(_explanation(services[name]), headers=_HEADERS)

    return Starlette(
        routes=[
            Route("/", root),
            Route("/healthz", healthz),
            Route("/metrics", prometheus),
            Route("/v1/status", status),
            Route("/v1/explain", explain_all),
            Route("/v1/explain/{name}", explain),
        ]
    )


class WebServer(threading.Thread):
    """Serves the application on a thread of its own. OSError when the address can't be used."""

    def __init__(self, app: Starlette, bind: str, port: int) -> None:
        super().__init__(name="web", daemon=True)
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        self._socket = socket.create_server((bind, port), family=family, backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", server_header=False)
        )

    def run(self) -> None:
        """Serve until `stop`."""
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def stop(self) -> None:
        """Answer what was asked and end."""
        self._server.should_exit = True
        self.join(5)


def _explanation(service: ServiceView) -> dict[str, Any]:
    return {
        "name": service.name,
        "wanted": service.wanted,
        "running": service.running,
        "staging": service.staging,
        "converged": service.converged,
        "reasons": [reason.as_json() for reason in service.reasons],
    }


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def _age(at: float, now: float) -> str:
    seconds = max(0, int(now - at))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
