"""What comes by itself, as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, HTTPException, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mesos_docker_scheduler.observability.event_log import EventLog
from mesos_docker_scheduler.observability.snapshot import ServiceView, Snapshot
from mesos_docker_scheduler.records.store import Event
from mesos_docker_scheduler.web import models
from mesos_docker_scheduler.web.callers import Callers, address_of, caller_of
from mesos_docker_scheduler.web.queries import BAD_INPUT, REFUSALS

_LOOK_SECONDS = 0.5
_HEARTBEAT_SECONDS = 15.0
_MOST_STREAMS = 200
MOST_STREAMS_OF_ONE_CLIENT = _MOST_STREAMS // 2
_AT_ONCE = 500
_SHOWN_EVENTS = 50

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
    503: {"model": models.Error},
}


class Streams:
    """Those that are open: each holds a connection for as long as its reader likes, or until `end`."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self.ended = False

    def begin(self) -> None:
        """Let readers in: a server begins."""
        self.ended = False

    def end(self) -> None:
        """Have all end in a moment. Any thread may call this."""
        self.ended = True

    def response(self, request: Request, content: AsyncIterator[bytes]) -> Response:
        """Send this. HTTPException when too many are open, of all clients or of this one."""
        client = address_of(request.scope)
        if self._open.total() >= _MOST_STREAMS:
            raise HTTPException(503, f"{_MOST_STREAMS} streams are open already; try again later")
        if self._open[client] >= MOST_STREAMS_OF_ONE_CLIENT:
            raise HTTPException(
                429, f"{MOST_STREAMS_OF_ONE_CLIENT} streams of yours are open already; close some"
            )
        return StreamingResponse(self._counted(client, content), media_type="text/event-stream")

    async def _counted(self, client: str, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._open[client] += 1
        try:
            async for part in content:
                yield part
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]


def router(snapshot: Callable[[], Snapshot], log: EventLog, streams: Streams, callers: Callers) -> APIRouter:
    """The routes."""
    routes = APIRouter(responses={**REFUSALS, **BAD_INPUT})

    def goes_on(request: Request) -> Callable[[], bool]:
        """Whether there still is a server, and who asked may still read."""
        caller = caller_of(request.scope)
        return lambda: not streams.ended and callers.still(caller)

    @routes.get("/v1/events/stream", response_class=StreamingResponse, responses=STREAM)
    async def events(
        request: Request,
        after: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
        last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,18}$")] = None,
    ) -> Response:
        """Send events as they happen: from now on, or from an id on (Last-Event-ID, or `after`)."""
        start = int(last_event_id) if last_event_id is not None else after
        return streams.response(
            request, _events(log, log.newest_id if start is None else start, goes_on(request))
        )

    @routes.get("/v1/watch", response_class=StreamingResponse, responses=STREAM)
    async def watch(request: Request) -> Response:
        """Send the state of everything, then what changes of it, and events: what the status page shows."""
        return streams.response(request, _changes(snapshot, log, goes_on(request)))

    return routes


async def _events(log: EventLog, after: int, goes_on: Callable[[], bool]) -> AsyncIterator[bytes]:
    if after > log.newest_id:
        after = 0  # of a state that is no more: everything is new
    yield b"retry: 2000\n\n"
    beat = _Heartbeat()
    async for _ in _ticks(log, goes_on):
        while events := log.after(after, _AT_ONCE):
            after = events[-1].id
            yield b"".join(_message(event) for event in events)
            beat.restart()
        if beat.due:
            yield beat.take()


async def _ticks(log: EventLog, goes_on: Callable[[], bool]) -> AsyncIterator[None]:
    """Come up at once when there are new events, and twice a second, for as long as it goes on."""
    loop, new = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the server may be ending
            loop.call_soon_threadsafe(new.set)

    leave = log.listen(wake)
    try:
        while goes_on():
            new.clear()
            yield
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(new.wait(), _LOOK_SECONDS)
    finally:
        leave()


async def _changes(
    snapshot: Callable[[], Snapshot], log: EventLog, goes_on: Callable[[], bool]
) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    shown: dict[str, ServiceView] = {}
    before: Snapshot | None = None
    beat = _Heartbeat()
    latest = log.latest(_SHOWN_EVENTS)
    seen = latest[-1].id if latest else log.newest_id
    yield b"".join(_message(event) for event in latest)
    while goes_on():
        now = snapshot()
        if now is not before:
            yield _difference(now, shown, full=before is None)
            shown = {service.name: service for service in now.services}
            before = now
            beat.restart()
        events = log.after(seen, _AT_ONCE)
        if events:
            seen = events[-1].id
            yield b"".join(_message(event) for event in events)
            beat.restart()
        if beat.due:
            yield beat.take()
        await asyncio.sleep(_LOOK_SECONDS)


class _Heartbeat:
    """Says when a stream has been silent for so long that its reader may think it dead."""

    def __init__(self) -> None:
        self._at = time.monotonic() + _HEARTBEAT_SECONDS

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._at

    def restart(self) -> None:
        self._at = time.monotonic() + _HEARTBEAT_SECONDS

    def take(self) -> bytes:
        """A comment, which readers ignore."""
        self.restart()
        return b": \n\n"


def _difference(now: Snapshot, shown: dict[str, ServiceView], *, full: bool) -> bytes:
    """A message of type `state`: the services that have changed since `shown`, and those that are gone."""
    changed = [service.summary_json for service in now.services if shown.get(service.name) is not service]
    names = [service.name for service in now.services]
    head = {
        "at": now.at,
        "framework_id": now.framework_id,
        "connected": now.connected,
        "master": now.master,
        "problem": now.problem,
        "leads": now.leads,
        "leader": now.leader,
        "config": now.config,
        "full": full,
        "gone": sorted(shown.keys() - set(names)),
    }
    body = orjson.dumps(head)[:-1] + b',"services":[%s]}' % b",".join(changed)
    return b"event: state\ndata: %s\n\n" % body


def _message(event: Event) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (event.id, orjson.dumps(event))
