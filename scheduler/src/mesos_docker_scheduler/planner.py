"""Decides what to do next. A pure function of what should run, what runs, and what is offered.

Level-triggered: it compares the wish with the state anew each time, so nothing depends on having seen every
event. Whatever is missing comes with a reason that a person can read.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from mesos_docker_scheduler.backoff import Wait
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.resources import Need, Pool, thousandths
from mesos_docker_scheduler.tasks import Task, TaskState

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """What Mesos offers of one agent. `unavailable_from` and `unavailable_until`: its next maintenance."""

    id: str
    agent_id: str
    hostname: str
    resources: tuple[Message, ...]
    unavailable_from: float | None = None
    unavailable_until: float | None = None

    @classmethod
    def from_message(cls, message: Message) -> Offer:
        """Read a v1 Offer."""
        start = end = None
        if "unavailability" in message:
            start = message["unavailability"]["start"]["nanoseconds"] / 1e9
            duration = message["unavailability"].get("duration")
            end = None if duration is None else start + duration["nanoseconds"] / 1e9
        return cls(
            id=message["id"]["value"],
            agent_id=message["agent_id"]["value"],
            hostname=message["hostname"],
            resources=tuple(message.get("resources", ())),
            unavailable_from=start,
            unavailable_until=end,
        )

    def in_maintenance(self, now: float) -> bool:
        """Whether the agent is announced to go away: what is started there would have to move soon."""
        announced = self.unavailable_from is not None
        return announced and (self.unavailable_until is None or now < self.unavailable_until)


@dataclass(frozen=True, slots=True)
class Agent:
    """What an agent had free when it was last offered to us, less what we took of it since."""

    id: str
    hostname: str
    free: Pool
    in_maintenance: bool = False
    avoid: Wait | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """Start one instance with these resources (v1 Resources)."""

    service: Service
    agent_id: str
    hostname: str
    resources: tuple[Message, ...]
    host_ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Accept:
    """Launch on one agent with all that it offers."""

    agent_id: str
    offer_ids: tuple[str, ...]
    launches: tuple[Launch, ...]
    left: Pool


@dataclass(frozen=True, slots=True)
class Kill:
    """Stop one instance; `reason` says why."""

    task_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and why what is missing is missing.

    `wanted` counts, by service, the instances that could start now if an offer fitted. `wake_at`: when time
    alone will change the plan.
    """

    accepts: tuple[Accept, ...] = ()
    kills: tuple[Kill, ...] = ()
    declines: tuple[str, ...] = ()
    wanted: Mapping[str, int] = field(default_factory=dict)
    waiting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wake_at: float | None = None


def plan(
    services: Sequence[Service],
    tasks: Iterable[Task],
    offers: Sequence[Offer],
    agents: Mapping[str, Agent],
    waits: Mapping[str, Wait],
    now: float,
    *,
    doubtful: frozenset[str] = frozenset(),
    hold: str | None = None,
) -> Plan:
    """Plan the next step.

    `waits` holds failures by service version (see `wait_key`). Tasks in `doubtful` are counted as there, but
    nothing is stopped because of them, nor they themselves. `hold`: why nothing may be started or stopped.
    """
    by_service: defaultdict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        if not task.state.ended:
            by_service[task.service].append(task)
    placement = _Placement(offers, agents, by_service, now)
    kills: list[Kill] = []
    wanted: dict[str, int] = {}
    waiting: dict[str, tuple[str, ...]] = {}
    times: list[float] = []

    for service in services:
        own = by_service.pop(service.name, [])
        step = _step(service, own, waits.get(wait_key(service.name, service.version)), doubtful, now)
        if hold is not None:
            short = max(0, service.count - sum(task.present for task in own))
            waiting[service.name] = (hold,) if short else ()
            continue
        kills += step.kills
        missing = placement.place(service, step.launches) if step.launches else 0
        reasons = list(step.reasons)
        if missing:
            wanted[service.name] = missing
            reasons.append(placement.explain(service, missing))
        waiting[service.name] = tuple(reasons)
        times += step.times

    if hold is None:
        for leftover in by_service.values():
            kills += [
                Kill(task.id, "the configuration has no such service any more")
                for task in leftover
                if task.present and not task.leaving and task.id not in doubtful
            ]
    return Plan(
        accepts=placement.accepts(),
        kills=tuple(kills),
        declines=placement.unused_offers(),
        wanted=wanted,
        waiting=waiting,
        wake_at=min(times, default=None),
    )


