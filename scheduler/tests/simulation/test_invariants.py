"""Each invariant catches a scheduler that breaks it: a oracle that never condemns proves nothing."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from memory_store import MemoryStore
from mesos_docker_scheduler.control import controller, framework
from mesos_docker_scheduler.control.controller import Controller
from mesos_docker_scheduler.control.decisions import Decisions
from mesos_docker_scheduler.control.events import AnyEvent, Message
from mesos_docker_scheduler.control.launching import Launching
from mesos_docker_scheduler.control.leader import Leader
from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.control.publisher import Publisher
from mesos_docker_scheduler.control.status_updates import StatusUpdates
from mesos_docker_scheduler.control.stopping import Stopping
from mesos_docker_scheduler.observability.snapshot import Snapshot
from mesos_docker_scheduler.planning import candidates, cluster, constraints
from mesos_docker_scheduler.planning.offer_constraints import Filters
from mesos_docker_scheduler.planning.service_planner import Kill, ServicePlan, ServicePlanner
from mesos_docker_scheduler.records import rollout
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.failures import Failures
from mesos_docker_scheduler.records.store import Change
from mesos_docker_scheduler.records.tasks import Task
from scheduler_fakes import configuration, service
from simulated_mesos import history
from simulated_mesos.history import History
from simulated_mesos.oracle import InvariantError, fits_beside


class LaunchesTwice(Ledger):
    """Counts only what runs."""

    def put(self, task: Task) -> None:
        super().put(task)
        if task.running_since is None:
            self.task_index.remove(task)


class KillsTooMany(Decisions):
    """An update of the impatient kind."""

    def decide(self, now: float, publisher: Publisher) -> None:
        super().decide(now, publisher)
        for one in self._desired.config.services:
            for task in list(self._ledger.task_index.of(one.name)):
                if task.version != one.version and task.kill_reason is None and task.in_service:
                    self._stopping.intend(Kill(task.id, "old"), now)


class RepeatsIds(Controller):
    """Counts from 1 in each process."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._number = 0
        super().__init__(*arguments, **{**named, "new_id": self._next})

    def _next(self, service: str, version: str) -> str:
        self._number += 1
        return f"{service}.{version}.{self._number:016x}"


class ActsFirst(Ledger):
    """Sends, then writes."""

    def send(self, call: Callable[[], object]) -> None:
        call()


class KillsUnwritten(Stopping):
    """Kills without a record of why."""

    def intend(self, kill: Kill, now: float) -> bool:
        return self._driver.killTask(kill.task_id, None, None)


class AcknowledgesFirst(StatusUpdates):
    """Says that it knows before it has written anything."""

    def take(self, message: Message, now: float) -> None:
        if message.get("uuid"):
            self._driver.acknowledgeStatusUpdate(message)
        super().take(message, now)


class BelievesAnyMaster(Leader):
    """Takes what a new master doesn't know for gone."""

    def is_sure(self, agent_id: str, now: float) -> bool:
        return True


class NeverRevives(Ledger):
    """Suppressed for ever."""

    def send(self, call: Callable[[], object]) -> None:
        if _name_of(call) != "reviveOffers":
            super().send(call)


class NeverSuppresses(Ledger):
    """Takes offers that it does not need."""

    def send(self, call: Callable[[], object]) -> None:
        if _name_of(call) != "suppressOffers":
            super().send(call)


class AsksAllTheTime(StatusUpdates):
    """Reconciles every five seconds."""

    _asked_at = 0.0

    def ask(self, now: float) -> None:
        super().ask(now)
        if now >= self._asked_at + 5:
            self._asked_at = now
            self._ledger.send(lambda: self._driver.reconcileTasks([]))


class Restless(Controller):
    """Wakes ten times a second."""

    def process(self, batch: Iterable[AnyEvent], now: float) -> None:
        super().process(batch, now)
        self._wake_at = min(self._wake_at, now + 0.1)


class Sleepless(Controller):
    """Does not sleep at all."""

    def process(self, batch: Iterable[AnyEvent], now: float) -> None:
        super().process(batch, now)
        self._wake_at = now


class Greedy(Launching):
    """Takes more than was offered."""

    def _intend(self, *arguments: Any) -> Any:
        info = super()._intend(*arguments)
        for resource in info["resources"]:
            if resource["name"] == "cpus":
                resource["scalar"] = {"value": 100.0}
        return info


class BlamesEverybody(Failures):
    """Holds back each service for what any has done."""

    def waits(self) -> Mapping[str, Wait]:
        return _OfAll(super().waits())


class _OfAll(dict[str, Wait]):
    def get(self, key: str, default: Any = None) -> Any:
        return next(iter(self.values()), default)


