"""Decides about one service: how many instances to start, which to stop, and why what is missing is missing.

Pure, like the planner, which asks for each service.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.budget import Budget
from mesos_docker_scheduler.planning.cluster import Agent
from mesos_docker_scheduler.planning.constraints import (
    Constraint,
    SpreadCounter,
    field_of,
    suits,
    suits_all,
)
from mesos_docker_scheduler.planning.explanation import Reason
from mesos_docker_scheduler.planning.parts import Part, Parts
from mesos_docker_scheduler.planning.rebalancing import Destinations, destinations
from mesos_docker_scheduler.planning.stop_order import StopOrder
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.rollout import Progress, Rollout, advance, deadline
from mesos_docker_scheduler.records.task_index import ServiceTasks, TaskIndex
from mesos_docker_scheduler.records.tasks import Task, TaskState
from mesos_docker_scheduler.wording import clock, count_of, instances

_GIVEN_UP_SECONDS = 300.0
_WHY_MOVED = {
    "moving": "its agent will go into maintenance",
    "misplaced": "the constraints keep it off its agent",
    "restart": "restarted",
    "rebalancing": "others share its agent, and there is one with fewer",
}
"""What is said of an instance that others of its version stand in for, by the kind of the reason."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Stop one instance; `reason` says why."""

    task_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """What to do about one service now. `wake_at`: the second of the epoch at which time alone changes it.

    `staying`: how many are to stay, by agent: those which constraints count. `closed`: agents that get none.
    """

    service: Service  # what is started
    launches: int
    kills: tuple[Kill, ...]
    reasons: tuple[Reason, ...]
    rollout: Rollout
    wake_at: float
    staying: Mapping[str, int]
    closed: Collection[str] = ()


