"""Decides what to do next. A pure function of what should run, what runs, and what is offered.

Level-triggered: it compares the wish with the state anew each time, so nothing depends on having seen every
event. Whatever is missing comes with a reason that a person can read.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from mesos_docker_scheduler.backoff import Wait
from mesos_docker_scheduler.census import Census, Group, Standing
from mesos_docker_scheduler.cluster import Accept, Agent, Offer
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.explanation import Reason
from mesos_docker_scheduler.placement import Placement, biggest_first
from mesos_docker_scheduler.rollout import Progress, Rollout, advance, deadline
from mesos_docker_scheduler.shortage import Explanations
from mesos_docker_scheduler.tasks import Task, wait_key
from mesos_docker_scheduler.wording import clock, instances


@dataclass(frozen=True, slots=True)
class Kill:
    """Stop one instance; `reason` says why."""

    task_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and why what is missing is missing.

    `wanted` counts, by service, the instances that could start now if an offer fitted. `rollouts`: those that
    took a step. `wake_at`: when time alone will change the plan.
    """

    accepts: tuple[Accept, ...] = ()
    kills: tuple[Kill, ...] = ()
    declines: tuple[str, ...] = ()
    wanted: Mapping[str, int] = field(default_factory=dict)
    asking: Mapping[str, Service] = field(default_factory=dict)
    waiting: Mapping[str, tuple[Reason, ...]] = field(default_factory=dict)
    rollouts: tuple[Rollout, ...] = ()
    wake_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    service: Service  # what is started
    launches: int
    kills: tuple[Kill, ...]
    reasons: tuple[Reason, ...]
    rollout: Rollout
    wake_at: float


class Memory:
    """The last step of each service, with what it was made from: nothing is thought over twice."""

    def __init__(self) -> None:
        self._steps: dict[str, tuple[tuple[object, ...], _Step]] = {}

    def recall(self, name: str, made_from: tuple[object, ...], now: float) -> _Step | None:
        """The step, if it would come out the same."""
        known = self._steps.get(name)
        if known is None or now >= known[1].wake_at or known[0] != made_from:
            return None
        return known[1]

    def keep(self, name: str, made_from: tuple[object, ...], step: _Step) -> None:
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
) -> Plan:
    """Plan the next step.

    `waits` holds failures by service version (see `wait_key`). Tasks that the census doubts are counted as
    there, but nothing is stopped because of them, nor they themselves. `before`: the good version of services
    whose update may fail. `going`: agents that will soon go away. `acting_since`: when the last `hold` ended.
    `hold`: why nothing may be started or stopped. With a `memory`, services where nothing has changed cost
    next to nothing; the plan is the same. `held`: why nothing of one service may be
    done. `role`: that of services without one of their own. `explanations`: of earlier rounds.
    `filters`: by role, what agents must have to be offered.
    """
    placement = Placement(offers, agents, census, now, role=role, explanations=explanations, filters=filters)
    kills: list[Kill] = []
    wanted: dict[str, int] = {}
    asking: dict[str, Service] = {}
    launching: dict[str, _Step] = {}
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
        made_from = (service, standing.generation, rollout, good, own_waits, own_going, acting_since)
        step = memory.recall(service.name, made_from, now)
        if step is None:
            step = _Situation(service, good, standing, census, own_going, now).step(
                rollout, own_waits, acting_since
            )
            memory.keep(service.name, made_from, step)
        kills += step.kills
        if step.launches:
            launching[service.name] = step
        waiting[service.name] = step.reasons
        if step.rollout is not rollout:
            steps.append(step.rollout)
        wake_at = min(wake_at, step.wake_at)

    for made in biggest_first([step.service for step in launching.values()]):
        missing = placement.place(made, launching[made.name].launches)
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
    )


