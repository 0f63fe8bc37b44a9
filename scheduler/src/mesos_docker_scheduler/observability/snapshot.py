"""What the controller shows to the outside: immutable, made anew after changes, read by the web's thread."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import orjson

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.cluster import Agent
from mesos_docker_scheduler.planning.explanation import Reason, sentences
from mesos_docker_scheduler.records.desired import Desired
from mesos_docker_scheduler.records.rollout import Rollout
from mesos_docker_scheduler.records.store import Event
from mesos_docker_scheduler.records.task_index import ServiceTasks
from mesos_docker_scheduler.records.tasks import Task


@dataclass(frozen=True, slots=True)
class Instance:
    """A task as operators see it. `since`: seconds of the epoch at which it entered its state.

    `stopping`: why it was told to stop. `message`: what Mesos said last of it. `in_service`: it is healthy
    and has not been told to stop, so clients may be sent to it.
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
    stopping: str | None
    message: str
    since: float
    in_service: bool
    leaving: str | None  # `stopping` under its former name, for one release


@dataclass(frozen=True, slots=True)
class UpdateView:
    """The update under way, or the last one. `since`: seconds of the epoch.

    `ready`: instances of the new version that were ready at a time. `from_image`: that of the version before,
    None at a first deployment. `can_roll_back`: whether there is a version to return to.
    """

    state: str
    from_image: str | None
    to_image: str
    ready: int
    since: float
    reason: str
    by_operator: bool
    can_roll_back: bool


@dataclass(frozen=True)
class ServiceView:
    """A service: what is wanted, what runs, and why something does not: `waiting` holds the sentences.

    `states`: how many tasks are in which state; `healthy`: how many of the version that should run are.
    `in_service`: how many of any version are. `desired`: what the file wants, and operators on top of it.
    What is made of `tasks` and `desired` is made by the first who reads it, on a thread of its own: the
    controller has no time for that when there are very many.
    """

    name: str
    image: str | None
    version: str
    wanted: int
    running: int
    staging: int
    waiting: tuple[str, ...]
    reasons: tuple[Reason, ...]
    converged: bool
    desired: Desired
    states: Mapping[str, int] = field(default_factory=dict)
    healthy: int = 0
    in_service: int = 0
    containerizer: str = "docker"
    update: UpdateView | None = None
    tasks: tuple[Task, ...] = ()
    agents: Mapping[str, Agent] = field(default_factory=dict)

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """The instances, the oldest first."""
        return tuple(
            _instance(task, self.agents.get(task.agent_id))
            for task in sorted(self.tasks, key=lambda task: (task.launched_at, task.id))
        )

    @cached_property
    def revision(self) -> str:
        """The revision of the desired."""
        return self.desired.revision

    @property
    def configured(self) -> int:
        """How many instances the file wants; with mode "global", what the slaves make of it."""
        configured = self.desired.configured
        return self.wanted if configured.mode == "global" else configured.count

    @property
    def scaled_since(self) -> float | None:
        """Since when an operator's count holds instead of the file's, in seconds of the epoch."""
        override = self.desired.override
        return None if override.count is None else override.since

    def summary(self) -> dict[str, Any]:
        """As the API lists it: without its instances."""
        return {
            "name": self.name,
            "mode": self.desired.configured.mode,
            "containerizer": self.containerizer,
            "image": self.image,
            "version": self.version,
            "wanted": self.wanted,
            "running": self.running,
            "staging": self.staging,
            "healthy": self.healthy,
            "in_service": self.in_service,
            "configured": self.configured,
            "scaled_since": self.scaled_since,
            "update": None if self.update is None else _as_json(self.update),
            "revision": self.revision,
            "states": dict(self.states),
            "converged": self.converged,
            "waiting": self.waiting,
            "reasons": [reason.as_json() for reason in self.reasons],
        }

    @cached_property
    def summary_json(self) -> bytes:
        """The summary as text."""
        return orjson.dumps(self.summary())

    @cached_property
    def instances_json(self) -> bytes:
        """The instances as text, each with the service's name, between commas."""
        named = [{"service": self.name, **_as_json(instance)} for instance in self.instances]
        return orjson.dumps(named)[1:-1]

    @cached_property
    def json(self) -> bytes:
        """All of it as text, as the API gives it: made once for all who ask, as are the others."""
        return b'%s,"instances":%s}' % (self.summary_json[:-1], orjson.dumps(self.instances))


