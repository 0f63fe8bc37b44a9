"""Decides about one service: how many instances to start, which to stop, and why what is missing is missing.

Pure, like the planner, which asks for each service.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.cluster import Agent
from mesos_docker_scheduler.planning.constraints import (
    Constraint,
    Tally,
    field_of,
    looks_at_agent_alone,
    suits,
)
from mesos_docker_scheduler.planning.explanation import Reason
from mesos_docker_scheduler.planning.stop_order import StopOrder
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.census import Census, Group, Standing
from mesos_docker_scheduler.records.rollout import Progress, Rollout, advance, deadline
from mesos_docker_scheduler.records.tasks import Task, TaskState
from mesos_docker_scheduler.wording import clock, instances

_GIVEN_UP_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Kill:
    """Stop one instance; `reason` says why."""

    task_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """What to do about one service now. `wake_at`: the second of the epoch at which time alone changes it.

    `vacating`: how many instances of what is started give way to it, by agent.
    """

    service: Service  # what is started
    launches: int
    kills: tuple[Kill, ...]
    reasons: tuple[Reason, ...]
    rollout: Rollout
    wake_at: float
    vacating: Mapping[str, int]


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

    def items(self) -> Iterator[tuple[str, Task]]:
        """All of them, by id."""
        return itertools.chain.from_iterable(part.items() for part in (*self.well, *self.unready))

    def __len__(self) -> int:
        return self.count_well + sum(len(part) for part in self.unready)

    @property
    def count_well(self) -> int:
        return sum(len(part) for part in self.well)

    def __contains__(self, task_id: object) -> bool:
        return any(task_id in part for part in (*self.well, *self.unready))


class Situation:
    """What is to be decided about one service.

    `good`: its good version, if an update may fail. `going`: agents that will soon go away.
    `restarts`: what was launched when fewer had been asked for is to be replaced. Times are seconds of the
    epoch.
    """

    def __init__(
        self,
        service: Service,
        good: Service | None,
        standing: Standing,
        census: Census,
        agents: Mapping[str, Agent],
        going: frozenset[str],
        restarts: int,
        now: float,
    ) -> None:
        self.service = service
        self.good = good
        self.standing = standing
        self.census = census
        self.agents = agents
        self.order = StopOrder(service, standing, census, agents)
        self.going = going
        self.restarts = restarts
        self.now = now
        self.misplaced: dict[str, Task] = {}
        self.times: list[float] = []
        self.reasons: list[Reason] = []
        self.kills: list[Kill] = []

    def step(
        self, rollout: Rollout | None, waits: tuple[Wait | None, Wait | None], acting_since: float
    ) -> Step:
        """Decide. `waits`: failures of its version and the good one. `acting_since`: end of the last hold."""
        rollout = self._advance(rollout, waits[0], acting_since)
        back = self.good if rollout.stopped else None
        aim, failing = (self.service, waits[0]) if back is None else (back, waits[1])
        current, outdated = self._sides(rollout, back)
        moving = self._moving(aim, current, outdated)
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
        ceiling = self.service.count + (self.service.update.surge(self.service.count) if replaced else 0)
        spare = ready - max(0, self.service.count - self.service.update.unavailable(self.service.count))
        if failing is not None and self.service.count:
            # No more goes than makes room for one new instance to prove itself.
            kept_old = ready_outdated + outdated.doubtful + ready_moving
            room = kept_old + 1 - ceiling if not staying and failing.until <= self.now else 0
            spare = min(spare, room)
        superseded = self._superseded(aim, current, outdated, fresh, moving) if failing is None else {}
        spare -= self._stop_outdated(outdated, superseded, spare if ready_outdated else 0, back)
        self._stop_moving(moving, superseded, spare, all_replaced=kept >= self.service.count)

        standing = self.standing
        present = len(standing.tasks) - len(standing.absent) - len(standing.drained) - self._given_up()
        missing = self.service.count - kept
        possible = max(0, min(missing - self._awaited(aim), ceiling - present))
        launches = self._held_back(possible, failing, current)
        self._explain(moving, missing > 0)
        if rollout.stopped and self.service.count:
            self.reasons.append(self._failed_update(rollout, back))
        elif outdated and self.service.count:
            self.reasons.append(self._update(current, outdated, failing is not None))
        wake_at = min((time for time in self.times if time > self.now), default=inf)
        vacating = Counter(task.agent_id for task in moving.values() if task.version == aim.version)
        return Step(aim, launches, tuple(self.kills), tuple(self.reasons), rollout, wake_at, vacating)

    def _awaited(self, aim: Service) -> int:
        """How many can't be reached, but not for so long that others take their place."""
        awaited = [
            (task.state_since + self.service.unreachable_seconds, task.hostname)
            for task in (self.standing.absent.values() if self.service.unreachable_seconds else ())
            if task.state is TaskState.UNREACHABLE and task.version == aim.version
        ]
        awaited = sorted(one for one in awaited if one[0] > self.now)
        if awaited:
            until, hostname = awaited[0]
            self.times.append(until)
            where = hostname if len(awaited) == 1 else f"{hostname} and other slaves"
            text = f"{instances(len(awaited))} unreachable, on {where}: replaced from {clock(until)} on"
            self.reasons.append(Reason("unreachable", text, len(awaited), until))
        return len(awaited)

    def _given_up(self) -> int:
        """How many that never ran were told to stop long ago: what hangs keeps no place."""
        hanging = 0
        for task in self.standing.leaving.values():
            if task.running_since is None and task.kill_at is not None:
                given_up_at = task.kill_at + _GIVEN_UP_SECONDS
                hanging += given_up_at <= self.now
                self.times.append(given_up_at)
        return hanging

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
        going = self.order.sort(unready)[:surplus]
        # Those that serve, but have not proved themselves, go as far as enough others serve.
        serving = ready + len(fresh) - max(0, count - self.service.update.unavailable(count))
        going += self.order.sort(fresh.values())[: max(0, min(surplus - len(going), serving))]
        for task in going:
            self._stop(task, why)
        number = min(staying - len(self.kills) - count, ready - count)
        if number <= 0:
            return 0
        skip = fresh.keys() | moving.keys()
        parts = (self._find([part], skip) for part in current.well)
        going = list(itertools.islice(itertools.chain.from_iterable(parts), number))
        for task in going:
            self._stop(task, why)
        return len(going)

    def _superseded(
        self,
        aim: Service,
        current: _Side,
        outdated: _Side,
        fresh: Collection[str],
        moving: Mapping[str, Task],
    ) -> dict[str, Task]:
        """Those in whose place a new one has proved itself, where a constraint has no place for both.

        They go even if fewer than wanted run: there may never be room for more.
        """
        limits = [tally for tally in map(Tally, aim.constraints) if tally.limit is not None]
        if not limits or not (len(outdated) or moving):
            return {}
        proved = [
            task
            for part in current.well
            for task in part.values()
            if task.id not in fresh and task.id not in moving and task.id not in self.census.doubtful
        ]
        old = [task for part in outdated.well for task in part.values()]
        old += (task for task_id, task in moving.items() if task.well and task_id not in self.misplaced)
        old = self.order.sort(task for task in old if task.id not in self.census.doubtful)
        found: dict[str, Task] = {}
        for tally in limits:
            new = Counter(self._value(task, tally.constraint) for task in proved)
            both = new + Counter(self._value(task, tally.constraint) for task in old)
            for task in old:
                value = self._value(task, tally.constraint)
                if value is not None and new[value] and both[value] > (tally.limit or 0):
                    new[value] -= 1
                    both[value] -= 1
                    found[task.id] = task
        return dict(itertools.islice(found.items(), len(proved)))

    def _value(self, task: Task, constraint: Constraint) -> str | None:
        agent = self.agents.get(task.agent_id)
        return None if agent is None else field_of(agent, constraint.field)

    def _stop_outdated(
        self, outdated: _Side, superseded: Mapping[str, Task], spare: int, back: Service | None
    ) -> int:
        """Stop what is to be replaced: what does not serve at once. Returns how many ready ones go."""
        why = "replaced by a newer version" if back is None else "replaced by the version before"
        for part in outdated.unready:
            for task in part.values():
                if task.id not in self.census.doubtful:
                    self._stop(task, why)
        going = [task for task in superseded.values() if task.id in outdated]
        others = self._find(outdated.well, superseded)
        going += itertools.islice(others, max(0, spare - len(going)))
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
            proving=fresh,
            serving=sum(
                len(group.well)
                for version, group in self.standing.versions.items()
                if version != self.service.version
            ),
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

    def _moving(self, aim: Service, current: _Side, outdated: _Side) -> dict[str, Task]:
        """What others of its version are to stand in for.

        Its agent will go, or it is to be restarted, or the constraints do not let it stay where it is.
        """
        moving = {
            task_id: task
            for agent_id in sorted(self.going)
            for task_id, task in self._mine(agent_id, current).items()
        }
        if self.restarts:
            moving |= {task_id: task for task_id, task in current.items() if task.restarts < self.restarts}
        if aim.constraints:
            # Old and new ones may share what is UNIQUE until the old ones are gone.
            self.misplaced = self._misplaced(aim, current, alone=not moving and not len(outdated))
        return moving | self.misplaced

    def _misplaced(self, aim: Service, current: _Side, *, alone: bool) -> dict[str, Task]:
        """Those that would not be started where they are: constraints have changed, or what they look at.

        CLUSTER and GROUP_BY move nothing. `alone`: whether there are none but those that are to stay.
        """
        agents = {
            agent_id: agent
            for agent_id in self.standing.on_agents
            if (agent := self.agents.get(agent_id)) is not None
        }
        found: dict[str, Task] = {}
        for one in filter(looks_at_agent_alone, aim.constraints):
            for agent_id, agent in agents.items():
                if not suits(one, field_of(agent, one.field)):
                    found |= self._mine(agent_id, current)
        for tally in map(Tally, aim.constraints) if alone else ():
            if tally.limit is not None:
                found |= self._too_many(tally.constraint, tally.limit, agents, current, found)
        return found

    def _too_many(
        self,
        constraint: Constraint,
        limit: int,
        agents: Mapping[str, Agent],
        current: _Side,
        moving: Collection[str],
    ) -> dict[str, Task]:
        """Those beyond the limit of what may share a value, the newest."""
        sharing: dict[str | None, list[str]] = {}
        for agent_id, agent in agents.items():
            sharing.setdefault(field_of(agent, constraint.field), []).append(agent_id)
        found: dict[str, Task] = {}
        for together in sharing.values():
            if sum(self.standing.on_agents[agent_id] for agent_id in together) > limit:
                here = [task for one in together for task in self._mine(one, current).values()]
                here = self.order.sort(task for task in here if task.id not in moving)
                found |= {task.id: task for task in here[: max(0, len(here) - limit)]}
        return found

    def _mine(self, agent_id: str, current: _Side) -> dict[str, Task]:
        return {
            task.id: task
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

    def _find(self, parts: Sequence[Mapping[str, Task]], skip: Collection[str]) -> Iterator[Task]:
        """Those of some parts that may be stopped, in the order in which to do so."""
        doubtful = self.census.doubtful

        def ours(task_id: str) -> bool:
            return task_id not in skip and task_id not in doubtful and any(task_id in part for part in parts)

        return self.order.search(ours)

    def _stop(self, task: Task, why: str) -> None:
        self.kills.append(Kill(task.id, why))

    def _stop_moving(
        self, moving: Mapping[str, Task], superseded: Collection[str], spare: int, all_replaced: bool
    ) -> None:
        for task in self.order.sort(moving.values()):
            if task.id in self.census.doubtful:
                continue
            if (spare > 0 or task.id in superseded) if task.well else all_replaced:
                self._stop(task, self._why_moved(task))
                spare -= task.well

    def _why_moved(self, task: Task) -> str:
        if task.agent_id in self.going:
            return "its agent will go into maintenance"
        return "the constraints keep it off its agent" if task.id in self.misplaced else "restarted"

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
        going = [task for task in moving.values() if task.agent_id in self.going]
        if going:
            agents = len({task.agent_id for task in going})
            text = (
                f"{instances(len(going))} to move away from {agents} slave{'' if agents == 1 else 's'}"
                " before maintenance"
            )
            self.reasons.append(Reason("moving", text, len(going)))
        elsewhere = [task for task in self.misplaced.values() if task.agent_id not in self.going]
        if elsewhere:
            text = f"{instances(len(elsewhere))} to move to other slaves, as the constraints say"
            self.reasons.append(Reason("misplaced", text, len(elsewhere)))
        old = len(moving) - len(going) - len(elsewhere)
        if old:
            text = f"restart: {instances(old)} of {self.service.count} still to be replaced"
            self.reasons.append(Reason("restart", text, old))

    def _update(self, current: _Side, outdated: _Side, failing: bool) -> Reason:
        new, count = len(current), self.service.count
        text = f"update to {self.service.image}: {new} of {count} new, {len(outdated)} old still running"
        if failing:
            text += "; none of these is stopped until a new instance runs well"
        return Reason("update", text, max(0, count - new))

    def _failed_update(self, rollout: Rollout, back: Service | None) -> Reason:
        count = self.service.count
        good = f"The version before ({back.image})" if back is not None else "What still runs"
        how = f"the update to {self.service.image} is {rollout.state} since {clock(rollout.since)}"
        when = "the configuration changes or the scheduler is told to reload"
        if rollout.by_operator:
            when = "it is resumed or the configuration asks for another version"
        text = f"{how}: {rollout.reason}. {good} serves; the update goes on when {when}"
        ready = len(self.standing.version(rollout.target).well)
        kind = "update paused" if rollout.state == "paused" else "rolled back"
        return Reason(kind, text, max(0, count - ready))


def _backoff_reason(launches: int, failing: Wait) -> Reason:
    text = (
        f"{instances(launches)} held back until {clock(failing.until)}"
        f" after {failing.failures} failures in a row; the last: {failing.why}"
    )
    return Reason("back-off", text, launches, failing.until)
