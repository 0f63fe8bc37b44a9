"""The web application: its parts, and how errors are told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from mesos_docker_scheduler import __version__
from mesos_docker_scheduler.clock import SteadyClock
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.operations import NotLeadingError
from mesos_docker_scheduler.exec_sessions import ExecSessions
from mesos_docker_scheduler.observability.event_log import EventLog
from mesos_docker_scheduler.observability.history import History
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.observability.snapshot import Snapshot
from mesos_docker_scheduler.records.tokens import Token
from mesos_docker_scheduler.sandbox import Sandboxes
from mesos_docker_scheduler.web import (
    commands,
    definitions,
    execs,
    history,
    logs,
    queries,
    session,
    streams,
    tokens,
)
from mesos_docker_scheduler.web.access import Access, Guard
from mesos_docker_scheduler.web.callers import Callers
from mesos_docker_scheduler.web.errors import input_error

logger = logging.getLogger(__name__)

_STATIC = Path(__file__).with_name("static")
_DESCRIPTION = """\
Reads what the scheduler does, and changes what it should do.

Changes need a token with the role operate: `Authorization: Bearer TOKEN`. Those of a service need its
revision as well, in `If-Match`, as the service's ETag gives it (or `*` for any), so that nobody overwrites
what he has not seen.

What is changed here holds until the configuration says something new of the same service, or until `reset`.
"""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the application shows, and where it hands requests on.

    `tokens`: those that were made over the API; None: they are not known yet.

    `alive_at`: the monotonic time at which the controller last did a round. `put` hands it an event.
    """

    snapshot: Callable[[], Snapshot]
    alive_at: Callable[[], float]
    log: EventLog
    metrics: Metrics
    put: Callable[[events.Command | events.ThreadEnded], None]
    sandboxes: Sandboxes
    execs: ExecSessions
    tokens: Callable[[], tuple[Token, ...] | None]


def application(sources: Sources, access: Access) -> Guard:
    """Make the application."""
    figures, open_streams, callers = History(), streams.Streams(), Callers(access.token, sources.tokens)
    app = FastAPI(
        title="mesos-docker-scheduler",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its page needs scripts from elsewhere
        redoc_url=None,
        lifespan=lambda _: _served(figures, sources, open_streams),
    )
    app.include_router(queries.router(sources.snapshot, sources.alive_at, sources.log, sources.metrics))
    app.include_router(commands.router(sources.snapshot, sources.put))
    app.include_router(definitions.router(sources.snapshot, callers))
    app.include_router(logs.router(sources.snapshot, sources.sandboxes, callers))
    app.include_router(execs.router(sources.put, sources.execs, open_streams, callers))
    app.include_router(streams.router(sources.snapshot, sources.log, open_streams, callers))
    app.include_router(session.router(callers))
    app.include_router(tokens.router(callers, sources.put))
    app.include_router(history.router(sources.snapshot, figures))
    app.mount("/static", StaticFiles(directory=_STATIC))
    app.add_exception_handler(HTTPException, _told)
    app.add_exception_handler(RequestValidationError, _input_told)
    app.add_exception_handler(NotLeadingError, _sent_to_the_leader)

    async def page(request: Request) -> Response:
        return FileResponse(_STATIC / "page.html")

    # A service's page has an address of its own, so that it can be linked to.
    for path in ("/", "/services/{name}"):
        app.add_api_route(path, page, include_in_schema=False)
    return Guard(app, access, callers, end_streams=open_streams.end)


@contextlib.asynccontextmanager
async def _served(figures: History, sources: Sources, open_streams: streams.Streams) -> AsyncIterator[None]:
    """Take samples, and have streams, for as long as the application is served."""
    open_streams.begin()
    sampling = asyncio.create_task(figures.keep(sources.snapshot, sources.log, SteadyClock()))
    sampling.add_done_callback(partial(_tell_of_end, sources))
    try:
        yield
    finally:
        sampling.cancel()


def _tell_of_end(sources: Sources, sampling: asyncio.Task[None]) -> None:
    error = None if sampling.cancelled() else sampling.exception()
    if error is not None:
        logger.critical("No samples are taken any more", exc_info=error)
        sources.put(events.ThreadEnded("samples", type(error).__name__))


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these
    return queries.json_answer({"error": str(error.detail)}, error.status_code, error.headers)


async def _sent_to_the_leader(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotLeadingError)  # noqa: S101
    if error.leader is None or error.leader.url is None:
        return queries.json_answer({"error": str(error)}, 503)
    query = f"?{request.url.query}" if request.url.query else ""
    place = f"{error.leader.url}{request.url.path}{query}"
    return queries.json_answer({"error": f"{error}; ask {place}"}, 307, {"Location": place})


async def _input_told(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    status, text = input_error(error)
    return queries.json_answer({"error": text}, status)
