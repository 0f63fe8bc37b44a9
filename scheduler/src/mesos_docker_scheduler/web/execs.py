"""Commands in instances, and looks at these: who may change services may run commands, and read and write.

Only who has started a command gets at its session. It ends when its reader goes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import Response, StreamingResponse

from mesos_docker_scheduler.control.events import Command
from mesos_docker_scheduler.exec_sessions import (
    HEARTBEAT_SECONDS,
    Ended,
    ExecSession,
    ExecSessions,
    Output,
    SessionError,
    Terminal,
)
from mesos_docker_scheduler.records.tokens import Token
from mesos_docker_scheduler.web import models
from mesos_docker_scheduler.web.access import EXEC_PATH
from mesos_docker_scheduler.web.callers import Callers, caller_of
from mesos_docker_scheduler.web.commands import done
from mesos_docker_scheduler.web.queries import BAD_INPUT, NOT_FOUND, REFUSALS, json_answer
from mesos_docker_scheduler.web.streams import STREAM, Streams

_ROOM_SECONDS = 10.0
_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": models.Error}}


def router(
    ask: Callable[[Command], None], sessions: ExecSessions, streams: Streams, callers: Callers
) -> APIRouter:
    """The routes."""
    routes = APIRouter(
        responses={**REFUSALS, **BAD_INPUT, **NOT_FOUND, **_CONFLICT},
        dependencies=[Depends(callers.require("operate"))],
    )

    def found(session_id: str, request: Request) -> ExecSession:
        session = sessions.find(session_id, _owner(request))
        if session is None:
            raise HTTPException(404, "there is no such session, or no more, or it is another one's")
        return session

    async def begin(
        task_id: str, command: tuple[str, ...], wish: models.Attach, request: Request
    ) -> Response:
        by = str(caller_of(request.scope))
        asked = wish.terminal
        terminal = Terminal(asked.type, asked.rows, asked.columns) if asked is not None else None
        try:
            session = sessions.open(
                task_id, command, _owner(request), terminal=terminal, takes_input=wish.input
            )
        except SessionError as error:
            raise HTTPException(503, str(error)) from error
        try:
            await done(ask, lambda operations, now: operations.exec(task_id, command, by, now, session.start))
        except BaseException:
            sessions.close(session)
            raise
        return json_answer({"session": session.id}, 201)

    @routes.post("/v1/instances/{task_id}/exec", status_code=201, response_model=models.ExecSession)
    async def execute(task_id: str, wish: models.Exec, request: Request) -> Response:
        """Run a command in an instance; its output has to be read then."""
        return await begin(task_id, tuple(wish.command), wish, request)

    @routes.post("/v1/instances/{task_id}/attach", status_code=201, response_model=models.ExecSession)
    async def attach(task_id: str, request: Request, wish: models.Attach | None = None) -> Response:
        """Look at what an instance writes from now on, and give it input if it takes any."""
        return await begin(task_id, (), wish or models.Attach(), request)

    @routes.get(EXEC_PATH + "{session}/output", response_class=StreamingResponse, responses=STREAM)
    async def output(session: str, request: Request) -> Response:
        """Send what it writes: `{"stream": "stdout", "data": base64}`, and its end: `{"status": 0}`.

        It can be read once. The command ends with its reader.
        """
        one = found(session, request)
        if one.read:
            raise HTTPException(409, "its output is being read already, or was")
        caller = caller_of(request.scope)
        response = streams.response(
            request, _output(sessions, one, lambda: not streams.ended and callers.still(caller))
        )
        one.read = True
        return response

    @routes.post(EXEC_PATH + "{session}/input", response_model=models.Nothing)
    async def give(session: str, part: models.ExecInput, request: Request) -> Response:
        """Give it input."""
        one = found(session, request)
        data = base64.b64decode(part.data)
        deadline = asyncio.get_running_loop().time() + _ROOM_SECONDS
        try:
            while not one.give(part.offset, data, last=part.last):
                if asyncio.get_running_loop().time() > deadline:
                    raise HTTPException(503, "the command does not take its input; try again")
                await asyncio.sleep(0.02)
        except SessionError as error:
            raise HTTPException(409, str(error)) from error
        return json_answer({})

    @routes.post(EXEC_PATH + "{session}/resize", response_model=models.Nothing)
    async def resize(session: str, size: models.ExecSize, request: Request) -> Response:
        """Tell of its terminal's new size."""
        found(session, request).resize(size.rows, size.columns)
        return json_answer({})

    @routes.post(EXEC_PATH + "{session}/stop", response_model=models.Nothing)
    async def stop(session: str, request: Request, nothing: models.Nothing | None = None) -> Response:
        """End it."""
        found(session, request).stop()
        return json_answer({})

    return routes


def _owner(request: Request) -> Token | None:
    caller = caller_of(request.scope)
    return caller.token if caller is not None else None


async def _output(
    sessions: ExecSessions, session: ExecSession, goes_on: Callable[[], bool]
) -> AsyncIterator[bytes]:
    loop, news = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the server may be ending
            loop.call_soon_threadsafe(news.set)

    session.on_news = wake
    # Of its own: a reader that pauses holds this up, and is still there.
    beating = asyncio.create_task(_beat(session))
    told_at = loop.time()
    try:
        while goes_on():
            news.clear()
            while (one := session.take()) is not None:
                yield _message(one)
                if isinstance(one, Ended):
                    return
            if loop.time() >= told_at + HEARTBEAT_SECONDS:
                told_at = loop.time()
                yield b": \n\n"  # who does not read any more is noticed by it
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(news.wait(), 1.0)
    finally:
        beating.cancel()
        sessions.close(session)


async def _beat(session: ExecSession) -> None:
    while True:
        session.beat()
        await asyncio.sleep(HEARTBEAT_SECONDS)


def _message(one: Output | Ended) -> bytes:
    body: dict[str, Any]
    if isinstance(one, Output):
        body = {"stream": one.stream, "data": base64.b64encode(one.data).decode()}
    else:
        body = {"error": one.error} if one.error is not None else {"status": one.status}
    return b"data: %s\n\n" % orjson.dumps(body)
