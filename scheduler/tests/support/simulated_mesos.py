"""A Mesos in memory, with a clock of its own, that goes wrong in all the ways Mesos may.

It keeps to what Mesos promises (docs/reconciliation.md, docs/task-state-reference.md, src/master/master.cpp):
updates with a uuid are sent until they are acknowledged, one at a time for each task; answers come in the
order of the questions; everything else may be late, lost, or happen twice. All chance comes from one seed.
"""

from __future__ import annotations

import heapq
import itertools
import queue
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mesos_docker_scheduler import events
from mesos_docker_scheduler.config import Config
from mesos_docker_scheduler.controller import Controller
from mesos_docker_scheduler.metrics import Metrics
from mesos_docker_scheduler.resources import Need, Pool
from mesos_docker_scheduler.store import Change, Event, Remembered, StoreError
from mesos_docker_scheduler.tasks import Task, parse_task_id
from scheduler_fakes import MASTER, NOW, resources

Message = dict[str, Any]
FRAMEWORK = "framework"
BAD_IMAGE = "demo/bad:1"
_ENDED = ("FINISHED", "FAILED", "KILLED", "ERROR")


class SchedulerKilledError(Exception):
    """The scheduler's process ends here, without a word."""


@dataclass
class MemoryStore:
    """What is on the disk. `disturb` runs before and after each write and may raise; `check` sees intents."""

    disturb: Callable[[], None]
    check: Callable[[set[str]], None]
    framework_id: str | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    records: dict[tuple[str, str], str] = field(default_factory=dict)

    def load(self) -> Remembered:
        return Remembered(self.framework_id, dict(self.tasks), dict(self.versions), (), dict(self.records))

    def commit(self, change: Change) -> None:
        self.disturb()
        self.framework_id = change.framework_id or self.framework_id
        killed = self._killed()
        self.tasks |= change.tasks
        self.check(self._killed() - killed)
        self.versions |= change.versions
        for task_id in change.forget:
            self.tasks.pop(task_id, None)
        self.records |= {name: value for name, value in change.records.items() if value is not None}
        for name in [name for name, value in change.records.items() if value is None]:
            self.records.pop(name, None)
        self.disturb()

    def _killed(self) -> set[str]:
        return {task.id for task in self.tasks.values() if task.kill_reason is not None}

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class SimulatedTask:
    """A container on an agent and the updates of it that nobody has acknowledged yet."""

    id: str
    service: str
    version: str
    image: str
    need: Need
    state: str = "STAGING"
    updates: list[Message] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        return self.state not in _ENDED


@dataclass
class SimulatedAgent:
    """`up`: it reaches the master. `known`: the master counts on it; `lost`: the master gave up on it."""

    id: str
    tasks: dict[str, SimulatedTask] = field(default_factory=dict)
    up: bool = True
    known: bool = True
    lost: bool = False
    refused_until: float = 0.0
    offer_id: str | None = None

    def free(self) -> Pool:
        pool = Pool(resources(cpus=2, mem=2048))
        for task in self.tasks.values():
            if task.alive:
                pool.take(task.need)
        return pool


