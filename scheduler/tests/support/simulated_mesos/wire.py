"""The driver's two connections to the master, as the scheduler sees them: calls go out, events come in.

A call may be lost, with or without having been carried out; the connection may end at any call, and what was
under way ends with it. `inbox` is the queue that the driver puts events into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from mesos_docker_scheduler.control import events
from scheduler_fakes import MASTER

from simulated_mesos.fate import Fate
from simulated_mesos.master import Master

Message = dict[str, Any]


class Watcher(Protocol):
    """Looks at each call at the moment at which the scheduler makes it."""

    def sees_accept(self, offer_ids: Sequence[str], infos: Sequence[Message]) -> None:
        """Look at an ACCEPT."""

    def sees_kill(self, task_id: str) -> None:
        """Look at a KILL."""

    def sees_acknowledgement(self, status: Message) -> None:
        """Look at an ACKNOWLEDGE."""


class Wire:
    """The driver that a simulated scheduler calls. `delay` is how long a message takes at most."""

    problem = None

    def __init__(self, fate: Fate, delay: float) -> None:
        self.master = Master(fate, self._receive)
        self.watcher: Watcher | None = None
        self.inbox: list[events.AnyEvent] = []
        self.connected = False
        self.framework_id: str | None = None
        self.roles: Sequence[str] = ["*"]
        self.constraints: Message = {}
        self.calls = 0
        self.declines = 0
        self._fate = fate
        self._delay = delay
        self._connection = 0
        self._calls_until = 0.0
        self._events_until = 0.0
        self._waiting: dict[int, tuple[Message, Callable[[], None]]] = {}
        self._suppressed: set[str] = set()

    # The connection

    def start(self, roles: Sequence[str]) -> None:
        """A new process of the scheduler: nothing is left of the old one's connection."""
        self._end()
        self.inbox.clear()
        self.framework_id = None
        self.roles = list(roles)
        self.constraints = {}

    def subscribe_as(self, framework_id: str | None) -> None:
        """Begin to subscribe, as a framework that Mesos knows or as a new one."""
        self.framework_id = framework_id
        self._fate.later(self._fate.between(0.1, 2), partial(self._subscribe, self._connection))

    def lose(self) -> None:
        """The connection breaks."""
        if self.connected:
            fate = self._fate
            fate.log("the connection breaks")
            for call in self._end():
                self.inbox.append(events.CallFailed(call, "the connection was lost"))
            self.inbox.append(events.Disconnected())
            fate.later(fate.between(0.1, 15), partial(self._subscribe, self._connection))

    def fail_over(self, *, registry_lost: bool = False) -> None:
        """The master that we speak to is no longer the leading one."""
        self.lose()
        self.master.fail_over(registry_lost=registry_lost)

    def _end(self) -> list[Message]:
        """End the connection; returns the calls without an answer, the first of which may have arrived."""
        waiting = list(self._waiting.values())
        self._waiting.clear()
        self.connected = False
        arrived = self._fate.random.randint(0, len(waiting)) if waiting else 0
        for _, action in waiting[:arrived]:
            action()
        self._connection += 1
        self.master.disconnect()
        return [call for call, _ in waiting]

    def launches_under_way(self) -> Iterable[Message]:
        """TaskInfos in calls that have not arrived yet."""
        for call, _ in self._waiting.values():
            if call["type"] == "ACCEPT":
                yield from call["accept"]["operations"][0]["launch"]["task_infos"]

    def _subscribe(self, connection: int) -> None:
        if connection == self._connection and not self.connected:
            self.connected = True
            self._suppressed = set()
            self.framework_id = self.master.subscribe(self.framework_id, self.roles, self.constraints)
            self.inbox.append(events.Subscribed(self.framework_id, {**MASTER, "id": self.master.id}))

    # What comes in

    def _receive(self, kind: str, body: Any) -> None:
        if not self.connected:
            return
        event = _event(kind, body)
        if not self._delay:
            self.inbox.append(event)
            return
        fate = self._fate
        self._events_until = max(self._events_until, fate.now + fate.between(0, self._delay))
        fate.later(self._events_until - fate.now, partial(self._arrive, self._connection, event))

    def _arrive(self, connection: int, event: events.AnyEvent) -> None:
        if connection == self._connection:
            self.inbox.append(event)

    # What goes out

    def _call(self, kind: str, body: Message, action: Callable[[], None]) -> bool:
        fate, connection = self._fate, self._connection
        fate.step()
        if not self.connected or self._connection != connection:
            return False
        self.calls += 1
        fate.log(kind, body)
        call = {"type": kind, kind.lower(): body}
        if fate.chance(1 / 5):
            fate.count("call lost")
            done = fate.random.random() < 0.3
            fate.log("this call is lost", "but was carried out" if done else "")
            if done:
                action()
            self.inbox.append(events.CallFailed(call, "lost"))
            if fate.random.random() < 0.5:
                fate.later(fate.between(0, 5), self.lose)
            return True
        if fate.chance(1 / 40):
            fate.count("disconnected at a call")
            self.lose()
            return False
        if not self._delay:
            action()
            return True
        number = fate.number()
        self._waiting[number] = call, action
        self._calls_until = max(self._calls_until, fate.now + fate.between(0, self._delay))
        fate.later(self._calls_until - fate.now, partial(self._do, number, action))
        return True

    def _do(self, number: int, action: Callable[[], None]) -> None:
        if self._waiting.pop(number, None) is not None:
            action()

    def acceptOffers(
        self, offer_ids: Sequence[str], operations: Sequence[Message], refuse_seconds: float
    ) -> bool:
        """ACCEPT."""
        infos: list[Message] = operations[0]["launch"]["task_infos"]
        if self.connected and self.watcher is not None:
            self.watcher.sees_accept(offer_ids, infos)
        body = {"offer_ids": _ids(offer_ids), "operations": operations}
        return self._call("ACCEPT", body, partial(self.master.accept, offer_ids, infos, refuse_seconds))

    def declineOffer(self, offer_ids: Sequence[str], refuse_seconds: float) -> bool:
        """DECLINE."""
        self.declines += 1
        action = partial(self.master.decline, offer_ids, refuse_seconds)
        return self._call("DECLINE", {"offer_ids": _ids(offer_ids)}, action)

    def suppressOffers(self, roles: Sequence[str] | None = None) -> bool:
        """SUPPRESS."""
        self._suppressed |= set(roles or self.roles)
        return self._call("SUPPRESS", {"roles": roles}, partial(self.master.suppress, roles))

    def reviveOffers(self, roles: Sequence[str] | None = None) -> bool:
        """REVIVE."""
        self._suppressed -= set(roles or self.roles)
        return self._call("REVIVE", {"roles": roles}, partial(self.master.revive, roles))

    def killTask(self, task_id: str, agent_id: str | None, grace_seconds: float | None) -> bool:
        """KILL."""
        if self.connected and self.watcher is not None:
            self.watcher.sees_kill(task_id)
        body = {"task_id": {"value": task_id}, "agent_id": {"value": agent_id}}
        return self._call("KILL", body, partial(self.master.kill, task_id, agent_id))

    def acknowledgeStatusUpdate(self, status: Message) -> bool:
        """ACKNOWLEDGE."""
        if self.connected and self.watcher is not None:
            self.watcher.sees_acknowledgement(status)
        return self._call("ACKNOWLEDGE", status, partial(self.master.acknowledge, status))

    def reconcileTasks(self, tasks: Iterable[tuple[str, str | None]]) -> bool:
        """RECONCILE."""
        asked = list(tasks)
        return self._call("RECONCILE", {"tasks": asked}, partial(self.master.reconcile, asked))

    def updateFramework(self, framework: Message, offer_constraints: Message | None = None) -> bool:
        """UPDATE_FRAMEWORK, which SUBSCRIBE repeats."""
        # The next SUBSCRIBE carries it, too.
        self.roles = list(framework["roles"])
        self.constraints = self.constraints if offer_constraints is None else offer_constraints
        suppressed = self._suppressed & set(self.roles)
        action = partial(self.master.update_framework, self.roles, suppressed, self.constraints)
        return self._call("UPDATE_FRAMEWORK", framework, action)

    def teardown(self, *, confirm: bool = False) -> bool:
        """TEARDOWN: never."""
        raise AssertionError("the scheduler ends the framework with all its tasks")

    def acceptInverseOffers(self, offer_ids: Sequence[str]) -> bool:
        """ACCEPT_INVERSE_OFFERS."""
        action = partial(self.master.answer_inverse, offer_ids)
        return self._call("ACCEPT_INVERSE_OFFERS", {"inverse_offer_ids": _ids(offer_ids)}, action)

    def declineInverseOffer(self, offer_ids: Sequence[str]) -> bool:
        """DECLINE_INVERSE_OFFERS."""
        action = partial(self.master.answer_inverse, offer_ids)
        return self._call("DECLINE_INVERSE_OFFERS", {"inverse_offer_ids": _ids(offer_ids)}, action)


def _event(kind: str, body: Any) -> events.AnyEvent:
    match kind:
        case "OFFERS":
            return events.Offers(body)
        case "RESCIND":
            return events.OfferRescinded(body)
        case "INVERSE_OFFERS":
            return events.InverseOffers(body)
        case "RESCIND_INVERSE_OFFER":
            return events.InverseOfferRescinded(body)
        case "FAILURE":
            return events.AgentLost(body)
    return events.Update(body)


def _ids(values: Sequence[str]) -> list[Message]:
    return [{"value": value} for value in values]
