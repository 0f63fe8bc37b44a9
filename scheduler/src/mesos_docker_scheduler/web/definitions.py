"""What is configured now, in the configuration's own words: what a new one is compared with.

An environment may hold anything, so reading it always needs a token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from mesos_docker_scheduler.observability.snapshot import ServiceView, Snapshot
from mesos_docker_scheduler.web import models
from mesos_docker_scheduler.web.callers import Callers
from mesos_docker_scheduler.web.queries import REFUSALS, json_answer


def router(snapshot: Callable[[], Snapshot], callers: Callers) -> APIRouter:
    """The route."""
    routes = APIRouter(responses=REFUSALS, dependencies=[Depends(callers.require("read"))])

    @routes.get("/v1/definitions", response_model=models.Definitions)
    async def definitions() -> Response:
        """Give the services as they are configured, secrets by the paths of their files."""
        return json_answer({"definitions": [_definition(view) for view in snapshot().services]})

    return routes


def _definition(view: ServiceView) -> dict[str, Any]:
    configured, rollout = view.desired.configured, view.desired.rollout
    stopped = rollout is not None and rollout.stopped and rollout.target == view.version
    return {
        "version": configured.version,
        "service": configured.model_dump(mode="json"),
        "wanted": view.wanted,
        "scaled": view.scaled_since is not None,
        "stopped": rollout.state if rollout is not None and stopped else None,
        "by_operator": rollout is not None and rollout.by_operator,
        "running": Counter(task.version for task in view.tasks if task.present and not task.stopping),
    }
