"""The tokens: who has the role admin makes them, lists them and revokes them. What is made is shown once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import Response

from mesos_docker_scheduler.control.events import Command
from mesos_docker_scheduler.records.tokens import Token, digest, new_token
from mesos_docker_scheduler.web import models
from mesos_docker_scheduler.web.callers import Callers, caller_of
from mesos_docker_scheduler.web.commands import done
from mesos_docker_scheduler.web.queries import BAD_INPUT, NOT_FOUND, REFUSALS, json_answer
from mesos_docker_scheduler.wording import excerpt

_CHANGING: dict[int | str, dict[str, Any]] = {
    **BAD_INPUT,
    **NOT_FOUND,
    **{status: {"model": models.Error} for status in (409, 503)},
}

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_A_NAME = "at most 63 small letters, digits, dots, dashes and underscores"


def router(callers: Callers, ask: Callable[[Command], None]) -> APIRouter:
    """The routes."""
    routes = APIRouter(responses=REFUSALS, dependencies=[Depends(callers.require("admin"))])

    @routes.get("/v1/tokens", response_model=models.Tokens)
    async def tokens() -> Response:
        """List the tokens: whose they are, and what they may do."""
        return json_answer({"tokens": [_shown(token) for token in callers.tokens]})

    @routes.post(
        "/v1/tokens/{name}/create", status_code=201, response_model=models.NewToken, responses=_CHANGING
    )
    async def create(name: str, wish: models.TokenWish, request: Request) -> Response:
        """Make a token. Nobody can find out later what it is."""
        if not _NAME.fullmatch(name):
            raise HTTPException(400, f"name: {excerpt(name)} is not allowed; it must be {_A_NAME}")
        by, token = str(caller_of(request.scope)), new_token()
        kept = digest(token)
        await done(ask, lambda operations, now: operations.create_token(name, wish.role, kept, by, now))
        return json_answer({"name": name, "role": wish.role, "token": token}, 201)

    @routes.post("/v1/tokens/{name}/revoke", response_model=models.Nothing, responses=_CHANGING)
    async def revoke(name: str, request: Request, nothing: models.Nothing | None = None) -> Response:
        """Let nobody in with a token any more. Its sessions end."""
        by = str(caller_of(request.scope))
        await done(ask, lambda operations, now: operations.revoke_token(name, by, now))
        return json_answer({})

    return routes


def _shown(token: Token) -> dict[str, Any]:
    return {"name": token.name, "role": token.role, "since": token.since or None, "by": token.by}
