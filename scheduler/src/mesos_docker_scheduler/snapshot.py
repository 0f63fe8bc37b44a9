"""What the controller shows to the outside: immutable, made anew after changes, read by the web's thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.explanation import Reason, sentences
from mesos_docker_scheduler.store import Event
from mesos_docker_scheduler.tasks import Task, TaskState


@dataclass(frozen=True, slots=True)
class Instance:
    """A task as operators see it. `since`: seconds of the epoch at which it entered its state.

    `in_service`: it is well and has not been told to leave, so clients may be sent to it.
    """

    task_id: str
    agent_id: str
    hostname: str
    container: str | None
    state: str
    healthy: bool | None
    image: str
    version: str
    address: str | None
    ports: tuple[int, ...]
    leaving: str | None
    since: float
    in_service: bool


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A service: what is wanted, what runs, and why something does not: `waiting` holds the sentences."""

    name: str
    image: str
    version: str
    wanted: int
    running: int
    staging: int
    instances: tuple[Instance, ...]
    waiting: tuple[str, ...]
    reasons: tuple[Reason, ...]
    converged: bool


@dataclass(frozen=True, slots=True)
class ConfigView:
    """The configuration in force, and what is wrong with a newer one. `applied_at`: seconds of the epoch."""

    sha256: str
    applied_at: float
    error: str | None = None
    restart_needed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment. `problem`: what keeps the scheduler from acting, if anything."""

    at: float
    framework_id: str | None
    connected: bool
    master: str | None
    config: ConfigView
    services: tuple[ServiceView, ...]
    problem: str | None = None
    events: tuple[Event, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The answer of /v1/status."""
        return dataclasses.asdict(self)


def view(
    service: Service,
    tasks: list[Task],
    reasons: tuple[Reason, ...],
    hostnames: Mapping[str, str],
    certain: bool,
) -> ServiceView:
    """Summarise one service.

    `hostnames` by agent id serve tasks that were adopted without knowing theirs. Nothing is called converged
    unless it is `certain` that Mesos sees the tasks as we do.
    """
    shown = [task for task in tasks if not task.state.ended]
    staying = [task for task in shown if task.present and not task.leaving]
    running = [task for task in staying if task.state is TaskState.RUNNING]
    good = [task for task in running if task.version == service.version and task.well]
    return ServiceView(
        name=service.name,
        image=service.image,
        version=service.version,
        wanted=service.count,
        running=len(running),
        staging=len(staying) - len(running),
        instances=tuple(
            Instance(
                task_id=task.id,
                agent_id=task.agent_id,
                hostname=task.hostname or hostnames.get(task.agent_id, ""),
                container=task.container,
                state=f"TASK_{task.state.value}",
                healthy=task.healthy,
                image=task.image,
                version=task.version,
                address=task.address,
                ports=task.host_ports,
                leaving=task.kill_reason,
                since=task.state_since,
                in_service=task.well,
            )
            for task in sorted(shown, key=lambda task: (task.launched_at, task.id))
        ),
        waiting=sentences(reasons),
        reasons=reasons,
        # What is absent counts for nothing; what is leaving must be gone first.
        converged=certain and len(good) == service.count == sum(task.present for task in shown),
    )