class ServicePlanner:
    """What is to be decided about one service.

    `good`: its good version, if an update may fail. `going`: agents that will soon go away.
    `restarts`: what was launched when fewer had been asked for is to be replaced. `role`: that of services
    without one of their own. `failed_on`: agents where it has failed before it ran. `blocked`: nothing of
    it may start now; `barred`: why nothing of its good version may. Times are seconds of the epoch.
    """

    def __init__(
        self,
        service: Service,
        good: Service | None,
        service_tasks: ServiceTasks,
        task_index: TaskIndex,
        agents: Mapping[str, Agent],
        going: frozenset[str],
        restarts: int,
        now: float,
        *,
        role: str = "*",
        failed_on: Collection[str] = (),
        blocked: bool = False,
        barred: str | None = None,
    ) -> None:
        self.service = service
        self.good = good
        self.service_tasks = service_tasks
        self.task_index = task_index
        self.agents = agents
        self.order = StopOrder(service, service_tasks, task_index, agents)
        self.going = going
        self.restarts = restarts
        self.now = now
        self.role = role
        self.failed_on = failed_on
        self.blocked = blocked
        self.barred = barred
        self.why_moved: dict[str, str] = {}  # kinds of reasons
        self.destinations: Destinations | None = None
        self.times: list[float] = []
        self.reasons: list[Reason] = []
        self.kills: list[Kill] = []

    def step(
        self, rollout: Rollout | None, waits: tuple[Wait | None, Wait | None], acting_since: float
    ) -> ServicePlan:
        """Decide. `waits`: failures of its version and the good one. `acting_since`: end of the last hold."""
        rollout = self._advance(rollout, waits[0], acting_since)
        back = self.good if rollout.stopped else None
        aim, failing = (self.service, waits[0]) if back is None else (back, waits[1])
        self.barred = self.barred if back is not None else None
        self.blocked |= self.barred is not None
        parts = self._parts(rollout, aim, back, failing)
        budget = self._stop_surplus(parts)
        self._stop_replaced(parts, budget, rollout, aim, back, failing)
        launches = self._launches(parts, budget, aim, failing)
        self._explain(parts, budget, rollout, back, failing)
        staying = parts.on_agents()
        if self.service.mode == "global":
            # What replaces another on the same agent waits for its end.
            staying = Counter(task.agent_id for task in self.service_tasks.tasks.values() if task.present)
        return ServicePlan(
            aim,
            launches,
            tuple(self.kills),
            tuple(self.reasons),
            rollout,
            wake_at=min((time for time in self.times if time > self.now), default=inf),
            staying=staying,
            closed=() if self.destinations is None else self.agents.keys() - self.destinations.agents,
        )

    def _parts(self, rollout: Rollout, aim: Service, back: Service | None, failing: Wait | None) -> Parts:
        current, outdated = self._sides(rollout, back)
        moving = self._moving(aim, current, outdated)
        if not moving and aim.rebalance and rollout.state == "complete" and failing is None:
            moving = self._rebalancing(aim, current, outdated)
        # During an update a new instance must have proved itself before it stands in for an old one.
        proving = self.service.update.min_ready_seconds if len(outdated) or moving else 0.0
        not_yet_ready = {
            task.id: task
            for part in current.healthy
            for task in self._not_yet_ready(part, proving)
            if task.id not in moving
        }
        moving_ready = sum(
            task.in_service and task.id not in self.task_index.stale for task in moving.values()
        )
        return Parts(current, outdated, moving, not_yet_ready, moving_ready)

    def _launches(self, parts: Parts, budget: Budget, aim: Service, failing: Wait | None) -> int:
        service_tasks = self.service_tasks
        present = (
            len(service_tasks.tasks)
            - len(service_tasks.absent)
            - len(service_tasks.drained)
            - self._given_up()
        )
        launches = budget.startable(present, self._awaited(aim))
        if launches and self.barred is not None:
            text = f"{instances(launches)} of the version before may not be started: {self.barred}"
            self.reasons.append(Reason("not allowed", text, launches))
            return 0
        return self._held_back(launches, failing, parts.current)

    def _awaited(self, aim: Service) -> int:
        """How many can't be reached, but not for so long that others take their place."""
        awaited = [
            (task.state_since + self.service.unreachable_seconds, task.hostname)
            for task in (self.service_tasks.absent.values() if self.service.unreachable_seconds else ())
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
        for task in self.service_tasks.stopping.values():
            if task.running_since is None and task.kill_at is not None:
                given_up_at = task.kill_at + _GIVEN_UP_SECONDS
                hanging += given_up_at <= self.now
                self.times.append(given_up_at)
        return hanging

    def _stop_surplus(self, parts: Parts) -> Budget:
        """Stop what is too much: first what is not ready. Returns what may be done besides."""
        count, unavailable = self.service.count, self.service.unavailable
        surge = self.service.surge if parts.replaced else 0
        # What need not move goes when another has come, and so does all while none may start.
        held_up = self.blocked or self.destinations is not None
        why = f"more than the {count} wanted"
        surplus = max(0, parts.staying - count)
        unready = [
            task
            for part in parts.current.unready
            for task in part.values()
            if task.id not in self.task_index.stale and task.id not in parts.moving
        ]
        going = self.order.sort(unready)[:surplus]
        # Those that serve, but have not proved themselves, go as far as enough others serve.
        serving = parts.ready + len(parts.not_yet_ready) - max(0, count - unavailable)
        going += self.order.sort(parts.not_yet_ready.values())[: max(0, min(surplus - len(going), serving))]
        number = max(0, min(parts.staying - len(going) - count, parts.ready - count))
        skip = parts.not_yet_ready.keys() | parts.moving.keys()
        found = (self._find([part], skip) for part in parts.current.healthy)
        ready = list(itertools.islice(itertools.chain.from_iterable(found), number))
        for task in (*going, *ready):
            self._stop(task, why)
        return Budget(
            count,
            surge,
            0 if held_up else unavailable,
            kept=parts.staying - len(going) - len(ready),
            ready=parts.ready - len(ready),
        )

    def _stop_replaced(
        self,
        parts: Parts,
        budget: Budget,
        rollout: Rollout,
        aim: Service,
        back: Service | None,
        failing: Wait | None,
    ) -> None:
        """Stop what others stand in for, as far as it can be spared."""
        spare = budget.spare
        superseded: dict[str, Task] = {}
        if failing is None and not self.blocked:
            # An update never leaves fewer in service than it found, or than losses have left of these.
            most = max(0, budget.ready - rollout.served) if rollout.state == "rolling" else budget.ready
            superseded = self._superseded(aim, parts, most)
        elif failing is not None and self.service.count:
            # No more goes than makes room for one new instance to prove itself.
            kept_old = parts.outdated_ready + parts.outdated.stale + parts.moving_ready
            room = kept_old + 1 - self.service.count - budget.surge
            spare = min(spare, room if not parts.staying and failing.until <= self.now else 0)
        spare -= self._stop_outdated(parts.outdated, superseded, spare if parts.outdated_ready else 0, back)
        self._stop_moving(parts.moving, superseded, spare, all_replaced=budget.missing <= 0)

    def _superseded(self, aim: Service, parts: Parts, most: int) -> dict[str, Task]:
        """Those in whose place a new one has proved itself, where a constraint has no place for both.

        They go, `most` of them, even if fewer than wanted run: where the constraints allow fewer than that on
        all agents together, there will never be more.
        """
        limits = [counter for counter in map(SpreadCounter, aim.constraints) if counter.limit is not None]
        if not limits or not parts.replaced or self._places(aim, limits) >= aim.count:
            return {}
        misplaced = {task_id for task_id, why in self.why_moved.items() if why == "misplaced"}
        proved = [
            task
            for part in parts.current.healthy
            for task in part.values()
            if task.id not in parts.not_yet_ready
            if task.id not in parts.moving and task.id not in self.task_index.stale
        ]
        old = [task for part in parts.outdated.healthy for task in part.values()]
        old += (
            task for task_id, task in parts.moving.items() if task.in_service and task_id not in misplaced
        )
        old = self.order.sort(task for task in old if task.id not in self.task_index.stale)
        found: dict[str, Task] = {}
        for counter in limits:
            limit = counter.limit or 0
            new = Counter(self._value(task, counter.constraint) for task in proved)
            before = Counter(self._value(task, counter.constraint) for task in old)
            both = new + before
            for task in old:
                value = self._value(task, counter.constraint)
                # Where there are more than a new limit allows, all but a few would go for one that has come.
                if value is not None and new[value] and before[value] <= limit < both[value]:
                    new[value] -= 1
                    both[value] -= 1
                    found[task.id] = task
        return dict(itertools.islice(found.items(), min(most, len(proved))))

    def _places(self, aim: Service, limits: Sequence[SpreadCounter]) -> int:
        """How many instances the constraints allow, on all agents that are known."""
        suiting = [agent for agent in self.agents.values() if suits_all(aim.constraints, agent)]
        values = ({field_of(agent, counter.constraint.field) for agent in suiting} for counter in limits)
        return min(len(own) * (counter.limit or 0) for own, counter in zip(values, limits, strict=True))

    def _value(self, task: Task, constraint: Constraint) -> str | None:
        agent = self.agents.get(task.agent_id)
        return None if agent is None else field_of(agent, constraint.field)

    def _stop_outdated(
        self, outdated: Part, superseded: Mapping[str, Task], spare: int, back: Service | None
    ) -> int:
        """Stop what is to be replaced: what does not serve at once. Returns how many ready ones go."""
        why = "replaced by a newer version" if back is None else "replaced by the version before"
        for part in outdated.unready:
            for task in part.values():
                if task.id not in self.task_index.stale:
                    self._stop(task, why)
        going = [task for task in superseded.values() if task.id in outdated]
        others = self._find(outdated.healthy, superseded)
        going += itertools.islice(others, max(0, spare - len(going)))
        for task in going:
            self._stop(task, why)
        return len(going)

    def _held_back(self, launches: int, failing: Wait | None, current: Part) -> int:
        """How many of the launches a back-off lets through."""
        if launches and failing is not None and failing.until > self.now:
            self.reasons.append(_backoff_reason(launches, failing))
            self.times.append(failing.until)
            return 0
        if failing is not None and failing.failures > 1 and current.count_healthy < self.service.count:
            text = f"{failing.failures} failures in a row; the last: {failing.why}"
            self.reasons.append(Reason("back-off", text))
        return launches

    def _advance(self, rollout: Rollout | None, failing: Wait | None, acting_since: float) -> Rollout:
        target = self.service_tasks.version(self.service.version)
        not_yet_ready = sum(
            1 for _ in self._not_yet_ready(target.healthy, self.service.update.min_ready_seconds)
        )
        others = [
            len(group.healthy)
            for name, group in self.service_tasks.versions.items()
            if name != self.service.version
        ]
        progress = Progress(
            ready=len(target.healthy) - target.stale_healthy - not_yet_ready,
            others=self.service_tasks.staying - len(target),
            not_yet_ready=not_yet_ready,
            serving=min(self.service.count, max(others, default=0)),
            in_service=sum(others) + len(target.healthy),
            held_ports=frozenset(
                port
                for task in (self.service_tasks.tasks.values() if any(self.service.host_ports) else ())
                if task.version != self.service.version
                for port in task.host_ports
            ),
            unreachable=sum(
                task.version == self.service.version
                for task in (self.service_tasks.absent.values() if self.service.unreachable_seconds else ())
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
                self.times.append(deadline(advanced, self.service, progress, acting_since))
        else:
            self.times.clear()  # nothing hangs on who is ready when
        return advanced

    def _sides(self, rollout: Rollout, back: Service | None) -> tuple[Part, Part]:
        """The instances to keep, and those to replace."""
        current, outdated = Part(), Part()
        aim = back or self.service
        half = rollout.target if back is not None and rollout.state == "paused" else None
        for version, group in self.service_tasks.versions.items():
            if version == aim.version:
                current.add(group)
            elif version != half:
                outdated.add(group)
        if half is not None and half in self.service_tasks.versions and half != aim.version:
            # What is ready of a paused update stays.
            current.add_healthy(self.service_tasks.versions[half])
            outdated.add_unready(self.service_tasks.versions[half])
        return current, outdated

    def _moving(self, aim: Service, current: Part, outdated: Part) -> dict[str, Task]:
        """What others of its version are to stand in for.

        Its agent will go, or it is to be restarted, or the constraints do not let it stay where it is.
        """
        leaving = set(self.going)
        if aim.mode == "global":
            # These are not among the hosts that it is to have instances on.
            leaving |= {
                agent_id
                for agent_id in self.service_tasks.on_agents
                if agent_id in self.agents and self.agents[agent_id].in_maintenance
            }
        going = {
            task_id: task
            for agent_id in sorted(leaving)
            for task_id, task in self._mine(agent_id, current).items()
        }
        restarting = {}
        if self.restarts:
            restarting = {task_id: task for task_id, task in current.items() if task.restarts < self.restarts}
        moving = going | restarting
        misplaced = {}
        if aim.constraints:
            # Old and new ones may share what is UNIQUE until the old ones are gone.
            misplaced = self._misplaced(aim, current, alone=not moving and not len(outdated))
        self.why_moved = {
            **dict.fromkeys(restarting, "restart"),
            **dict.fromkeys(misplaced, "misplaced"),
            **dict.fromkeys(going, "moving"),
        }
        return moving | misplaced

    def _rebalancing(self, aim: Service, current: Part, outdated: Part) -> dict[str, Task]:
        """One that is to move to an agent with fewer, if all that is wanted serves."""
        proving = {
            task.id
            for part in current.healthy
            for task in self._not_yet_ready(part, aim.update.min_ready_seconds)
        }
        proved = Counter(
            task.agent_id for part in current.healthy for task in part.values() if task.id not in proving
        )
        if len(outdated) or proved.total() < aim.count or current.stale:
            return {}
        closed = {*self.going, *self.failed_on}
        self.destinations = destinations(
            aim, self.service_tasks.on_agents, proved, self.agents, closed, self.now, self.role
        )
        if self.destinations is None:
            return {}
        here = [
            task
            for agent_id in self.destinations.away_from
            for task in self._mine(agent_id, current).values()
            if task.in_service and task.id not in proving
        ]
        moving = {task.id: task for task in self.order.sort(here)[:1]}
        self.why_moved = dict.fromkeys(moving, "rebalancing")
        return moving

    def _misplaced(self, aim: Service, current: Part, *, alone: bool) -> dict[str, Task]:
        """Those that would not be started where they are: constraints have changed, or what they look at.

        CLUSTER without a value and GROUP_BY move only what is on an agent without their field. `alone`:
        whether there are none but those that are to stay.
        """
        agents = {
            agent_id: agent
            for agent_id in self.service_tasks.on_agents
            if (agent := self.agents.get(agent_id)) is not None
        }
        found: dict[str, Task] = {}
        for one in aim.constraints:
            for agent_id, agent in agents.items():
                if not suits(one, field_of(agent, one.field)):
                    found |= self._mine(agent_id, current)
        for counter in map(SpreadCounter, aim.constraints) if alone else ():
            if counter.limit is not None:
                found |= self._too_many(counter.constraint, counter.limit, agents, current, found)
        return found

    def _too_many(
        self,
        constraint: Constraint,
        limit: int,
        agents: Mapping[str, Agent],
        current: Part,
        moving: Collection[str],
    ) -> dict[str, Task]:
        """Those beyond the limit of what may share a value, the newest."""
        sharing: dict[str, list[str]] = {}
        for agent_id, agent in agents.items():
            value = field_of(agent, constraint.field)
            if value is not None:
                sharing.setdefault(value, []).append(agent_id)
        found: dict[str, Task] = {}
        for together in sharing.values():
            if sum(self.service_tasks.on_agents[agent_id] for agent_id in together) > limit:
                here = [task for one in together for task in self._mine(one, current).values()]
                here = self.order.sort(task for task in here if task.id not in moving)
                found |= {task.id: task for task in here[: max(0, len(here) - limit)]}
        return found

    def _mine(self, agent_id: str, current: Part) -> dict[str, Task]:
        return {
            task.id: task
            for task in self.task_index.here(agent_id).values()
            if task.service == self.service.name and task.id in current
        }

    def _not_yet_ready(self, healthy: Mapping[str, Task], proving: float) -> Iterator[Task]:
        """Those that have not been healthy for long enough, of some in the order in which they became so."""
        if not proving:
            return
        for task in reversed(healthy.values()):  # type: ignore[call-overload]
            ready_at = (task.well_since or task.running_since or self.now) + proving
            if ready_at <= self.now:
                return
            if task.id not in self.task_index.stale:
                self.times.append(ready_at)
                yield task

    def _find(self, parts: Sequence[Mapping[str, Task]], skip: Collection[str]) -> Iterator[Task]:
        """Those of some parts that may be stopped, in the order in which to do so."""
        stale = self.task_index.stale

        def ours(task_id: str) -> bool:
            return task_id not in skip and task_id not in stale and any(task_id in part for part in parts)

        return self.order.search(ours)

    def _stop(self, task: Task, why: str) -> None:
        self.kills.append(Kill(task.id, why))

    def _stop_moving(
        self, moving: Mapping[str, Task], superseded: Collection[str], spare: int, all_replaced: bool
    ) -> None:
        for task in self.order.sort(moving.values()):
            if task.id in self.task_index.stale:
                continue
            if (spare > 0 or task.id in superseded) if task.in_service else all_replaced:
                self._stop(task, _WHY_MOVED[self.why_moved[task.id]])
                spare -= task.in_service

    def _explain(
        self, parts: Parts, budget: Budget, rollout: Rollout, back: Service | None, failing: Wait | None
    ) -> None:
        self._explain_instances(parts.moving, budget.missing > 0)
        if rollout.stopped and self.service.count:
            self.reasons.append(self._failed_update(rollout, back))
        elif parts.outdated and self.service.count:
            self.reasons.append(self._update(parts, failing is not None))

    def _explain_instances(self, moving: Mapping[str, Task], missing: bool) -> None:
        service_tasks = self.service_tasks
        starting = [group.starting for group in service_tasks.versions.values() if group.starting]
        if starting:
            number = sum(len(part) for part in starting)
            oldest = min((next(iter(part.values())) for part in starting), key=lambda task: task.launched_at)
            self.reasons.append(starting_reason(number, oldest.launched_at, oldest.hostname))
        unhealthy = len(service_tasks.version(self.service.version).unhealthy)
        if unhealthy:
            self.reasons.append(
                Reason("unhealthy", f"{instances(unhealthy)} running but not healthy (yet)", unhealthy)
            )
        if missing and service_tasks.stopping:
            # They take the place of new ones until they are gone.
            stopping = len(service_tasks.stopping)
            self.reasons.append(Reason("stopping", f"{instances(stopping)} still stopping", stopping))
        emptied = {moving[task_id].agent_id for task_id, why in self.why_moved.items() if why == "moving"}
        slaves = count_of(len(emptied), "slave")
        for kind, number in Counter(self.why_moved.values()).items():
            texts = {
                "moving": f"{instances(number)} to move away from {slaves} before maintenance",
                "misplaced": f"{instances(number)} to move to other slaves, as the constraints say",
                "restart": f"restart: {instances(number)} of {self.service.count} still to be replaced",
                "rebalancing": f"{instances(number)} to move to a slave with fewer of them",
            }
            self.reasons.append(Reason(kind, texts[kind], number))

    def _update(self, parts: Parts, failing: bool) -> Reason:
        new, old, count = len(parts.current), len(parts.outdated), self.service.count
        text = f"update to {self.service.made_of}: {new} of {count} new, {old} old still running"
        if failing:
            text += "; none of these is stopped until a new instance runs well"
        return Reason("update", text, max(0, count - new))

    def _failed_update(self, rollout: Rollout, back: Service | None) -> Reason:
        count = self.service.count
        good = f"The version before ({back.made_of})" if back is not None else "What still runs"
        how = f"the update to {self.service.made_of} is {rollout.state} since {clock(rollout.since)}"
        when = "the service's configuration changes or the scheduler is told to reload"
        if rollout.by_operator:
            when = "it is resumed or the configuration asks for another version"
        text = f"{how}: {rollout.reason}. {good} serves; the update goes on when {when}"
        ready = len(self.service_tasks.version(rollout.target).healthy)
        kind = "update paused" if rollout.state == "paused" else "rolled back"
        return Reason(kind, text, max(0, count - ready))


def starting_reason(number: int, since: float, hostname: str) -> Reason:
    """So many instances are starting, the oldest on a host since a second of the epoch."""
    return Reason("starting", f"{instances(number)} starting, since {clock(since)} on {hostname}", number)


def _backoff_reason(launches: int, failing: Wait) -> Reason:
    text = (
        f"{instances(launches)} held back until {clock(failing.until)}"
        f" after {failing.failures} failures in a row; the last: {failing.why}"
    )
    return Reason("back-off", text, launches, failing.until)
