"""How far the change of a service to another version has come, and what becomes of one that fails.

A state machine over one durable record for each service. `advance` is a pure function: from the same record,
service and progress it comes to the same end, whenever the scheduler was killed before.

| from | when | to |
| --- | --- | --- |
| any | the service is made of something else | rolling |
| complete | it is to have instances for the first time | rolling |
| rolling | all wanted are ready, and no others are left | complete |
| rolling | the deadline is over, no others are left, and as many are ready as served before | complete |
| rolling | `max_failures` in a row, or the deadline is over | paused, or rolled back (`on_failure`) |
| paused | `on_failure` is now rollback, and no operator has paused it | rolled back |
| paused, rolled back | somebody asks for it (`anew`), or the service is run otherwise | rolling |
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import ValidationError

from mesos_docker_scheduler.config import SCHEDULING_ONLY, Service
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.record_book import RecordBook
from mesos_docker_scheduler.records.versions import Versions

RECORD = "rollout"
"""The kind of the store's records that hold rollouts."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where a service stands on its way to `target`, the version that the configuration asks for.

    `good`: the last version of which all wanted instances were healthy, or else as many as found room; None
    at a first deployment. `ready`: the most instances of the target that were ready at a time; `served`: how
    many of another version were healthy when it began, less what was lost since. `since`: when the state was
    entered or `ready` grew, in seconds of the epoch. `reason`: why it is paused or rolled back, after so many
    `failures`; `by_operator`: because somebody asked for it. `previous`: the good version before a complete
    one. `began`: when it began, or was told to go on, in seconds of the epoch; 0: not known.
    """

    service: str
    target: str
    state: Literal["rolling", "paused", "rolled back", "complete"]
    good: str | None
    failures: int
    reason: str
    since: float
    ready: int = 0
    previous: str | None = None
    by_operator: bool = False
    began: float = field(default=0.0, compare=False)
    served: int = 0

    @property
    def updating(self) -> bool:
        """Whether another version that was healthy is being replaced."""
        return self.state == "rolling" and self.good not in (None, self.target)

    @property
    def stopped(self) -> bool:
        """Whether nothing new of the target is started."""
        return self.state in ("paused", "rolled back")

    @property
    def returns_to(self) -> str | None:
        """The version that a rollback returns to; None: none is known."""
        return self.previous if self.good == self.target else self.good


@dataclass(frozen=True, slots=True)
class Progress:
    """What an update has come to: ready instances of the target, and others that have not gone yet.

    `not_yet_ready`: instances of the target that are healthy, but not for long enough yet to be called ready.
    `serving`: how many of another version are healthy, at most count; `in_service`: how many of any are.
    `unreachable`: those of the target that may come back. `held_ports`: host ports that the others hold.
    """

    ready: int
    others: int
    not_yet_ready: int = 0
    serving: int = 0
    in_service: int = 0
    unreachable: int = 0
    held_ports: frozenset[int] = frozenset()


def advance(
    rollout: Rollout | None,
    service: Service,
    progress: Progress,
    failing: Wait | None,
    now: float,
    *,
    acting_since: float = 0.0,
    can_return: bool = False,
) -> Rollout:
    """Take the next step.

    `failing`: the target's failures. `acting_since`: since when we could act at all; a deadline counts no
    time before. `can_return`: whether it is known what the good version is made of.
    """
    if rollout is None or rollout.target != service.version:
        rollout, failing = _begun(rollout, service, progress, now), None
    match rollout.state:
        case "complete" if service.count and rollout.good != rollout.target:
            # There was nothing to complete before.
            rolling = replace(rollout, state="rolling", since=now, began=now)
            return _roll(rolling, service, progress, failing, now, acting_since, can_return)
        case "rolling":
            return _roll(rollout, service, progress, failing, now, acting_since, can_return)
        case "paused" if service.update.on_failure == "rollback" and not rollout.by_operator:
            return replace(rollout, state="rolled back", since=now)
    return rollout


def _roll(
    rollout: Rollout,
    service: Service,
    progress: Progress,
    failing: Wait | None,
    now: float,
    acting_since: float,
    can_return: bool,
) -> Rollout:
    """What becomes of one that is rolling."""
    if progress.in_service < rollout.served:
        rollout = replace(rollout, served=progress.in_service)
    if progress.ready >= service.count and not progress.others:
        return _completed(rollout, service, progress, now)
    if progress.ready > rollout.ready:
        rollout = replace(rollout, ready=progress.ready, since=now)
    if rollout.good in (None, rollout.target) or not service.count:
        return rollout  # a first deployment can only go on
    overdue = now >= deadline(rollout, service, progress, acting_since) and not progress.not_yet_ready
    as_before = not progress.others and progress.ready >= max(1, rollout.served)
    if overdue and failing is None and as_before:
        # There is nothing left to replace, and no room for more: the version before had none either.
        return _completed(rollout, service, progress, now)
    reason = _why_failed(service, progress, failing, overdue) if can_return else None
    if reason is None:
        return rollout
    stopped: Literal["paused", "rolled back"] = (
        "rolled back" if service.update.on_failure == "rollback" else "paused"
    )
    failures = failing.failures if failing is not None else 0
    return replace(rollout, state=stopped, failures=failures, reason=reason, since=now)


def _begun(before: Rollout | None, service: Service, progress: Progress, now: float) -> Rollout:
    good = before.good if before is not None else None
    if before is not None and good is None and before.ready:
        good = before.target  # it never found room for all, but what ran was healthy
    rollout = Rollout(service.name, service.version, "rolling", good, 0, "", now, began=now)
    return replace(rollout, served=progress.serving)


def _completed(rollout: Rollout, service: Service, progress: Progress, now: float) -> Rollout:
    done = replace(rollout, state="complete", since=now, ready=progress.ready)
    if not service.count or rollout.good == rollout.target:
        return done
    return replace(done, good=rollout.target, previous=rollout.good or rollout.previous)


def _why_failed(service: Service, progress: Progress, failing: Wait | None, overdue: bool) -> str | None:
    if failing is not None and failing.failures >= service.update.max_failures:
        return f"{failing.failures} failures in a row; the last: {failing.why}"
    if not overdue:
        return None
    reason = f"no new instance became ready within {service.update.progress_deadline_seconds:g} seconds"
    if failing is not None:
        return f"{reason}; the last failure: {failing.why}"
    held = sorted(progress.held_ports & set(service.host_ports))
    if held and not service.unavailable:
        reason += (
            f"; each needs host port {', '.join(map(str, held))}, which the old ones hold where they are, and"
            " none of these goes first while update.max_unavailable is 0"
        )
    return reason


def deadline(rollout: Rollout, service: Service, progress: Progress, acting_since: float) -> float:
    """When an update that makes no progress has failed. Instances that may come back are waited for first."""
    awaited = service.unreachable_seconds if progress.unreachable else 0.0
    return max(rollout.since, acting_since) + awaited + service.update.progress_deadline_seconds


def anew(rollout: Rollout, now: float) -> Rollout:
    """The same update, tried again."""
    return replace(
        rollout, state="rolling", failures=0, reason="", since=now, ready=0, by_operator=False, began=now
    )


class Rollouts(RecordBook[Rollout]):
    """The rollout of each service, as records of the store.

    `ended` hears of each update that comes to an end: its state then, and the seconds since it began. First
    deployments are none.
    """

    def __init__(self, ended: Callable[[str, float], None] = lambda state, seconds: None) -> None:
        super().__init__(RECORD, Rollout)
        self._ended = ended
        self._before: dict[str, tuple[Service, str, Service | None]] = {}

    def restore_by(self, records: Mapping[tuple[str, str], str], now: float) -> None:
        """Take in what an earlier process has written; its clock may have been ahead of this one."""
        self.restore(records)
        for name, rollout in self.records.items():
            self.records[name] = replace(
                rollout, since=min(now, rollout.since), began=min(now, rollout.began)
            )

    def put(self, rollout: Rollout) -> None:
        """Remember a step."""
        before = self.records.get(rollout.service)
        is_same = before is not None and before.updating and rollout.target == before.target
        if before is not None and is_same and before.began and rollout.state != "rolling":
            self._ended(rollout.state, rollout.since - before.began)
        self.keep(rollout.service, rollout)

    def forget_except(self, names: Collection[str]) -> None:
        """Forget services that are no longer configured."""
        for name in self.records.keys() - set(names):
            self.drop(name)
            self._before.pop(name, None)

    def ask_again(self, names: Collection[str], now: float) -> list[Rollout]:
        """Try updates of these services that have failed again; returns them.

        What an operator has stopped stays so.
        """
        again = [
            anew(rollout, now)
            for name, rollout in self.records.items()
            if name in names and rollout.stopped and not rollout.by_operator
        ]
        for rollout in again:
            self.put(rollout)
        return again

    def before(self, service: Service, versions: Versions) -> Service | None:
        """The good version of a service, with today's settings of how to run it; None: not known."""
        rollout = self.records.get(service.name)
        if rollout is None or rollout.good is None:
            return None
        known = self._before.get(service.name)
        if known is None or known[0] is not service or known[1] != rollout.good:
            made = made_as(service, rollout.good, versions)
            known = self._before[service.name] = (service, rollout.good, made)
        return known[2]


def made_as(service: Service, version: str, versions: Versions) -> Service | None:
    """An older version of a service, with today's settings of how to run it; None: not known."""
    return _as_before(versions.spec(service.name, version), version, service)


def _as_before(spec: str | None, version: str, service: Service) -> Service | None:
    if spec is None:
        return None
    try:
        before = Service.recorded(spec, version)
    except ValidationError:
        return None
    # Its name is what it was started under, even if a newer scheduler would name it otherwise.
    return before.model_copy(update={name: getattr(service, name) for name in SCHEDULING_ONLY})
