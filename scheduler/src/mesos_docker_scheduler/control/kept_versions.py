"""Keeps on record what those versions are made of that may be asked for again."""

from __future__ import annotations

from collections.abc import Collection

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.records.rollout import Rollouts
from mesos_docker_scheduler.records.versions import Versions


class KeptVersions:
    """Writes to the ledger what `versions` should remember, and what it may forget."""

    def __init__(self, ledger: Ledger, versions: Versions, rollouts: Rollouts) -> None:
        self._ledger = ledger
        self._versions = versions
        self._rollouts = rollouts

    def keep(self, service: Service) -> None:
        """Keep on record what the service's version is made of."""
        self._ledger.keep_versions(self._versions.put(service, self._in_use))

    def forget_except(self, names: Collection[str]) -> None:
        """Forget services that are no longer configured, but for what still runs."""
        self._ledger.keep_versions(self._versions.forget_except(names, self._in_use))

    def _in_use(self, name: str, version: str) -> bool:
        """Whether a version of a service must stay on record."""
        rollout = self._rollouts.records.get(name)
        if rollout is not None and version in (rollout.target, rollout.good, rollout.previous):
            return True
        return any(task.version == version for task in self._ledger.task_index.of(name))
