"""What is configured now, in the configuration's own words: what a new one is compared with.

An environment may hold anything, so reading it always needs the token.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Depends
from starlette.responses import Response

from mesos_docker_scheduler.observability.snapshot import Snapshot
from mesos_docker_scheduler.web import models
from mesos_docker_scheduler.web.access import TokenCheck
from mesos_docker_scheduler.web.reading import REFUSALS, json_answer


def router(snapshot: Callable[[], Snapshot], tokens: TokenCheck) -> APIRouter:
    """The route."""
    routes = APIRouter(responses=REFUSALS, dependencies=[Depends(tokens.required)])

    @routes.get("/v1/definitions", response_model=models.Definitions)
    async def definitions() -> Response:
        """Give the services as they are configured, secrets by the paths of their files."""
        configured = [view.wishes.configured for view in snapshot().services]
        listed = [{"version": one.version, "service": one.model_dump(mode="json")} for one in configured]
        return json_answer({"definitions": listed})

    return routes