@dataclass(slots=True)
class _Side:
    """Part of a service's staying instances: the ones to keep, or the ones to replace."""

    well: list[Mapping[str, Task]] = field(default_factory=list)
    unready: list[Mapping[str, Task]] = field(default_factory=list)
    doubtful: int = 0
    doubtful_well: int = 0

    def add(self, group: Group) -> None:
        self.add_well(group)
        self.add_unready(group)

    def add_well(self, group: Group) -> None:
        self.well.append(group.well)
        self.doubtful += group.doubtful_well
        self.doubtful_well += group.doubtful_well

    def add_unready(self, group: Group) -> None:
        self.unready += [group.starting, group.unwell]
        self.doubtful += len(group.doubtful) - group.doubtful_well

    def __len__(self) -> int:
        return self.count_well + sum(len(part) for part in self.unready)

    @property
    def count_well(self) -> int:
        return sum(len(part) for part in self.well)

    def __contains__(self, task_id: object) -> bool:
        return any(task_id in part for part in (*self.well, *self.unready))


class _Situation:
    """What is to be decided about one service: how many instances to start, and which to stop."""

    def __init__(
        self,
        service: Service,
        good: Service | None,
        standing: Standing,
        census: Census,
        going: frozenset[str],
        now: float,
    ) -> None:
        self.service = service
        self.good = good
        self.standing = standing
        self.census = census
        self.going = going
        self.now = now
        self.times: list[float] = []
        self.reasons: list[Reason] = []
        self.kills: list[Kill] = []

    def step(
        self, rollout: Rollout | None, waits: tuple[Wait | None, Wait | None], acting_since: float
    ) -> _Step:
        rollout = self._advance(rollout, waits[0], acting_since)
        back = self.good if rollout.stopped else None
        aim, failing = (self.service, waits[0]) if back is None else (back, waits[1])
        current, outdated = self._sides(rollout, back)
        moving = self._moving(current)
        replaced = len(outdated) + len(moving)
        # During an update a new instance must have proved itself before it stands in for an old one.
        proving = self.service.update.min_ready_seconds if replaced else 0.0
        fresh = {
            task.id: task
            for part in current.well
            for task in self._fresh(part, proving)
            if task.id not in moving
        }
        ready_moving = sum(task.well and task.id not in self.census.doubtful for task in moving.values())
        ready_current = current.count_well - current.doubtful_well - len(fresh) - ready_moving
        ready_outdated = outdated.count_well - outdated.doubtful_well
        ready = ready_current + ready_outdated + ready_moving

        staying = len(current) - len(moving)
        gone_ready = self._stop_surplus(current, staying, ready, fresh, moving)
        kept, ready = staying - len(self.kills), ready - gone_ready
        ceiling = self.service.count + (self.service.update.max_surge if replaced else 0)
        spare = ready - max(0, self.service.count - self.service.update.max_unavailable)
        if failing is not None and self.service.count:
            # No more goes than makes room for one new instance to prove itself.
            kept_old = ready_outdated + outdated.doubtful + ready_moving
            room = kept_old + 1 - ceiling if not staying and failing.until <= self.now else 0
            spare = min(spare, room)
        spare -= self._stop_outdated(outdated, spare if ready_outdated else 0, back)
        self._stop_moving(moving, spare, all_replaced=kept >= self.service.count)

        standing = self.standing
        present = len(standing.tasks) - len(standing.absent) - len(standing.drained)
        missing = self.service.count - kept
        possible = max(0, min(missing, ceiling - present))
        launches = self._held_back(possible, failing, current)
        self._explain(moving, missing > 0)
        if rollout.stopped and self.service.count:
            self.reasons.append(self._failed_update(rollout, back))
        elif outdated and self.service.count:
            self.reasons.append(self._update(current, outdated, failing is not None))
        wake_at = min((time for time in self.times if time > self.now), default=inf)
        return _Step(aim, launches, tuple(self.kills), tuple(self.reasons), rollout, wake_at)

    def _stop_surplus(
        self, current: _Side, staying: int, ready: int, fresh: Mapping[str, Task], moving: Mapping[str, Task]
    ) -> int:
        """Stop what is too much: first what is not ready. Returns how many ready ones go."""
        count = self.service.count
        why = f"more than the {count} wanted"
        surplus = max(0, staying - count)
        unready = [
            task
            for part in current.unready
            for task in part.values()
            if task.id not in self.census.doubtful and task.id not in moving
        ]
        going = self._least_wanted_of(unready)[:surplus]
        # Those that serve, but have not proved themselves, go as far as enough others serve.
        serving = ready + len(fresh) - max(0, count - self.service.update.max_unavailable)
        going += self._least_wanted_of(list(fresh.values()))[: max(0, min(surplus - len(going), serving))]
        for task in going:
            self._stop(task, why)
        number = min(staying - len(self.kills) - count, ready - count)
        if number <= 0:
            return 0
        skip = fresh.keys() | moving.keys()
        parts = (self._least_wanted([part], skip) for part in current.well)
        going = list(itertools.islice(itertools.chain.from_iterable(parts), number))
        for task in going:
            self._stop(task, why)
        return len(going)

    def _stop_outdated(self, outdated: _Side, spare: int, back: Service | None) -> int:
        """Stop what is to be replaced: what does not serve at once. Returns how many ready ones go."""
        why = "replaced by a newer version" if back is None else "replaced by the version before"
        for part in outdated.unready:
            for task in part.values():
                if task.id not in self.census.doubtful:
                    self._stop(task, why)
        going = list(itertools.islice(self._least_wanted(outdated.well, ()), max(0, spare)))
        for task in going:
            self._stop(task, why)
        return len(going)

    def _held_back(self, launches: int, failing: Wait | None, current: _Side) -> int:
        """How many of the launches a back-off lets through."""
        if launches and failing is not None and failing.until > self.now:
            self.reasons.append(_backoff_reason(launches, failing))
            self.times.append(failing.until)
            return 0
        if failing is not None and failing.failures > 1 and current.count_well < self.service.count:
            text = f"{failing.failures} failures in a row; the last: {failing.why}"
            self.reasons.append(Reason("back-off", text))
        return launches

    def _advance(self, rollout: Rollout | None, failing: Wait | None, acting_since: float) -> Rollout:
        target = self.standing.version(self.service.version)
        fresh = sum(1 for _ in self._fresh(target.well, self.service.update.min_ready_seconds))
        progress = Progress(
            ready=len(target.well) - target.doubtful_well - fresh,
            others=self.standing.staying - len(target),
        )
        known = rollout is not None and rollout.target == self.service.version
        advanced = advance(
            rollout,
            self.service,
            progress,
            failing if known else None,
            self.now,
            acting_since=acting_since,
            can_return=self.good is not None,
        )
        if advanced.state == "rolling":
            if advanced.good not in (None, advanced.target):
                self.times.append(deadline(advanced, self.service, acting_since))
        else:
            self.times.clear()  # nothing hangs on who is ready when
        return advanced

    def _sides(self, rollout: Rollout, back: Service | None) -> tuple[_Side, _Side]:
        """The instances to keep, and those to replace."""
        current, outdated = _Side(), _Side()
        aim = back or self.service
        half = rollout.target if back is not None and rollout.state == "paused" else None
        for version, group in self.standing.versions.items():
            if version == aim.version:
                current.add(group)
            elif version != half:
                outdated.add(group)
        if half is not None and half in self.standing.versions and half != aim.version:
            # What is ready of a paused update stays.
            current.add_well(self.standing.versions[half])
            outdated.add_unready(self.standing.versions[half])
        return current, outdated

    def _moving(self, current: _Side) -> dict[str, Task]:
        """What should stay, but not where it is: its agent will go."""
        return {
            task.id: task
            for agent_id in sorted(self.going)
            for task in self.census.here(agent_id).values()
            if task.service == self.service.name and task.id in current
        }

    def _fresh(self, well: Mapping[str, Task], proving: float) -> Iterator[Task]:
        """Those that have not been well for long enough yet, of some in the order in which they became so."""
        if not proving:
            return
        for task in reversed(well.values()):  # type: ignore[call-overload]
            ready_at = (task.well_since or task.running_since or self.now) + proving
            if ready_at <= self.now:
                return
            if task.id not in self.census.doubtful:
                self.times.append(ready_at)
                yield task

    def _least_wanted_of(self, tasks: list[Task]) -> list[Task]:
        """Order in which to stop these: returned ones, then the newest on the fullest agent."""
        left: dict[str, int] = {}
        ranked = []
        for task in sorted(tasks, key=lambda task: (task.returned, task.launched_at, task.id), reverse=True):
            left[task.agent_id] = left.get(task.agent_id, self.standing.on_agents[task.agent_id]) - 1
            ranked.append((task.returned, left[task.agent_id], task.launched_at, task.id, task))
        return [item[-1] for item in sorted(ranked, key=lambda item: item[:-1], reverse=True)]

    def _least_wanted(self, parts: Sequence[Mapping[str, Task]], skip: Collection[str]) -> Iterator[Task]:
        """Order in which to stop well ones, found as they are asked for: that keeps the rest spread out."""
        doubtful = self.census.doubtful

        def ours(task_id: str) -> bool:
            return task_id not in skip and task_id not in doubtful and any(task_id in part for part in parts)

        returned = {
            task_id: self.standing.tasks[task_id]
            for group in self.standing.versions.values()
            for task_id in group.returned
            if ours(task_id)
        }
        yield from self._least_wanted_of(list(returned.values()))
        # No more of these than of all are on an agent: that bound is put right once it leads.
        heap: list[tuple[float, float, str, list[Task] | None]] = [
            (-number, -inf, agent_id, None) for agent_id, number in self.standing.on_agents.items()
        ]
        heapq.heapify(heap)
        while heap:
            _, _, agent_id, own = heapq.heappop(heap)
            if own is None:
                here = self.census.here(agent_id).values()
                own = [task for task in here if task.id not in returned and ours(task.id)]
                own.sort(key=lambda task: (task.launched_at, task.id))
            else:
                yield own.pop()
            if own:
                heapq.heappush(heap, (-len(own), -own[-1].launched_at, agent_id, own))

    def _stop(self, task: Task, why: str) -> None:
        self.kills.append(Kill(task.id, why))

    def _stop_moving(self, moving: Mapping[str, Task], spare: int, all_replaced: bool) -> None:
        for task in self._least_wanted_of([*moving.values()]):
            if task.id in self.census.doubtful:
                continue
            if (spare > 0) if task.well else all_replaced:
                self._stop(task, "its agent will go into maintenance")
                spare -= task.well

    def _explain(self, moving: Mapping[str, Task], missing: bool) -> None:
        standing = self.standing
        starting = [group.starting for group in standing.versions.values() if group.starting]
        if starting:
            number = sum(len(part) for part in starting)
            oldest = min((next(iter(part.values())) for part in starting), key=lambda task: task.launched_at)
            text = f"{instances(number)} starting, since {clock(oldest.launched_at)} on {oldest.hostname}"
            self.reasons.append(Reason("starting", text, number))
        unwell = len(standing.version(self.service.version).unwell)
        if unwell:
            self.reasons.append(
                Reason("unhealthy", f"{instances(unwell)} running but not healthy (yet)", unwell)
            )
        if missing and standing.leaving:
            # They take the place of new ones until they are gone.
            leaving = len(standing.leaving)
            self.reasons.append(Reason("stopping", f"{instances(leaving)} still stopping", leaving))
        if moving:
            agents = len({task.agent_id for task in moving.values()})
            text = (
                f"{instances(len(moving))} to move away from {agents} slave{'' if agents == 1 else 's'}"
                " before maintenance"
            )
            self.reasons.append(Reason("moving", text, len(moving)))

    def _update(self, current: _Side, outdated: _Side, failing: bool) -> Reason:
        new, count = len(current), self.service.count
        text = f"update to {self.service.image}: {new} of {count} new, {len(outdated)} old still running"
        if failing:
            text += "; none of these is stopped until a new instance runs well"
        return Reason("update", text, max(0, count - new))

    def _failed_update(self, rollout: Rollout, back: Service | None) -> Reason:
        count = self.service.count
        good = f"the version before ({back.image})" if back is not None else "what still runs"
        how = f"the update to {self.service.image} is {rollout.state} since {clock(rollout.since)}"
        text = (
            f"{how}: {rollout.reason}. {good} serves; the update is tried again when the"
            " configuration changes or the scheduler is told to reload"
        )
        ready = len(self.standing.version(rollout.target).well)
        kind = "update paused" if rollout.state == "paused" else "rolled back"
        return Reason(kind, text, max(0, count - ready))


def _backoff_reason(launches: int, failing: Wait) -> Reason:
    text = (
        f"{instances(launches)} held back until {clock(failing.until)}"
        f" after {failing.failures} failures in a row; the last: {failing.why}"
    )
    return Reason("back-off", text, launches, failing.until)