def wait_key(service: str, version: str) -> str:
    """Under which failures of a service's version are counted."""
    return f"{service}.{version}"


@dataclass(frozen=True, slots=True)
class _Step:
    launches: int
    kills: list[Kill]
    reasons: list[str]
    times: list[float]


def _step(
    service: Service, tasks: list[Task], failing: Wait | None, doubtful: frozenset[str], now: float
) -> _Step:
    """How many instances of one service to start, and which to stop."""
    reasons: list[str] = []
    times: list[float] = []
    present = [task for task in tasks if task.present]
    staying = [task for task in present if not task.leaving]
    current = [task for task in staying if task.version == service.version]
    outdated = [task for task in staying if task.version != service.version]
    # During an update a new instance must have proved itself before it stands in for an old one.
    proving = service.update.min_ready_seconds if outdated else 0.0

    def available(task: Task) -> bool:
        if not task.well or task.id in doubtful:
            return False
        ready_at = (task.running_since or now) + (proving if task.version == service.version else 0.0)
        if ready_at > now:
            times.append(ready_at)
        return ready_at <= now

    ready = {task.id for task in staying if available(task)}
    kills: list[Kill] = []

    surplus = max(0, len(current) - service.count)
    for task in _least_wanted([task for task in current if task.id not in doubtful], ready)[:surplus]:
        if task.id not in ready or len(ready) > service.count:
            kills.append(Kill(task.id, f"more than the {service.count} wanted"))
            ready.discard(task.id)
    kept = len(current) - len(kills)

    ceiling = service.count + (service.update.max_surge if outdated else 0)
    floor = service.count - service.update.max_unavailable
    spare = len(ready) - max(0, floor)
    paused = failing is not None and service.count > 0
    if failing is not None and paused:
        # No more goes than makes room for one new instance to prove itself.
        kept_old = sum(task.id in ready or task.id in doubtful for task in outdated)
        spare = min(spare, kept_old + 1 - ceiling if not current and failing.until <= now else 0)
    for task in _least_wanted([task for task in outdated if task.id not in doubtful], ready):
        if task.id not in ready or spare > 0:
            kills.append(Kill(task.id, "replaced by a newer version"))
            spare -= task.id in ready

    launches = max(0, min(service.count - kept, ceiling - len(present)))
    if launches and failing is not None and failing.until > now:
        reasons.append(_backoff_reason(launches, failing))
        times.append(failing.until)
        launches = 0
    elif failing is not None and failing.failures > 1 and sum(task.well for task in current) < service.count:
        reasons.append(f"{failing.failures} failures in a row; the last: {failing.why}")

    starting = [task for task in staying if task.state in (TaskState.STAGING, TaskState.STARTING)]
    if starting:
        oldest = min(starting, key=lambda task: task.launched_at)
        reasons.append(
            f"{_instances(len(starting))} starting, since {clock(oldest.launched_at)} on {oldest.hostname}"
        )
    unwell = [task for task in current if task.state is TaskState.RUNNING and not task.well]
    if unwell:
        reasons.append(f"{_instances(len(unwell))} running but not healthy (yet)")
    if outdated and service.count:
        reasons.append(_update_reason(service, current, outdated, paused))
    return _Step(launches, kills, reasons, times)


