"""Decides what to do next. A pure function of what should run, what runs, and what is offered.

Level-triggered: it compares the wish with the state anew each time, so nothing depends on having seen every
event. Whatever is missing comes with a reason that a person can read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.cluster import Accept, Agent, Launch, Offer
from mesos_docker_scheduler.planning.dependency_order import Order
from mesos_docker_scheduler.planning.explanation import Reason
from mesos_docker_scheduler.planning.placement import Placement, biggest_first
from mesos_docker_scheduler.planning.service_planner import Kill, ServicePlan, ServicePlanner, starting_reason
from mesos_docker_scheduler.planning.shortage import Explanations
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.rollout import Rollout
from mesos_docker_scheduler.records.task_index import TaskIndex
from mesos_docker_scheduler.records.tasks import wait_key


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a plan is made from: what should run, what runs, and what is offered.

    `waits` holds failures by service version (see `wait_key`), `places` those of what never ran, by version
    and agent. Tasks that the index calls stale are counted as there, but nothing is stopped because of them,
    nor they themselves. `before`: the good version of services whose update may fail; `barred`: by service,
    why no more of that version may be started. `going`: agents that will soon go away. `acting_since`: when
    the last `hold` ended. `hold`: why nothing may be started or stopped; `held`: why nothing of one service
    may. `role`: that of services that name none. `filters`: by role, what agents must have to be offered.
    `restarts`: by service, how many restarts have been asked for: what was launched when there were fewer is
    replaced by others of the same version. `unconfirmed`: by service, what is said of instances that the
    master does not know yet. `dependents`: by service, those that depend on it, or did when they were
    configured. `facts_generation` changes when an agent has other attributes, another name or place. Times
    are seconds of the epoch.
    """

    services: Sequence[Service]
    task_index: TaskIndex
    offers: Sequence[Offer]
    agents: Mapping[str, Agent]
    waits: Mapping[str, Wait]
    now: float
    places: Mapping[str, Mapping[str, Wait]] = field(default_factory=dict)
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    before: Mapping[str, Service] = field(default_factory=dict)
    barred: Mapping[str, str] = field(default_factory=dict)
    going: frozenset[str] = frozenset()
    acting_since: float = 0.0
    hold: str | None = None
    held: Mapping[str, str] = field(default_factory=dict)
    role: str = "*"
    filters: Mapping[str, str] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)
    unconfirmed: Mapping[str, Reason] = field(default_factory=dict)
    dependents: Mapping[str, Collection[str]] = field(default_factory=dict)
    facts_generation: int = 0


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


class PlanCache:
    """The last step of each service, with what it was made from: nothing is thought over twice."""

    def __init__(self) -> None:
        self._steps: dict[str, tuple[tuple[object, ...], ServicePlan]] = {}
        self._blocked_at: dict[str, float] = {}

    def recall(self, name: str, made_from: tuple[object, ...], now: float) -> ServicePlan | None:
        """The step, if it would come out the same."""
        known = self._steps.get(name)
        if known is None or now >= known[1].wake_at or known[0] != made_from:
            return None
        return known[1]

    def keep(self, name: str, made_from: tuple[object, ...], step: ServicePlan) -> None:
        """Remember a step."""
        self._steps[name] = made_from, step

    def acting_since(self, name: str, acting_since: float, now: float, *, blocked: bool) -> float:
        """Since when a service could go on: since nothing was held, and it was `blocked` by no other."""
        if blocked:
            self._blocked_at[name] = now
        return max(acting_since, self._blocked_at.get(name, 0.0))

    def forget_except(self, names: Collection[str]) -> None:
        """Forget services that are gone."""
        for name in self._blocked_at.keys() - set(names):
            del self._blocked_at[name]
        for name in self._steps.keys() - set(names):
            del self._steps[name]


def plan(inputs: Inputs, cache: PlanCache | None = None, explanations: Explanations | None = None) -> Plan:
    """Plan the next step.

    With a `cache`, services where nothing has changed cost next to nothing; the plan is the same.
    `explanations`: of earlier rounds.
    """
    cache = cache or PlanCache()
    steps: dict[str, ServicePlan] = {}
    waiting: dict[str, tuple[Reason, ...]] = {}
    dependencies = Order(inputs.services, inputs.task_index, inputs.dependents)
    for service in inputs.services:
        held = _held(service, inputs)
        if held is not None:
            waiting[service.name] = held
            continue
        lacking = dependencies.lacking(service, inputs.rollouts.get(service.name))
        step = _step(service, inputs, cache, blocked=lacking is not None)
        step, awaited = dependencies.kept(service, step, lacking)
        steps[service.name] = step
        reasons = (*step.reasons, inputs.unconfirmed.get(service.name), awaited)
        waiting[service.name] = tuple(reason for reason in reasons if reason is not None)
    placement = _placement(inputs, explanations)
    wanted, asking = _place(steps.values(), placement, inputs.services)
    for name, missing in wanted.items():
        waiting[name] = (*waiting[name], placement.explain(asking[name], missing))
    accepts = placement.accepts()
    for name, launches in _by_service(accepts).items():
        waiting[name] = _with_started(waiting[name], launches, inputs.now)
    wake_at = min((step.wake_at for step in steps.values()), default=inf)
    return Plan(
        accepts=accepts,
        kills=(*(kill for step in steps.values() for kill in step.kills), *_leftovers(inputs, dependencies)),
        declines=placement.unused_offers(),
        wanted=wanted,
        asking=asking,
        waiting=waiting,
        rollouts=tuple(
            step.rollout for name, step in steps.items() if step.rollout is not inputs.rollouts.get(name)
        ),
        wake_at=None if wake_at == inf else wake_at,
        unused=placement.unused_because(asking.values()),
    )


