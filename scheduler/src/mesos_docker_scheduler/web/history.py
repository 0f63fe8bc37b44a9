"""What can be read of the last hour: the samples that the status page draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from mesos_docker_scheduler.observability.history import EVERY_SECONDS, History
from mesos_docker_scheduler.observability.snapshot import Snapshot
from mesos_docker_scheduler.web import models
from mesos_docker_scheduler.web.queries import BAD_INPUT, NOT_FOUND, REFUSALS, found, json_answer


def router(snapshot: Callable[[], Snapshot], history: History) -> APIRouter:
    """The route."""
    routes = APIRouter(responses={**REFUSALS, **BAD_INPUT, **NOT_FOUND})

    @routes.get("/v1/history", response_model=models.History)
    async def samples(
        service: str | None = None, after: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0
    ) -> Response:
        """Give the samples of the last hour, of one service or of all together, or those after a time."""
        if service is not None:
            found(snapshot(), service)
        return json_answer({"every_seconds": EVERY_SECONDS, **asdict(history.series(service, after))})

    return routes