def _least_wanted(tasks: list[Task], ready: set[str]) -> list[Task]:
    """Order in which to stop: not ready ones, returned ones, then the newest on the fullest agent."""
    per_agent: defaultdict[str, list[tuple[bool, bool, float, str, Task]]] = defaultdict(list)
    for task in tasks:
        key = (task.id not in ready, task.returned, task.launched_at, task.id, task)
        per_agent[task.agent_id].append(key)
    # How many would be left on its agent decides between equals: that keeps the rest spread out.
    ranked = [
        (unready, returned, left, launched_at, task_id, task)
        for keys in per_agent.values()
        for left, (unready, returned, launched_at, task_id, task) in enumerate(sorted(keys, key=_but_task))
    ]
    return [item[-1] for item in sorted(ranked, key=_but_task, reverse=True)]


def _but_task(item: tuple[Any, ...]) -> tuple[Any, ...]:
    return item[:-1]


class _Placement:
    """The agents on offer, and what is left of them while instances are being placed."""

    def __init__(
        self,
        offers: Sequence[Offer],
        agents: Mapping[str, Agent],
        tasks: Mapping[str, Sequence[Task]],
        now: float,
    ) -> None:
        self._offers: dict[str, list[Offer]] = {}
        for offer in offers:
            self._offers.setdefault(offer.agent_id, []).append(offer)
        self._agents = agents
        self._now = now
        self._pools = {
            agent_id: Pool(resource for offer in own for resource in offer.resources)
            for agent_id, own in self._offers.items()
        }
        self._launches: dict[str, list[Launch]] = {}
        self._load: Counter[str] = Counter()
        self._of_service: dict[str, Counter[str]] = {}
        self._of_version: dict[str, Counter[str]] = {}
        for service, own_tasks in tasks.items():
            staying = [task for task in own_tasks if task.present and not task.leaving]
            self._of_service[service] = Counter(task.agent_id for task in staying)
            self._load.update(self._of_service[service])
            for task in staying:
                key = wait_key(service, task.version)
                self._of_version.setdefault(key, Counter())[task.agent_id] += 1
        self._refused: dict[str, list[str]] = {}

    def place(self, service: Service, count: int) -> int:
        """Place up to `count` instances, spread over the agents; returns how many found no room."""
        need = need_of(service)
        same_service = self._of_service.setdefault(service.name, Counter())
        same_version = self._of_version.setdefault(wait_key(service.name, service.version), Counter())

        def rank(agent_id: str) -> tuple[int, int, int, str, str]:
            hostname = self._offers[agent_id][0].hostname
            return (same_version[agent_id], same_service[agent_id], self._load[agent_id], hostname, agent_id)

        refused = self._refused[service.name] = []
        heap = []
        for agent_id in self._offers:
            problem = self._unfit(agent_id)
            if problem is None:
                heap.append(rank(agent_id))
            else:
                refused.append(problem)
        heapq.heapify(heap)
        while count and heap:
            agent_id = heapq.heappop(heap)[-1]
            lacking = self._pools[agent_id].lacks(need)
            if lacking is not None:
                refused.append(lacking)
                continue
            resources, host_ports = self._pools[agent_id].take(need)
            hostname = self._offers[agent_id][0].hostname
            self._launches.setdefault(agent_id, []).append(
                Launch(service, agent_id, hostname, tuple(resources), host_ports)
            )
            same_version[agent_id] += 1
            same_service[agent_id] += 1
            self._load[agent_id] += 1
            heapq.heappush(heap, rank(agent_id))
            count -= 1
        return count

    def _unfit(self, agent_id: str) -> str | None:
        if any(offer.in_maintenance(self._now) for offer in self._offers[agent_id]):
            return "maintenance"
        agent = self._agents.get(agent_id)
        if agent is not None and agent.avoid is not None and agent.avoid.until > self._now:
            return "avoided"
        return None

    def accepts(self) -> tuple[Accept, ...]:
        """One for each agent that gets something: all its offers, all its launches."""
        return tuple(
            Accept(
                agent_id,
                tuple(offer.id for offer in self._offers[agent_id]),
                tuple(launches),
                self._pools[agent_id],
            )
            for agent_id, launches in self._launches.items()
        )

    def unused_offers(self) -> tuple[str, ...]:
        """Offers of agents that get nothing."""
        return tuple(
            offer.id
            for agent_id, offers in self._offers.items()
            if agent_id not in self._launches
            for offer in offers
        )

    def explain(self, service: Service, missing: int) -> str:
        """Why `missing` instances found no room: the agents at hand, and those that we remember."""
        need = need_of(service)
        problems = Counter(self._refused[service.name])
        hopeful = 0
        pools = [(self._offers[agent_id][0].hostname, pool) for agent_id, pool in self._pools.items()]
        for agent in self._agents.values():
            if agent.id in self._offers:
                continue
            pools.append((agent.hostname, agent.free))
            if agent.in_maintenance:
                problems["maintenance"] += 1
            elif agent.avoid is not None and agent.avoid.until > self._now:
                problems["avoided"] += 1
            else:
                lacking = agent.free.lacks(need)
                if lacking is None:
                    hopeful += 1
                else:
                    problems[lacking] += 1
        subject = f"{_instances(missing)} waiting for resources"
        if not pools:
            return (
                f"{subject}: Mesos has offered none so far (is a slave registered, and has the role a share?)"
            )
        parts = [_problem(kind, count, need, pools) for kind, count in sorted(problems.items())]
        if hopeful:
            parts.append(f"{hopeful} may have room, and {_is_are(hopeful)} asked for")
        return f"{subject} ({_needs(need)}): of {_count(len(pools), 'slave')} {', '.join(parts)}"


