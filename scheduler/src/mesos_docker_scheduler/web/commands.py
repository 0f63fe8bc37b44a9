"""What can be changed. Each request is carried out by the controller, and answered once it is durable."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request
from starlette.responses import Response

from mesos_docker_scheduler.control.events import Command
from mesos_docker_scheduler.control.operations import (
    ChangedError,
    NotFoundError,
    NotLeadingError,
    Operations,
    RefusedError,
)
from mesos_docker_scheduler.observability.snapshot import Snapshot
from mesos_docker_scheduler.web import models
from mesos_docker_scheduler.web.callers import caller_of
from mesos_docker_scheduler.web.queries import BAD_INPUT, NOT_FOUND, REFUSALS, etag, found, json_answer

_PATIENCE_SECONDS = 10.0
_CHANGING: dict[int | str, dict[str, Any]] = {
    **BAD_INPUT,
    **NOT_FOUND,
    **{status: {"model": models.Error} for status in (409, 412, 428, 503)},
}

_STATUSES: dict[type[Exception], int] = {NotFoundError: 404, RefusedError: 409, ChangedError: 412}

Operation = Callable[[Operations, float], None]
IfMatch = Annotated[
    str,
    Header(alias="If-Match", description="the revision that was seen, as in the service's ETag; * for any"),
]


def router(snapshot: Callable[[], Snapshot], ask: Callable[[Command], None]) -> APIRouter:
    """The routes."""
    routes = APIRouter(responses={**REFUSALS, **_CHANGING})

    async def change(
        request: Request, name: str, if_match: str, operate: Callable[[Operations, str, float], None]
    ) -> Response:
        revision, by = _revision(if_match), str(caller_of(request.scope))

        def execute(operations: Operations, now: float) -> None:
            if revision is not None:
                operations.expect(name, revision)
            operate(operations, by, now)

        await done(ask, execute)
        view = found(snapshot(), name)
        return json_answer(view.summary(), headers=etag(view))

    @routes.post("/v1/services/{name}/scale", response_model=models.ServiceSummary)
    async def scale(name: str, wish: models.Scale, request: Request, if_match: IfMatch) -> Response:
        """Run so many instances, until the configuration's count changes or `reset`."""
        return await change(
            request, name, if_match, lambda operations, by, now: operations.scale(name, wish.count, by, now)
        )

    def verb(path: str, operate: Callable[[Operations, str, str, float], None], text: str) -> None:
        async def endpoint(
            name: str, request: Request, if_match: IfMatch, nothing: models.Nothing | None = None
        ) -> Response:
            return await change(
                request, name, if_match, lambda operations, by, now: operate(operations, name, by, now)
            )

        routes.add_api_route(
            f"/v1/services/{{name}}/{path}",
            endpoint,
            methods=["POST"],
            name=path,
            description=text,
            response_model=models.ServiceSummary,
        )

    verb("reset", Operations.reset, "Run what the configuration says again, in count and version.")
    verb("restart", Operations.restart, "Replace all instances, within the limits of an update.")
    verb("pause", Operations.pause, "Stop an update where it is.")
    verb("resume", Operations.resume, "Go on with an update that was paused, rolled back or has failed.")
    verb("rollback", Operations.roll_back, "Return to the version before.")
    verb("reset-backoff", Operations.forget_failures, "Try again at once what waits because it failed.")

    @routes.post("/v1/instances/{task_id}/kill", status_code=202, response_model=models.Nothing)
    async def kill(task_id: str, request: Request, wish: models.Kill | None = None) -> Response:
        """Stop one instance; another takes its place, unless its service is to run one fewer."""
        by, scale = str(caller_of(request.scope)), wish is not None and wish.scale
        await done(ask, lambda operations, now: operations.kill(task_id, by, now, scale=scale))
        return json_answer({}, 202)

    @routes.post("/v1/step-down", status_code=202, response_model=models.Nothing)
    async def step_down(request: Request, nothing: models.Nothing | None = None) -> Response:
        """Have another scheduler lead."""
        by = str(caller_of(request.scope))
        await done(ask, lambda operations, now: operations.step_down(by, now))
        return json_answer({}, 202)

    return routes


async def done(ask: Callable[[Command], None], execute: Operation) -> None:
    """Have the controller do it. HTTPException says why it does not."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Exception | None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if not answer.done():
            answer.set_result(error)

    def reply(error: Exception | None) -> None:
        with contextlib.suppress(RuntimeError):  # the server may be ending
            loop.call_soon_threadsafe(settle, error)

    ask(Command(execute, reply))
    try:
        error = await asyncio.wait_for(answer, _PATIENCE_SECONDS)
    except asyncio.TimeoutError:  # the builtin one, from Python 3.11 on
        text = "it is not known yet whether this could be written down; look at the status"
        raise HTTPException(503, text) from None
    if isinstance(error, NotLeadingError):
        raise error
    if error is not None:
        raise HTTPException(_STATUSES.get(type(error), 503), str(error))


def _revision(if_match: str) -> str | None:
    """The revision that is expected; None: any."""
    return None if if_match.strip() == "*" else if_match.strip().strip('"')