class SimulatedMesos:
    """Master, agents and containers; also the scheduler's driver. `trouble` is the chance of each fault."""

    problem = None

    def __init__(self, seed: int, agents: int = 3, trouble: float = 0.05) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.trouble = trouble
        self.now = NOW
        self.agents = {f"agent-{number}": SimulatedAgent(f"agent-{number}") for number in range(agents)}
        self.inbox: list[events.AnyEvent] = []
        self.connected = False
        self.suppressed = False
        self.seen_ids: set[str] = set()
        self.doubted: set[str] = set()
        self.store = MemoryStore(self._disturb_disk, self._check_kills)
        self.violations: list[str] = []
        self.config: Config | None = None
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._offers: dict[str, str] = {}
        self._disk_full_until = 0.0

    # Time and chance

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.now + seconds, next(self._numbers), action))

    def chance(self) -> bool:
        return self.random.random() < self.trouble

    def advance(self, until: float) -> None:
        """Let what happens by itself happen up to a moment."""
        while self._agenda and self._agenda[0][0] <= until:
            at, _, action = heapq.heappop(self._agenda)
            self.now = max(self.now, at)
            action()
        self.now = max(self.now, until)

    @property
    def next_at(self) -> float:
        return self._agenda[0][0] if self._agenda else self.now + 60

    def _disturb_disk(self) -> None:
        if self.now < self._disk_full_until:
            raise StoreError("disk full")
        if self.random.random() < self.trouble / 20:
            self._disk_full_until = self.now + self.random.uniform(1, 30)
            raise StoreError("disk full")
        if self.random.random() < self.trouble / 20:
            raise SchedulerKilledError

    # The scheduler's side of it

    def start_scheduler(self, config: Config) -> Controller:
        """A new scheduler process on what the old one left on the disk."""
        self.config = config
        self.inbox.clear()
        self.connected = False
        self._void_offers()
        self.later(self.random.uniform(0.1, 2), self._subscribe)

        def new_id(service: str, version: str) -> str:
            return f"{service}.{version}.{self.random.getrandbits(64):016x}"

        return Controller(
            config,
            "sha",
            self.store,
            self.store.load(),
            self,
            inbox=queue.SimpleQueue(),
            clock=lambda: self.now,
            metrics=Metrics(),
            tell=self._hear,
            new_id=new_id,
        )

    def _hear(self, event: Event) -> None:
        """Events are for people."""

    def _subscribe(self) -> None:
        if not self.connected:
            self.connected = True
            self.suppressed = False
            for agent in self.agents.values():
                agent.refused_until = 0.0
            self.inbox.append(events.Subscribed(FRAMEWORK, MASTER))
            self.later(0.01, self._allocate)

    def fail_over(self) -> None:
        """Another master leads: it learns of agents and tasks as the agents come back."""
        self.lose_connection()
        for agent in self.agents.values():
            agent.known = False
            if agent.up:
                self.later(self.random.uniform(0.5, 40), partial(self._register, agent))

    def lose_connection(self) -> None:
        if self.connected:
            self.connected = False
            self._void_offers()
            self.inbox.append(events.Disconnected())
            self.later(self.random.uniform(0.1, 15), self._subscribe)

    def _void_offers(self) -> None:
        self._offers.clear()
        for agent in self.agents.values():
            agent.offer_id = None

    def _call(self, kind: str, body: Message) -> bool:
        """Whether a call arrives: it may be lost, and then the driver tells; or be the scheduler's last."""
        if self.random.random() < self.trouble / 20:
            raise SchedulerKilledError
        if self.random.random() < self.trouble / 5:
            self.inbox.append(events.CallFailed({"type": kind, kind.lower(): body}, "lost"))
            if self.random.random() < 0.5:
                self.later(self.random.uniform(0, 5), self.lose_connection)
            return False
        return True

    # Calls

    def acceptOffers(
        self, offer_ids: Sequence[str], operations: Sequence[Message], refuse_seconds: float
    ) -> bool:
        if not self.connected:
            return False
        infos: list[Message] = operations[0]["launch"]["task_infos"]
        self._check_launch(infos)
        if not self._call("ACCEPT", {"offer_ids": _ids(offer_ids), "operations": operations}):
            return True
        agents = {self._offers.pop(offer_id, None) for offer_id in offer_ids}
        if None in agents:
            for info in infos:
                self._say(
                    info["task_id"]["value"], "DROPPED", info["agent_id"]["value"], "REASON_INVALID_OFFERS"
                )
            return True
        agent = self.agents[str(agents.pop())]
        agent.offer_id = None
        agent.refused_until = self.now + refuse_seconds
        for info in infos:
            self._launch(agent, info)
        return True

    def _launch(self, agent: SimulatedAgent, info: Message) -> None:
        named = parse_task_id(info["task_id"]["value"])
        assert named is not None
        scalars = {part["name"]: part.get("scalar", {}).get("value", 0) for part in info["resources"]}
        need = Need(round(scalars["cpus"] * 1000), round(scalars["mem"] * 1000))
        image = info["container"]["docker"]["image"]
        task = SimulatedTask(info["task_id"]["value"], *named, image, need)
        agent.tasks[task.id] = task
        if task.image == BAD_IMAGE:
            self.later(0.5, lambda: self._become(agent, task, "FAILED"))
        else:
            self.later(0.1, lambda: self._become(agent, task, "STARTING"))
            self.later(self.random.uniform(0.2, 3), lambda: self._become(agent, task, "RUNNING"))

    def declineOffer(self, offer_ids: Sequence[str], refuse_seconds: float) -> bool:
        if self.connected and self._call("DECLINE", {"offer_ids": _ids(offer_ids)}):
            for offer_id in offer_ids:
                agent_id = self._offers.pop(offer_id, None)
                if agent_id is not None:
                    self.agents[agent_id].offer_id = None
                    self.agents[agent_id].refused_until = self.now + refuse_seconds
        return self.connected

    def suppressOffers(self, roles: Sequence[str] | None = None) -> bool:
        if self.connected and self._call("SUPPRESS", {}):
            self.suppressed = True
        return self.connected

    def reviveOffers(self, roles: Sequence[str] | None = None) -> bool:
        if self.connected and self._call("REVIVE", {}):
            self.suppressed = False
            for agent in self.agents.values():
                agent.refused_until = 0.0
            self.later(0.01, self._allocate)
        return self.connected

    def killTask(self, task_id: str, agent_id: str | None, grace_seconds: float | None) -> bool:
        if not self.connected:
            return False
        if task_id not in self.store.tasks or self.store.tasks[task_id].kill_reason is None:
            self.violations.append(f"{task_id} is killed, but that was not written down")
        if self._call("KILL", {}):
            for agent in self.agents.values():
                if agent.known and agent.up and task_id in agent.tasks:
                    task = agent.tasks[task_id]
                    self._become(agent, task, "KILLING")
                    seconds = self.random.uniform(0.1, 4)
                    self.later(seconds, partial(self._become, agent, task, "KILLED"))
        return True

    def acknowledgeStatusUpdate(self, status: Message) -> bool:
        if self.connected:
            self._check_acknowledgement(status)
            if self._call("ACKNOWLEDGE", {}):
                for agent in self.agents.values():
                    task = agent.tasks.get(status["task_id"]["value"])
                    if (
                        task is not None
                        and agent.up
                        and task.updates
                        and task.updates[0]["uuid"] == status["uuid"]
                    ):
                        task.updates.pop(0)
                        self._send_update(agent, task)
        return self.connected

    def reconcileTasks(self, tasks: Iterable[tuple[str, str | None]]) -> bool:
        if self.connected and self._call("RECONCILE", {}):
            asked = list(tasks)
            known = {
                task.id: (task, agent)
                for agent in self.agents.values()
                if agent.known
                for task in agent.tasks.values()
            }
            for task_id, agent_id in asked or [(task_id, None) for task_id in known]:
                if task_id in known:
                    task, agent = known[task_id]
                    # A task that ended and was acknowledged is no longer known.
                    if task.alive or task.updates:
                        self._say(task_id, task.state, agent.id, "REASON_RECONCILIATION")
                        continue
                self._answer_for_unknown(task_id, agent_id)
        return self.connected

    def _answer_for_unknown(self, task_id: str, agent_id: str | None) -> None:
        agent = self.agents.get(agent_id or "")
        if agent is None:
            state = "UNKNOWN"
        elif agent.known:
            state = "GONE"
        elif agent.lost:
            state = "UNREACHABLE"
        else:
            return
        self.doubted.add(task_id)
        self._say(task_id, state, agent_id, "REASON_RECONCILIATION")

    def updateFramework(self, framework: Message, offer_constraints: Message | None = None) -> bool:
        return self.connected

    def acceptInverseOffers(self, offer_ids: Sequence[str]) -> bool:
        return self.connected

    def declineInverseOffer(self, offer_ids: Sequence[str]) -> bool:
        return self.connected

    # What happens by itself

    def _allocate(self) -> None:
        if not self.connected or self.suppressed:
            return
        offers = []
        for agent in self.agents.values():
            if not agent.known or agent.offer_id is not None or self.now < agent.refused_until:
                continue
            pool = agent.free()
            agent.offer_id = f"offer-{next(self._numbers)}"
            self._offers[agent.offer_id] = agent.id
            amounts = {name: pool.free(name) / 1000 for name in ("cpus", "mem", "disk")}
            offers.append(
                {
                    "id": {"value": agent.offer_id},
                    "agent_id": {"value": agent.id},
                    "hostname": agent.id,
                    "resources": resources(**amounts, ports=""),
                }
            )
            if self.chance():
                self.later(self.random.uniform(0, 3), partial(self._rescind, agent))
        if offers:
            self.inbox.append(events.Offers(tuple(offers)))

    def _rescind(self, agent: SimulatedAgent) -> None:
        if agent.offer_id is not None:
            self._offers.pop(agent.offer_id, None)
            self.inbox.append(events.OfferRescinded(agent.offer_id))
            agent.offer_id = None

    def tick(self) -> None:
        """Mesos' own second: allocation, and agents that send unacknowledged updates again."""
        self._allocate()
        for agent in self.agents.values():
            for task in list(agent.tasks.values()):
                if task.updates and self.random.random() < 0.1:
                    self._send_update(agent, task)
        self.later(1.0, self.tick)

    def _become(self, agent: SimulatedAgent, task: SimulatedTask, state: str) -> None:
        order = ("STAGING", "STARTING", "RUNNING", "KILLING", *_ENDED)
        if not task.alive or order.index(state) <= order.index(task.state):
            return
        task.state = state
        agent.refused_until = 0.0 if state in _ENDED else agent.refused_until
        update: Message = {
            "task_id": {"value": task.id},
            "agent_id": {"value": agent.id},
            "state": f"TASK_{state}",
            "uuid": f"uuid-{next(self._numbers)}",
        }
        task.updates.append(update)
        if len(task.updates) == 1:
            self._send_update(agent, task)

    def _send_update(self, agent: SimulatedAgent, task: SimulatedTask) -> None:
        if task.updates and agent.up and agent.known and self.connected:
            update = task.updates[0]
            for _ in range(1 + self.chance()):
                self.later(self.random.uniform(0, 0.2), lambda: self._deliver(update))

    def _deliver(self, update: Message) -> None:
        if self.connected and not self.chance():
            self.inbox.append(events.Update(update))

    def _say(self, task_id: str, state: str, agent_id: str | None, reason: str) -> None:
        message: Message = {"task_id": {"value": task_id}, "state": f"TASK_{state}", "reason": reason}
        if agent_id is not None:
            message["agent_id"] = {"value": agent_id}
        self.inbox.append(events.Update(message))

    def crash(self, task: SimulatedTask, agent: SimulatedAgent) -> None:
        self._become(agent, task, "FAILED")

    def partition(self, agent: SimulatedAgent) -> None:
        """The master hears nothing of an agent; after 75 s it gives up on it."""
        agent.up = False
        self.later(75, lambda: self._give_up(agent))

    def _give_up(self, agent: SimulatedAgent) -> None:
        if agent.up or not agent.known:
            return
        agent.known, agent.lost = False, True
        self._rescind(agent)
        self.inbox.append(events.AgentLost(agent.id))
        for task in agent.tasks.values():
            if task.alive:
                self.doubted.add(task.id)
                self._say(task.id, "UNREACHABLE", agent.id, "REASON_SLAVE_REMOVED")

    def heal(self, agent: SimulatedAgent) -> None:
        """The agent reaches the master again."""
        if not agent.up:
            agent.up = True
            self.later(self.random.uniform(0.1, 5), lambda: self._register(agent))

    def _register(self, agent: SimulatedAgent) -> None:
        if not agent.up or agent.known:
            return
        was_lost, agent.known, agent.lost = agent.lost, True, False
        for task in agent.tasks.values():
            if task.alive and was_lost and self.connected:
                self._say(task.id, task.state, agent.id, "REASON_AGENT_REREGISTERED")
            self._send_update(agent, task)

    # What must never happen

    def alive(self, service: str) -> list[SimulatedTask]:
        """The containers of a service that run, wherever they are."""
        return [
            task
            for agent in self.agents.values()
            for task in agent.tasks.values()
            if task.alive and task.service == service
        ]

    def _check_launch(self, infos: Sequence[Message]) -> None:
        for info in infos:
            task_id = info["task_id"]["value"]
            if task_id in self.seen_ids:
                self.violations.append(f"{task_id} is launched a second time")
            self.seen_ids.add(task_id)
            if task_id not in self.store.tasks:
                self.violations.append(f"{task_id} is launched, but was not written down")
        assert self.config is not None
        for service in self.config.services:
            new = sum(info["name"] == service.name for info in infos)
            # What Mesos itself called lost was rightly replaced.
            there = sum(task.id not in self.doubted for task in self.alive(service.name))
            if new and there + new > service.count + service.update.max_surge:
                self.violations.append(
                    f"{service.name}: {there} alive and {new} more launched, {service.count} wanted"
                )

    def _check_kills(self, decided: set[str]) -> None:
        """Good instances are only stopped while enough others run; judged when no news is under way."""
        assert self.config is not None
        agents = self.agents.values()
        news = any(task.updates for agent in agents for task in agent.tasks.values())
        if news or self.inbox or not all(agent.up and agent.known for agent in agents):
            return
        for service in self.config.services:
            running = {task.id for task in self.alive(service.name) if task.state == "RUNNING"}
            staying = [task_id for task_id in running if self.store.tasks[task_id].kill_reason is None]
            if running & decided and len(staying) < service.count - service.update.max_unavailable:
                self.violations.append(f"{decided} are killed: {len(staying)} of {service.count} others run")

    def _check_acknowledgement(self, status: Message) -> None:
        record = self.store.tasks.get(status["task_id"]["value"])
        if (
            status["state"] == "TASK_RUNNING"
            and record is not None
            and record.state.value in ("STAGING", "STARTING")
        ):
            self.violations.append(f"{record.id}: RUNNING is acknowledged, but not written down")
        ended = status["state"].removeprefix("TASK_") in _ENDED
        if ended and record is not None and not record.state.ended:
            self.violations.append(f"{record.id}: its end is acknowledged, but not written down")


def _ids(values: Sequence[str]) -> list[Message]:
    return [{"value": value} for value in values]
