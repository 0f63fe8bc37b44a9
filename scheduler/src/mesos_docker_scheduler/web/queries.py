"""What can be read. Everything comes from immutable snapshots: reading costs the controller nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, HTTPException, Query
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from mesos_docker_scheduler.observability.event_log import EventLog
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.observability.snapshot import ServiceView, Snapshot
from mesos_docker_scheduler.web import models

STUCK_SECONDS = 60.0
_MOST_EVENTS = 1_000

NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": models.Error}}
BAD_INPUT: dict[int | str, dict[str, Any]] = {400: {"model": models.Error}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": models.Error} for status in (401, 403, 413, 421, 429, 503)
}


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON that was checked when it was made: bytes are its text already."""
    text = body if isinstance(body, bytes) else orjson.dumps(body)
    return Response(text, status, headers, "application/json")


def services_of(snapshot: Snapshot) -> tuple[ServiceView, ...]:
    """The services. HTTPException 503 while it is not known what runs: an empty list would be wrong."""
    if not snapshot.known:
        raise HTTPException(503, f"it is not known what runs: {snapshot.problem}")
    return snapshot.services


def found(snapshot: Snapshot, name: str) -> ServiceView:
    """The service of this name. HTTPException 404 names those that there are."""
    for service in services_of(snapshot):
        if service.name == name:
            return service
    known = ", ".join(islice((service.name for service in snapshot.services), 20)) or "none"
    more = ", ..." if len(snapshot.services) > 20 else ""
    raise HTTPException(404, f'service "{name}" is not in the configuration; its services: {known}{more}')


def etag(service: ServiceView) -> dict[str, str]:
    """The header that names what is asked of a service."""
    return {"ETag": f'"{service.revision}"'}


def router(
    snapshot: Callable[[], Snapshot], alive_at: Callable[[], float], log: EventLog, metrics: Metrics
) -> APIRouter:
    """The routes."""
    routes = APIRouter(responses=REFUSALS)

    @routes.get("/healthz", response_model=models.Health, responses={503: {"model": models.Health}})
    async def healthz() -> Response:
        """Tell whether the scheduler works; 503 when it does not."""
        shown = snapshot()
        stuck = time.monotonic() - alive_at() > STUCK_SECONDS
        problem = shown.problem or shown.broken
        body = {"status": "stuck" if stuck else "ok", "connected": shown.connected, "problem": problem}
        return json_answer(body, 503 if stuck or problem else 200)

    @routes.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus() -> Response:
        """Give the metrics, for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @routes.get("/v1/status", response_model=models.Status, responses=BAD_INPUT)
    async def status(instances: bool = True) -> Response:
        """Give everything at one moment; instances only if they are asked for."""
        return json_answer(snapshot().json(instances=instances))

    @routes.get("/v1/services", response_model=models.Services)
    async def services() -> Response:
        """List the services."""
        texts = (view.summary_json for view in services_of(snapshot()))
        return json_answer(b'{"services":[%s]}' % b",".join(texts))

    @routes.get("/v1/services/{name}", response_model=models.Service, responses=NOT_FOUND)
    async def service(name: str) -> Response:
        """Give one service with its instances; the ETag is its revision."""
        view = found(snapshot(), name)
        return json_answer(view.json, headers=etag(view))

    @routes.get("/v1/services/{name}/instances", response_model=models.Instances, responses=NOT_FOUND)
    async def instances_of(name: str) -> Response:
        """List the instances of one service, with addresses and ports for a load balancer."""
        return _instances([found(snapshot(), name)])

    @routes.get("/v1/instances", response_model=models.Instances)
    async def instances() -> Response:
        """List the instances of all services."""
        return _instances(services_of(snapshot()))

    @routes.get("/v1/agents", response_model=models.Agents)
    async def agents() -> Response:
        """List the agents that have offered something or run something of ours."""
        return json_answer({"agents": _agents(snapshot())})

    @routes.get("/v1/events", response_model=models.Events, responses=BAD_INPUT)
    async def events(
        after: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST_EVENTS)] = 100,
        service: str | None = None,
    ) -> Response:
        """List events, the oldest first: the latest ones, or those after an id."""
        chosen = log.latest(limit, service) if after is None else log.after(after, limit, service)
        return json_answer({"events": chosen})

    @routes.get("/v1/explain", response_model=models.Explanations)
    async def explain_all() -> Response:
        """Say why what is missing is missing, of all services."""
        return json_answer({"services": {view.name: _explanation(view) for view in services_of(snapshot())}})

    @routes.get("/v1/explain/{name}", response_model=models.Explanation, responses=NOT_FOUND)
    async def explain(name: str) -> Response:
        """Say why what is missing of a service is missing."""
        return json_answer(_explanation(found(snapshot(), name)))

    return routes


def _instances(services: Iterable[ServiceView]) -> Response:
    texts = filter(None, (service.instances_json for service in services))
    return json_answer(b'{"instances":[%s]}' % b",".join(texts))


def _agents(snapshot: Snapshot) -> list[dict[str, Any]]:
    running = Counter(task.agent_id for view in snapshot.services for task in view.tasks if task.present)
    return [
        {
            "id": agent.id,
            "hostname": agent.hostname,
            "url": agent.url,
            "attributes": dict(agent.attributes),
            "region": agent.region,
            "zone": agent.zone,
            "in_maintenance": agent.in_maintenance,
            "avoided": snapshot.avoided.get(agent.id),
            "instances": running[agent.id],
        }
        for agent in sorted(snapshot.agents.values(), key=lambda agent: (agent.hostname, agent.id))
    ]


def _explanation(view: ServiceView) -> dict[str, Any]:
    return {
        "name": view.name,
        "wanted": view.wanted,
        "running": view.running,
        "staging": view.staging,
        "converged": view.converged,
        "reasons": [reason.as_json() for reason in view.reasons],
    }