class Silent(Controller):
    """Says nothing."""

    def _snapshot(self, now: float) -> Snapshot:
        snapshot = super()._snapshot(now)
        return replace(
            snapshot, services=tuple(replace(view, waiting=(), reasons=()) for view in snapshot.services)
        )


def _name_of(call: Any) -> str:
    return str(getattr(getattr(call, "func", call), "__name__", ""))


def verdicts(histories: int = 80) -> Iterator[str]:
    """What the oracle says of the scheduler, in each history in which it condemns it."""
    for seed in range(1, histories):
        try:
            History(seed).tell()
        except AssertionError as error:
            yield str(error).splitlines()[-1]


def condemned(histories: int = 30) -> str:
    """What it says first."""
    return next(verdicts(histories), "never condemned")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (LaunchesTwice, "are launched beside"),
        (KillsTooMany, "serve beside"),
        (RepeatsIds, "is launched a second time|its end was acknowledged"),
        (ActsFirst, "was not written down"),
        (KillsUnwritten, "is killed, but that was not written down"),
        (AcknowledgesFirst, "is acknowledged, but"),
        (BelievesAnyMaster, "are launched beside|is launched where"),
        (NeverRevives, "does not converge|has room since"),
        (BlamesEverybody, "is held back, and nothing of it has failed"),
        (NeverSuppresses, "offers are wanted while there is nothing to do"),
        (AsksAllTheTime, "calls while there is nothing to do"),
        (Restless, "of rest"),
        (Sleepless, "does not sleep"),
        (Greedy, "Mesos refuses"),
        (Silent, "nothing says why"),
    ],
)
def test_a_broken_scheduler_is_condemned(
    broken: type[object], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (part,) = broken.__bases__
    for user in (controller, history):
        monkeypatch.setattr(user, part.__name__, broken, raising=False)
    # What is broken may break something else before.
    assert any(re.search(words, verdict) for verdict in verdicts())


def test_launching_where_maintenance_is_announced_is_condemned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.Offer, "in_maintenance", lambda self, now: False)
    assert "will be taken away" in condemned()


def test_an_update_that_never_ends_is_condemned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "_why_failed", lambda *arguments: None)
    assert "its update makes no progress" in condemned(100)


def test_going_on_with_an_update_that_has_stopped_is_condemned(monkeypatch: pytest.MonkeyPatch) -> None:
    def go_on(self: ServicePlanner, *arguments: Any) -> ServicePlan:
        return replace(step(self, *arguments), service=self.service)

    step = ServicePlanner.step
    monkeypatch.setattr(ServicePlanner, "step", go_on)
    assert any("its update is paused or rolled back" in verdict for verdict in verdicts())


@pytest.mark.parametrize(
    "constraint",
    [
        ("hostname", "UNIQUE", None),
        ("hostname", "MAX_PER", "1"),
        ("rack", "CLUSTER", None),
        ("rack", "CLUSTER", "r1"),
        ("rack", "LIKE", "r1"),
        ("rack", "UNLIKE", "r0"),
        ("rack", "IS", "r1"),
    ],
)
def test_a_broken_constraint_is_condemned(
    constraint: tuple[str, str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constraints.SpreadCounter, "allows", lambda self, value: True)
    monkeypatch.setattr(constraints.SpreadCounter, "full", lambda self, value: False)
    monkeypatch.setattr(candidates, "suits", lambda constraint, value: True)
    monkeypatch.setattr(framework, "filters_for", lambda asking, role: Filters())
    wished = dict(zip(("field", "operator", "value"), constraint, strict=True))
    said = []
    for seed in range(1, 6):
        # Seven instances on five machines at most.
        history = History(seed, trouble=0.0, config=configuration(service(count=7, constraints=[wished])))
        with contextlib.suppress(InvariantError):
            history.run(30)
        said.append(history.oracle.condemned)
        history.close()
    assert f"{constraint[1]} {constraint[2]}" in " ".join(said)


@pytest.mark.parametrize(
    ("value", "others", "fits"),
    [("a", ["b"], True), ("a", ["a", "b"], True), ("a", ["a", "a", "b"], False), (None, ["b"], False)],
)
def test_groups_are_kept_even(value: str | None, others: list[str], fits: bool) -> None:
    constraint = service(constraints=[{"field": "rack", "operator": "GROUP_BY"}]).constraints[0]
    assert fits_beside(constraint, value, others, []) is fits


def test_an_acknowledged_update_that_the_store_loses_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: MemoryStore, change: Change) -> None:
        kept = {task_id: task for task_id, task in change.tasks.items() if not task.state.ended}
        commit(self, replace(change, tasks=kept))

    commit = MemoryStore.commit
    monkeypatch.setattr(MemoryStore, "commit", forgetful)
    assert "is acknowledged, but" in condemned()
