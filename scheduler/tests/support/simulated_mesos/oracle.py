"""What must never happen: each invariant is checked at the first moment at which it can be seen to be broken.

The scheduler is judged by what runs in the simulated world and by what Mesos has told it, never by its own
books. What Mesos did, or has not told yet, is not its fault:

- *Above*: when it launches, the containers of a service that run or may come to run, with the new ones, are
  count + max_surge at most. Those that Mesos has called ended or absent don't count: they were rightly
  replaced. Nor do those that Mesos stops because it drains their agent, or that never ran and have hung for
  minutes since they were told to stop. That a new master does not know a task counts for nothing while it
  may still hear of the task's agent.
- *Beside*: with mode "global" no agent gets an instance while another of the service may run there.
- *After*: nothing of a service is launched while nothing runs of one that it depends on.
- *Below*: when it decides to stop an instance that serves, as Mesos told it since the subscription began,
  then at least count - max_unavailable others serve, as Mesos told it, and are to stay. What Mesos has not
  told, or has told wrongly, is not counted against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mesos_docker_scheduler.config import Config, Service
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.controller import Controller
from mesos_docker_scheduler.observability.snapshot import Snapshot
from mesos_docker_scheduler.planning.constraints import Constraint
from mesos_docker_scheduler.records.store import Change
from mesos_docker_scheduler.records.tasks import Task

from simulated_mesos.agents import ENDED, Agent
from simulated_mesos.disk import Disk
from simulated_mesos.fate import Fate
from simulated_mesos.liveness import Liveness
from simulated_mesos.master import Election
from simulated_mesos.wire import Wire

Message = dict[str, Any]

ABSENT = frozenset({"LOST", "UNKNOWN", "UNREACHABLE", "GONE_BY_OPERATOR"})
# A master may say these of a task on an agent that it doesn't know.
_NO_PROOF = frozenset({"UNKNOWN", "LOST", "DROPPED", "ERROR"})
_DOUBTFUL_ENDS = frozenset({"DROPPED", "GONE"})
_LIFE = ("STAGING", "STARTING", "RUNNING", "KILLING")
_UNEXPLAINED_SECONDS = 2.0
_AHEAD_SECONDS = 3600.0  # before maintenance begins nothing is launched for so long
_GIVEN_UP_SECONDS = 300.0  # what never ran and does not end keeps its place for so long
_DELAY_SECONDS = 2.0  # the shutdown delay of services that nobody wants any more


class InvariantError(AssertionError):
    """The scheduler did what it must never do."""


@dataclass(slots=True)
class Said:
    """What Mesos has told of a task, as one should understand it.

    `unproven`: the master doesn't know it, and has not shown that it knows its agent.
    """

    state: str
    healthy: bool | None
    reason: str | None = None
    since_subscription: bool = True
    unproven: bool = False

    @property
    def there(self) -> bool:
        """Whether Mesos has not called it ended or absent."""
        return self.state not in ENDED and self.state not in ABSENT

    @property
    def drained(self) -> bool:
        """Whether Mesos itself is stopping it."""
        return self.state == "KILLING" and self.reason == "REASON_AGENT_DRAINING"

    def serves(self, checked: bool) -> bool:
        """Whether Mesos has said since the subscription began that it runs, and that it is healthy."""
        well = self.healthy is True if checked else self.healthy is not False
        return self.since_subscription and self.state == "RUNNING" and well


class Oracle:
    """Watches one scheduler, through all its processes. Raises InvariantError."""

    def __init__(self, fate: Fate, wire: Wire, config: Config) -> None:
        self.config = config
        self.disk: Disk
        self.condemned = ""
        self._fate = fate
        self._wire = wire
        self._election: Election | None = None
        self._used: set[str] = set()
        self._said: dict[str, Said] = {}
        self._shown: set[str] = set()  # agents of which the master has told this process of the scheduler
        self._offers: dict[str, Message] = {}
        self._windows: dict[str, tuple[float, float]] = {}
        self._inverse: dict[str, str] = {}
        self._acknowledged: set[str] = set()
        self._acknowledged_ends: set[str] = set()
        self._in_service: set[str] = set()
        self._left: dict[str, float] = {}
        self._must_wait: dict[str, float] = {}
        self._once_served: dict[str, set[str]] = {}
        self._limits: dict[str, set[Constraint]] = {}
        self._taken_places: dict[str, str] = {}
        self._stopped: dict[str, str] = {}
        self._unwritten: set[str] = set()  # services of which that was shown only while the store failed
        self._unexplained: dict[str, float] = {}
        self._liveness = Liveness(fate, wire, self._would_fit, self._fail)

    @property
    def stopped_updates(self) -> bool:
        """Whether an update is shown as paused or rolled back."""
        return bool(self._stopped)

    def _fail(self, text: str) -> None:
        self.condemned = text
        raise InvariantError(text)

    # What it is told

    def process_starts(self) -> None:
        """Note that another process of the scheduler knows what is on the disk, and no more."""
        self._said = {
            task.id: Said(task.state.value, task.healthy, task.reason)
            for task in self.disk.durable.tasks.values()
        }
        self._shown.clear()
        # It knows nothing of what was decided and could not be written: such an update goes on.
        for name in self._unwritten:
            self._stopped.pop(name, None)
        self._unwritten.clear()
        self._subscribed_anew()

    def store_replaced(self) -> None:
        """Note that what was on the disk is gone, and what it proved."""
        self._acknowledged.clear()
        self._acknowledged_ends.clear()
        self._left.clear()
        self._must_wait.clear()
        self._stopped.clear()

    def _subscribed_anew(self) -> None:
        self._offers.clear()
        self._inverse.clear()
        self._windows.clear()
        self._unexplained.clear()
        self._liveness.interrupted()
        for said in self._said.values():
            said.since_subscription = False

    def hears(self, batch: Iterable[events.AnyEvent]) -> None:
        """Read along what the scheduler is about to take in."""
        for event in batch:
            match event:
                case events.Update():
                    self._hears_update(event.status)
                case events.Offers():
                    for offer in event.offers:
                        self._offers[offer["id"]["value"]] = dict(offer)
                        self._shown.add(offer["agent_id"]["value"])
                        self._hears_of_maintenance(offer)
                case events.InverseOffers():
                    for offer in event.offers:
                        self._inverse[offer["id"]["value"]] = offer["agent_id"]["value"]
                        self._hears_of_maintenance(offer)
                case events.InverseOfferRescinded():
                    self._windows.pop(self._inverse.pop(event.offer_id, ""), None)
                case events.Subscribed():
                    election = self._wire.master.elections[event.master["id"]]
                    if election is not self._election:
                        self._shown.clear()
                    self._election = election
                    self._subscribed_anew()
                case events.Disconnected():
                    self._subscribed_anew()
                case events.Recovered() | events.Surveyed():
                    for task in event.tasks:
                        self._said.setdefault(task.id, Said(task.state.value, task.healthy))
                case events.ConfigRead() if event.config is not None:
                    self._liveness.interrupted()
                    self.config = event.config
                    self._stopped.clear()
                    self._shorten_delays()

    def _shorten_delays(self) -> None:
        """What is about to stop waits no longer than the configuration says by now, if only for a while."""
        for task_id, delay in self._must_wait.items():
            self._must_wait[task_id] = min(delay, self._shutdown_delay(task_id.partition(".")[0]))

    def _shutdown_delay(self, name: str) -> float:
        services = (service for service in self.config.services if service.name == name)
        return next((service.shutdown_delay_seconds for service in services), _DELAY_SECONDS)

    def _hears_of_maintenance(self, offer: events.Message) -> None:
        agent_id = offer["agent_id"]["value"]
        self._windows.pop(agent_id, None)
        if "unavailability" in offer:
            self._windows[agent_id] = _window(offer["unavailability"])

    def _hears_update(self, status: events.Message) -> None:
        self._liveness.hears(status)
        task_id, state = status["task_id"]["value"], status["state"].removeprefix("TASK_")
        agent_id = status.get("agent_id", {}).get("value", "")
        if state == "UNKNOWN" and self._is_premature(agent_id):
            return
        if "uuid" in status or state not in _NO_PROOF:
            self._shown.add(agent_id)
        before = self._said.get(task_id)
        if before is None:
            self._said[task_id] = Said(state, status.get("healthy"), status.get("reason"))
            return
        before.since_subscription = True
        returns = before.state in _DOUBTFUL_ENDS and state in _LIFE
        outdated = before.state in _LIFE and state in _LIFE and _LIFE.index(state) < _LIFE.index(before.state)
        if (before.state in ENDED and not returns) or outdated:
            return
        # Reconciliation tells the state and not why: the agent may say so later.
        if before.state != state or "uuid" in status:
            before.reason = status.get("reason")
        before.state = state
        before.unproven = state == "UNKNOWN" and agent_id not in self._shown
        if "healthy" in status:
            before.healthy = status["healthy"]

    def _is_premature(self, agent_id: str) -> bool:
        return self._election is not None and self._election.may_still_hear_of(agent_id, self._fate.now)

    # Launches

    def sees_accept(self, offer_ids: Sequence[str], infos: Sequence[Message]) -> None:
        """Look at an ACCEPT before it is sent."""
        offers = [self._offers[offer_id] for offer_id in offer_ids if offer_id in self._offers]
        self._fate.counts["launches"] += len(infos)
        for info in infos:
            task_id = info["task_id"]["value"]
            if task_id in self._used:
                self._fail(f"{task_id} is launched a second time")
            self._used.add(task_id)
            record = self.disk.durable.tasks.get(task_id)
            if record is None:
                self._fail(f"{task_id} is launched, but was not written down")
            elif self._stopped.get(record.service) == record.version:
                self._fail(f"{task_id} is launched, but its update is paused or rolled back")
        for offer in offers:
            agent_id = offer["agent_id"]["value"]
            if self.is_going(agent_id):
                self._fail(f"{agent_id}: something is launched on an agent that will be taken away")
        for info in infos:
            self._look_at_constraints(info)
        running: dict[str, list[str]] = {}
        for container_id, name in self._may_run():
            running.setdefault(name, []).append(container_id)
        for service in self.config.services:
            new = [info["task_id"]["value"] for info in infos if info["name"] == service.name]
            there = running.get(service.name, [])
            if new:
                self._look_at_dependencies(service)
            if service.mode == "global":
                self._look_beside(service, new, there)
            elif new and len(there) + len(new) > service.count + service.surge:
                self._fail(
                    f"{service.name}: {new} are launched beside {there};"
                    f" count is {service.count}, max_surge {service.update.max_surge}"
                )
        unknown = {info["name"] for info in infos} - {service.name for service in self.config.services}
        if unknown:
            self._fail(f"{unknown} is launched, but nobody wants it")

    def _look_beside(self, service: Service, new: Sequence[str], there: Sequence[str]) -> None:
        tasks, places = self.disk.durable.tasks, [self._place_of(task_id) for task_id in there]
        for task_id in new:
            if tasks[task_id].agent_id in places or len(new) > 1:
                self._fail(f"{service.name}: {new} are launched on one agent, beside {there} on {places}")

    def _place_of(self, task_id: str) -> str | None:
        record = self.disk.durable.tasks.get(task_id)
        return None if record is None else record.agent_id

    def _look_at_dependencies(self, service: Service) -> None:
        for name in service.depends_on:
            states = (task.state.value for task in self.disk.durable.tasks.values() if task.service == name)
            if "RUNNING" not in states:
                self._fail(f"{service.name} is launched, but nothing of {name} runs, which it depends on")

    def _look_at_constraints(self, info: Message) -> None:
        """Marathon's meaning, among the instances of the same version that are to stay.

        Those do not stay that a restart replaces, or whose agent goes away. One that the master doesn't know,
        on an agent of which it has not told this process, may stay or not: the agent may be yet to register,
        or be gone, which Mesos does not say a second time. That it is given up in time shows at the end.
        """
        record = self.disk.durable.tasks[info["task_id"]["value"]]
        service = next((one for one in self.config.services if one.name == record.service), None)
        if service is None or service.version != record.version:
            return  # what is started again of a version before is judged by its resources alone
        others = [
            task
            for task in self.disk.durable.tasks.values()
            if task.service == record.service and task.version == record.version and task.id != record.id
            if task.restarts >= record.restarts and not self.is_going(task.agent_id)
        ]
        stay = [task for task in others if self._stays(task)]
        broken = self._broken_constraint(service, record, stay)
        if broken:
            stay += [task for task in others if self._may_stay(task)]
            if self._broken_constraint(service, record, stay):
                self._fail(broken)

    def _broken_constraint(self, service: Service, record: Task, stay: Sequence[Task]) -> str:
        """What is wrong with where an instance is launched while these are to stay; "" if nothing is."""
        for constraint in service.constraints:
            value = self._value(record, constraint.field)
            before, beside = (
                [self._value(task, constraint.field) for task in stay if (task.launched_at < at) is earlier]
                for at, earlier in ((record.launched_at, True), (record.launched_at, False))
            )
            if service.rebalance and constraint.operator == "GROUP_BY" and value in before:
                before.remove(value)  # one of its group may be about to move
            if not fits_beside(constraint, value, before, beside):
                return (
                    f"{record.id} is launched where {constraint.field} is {value}, others have {before} and"
                    f" {beside}: {constraint.operator} {constraint.value}"
                )
        return ""

    def _would_fit(self, service: Service, agent: Agent) -> bool:
        """Whether the constraints of a service let one more instance come to an agent."""
        stay = [
            task
            for task in self.disk.durable.tasks.values()
            if task.service == service.name and task.version == service.version and self._stays(task)
        ]
        return all(
            fits_beside(
                constraint,
                agent.machine.field(constraint.field),
                [self._value(task, constraint.field) for task in stay],
                [],
            )
            for constraint in service.constraints
        ) and not (service.mode == "global" and any(task.agent_id == agent.id for task in stay))

    def _value(self, task: Task, field: str) -> str | None:
        return self._wire.master.agents[task.agent_id].machine.field(field)

    def is_going(self, agent_id: str) -> bool:
        """Whether the scheduler was told that an agent will soon be away."""
        start, end = self._windows.get(agent_id, (0.0, 0.0))
        return start - _AHEAD_SECONDS <= self._fate.now < end

    def _stays(self, task: Task) -> bool:
        said = self._said.get(task.id)
        there = task.present if said is None else said.there and said.state != "KILLING"
        return there and task.kill_reason is None

    def _may_stay(self, task: Task) -> bool:
        said = self._said.get(task.id)
        return said is not None and said.unproven and task.kill_reason is None

    def _may_run(self) -> Iterable[tuple[str, str]]:
        """Containers, and their services, that run or are under way, but for what Mesos calls lost."""
        for _, container in self._wire.master.containers():
            if self._counts(container.id):
                yield container.id, container.service
        for task_id, known in self._wire.master.tasks.items():
            agent = self._wire.master.agents[known.agent_id]
            if task_id not in agent.containers and known.said == "STAGING" and self._counts(task_id):
                yield task_id, task_id.partition(".")[0]
        for info in self._wire.launches_under_way():
            yield info["task_id"]["value"], info["name"]

    def _counts(self, task_id: str) -> bool:
        said = self._said.get(task_id)
        # What only a lost store knew of is hidden until Mesos tells of it.
        if said is None:
            return task_id in self.disk.durable.tasks
        return said.there and not said.drained and not self._hangs(task_id)

    def _hangs(self, task_id: str) -> bool:
        record = self.disk.durable.tasks.get(task_id)
        return (
            record is not None
            and record.running_since is None
            and record.kill_at is not None
            and self._fate.now >= record.kill_at + _GIVEN_UP_SECONDS
        )

    # Kills

    def sees_change(self, change: Change, task_ids: set[str]) -> None:
        """Look at what was just written, and at the instances that it decides to stop."""
        for task in change.tasks.values():
            # Mesos will not say again what was acknowledged.
            if task.id in self._acknowledged_ends and not task.state.ended:
                self._fail(f"{task.id}: its end was acknowledged, but the record says {task.state.value}")
        if task_ids:
            self._decides_to_stop(task_ids)

    def _decides_to_stop(self, task_ids: set[str]) -> None:
        for task_id in task_ids & self._in_service:
            self._must_wait[task_id] = self._shutdown_delay(self._service_of(task_id))
        serving = {name: set(self._serving(name)) for name in {self._service_of(one) for one in task_ids}}
        for service in self.config.services:
            mine = serving.get(service.name)
            if not mine:
                continue
            staying = {one for one in mine if self.disk.durable.tasks[one].kill_reason is None}
            least = service.count - service.unavailable
            going = mine & task_ids
            # How many are wanted with mode "global" depends on what the scheduler knows of agents.
            if (
                service.mode == "replicated"
                and going
                and len(staying) < least
                and not self._are_superseded(service.name, going, staying)
            ):
                self._fail(
                    f"{service.name}: {sorted(going)} are to stop, {sorted(staying)} serve beside;"
                    f" count is {service.count}, max_unavailable {service.update.max_unavailable}"
                )

    def _are_superseded(self, name: str, going: set[str], staying: set[str]) -> bool:
        """Whether a constraint has no place for any of these beside others that take their place.

        Each new one takes the place of one old one only, whenever that goes: after a loss of the store it is
        told to go once more.
        """
        tasks = self.disk.durable.tasks
        places = [one for one in staying if self._taken_places.get(one, "") in {"", *going}]
        taken: dict[str, str] = {}
        for old in (tasks[one] for one in going):
            new = next(
                (
                    one
                    for one in places
                    if (tasks[one].version, tasks[one].restarts) != (old.version, old.restarts)
                    and any(
                        self._value(tasks[one], limit.field) == self._value(old, limit.field)
                        for limit in self._limits.get(name, ())
                    )
                ),
                None,
            )
            if new is None:
                return False
            places.remove(new)
            taken[new] = old.id
        self._taken_places |= taken
        return True

    def _service_of(self, task_id: str) -> str:
        return self.disk.durable.tasks[task_id].service

    def _serving(self, name: str) -> Iterable[str]:
        for task in self.disk.durable.tasks.values():
            said = self._said.get(task.id)
            if task.service == name and said is not None and said.serves(task.has_health_check):
                yield task.id

    def sees_kill(self, task_id: str) -> None:
        """Look at a KILL before it is sent."""
        self._fate.counts["kills"] += 1
        record = self.disk.durable.tasks.get(task_id)
        if record is None or record.kill_reason is None:
            self._fail(f"{task_id} is killed, but that was not written down")
        said = self._said.get(task_id)
        if said is None or record is None or not said.serves(record.has_health_check):
            return
        delay = self._must_wait.get(task_id, 0.0)
        if not delay:
            return
        if task_id in self._in_service:
            self._fail(f"{task_id} is killed, but stands in the list of what is in service")
        since = self._fate.now - self._left.get(task_id, self._fate.now)
        if since < delay:
            self._fail(f"{task_id} is killed {since:.3f} s after it left the list; it should be {delay}")

    # Updates

    def sees_acknowledgement(self, status: Message) -> None:
        """Look at an ACKNOWLEDGE before it is sent."""
        self._fate.counts["acknowledgements"] += 1
        task_id, state = status["task_id"]["value"], status["state"].removeprefix("TASK_")
        record = self.disk.durable.tasks.get(task_id)
        if record is None:
            if state in _LIFE and task_id not in self._acknowledged:
                self._fail(f"{task_id}: {state} is acknowledged, but there is no record of the task")
            return
        known = record.state.value
        if state in ENDED and not record.state.ended:
            self._fail(f"{task_id}: {state} is acknowledged, but the record says {known}")
        if state in _LIFE and known in _LIFE and _LIFE.index(known) < _LIFE.index(state):
            self._fail(f"{task_id}: {state} is acknowledged, but the record says {known}")
        self._acknowledged.add(task_id)
        if state in ENDED and state not in _DOUBTFUL_ENDS:
            self._acknowledged_ends.add(task_id)

    # What is shown

    def sees(self, controller: Controller) -> None:
        """Look at what a round has made visible."""
        snapshot, now = controller.snapshot, self._fate.now
        self._look_at_what_serves()
        self._look_at_services(snapshot, now)
        if snapshot.at == now:
            self._liveness.sees(snapshot, self.config.services)

    def _look_at_what_serves(self) -> None:
        for service in self.config.services:
            limits = {one for one in service.constraints if one.operator in ("UNIQUE", "MAX_PER")}
            self._limits.setdefault(service.name, set()).update(limits)
            versions = {self.disk.durable.tasks[one].version for one in self._serving(service.name)}
            self._once_served.setdefault(service.name, set()).update(versions)

    def _look_at_services(self, snapshot: Snapshot, now: float) -> None:
        in_service = {one.task_id for view in snapshot.services for one in view.instances if one.in_service}
        for task_id in self._in_service - in_service:
            self._left[task_id] = now
        self._in_service = in_service
        for view in snapshot.services:
            if snapshot.at == now and any(
                reason.kind in ("update paused", "rolled back") for reason in view.reasons
            ):
                if snapshot.problem is None:
                    self._unwritten.discard(view.name)
                elif self._stopped.get(view.name) != view.version:
                    self._unwritten.add(view.name)
                self._stopped[view.name] = view.version
                if not self._once_served[view.name] - {view.version}:
                    self._fail(f"{view.name}: its first deployment is paused: {view.waiting}")
            short = sum(one.state == "TASK_RUNNING" and one.stopping is None for one in view.instances)
            missing = not view.converged and short < view.wanted
            if missing and not view.waiting and snapshot.problem is None and snapshot.connected:
                since = self._unexplained.setdefault(view.name, now)
                if now - since > _UNEXPLAINED_SECONDS:
                    self._fail(f"{view.name}: {short} of {view.wanted} run, and nothing says why")
            else:
                self._unexplained.pop(view.name, None)


def fits_beside(
    constraint: Constraint, value: str | None, before: Sequence[str | None], beside: Sequence[str | None]
) -> bool:
    """Whether an instance may come to this value: `before` were there, `beside` come with it."""
    wanted, others = constraint.value or "", [*before, *beside]
    if value is None:
        return constraint.operator == "UNLIKE"
    match constraint.operator:
        case "UNIQUE":
            fits = value not in others
        case "MAX_PER":
            fits = others.count(value) < int(wanted)
        case "IS":
            fits = value == wanted
        case "LIKE":
            fits = re.fullmatch(wanted, value) is not None
        case "UNLIKE":
            fits = re.fullmatch(wanted, value) is None
        case "CLUSTER" if wanted:
            fits = value == wanted
        case "CLUSTER":
            # One that came back may stand elsewhere.
            fits = value in before if before else set(beside) <= {value}
        case _:  # GROUP_BY: never more than one above any other group that has instances
            fits = all(others.count(value) <= others.count(other) for other in others)
    return fits


def _window(unavailability: Message) -> tuple[float, float]:
    start = unavailability["start"]["nanoseconds"]
    return start / 1e9, float(start + unavailability["duration"]["nanoseconds"]) / 1e9


def unreached(agents: Iterable[Agent]) -> set[str]:
    """Agents that nobody can reach: what runs there is hidden."""
    return {agent.id for agent in agents if not agent.up}


def wanted(config: Config) -> dict[str, Service]:
    """Services by name."""
    return {service.name: service for service in config.services}
