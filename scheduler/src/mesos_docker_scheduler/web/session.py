"""Logging in and out of the page, without keeping the token in the browser."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from mesos_docker_scheduler.web import models
from mesos_docker_scheduler.web.callers import (
    COOKIE,
    Caller,
    Callers,
    address_of,
    caller_of,
    note_caller,
    session_secret,
)
from mesos_docker_scheduler.web.queries import BAD_INPUT, REFUSALS, json_answer


def router(callers: Callers) -> APIRouter:
    """The routes."""
    routes = APIRouter(responses={**REFUSALS, **BAD_INPUT})

    @routes.get("/v1/session", response_model=models.Caller)
    async def session(request: Request) -> Response:
        """Say who asks, by his token or his session; nulls for nobody."""
        return json_answer(_shown(caller_of(request.scope)))

    @routes.post("/v1/session/begin", response_model=models.Caller)
    async def log_in(login: models.Login, request: Request) -> Response:
        """Begin a session: the cookie of the answer stands for the token from now on.

        It ends after 30 minutes without use, after 12 hours, by `end`, and with the token or the
        scheduler.
        """
        caller = callers.by_token(login.token.strip(), address_of(request.scope))
        if not isinstance(caller, Caller):
            raise HTTPException(*caller)
        _end(callers, request)
        note_caller(request.scope, caller)
        answer = json_answer(_shown(caller))
        # A proxy may speak TLS for us: then the browser says so.
        over_tls = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
        answer.set_cookie(
            COOKIE,
            callers.sessions.begin(caller.token, caller.address),
            httponly=True,
            samesite="strict",
            secure=over_tls,
        )
        return answer

    @routes.post("/v1/session/end", response_model=models.Nothing)
    async def log_out(request: Request, nothing: models.Nothing | None = None) -> Response:
        """End the session, if there is one."""
        _end(callers, request)
        answer = json_answer({})
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return routes


def _end(callers: Callers, request: Request) -> None:
    secret = session_secret(request.headers)
    if secret is not None:
        callers.sessions.end(secret)


def _shown(caller: Caller | None) -> dict[str, Any]:
    if caller is None:
        return {"name": None, "role": None}
    return {"name": caller.token.name, "role": caller.token.role}
