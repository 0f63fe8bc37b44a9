"""Says which instances a new master doesn't know yet because their slaves have yet to register with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from mesos_docker_scheduler.control.leader import Leader
from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.control.reconciliation import Reconciliation
from mesos_docker_scheduler.planning.explanation import Reason
from mesos_docker_scheduler.wording import clock, instances, is_are

_NAMES_SHOWN = 5


class Unconfirmed:
    """The reasons, by service; made anew only when something has changed. Times are seconds of the epoch."""

    def __init__(self, ledger: Ledger, reconciliation: Reconciliation, leader: Leader) -> None:
        self._ledger = ledger
        self._reconciliation = reconciliation
        self._leader = leader
        self._made_from: object = None
        self._reasons: Mapping[str, Reason] = {}

    def reasons(self, now: float) -> Mapping[str, Reason]:
        """What is to be said of each service that has such instances."""
        if not self._reconciliation.settled or now >= self._leader.sure_at:
            return {}
        made_from = self._reconciliation.generation, self._leader.agents_known, self._leader.sure_at
        if made_from != self._made_from:
            self._made_from, self._reasons = made_from, self._make(now)
        return self._reasons

    def _make(self, now: float) -> Mapping[str, Reason]:
        slaves: defaultdict[str, set[str]] = defaultdict(set)
        counts: defaultdict[str, int] = defaultdict(int)
        for task_id in self._reconciliation.unanswered:
            task = self._ledger.tasks.get(task_id)
            if task is not None and task.present and not self._leader.is_sure(task.agent_id, now):
                slaves[task.service].add(task.hostname or task.agent_id)
                counts[task.service] += 1
        return {name: self._reason(sorted(slaves[name]), count) for name, count in counts.items()}

    def _reason(self, slaves: list[str], count: int) -> Reason:
        until = self._leader.sure_at
        named = ", ".join(slaves[:_NAMES_SHOWN]) + (", ..." if len(slaves) > _NAMES_SHOWN else "")
        text = (
            f"{instances(count)} {is_are(count)} not known to the new master yet: it waits for"
            f" {'slave' if len(slaves) == 1 else 'slaves'} {named} to register, until {clock(until)}"
        )
        return Reason("unconfirmed", text, count, until)
