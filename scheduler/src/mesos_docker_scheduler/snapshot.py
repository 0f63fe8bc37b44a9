"""What the controller shows to the outside: immutable, made anew after changes, read by the web's thread."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from mesos_docker_scheduler.census import Standing
from mesos_docker_scheduler.cluster import Agent
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.explanation import Reason, sentences
from mesos_docker_scheduler.store import Event
from mesos_docker_scheduler.tasks import Task


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


@dataclass(frozen=True)
class ServiceView:
    """A service: what is wanted, what runs, and why something does not: `waiting` holds the sentences.

    `states`: how many tasks are in which state. `tasks` are made into `instances` by the first who reads
    these, on a thread of its own: the controller has no time for that when there are very many.
    """

    name: str
    image: str
    version: str
    wanted: int
    running: int
    staging: int
    waiting: tuple[str, ...]
    reasons: tuple[Reason, ...]
    converged: bool
    states: Mapping[str, int] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    agents: Mapping[str, Agent] = field(default_factory=dict)

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """The instances, the oldest first."""
        return tuple(
            _instance(task, self.agents.get(task.agent_id))
            for task in sorted(self.tasks, key=lambda task: (task.launched_at, task.id))
        )

    def as_json(self) -> dict[str, Any]:
        """As the API gives it."""
        return {
            "name": self.name,
            "image": self.image,
            "version": self.version,
            "wanted": self.wanted,
            "running": self.running,
            "staging": self.staging,
            "converged": self.converged,
            "waiting": self.waiting,
            "reasons": [reason.as_json() for reason in self.reasons],
            "instances": [_as_json(instance) for instance in self.instances],
        }


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
        return {
            **_as_json(self),
            "config": _as_json(self.config),
            "services": [service.as_json() for service in self.services],
            "events": [_as_json(event) for event in self.events],
        }


class Views:
    """The services as they are shown: each is made again only when something about it changed."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[tuple[object, ...], ServiceView]] = {}

    def show(
        self,
        service: Service,
        standing: Standing,
        reasons: tuple[Reason, ...],
        agents: Mapping[str, Agent],
        certain: bool,
    ) -> ServiceView:
        """Summarise one service.

        `agents` name the hosts of tasks that were adopted without knowing theirs. Nothing is called converged
        unless it is `certain` that Mesos sees the tasks as we do.
        """
        made_from = (service, standing.generation, reasons, certain)
        known = self._made.get(service.name)
        if known is None or known[0] != made_from:
            known = self._made[service.name] = (made_from, _view(service, standing, reasons, agents, certain))
        return known[1]

    def forget_except(self, names: Collection[str]) -> None:
        """Forget services that are gone."""
        for name in self._made.keys() - set(names):
            del self._made[name]


def _view(
    service: Service,
    standing: Standing,
    reasons: tuple[Reason, ...],
    agents: Mapping[str, Agent],
    certain: bool,
) -> ServiceView:
    staging = sum(len(group.starting) for group in standing.versions.values())
    well = len(standing.version(service.version).well)
    present = len(standing.tasks) - len(standing.absent)
    return ServiceView(
        name=service.name,
        image=service.image,
        version=service.version,
        wanted=service.count,
        running=standing.staying - staging,
        staging=staging,
        waiting=sentences(reasons),
        reasons=reasons,
        # What is absent counts for nothing; what is leaving must be gone first.
        converged=certain and well == service.count == present,
        states={state.value: count for state, count in standing.states.items() if count},
        tasks=tuple(standing.tasks.values()),
        agents=agents,
    )


def _instance(task: Task, agent: Agent | None) -> Instance:
    return Instance(
        task_id=task.id,
        agent_id=task.agent_id,
        hostname=task.hostname or (agent.hostname if agent is not None else ""),
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


def _as_json(shown: Any) -> dict[str, Any]:
    return {item.name: getattr(shown, item.name) for item in fields(shown)}
