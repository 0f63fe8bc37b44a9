"""Decides what to do next. A pure function of what should run, what runs, and what is offered.

Level-triggered: it compares the wish with the state anew each time, so nothing depends on having seen every
event. Whatever is missing comes with a reason that a person can read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.cluster import Accept, Agent, Offer
from mesos_docker_scheduler.planning.explanation import Reason
from mesos_docker_scheduler.planning.placement import Placement, biggest_first
from mesos_docker_scheduler.planning.shortage import Explanations
from mesos_docker_scheduler.planning.situation import Kill, Situation, Step
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.census import Census
from mesos_docker_scheduler.records.rollout import Rollout
from mesos_docker_scheduler.records.tasks import wait_key


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and why what is missing is missing.

    `wanted` counts, by service, the instances that could start now if an offer fitted. `rollouts`: those that
    took a step. `wake_at`: when time alone will change the plan. `unused`: how many offers were not used, by
    why (see `shortage.SHORT`).
    """

    accepts: tuple[Accept, ...] = ()
    kills: tuple[Kill, ...] = ()
    declines: tuple[str, ...] = ()
    wanted: Mapping[str, int] = field(default_factory=dict)
    asking: Mapping[str, Service] = field(default_factory=dict)
    waiting: Mapping[str, tuple[Reason, ...]] = field(default_factory=dict)
    rollouts: tuple[Rollout, ...] = ()
    wake_at: float | None = None
    unused: Mapping[str, int] = field(default_factory=dict)


class Memory:
    """The last step of each service, with what it was made from: nothing is thought over twice."""

    def __init__(self) -> None:
        self._steps: dict[str, tuple[tuple[object, ...], Step]] = {}

    def recall(self, name: str, made_from: tuple[object, ...], now: float) -> Step | None:
        """The step, if it would come out the same."""
        known = self._steps.get(name)
        if known is None or now >= known[1].wake_at or known[0] != made_from:
            return None
        return known[1]

    def keep(self, name: str, made_from: tuple[object, ...], step: Step) -> None:
        """Remember a step."""
        self._steps[name] = made_from, step

    def forget_except(self, names: Collection[str]) -> None:
        """Forget services that are gone."""
        for name in self._steps.keys() - set(names):
            del self._steps[name]


def plan(
    services: Sequence[Service],
    census: Census,
    offers: Sequence[Offer],
    agents: Mapping[str, Agent],
    waits: Mapping[str, Wait],
    now: float,
    *,
    places: Mapping[str, Mapping[str, Wait]] | None = None,
    rollouts: Mapping[str, Rollout] | None = None,
    before: Mapping[str, Service] | None = None,
    going: frozenset[str] = frozenset(),
    acting_since: float = 0.0,
    hold: str | None = None,
    memory: Memory | None = None,
    role: str = "*",
    explanations: Explanations | None = None,
    held: Mapping[str, str] | None = None,
    filters: Mapping[str, str] | None = None,
    restarts: Mapping[str, int] | None = None,
    unconfirmed: Mapping[str, Reason] | None = None,
) -> Plan:
    """Plan the next step.

    `waits` holds failures by service version (see `wait_key`), `places` those of what never ran, by version
    and agent. Tasks that the census doubts are counted as there, but nothing is stopped because of them, nor
    they themselves. `before`: the good version of services whose update may fail. `going`: agents that will
    soon go away. `acting_since`: when the last `hold` ended. `hold`: why nothing may be started or stopped.
    With a `memory`, services where nothing has changed cost next to nothing; the plan is the same. `held`:
    why nothing of one service may be done. `role`: that of services without one of their own. `explanations`:
    of earlier rounds. `filters`: by role, what agents must have to be offered. `restarts`: by service, how
    many restarts have been asked for: what was launched when there were fewer is replaced by others of the
    same version. `unconfirmed`: by service, what is said of instances that the master does not know yet.
    """
    placement = Placement(
        offers,
        agents,
        census,
        now,
        role=role,
        explanations=explanations,
        filters=filters,
        places=places,
        going=going,
    )
    kills: list[Kill] = []
    wanted: dict[str, int] = {}
    asking: dict[str, Service] = {}
    launching: dict[str, Step] = {}
    waiting: dict[str, tuple[Reason, ...]] = {}
    steps: list[Rollout] = []
    rollouts, before, memory = rollouts or {}, before or {}, memory or Memory()
    wake_at = inf

    for service in services:
        standing = census.standing(service.name)
        own_hold = (held or {}).get(service.name)
        why_held = hold or own_hold
        if why_held is not None:
            short = max(0, service.count - len(standing.tasks) + len(standing.absent))
            unwell = sum(len(group.well) for group in standing.versions.values()) < service.count
            waiting[service.name] = (Reason("held", why_held, short),) if unwell or own_hold else ()
            continue
        rollout, good = rollouts.get(service.name), before.get(service.name)
        own_waits = (
            waits.get(wait_key(service.name, service.version)),
            waits.get(wait_key(service.name, good.version)) if good is not None else None,
        )
        own_going = frozenset(going & standing.on_agents.keys()) if going else going
        restart = (restarts or {}).get(service.name, 0)
        made_from = (service, standing.generation, rollout, good, own_waits, own_going, acting_since, restart)
        step = memory.recall(service.name, made_from, now)
        if step is None:
            step = Situation(service, good, standing, census, agents, own_going, restart, now).step(
                rollout, own_waits, acting_since
            )
            memory.keep(service.name, made_from, step)
        kills += step.kills
        if step.launches:
            launching[service.name] = step
        awaited = (unconfirmed or {}).get(service.name)
        waiting[service.name] = step.reasons if awaited is None else (*step.reasons, awaited)
        if step.rollout is not rollout:
            steps.append(step.rollout)
        wake_at = min(wake_at, step.wake_at)

    if any(0 in step.service.host_ports for step in launching.values()):
        placement.spare(frozenset(port for service in services for port in service.host_ports if port))
    for made in biggest_first([step.service for step in launching.values()]):
        step = launching[made.name]
        missing = placement.place(made, step.launches, step.vacating)
        if missing:
            wanted[made.name] = missing
            asking[made.name] = made
    for name, missing in wanted.items():
        waiting[name] = (*waiting[name], placement.explain(asking[name], missing))

    if hold is None and census.services:
        for name in sorted(census.services - {service.name for service in services}):
            kills += [
                Kill(task.id, "the configuration has no such service any more")
                for task in census.of(name)
                if task.present and not task.leaving and task.id not in census.doubtful
            ]
    return Plan(
        accepts=placement.accepts(),
        kills=tuple(kills),
        declines=placement.unused_offers(),
        wanted=wanted,
        asking=asking,
        waiting=waiting,
        rollouts=tuple(steps),
        wake_at=None if wake_at == inf else wake_at,
        unused=placement.unused_because(asking.values()),
    )
