"""Decides what to do next. A pure function of what should run, what runs, and what is offered.

Level-triggered: it compares the wish with the state anew each time, so nothing depends on having seen every
event. Whatever is missing comes with a reason that a person can read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mesos_docker_scheduler.backoff import Wait
from mesos_docker_scheduler.census import Census
from mesos_docker_scheduler.cluster import Accept, Agent, Offer
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.explanation import Reason
from mesos_docker_scheduler.placement import Placement
from mesos_docker_scheduler.shortage import Explanations
from mesos_docker_scheduler.tasks import Task, TaskState, wait_key
from mesos_docker_scheduler.wording import clock, instances


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
    waiting: Mapping[str, tuple[Reason, ...]] = field(default_factory=dict)
    wake_at: float | None = None


def plan(
    services: Sequence[Service],
    census: Census,
    offers: Sequence[Offer],
    agents: Mapping[str, Agent],
    waits: Mapping[str, Wait],
    now: float,
    *,
    doubtful: frozenset[str] = frozenset(),
    hold: str | None = None,
    role: str = "*",
    explanations: Explanations | None = None,
    held: Mapping[str, str] | None = None,
) -> Plan:
    """Plan the next step.

    `waits` holds failures by service version (see `wait_key`). Tasks in `doubtful` are counted as there, but
    nothing is stopped because of them, nor they themselves. `hold`: why nothing may be started or stopped.
    `held`: why nothing of one service may be. `role`: that of services without one of their own.
    `explanations`: of earlier rounds.
    """
    placement = Placement(offers, agents, census, now, role=role, explanations=explanations)
    kills: list[Kill] = []
    wanted: dict[str, int] = {}
    waiting: dict[str, tuple[Reason, ...]] = {}
    times: list[float] = []

    for service in services:
        own = list(census.of(service.name))
        step = _step(service, own, waits.get(wait_key(service.name, service.version)), doubtful, now)
        own_hold = (held or {}).get(service.name)
        why_held = hold or own_hold
        if why_held is not None:
            short = max(0, service.count - sum(task.present for task in own))
            waiting[service.name] = (Reason("held", why_held, short),) if short or own_hold else ()
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
        for name in census.services - {service.name for service in services}:
            kills += [
                Kill(task.id, "the configuration has no such service any more")
                for task in census.of(name)
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


@dataclass(frozen=True, slots=True)
class _Step:
    launches: int
    kills: list[Kill]
    reasons: list[Reason]
    times: list[float]


def _step(
    service: Service, tasks: list[Task], failing: Wait | None, doubtful: frozenset[str], now: float
) -> _Step:
    """How many instances of one service to start, and which to stop."""
    reasons: list[Reason] = []
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
        text = f"{failing.failures} failures in a row; the last: {failing.why}"
        reasons.append(Reason("back-off", text))

    reasons += _reasons_on_the_way(present, current, kept < service.count)
    if outdated and service.count:
        reasons.append(_update_reason(service, current, outdated, paused))
    return _Step(launches, kills, reasons, times)


def _reasons_on_the_way(present: list[Task], current: list[Task], missing: bool) -> list[Reason]:
    """What only time will tell."""
    reasons = []
    starting = [
        task for task in present if task.state in (TaskState.STAGING, TaskState.STARTING) and not task.leaving
    ]
    if starting:
        oldest = min(starting, key=lambda task: task.launched_at)
        text = f"{instances(len(starting))} starting, since {clock(oldest.launched_at)} on {oldest.hostname}"
        reasons.append(Reason("starting", text, len(starting)))
    stopping = sum(task.leaving for task in present)
    if stopping and missing:
        # They take the place of new ones until they are gone.
        reasons.append(Reason("stopping", f"{instances(stopping)} still stopping", stopping))
    unwell = [task for task in current if task.state is TaskState.RUNNING and not task.well]
    if unwell:
        text = f"{instances(len(unwell))} running but not healthy (yet)"
        reasons.append(Reason("unhealthy", text, len(unwell)))
    return reasons


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


def _backoff_reason(launches: int, failing: Wait) -> Reason:
    text = (
        f"{instances(launches)} held back until {clock(failing.until)}"
        f" after {failing.failures} failures in a row; the last: {failing.why}"
    )
    return Reason("back-off", text, launches, failing.until)


def _update_reason(service: Service, current: list[Task], outdated: list[Task], paused: bool) -> Reason:
    done = (
        f"update to {service.image}: {len(current)} of {service.count} new, {len(outdated)} old still running"
    )
    missing = service.count - len(current)
    if paused:
        return Reason("update paused", f"{done}; paused until a new instance runs well", missing)
    return Reason("update", done, missing)