def need_of(service: Service) -> Need:
    """What one instance of a service takes."""
    return Need(
        cpus=thousandths(service.cpus),
        mem=thousandths(service.mem),
        disk=thousandths(service.disk),
        ports=service.host_ports,
    )


def clock(time: float) -> str:
    """A time of the epoch as people read it."""
    return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


_UNITS = {"cpus": "cpus", "mem": "MiB of memory", "disk": "MiB of disk"}


def _amount(value: int) -> str:
    return f"{value / 1000:,.3f}".rstrip("0").rstrip(".")


def _needs(need: Need) -> str:
    parts = [f"{_amount(need.scalar(name))} {unit}" for name, unit in _UNITS.items() if need.scalar(name)]
    if need.ports:
        fixed = [str(port) for port in need.ports if port]
        parts.append(f"host port {', '.join(fixed)}" if fixed else _count(len(need.ports), "port"))
    return f"needs {', '.join(parts)}"


def _problem(kind: str, count: int, need: Need, pools: Sequence[tuple[str, Pool]]) -> str:
    if kind == "maintenance":
        return f"{count} {_is_are(count)} in or before maintenance"
    if kind == "avoided":
        return f"{count} {_is_are(count)} avoided for a while after faults"
    has = "has" if count == 1 else "have"
    if kind in _UNITS:
        free, hostname = max((pool.free(kind), hostname) for hostname, pool in pools)
        most = f"the most that was offered is {_amount(free)}, on {hostname}"
        return (
            f"{count} {has} too few {_UNITS[kind]} ({most})"
            if kind == "cpus"
            else (f"{count} {has} too little {'memory' if kind == 'mem' else kind} ({most})")
        )
    if kind == "ports":
        return f"{count} {has} too few free ports"
    return f"{count} {has} {kind} not free"


def _backoff_reason(launches: int, failing: Wait) -> str:
    return (
        f"{_instances(launches)} held back until {clock(failing.until)}"
        f" after {failing.failures} failures in a row; the last: {failing.why}"
    )


def _update_reason(service: Service, current: list[Task], outdated: list[Task], paused: bool) -> str:
    done = (
        f"update to {service.image}: {len(current)} of {service.count} new, {len(outdated)} old still running"
    )
    return f"{done}; paused until a new instance runs well" if paused else done


def _instances(count: int) -> str:
    return _count(count, "instance")


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _is_are(count: int) -> str:
    return "is" if count == 1 else "are"
