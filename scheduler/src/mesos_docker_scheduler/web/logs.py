"""What instances have written. It may hold anything, so reading it always needs a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from starlette.responses import Response

from mesos_docker_scheduler.observability.snapshot import Snapshot
from mesos_docker_scheduler.records.tasks import Task
from mesos_docker_scheduler.sandbox import MOST_BYTES, File, SandboxError, Sandboxes
from mesos_docker_scheduler.web import models
from mesos_docker_scheduler.web.callers import Callers
from mesos_docker_scheduler.web.queries import BAD_INPUT, NOT_FOUND, REFUSALS, json_answer


def router(snapshot: Callable[[], Snapshot], sandboxes: Sandboxes, callers: Callers) -> APIRouter:
    """The route."""
    routes = APIRouter(
        responses={**REFUSALS, **BAD_INPUT, **NOT_FOUND, 502: {"model": models.Error}},
        dependencies=[Depends(callers.require("read"))],
    )

    @routes.get("/v1/instances/{task_id}/log", response_model=models.Log)
    async def log(
        task_id: str,
        file: File = "stdout",
        offset: Annotated[int | None, Query(ge=0, le=2**53)] = None,
        length: Annotated[int, Query(ge=1, le=MOST_BYTES)] = MOST_BYTES,
    ) -> Response:
        """Read an instance's output from an offset on; without one, the last of it."""
        shown = snapshot()
        task = _task(shown, task_id)
        agent = shown.agents.get(task.agent_id)
        if agent is None or agent.url is None or shown.framework_id is None:
            raise HTTPException(
                502, f"it is not known where slave {task.agent_id} is: it has offered nothing"
            )
        try:
            part = await sandboxes.read(agent.url, shown.framework_id, task_id, file, offset, length)
        except SandboxError as error:
            raise HTTPException(404 if error.missing else 502, str(error)) from error
        return json_answer(part)

    return routes


def _task(snapshot: Snapshot, task_id: str) -> Task:
    for service in snapshot.services:
        for task in service.tasks:
            if task.id == task_id:
                return task
    raise HTTPException(404, f'no instance "{task_id}" is on record')
