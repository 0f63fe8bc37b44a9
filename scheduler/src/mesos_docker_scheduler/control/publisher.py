"""What others see: the snapshot, the gauges, and what is told when instances wait or all of them run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.observability.snapshot import Snapshot
from mesos_docker_scheduler.planning.explanation import Reason, sentences

Waiting = Mapping[str, tuple[Reason, ...]]

_WAITING_SECONDS = 1.0
_TOLD_AT_ONCE = frozenset({"back-off", "update paused", "rolled back", "not allowed"})
_PUBLISH_SECONDS = 0.2


class Publisher:
    """Makes the snapshot anew when something has changed, not too often. Times are seconds of the epoch."""

    def __init__(
        self, ledger: Ledger, metrics: Metrics, look: Callable[[float], Snapshot], now: float
    ) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._look = look
        self._waiting: Waiting = {}
        self._told: dict[str, tuple[Reason, ...]] = {}
        self._untold: dict[str, float] = {}
        self._published_at = 0.0
        self._shown_generation = -1
        self._urgent = False
        self.snapshot = look(now)

    def hurry(self) -> None:
        """Show what has changed at once: something has left the list of those that serve."""
        self._urgent = True

    def tell_waiting(self, waiting: Waiting, now: float) -> None:
        """Say why something is missing: at once what stays so, the rest when it has lasted for a moment.

        `waiting` has all services that there are.
        """
        for name in self._untold.keys() - waiting.keys():
            del self._untold[name]
        for name in self._told.keys() - waiting.keys():
            del self._told[name]
        for name, reasons in waiting.items():
            if reasons != self._waiting.get(name):
                self._ledger.touch()
                if _only_starts(reasons) and not _only_starts(self._waiting.get(name, ())):
                    self._untold.pop(name, None)  # what was missing so far is not, and this may take no time
            if reasons == self._told.get(name, ()):
                self._untold.pop(name, None)
            elif not reasons:
                self._told.pop(name)
                self._untold.pop(name, None)
            elif (
                any(reason.kind in _TOLD_AT_ONCE for reason in reasons)
                or now >= self._untold.setdefault(name, now) + _WAITING_SECONDS
            ):
                self._told[name] = reasons
                self._untold.pop(name, None)
                self._ledger.note(now, "waiting", "; ".join(sentences(reasons)), name)
        self._waiting = waiting

    def waiting_told_at(self) -> Iterable[float]:
        """When something will have waited for long enough to be told."""
        return (since + _WAITING_SECONDS for since in self._untold.values())

    def next_at(self) -> float | None:
        """When what has changed will be shown."""
        return self._published_at + _PUBLISH_SECONDS if self._is_stale else None

    def publish(self, now: float, *, at_once: bool = False) -> None:
        """Show what has changed, if it is time."""
        problem_shown = self.snapshot.problem == self._ledger.problem
        due = at_once or self._urgent or now >= self._published_at + _PUBLISH_SECONDS
        if problem_shown and not (self._is_stale and due):
            return
        self._urgent = False
        self._published_at = now
        self._shown_generation = self._ledger.generation
        before = {service.name: service.converged for service in self.snapshot.services}
        self.snapshot = self._look(now)
        self._metrics.show(self.snapshot)
        for service in self.snapshot.services:
            if service.converged and not before.get(service.name):
                text = f"all {service.wanted} wanted instances run"
                self._ledger.note(now, "converged", text, service.name)

    @property
    def _is_stale(self) -> bool:
        return self._shown_generation != self._ledger.generation


def _only_starts(reasons: tuple[Reason, ...]) -> bool:
    return bool(reasons) and all(reason.kind == "starting" for reason in reasons)