def _held(service: Service, inputs: Inputs) -> tuple[Reason, ...] | None:
    """Why nothing of a service may be started or stopped; None: it may."""
    own = inputs.held.get(service.name)
    why = inputs.hold or own
    if why is None:
        return None
    service_tasks = inputs.task_index.of_service(service.name)
    short = max(0, service.count - len(service_tasks.tasks) + len(service_tasks.absent))
    unhealthy = sum(len(group.healthy) for group in service_tasks.versions.values()) < service.count
    return (Reason("held", why, short),) if unhealthy or own else ()


def _step(service: Service, inputs: Inputs, cache: PlanCache, *, blocked: bool) -> ServicePlan:
    """What to do about one service, as far as it can be said without looking at the others.

    `blocked`: it waits for another one.
    """
    name, task_index = service.name, inputs.task_index
    service_tasks = task_index.of_service(name)
    rollout, good = inputs.rollouts.get(name), inputs.before.get(name)
    waits = (
        inputs.waits.get(wait_key(name, service.version)),
        inputs.waits.get(wait_key(name, good.version)) if good is not None else None,
    )
    going = frozenset(inputs.going & service_tasks.on_agents.keys()) if inputs.going else inputs.going
    restart = inputs.restarts.get(name, 0)
    facts = inputs.facts_generation if service.constraints else 0
    barred = inputs.barred.get(name)
    # A deadline counts no time in which it could not go on.
    acting_since = cache.acting_since(name, inputs.acting_since, inputs.now, blocked=blocked)
    made_from = (
        service,
        service_tasks.generation,
        rollout,
        good,
        waits,
        going,
        acting_since,
        restart,
        facts,
        blocked,
        barred,
    )
    # What is free changes with every offer: whether the spread is bad has to be found out anew.
    step = None if service.rebalance else cache.recall(name, made_from, inputs.now)
    if step is None:
        planner = ServicePlanner(
            service,
            good,
            service_tasks,
            task_index,
            inputs.agents,
            going,
            restart,
            inputs.now,
            role=inputs.role,
            failed_on=inputs.places.get(wait_key(name, service.version), ()),
            blocked=blocked,
            barred=barred,
        )
        step = planner.step(rollout, waits, acting_since)
        cache.keep(name, made_from, step)
    return step


def _placement(inputs: Inputs, explanations: Explanations | None) -> Placement:
    return Placement(
        inputs.offers,
        inputs.agents,
        inputs.task_index,
        inputs.now,
        role=inputs.role,
        explanations=explanations,
        filters=inputs.filters,
        places=inputs.places,
        going=inputs.going,
    )


def _place(
    steps: Iterable[ServicePlan], placement: Placement, services: Sequence[Service]
) -> tuple[dict[str, int], dict[str, Service]]:
    """Find places for what is to be started; returns how many of which services found none."""
    launching = {step.service.name: step for step in steps if step.launches}
    if any(0 in step.service.host_ports for step in launching.values()):
        placement.spare(frozenset(port for service in services for port in service.host_ports if port))
    wanted: dict[str, int] = {}
    asking: dict[str, Service] = {}
    for service in biggest_first([step.service for step in launching.values()]):
        step = launching[service.name]
        missing = placement.place(service, step.launches, step.staying, step.closed)
        if missing:
            wanted[service.name] = missing
            asking[service.name] = service
    return wanted, asking


def _by_service(accepts: Iterable[Accept]) -> dict[str, list[Launch]]:
    launches: dict[str, list[Launch]] = {}
    for accept in accepts:
        for launch in accept.launches:
            launches.setdefault(launch.service.name, []).append(launch)
    return launches


def _with_started(reasons: tuple[Reason, ...], launches: Sequence[Launch], now: float) -> tuple[Reason, ...]:
    """Say of what is started now what the next round says of it; there may be none for a while."""
    if any(reason.kind == "starting" for reason in reasons):
        return reasons
    return (starting_reason(len(launches), now, launches[0].hostname), *reasons)


def _leftovers(inputs: Inputs, dependencies: Order) -> Iterator[Kill]:
    """Stop what belongs to no service of the configuration."""
    task_index = inputs.task_index
    if inputs.hold is not None or not task_index.services:
        return
    for name in sorted(task_index.services - {service.name for service in inputs.services}):
        for task in () if dependencies.stop_first(name) else task_index.of(name):
            if task.present and not task.stopping and task.id not in task_index.stale:
                yield Kill(task.id, "the configuration has no such service any more")