@dataclass(frozen=True, slots=True)
class ConfigView:
    """The configuration in force, and what is wrong with a newer one. `applied_at`: seconds of the epoch.

    `sha256`: of the file, which each host has for itself; `edition`: of what it says of services, the same on
    all hosts. `outdated`: the leader has acted on a newer one, which this host does not have.
    """

    sha256: str
    applied_at: float
    edition: str = ""
    error: str | None = None
    restart_needed: tuple[str, ...] = ()
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class Leader:
    """The scheduler that leads: its host's name, and where its page and API are (None: nowhere)."""

    host: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment.

    `at`: of one that follows, when it has read last what the leader had written, or 0.
    `problem`: what keeps the scheduler from acting, if anything; `broken`: what else of it does not work.
    `known`: whether it is known what runs; until it is, `problem` says why.
    `leads`: whether this scheduler leads; if not, `leader` is the one that does, if that is known.
    `agents` goes on changing: read it as a whole, with `tuple`. `avoided`: by id, why agents get nothing.
    """

    at: float
    framework_id: str | None
    connected: bool
    master: str | None
    config: ConfigView
    services: tuple[ServiceView, ...]
    problem: str | None = None
    broken: str | None = None
    events: tuple[Event, ...] = ()
    agents: Mapping[str, Agent] = field(default_factory=dict)
    avoided: Mapping[str, str] = field(default_factory=dict)
    leads: bool = True
    leader: Leader | None = None
    known: bool = True

    def json(self, *, instances: bool = True) -> bytes:
        """The answer of /v1/status as text. Services that have not changed are not written anew."""
        head = {
            "at": self.at,
            "framework_id": self.framework_id,
            "connected": self.connected,
            "master": self.master,
            "problem": self.problem,
            "leads": self.leads,
            "leader": self.leader,
            "config": self.config,
            "events": self.events,
        }
        services = b",".join(one.json if instances else one.summary_json for one in self.services)
        return b'%s,"services":[%s]}' % (orjson.dumps(head)[:-1], services)


class Views:
    """The services as they are shown: each is made again only when something about it changed.

    `made_of` finds the image of a service's version, or says that it is a command.
    """

    def __init__(self, made_of: Callable[[str, str], str]) -> None:
        self._made_of = made_of
        self._made: dict[str, tuple[tuple[object, ...], ServiceView]] = {}

    def show(
        self,
        service: Service,
        service_tasks: ServiceTasks,
        reasons: tuple[Reason, ...],
        desired: Desired,
        agents: Mapping[str, Agent],
        certain: bool,
    ) -> ServiceView:
        """Summarise one service.

        `agents` name the hosts of tasks that were adopted without knowing theirs. Nothing is called converged
        unless it is `certain` that Mesos sees the tasks as we do.
        """
        made_from = (service, service_tasks.generation, reasons, desired, certain)
        known = self._made.get(service.name)
        if known is None or known[0] != made_from:
            made = self._view(service, service_tasks, reasons, desired, agents, certain)
            known = self._made[service.name] = (made_from, made)
        return known[1]

    def forget_except(self, names: Collection[str]) -> None:
        """Forget services that are gone."""
        for name in self._made.keys() - set(names):
            del self._made[name]

    def _view(
        self,
        service: Service,
        service_tasks: ServiceTasks,
        reasons: tuple[Reason, ...],
        desired: Desired,
        agents: Mapping[str, Agent],
        certain: bool,
    ) -> ServiceView:
        staging = sum(len(group.starting) for group in service_tasks.versions.values())
        rollout = desired.rollout
        asked_back = rollout is not None and rollout.state == "rolled back" and rollout.by_operator
        failed = (
            rollout is not None
            and rollout.target == service.version
            and rollout.stopped
            and not rollout.by_operator
        )
        aim = rollout.good if rollout is not None and asked_back else service.version
        healthy = len(service_tasks.version(aim or "").healthy)
        kinds = {reason.kind for reason in reasons}
        unfinished = not kinds.isdisjoint(("restart", "misplaced", "unconfirmed"))
        # How many there should be is not known either.
        unfinished |= service.mode == "global" and "held" in kinds
        present = len(service_tasks.tasks) - len(service_tasks.absent)
        return ServiceView(
            name=service.name,
            containerizer=service.containerizer,
            image=service.image,
            version=service.version,
            wanted=service.count,
            running=service_tasks.staying - staging,
            staging=staging,
            waiting=sentences(reasons),
            reasons=reasons,
            # What is absent counts for nothing; what is stopping must be gone first.
            converged=certain and healthy == service.count == present and not unfinished and not failed,
            desired=desired,
            healthy=healthy,
            in_service=sum(len(group.healthy) for group in service_tasks.versions.values()),
            update=self._update(service, desired.rollout),
            states={state.value: count for state, count in service_tasks.states.items() if count},
            tasks=tuple(service_tasks.tasks.values()),
            agents=agents,
        )

    def _update(self, service: Service, rollout: Rollout | None) -> UpdateView | None:
        if rollout is None or rollout.target != service.version:
            return None
        before = rollout.returns_to
        return UpdateView(
            state=rollout.state,
            from_image=None if before is None else self._made_of(service.name, before) or None,
            to_image=service.made_of,
            ready=rollout.ready,
            since=rollout.since,
            reason=rollout.reason,
            by_operator=rollout.by_operator,
            can_roll_back=before is not None and rollout.state != "rolled back",
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
        stopping=task.kill_reason,
        message=task.message,
        since=task.state_since,
        in_service=task.in_service,
        leaving=task.kill_reason,
    )


def _as_json(shown: Any) -> dict[str, Any]:
    return {item.name: getattr(shown, item.name) for item in fields(shown)}
