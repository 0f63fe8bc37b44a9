"""What operators have changed while the scheduler runs, on top of the configuration file.

The rule: whoever spoke last is obeyed. A count that was set by the API holds until the file gives the service
another count than it gave then. Nothing of that is silent: the status shows both, and events tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mesos_docker_scheduler.config import Config, Service
from mesos_docker_scheduler.records.record_book import RecordBook

RECORD = "override"
"""The kind of the store's records that hold overrides."""


@dataclass(frozen=True, slots=True)
class Override:
    """Of one service. Times are seconds of the epoch.

    `count`: how many instances instead of `configured`, what the file said then; None: as the file says.
    `since`: when that was asked for. `restarts`: how many restarts have been asked for; instances that were
    launched when there were fewer are replaced. No clock has a say in it: clocks are set, and differ.
    """

    service: str
    count: int | None = None
    configured: int = 0
    since: float = 0.0
    restarts: int = 0


class Overrides(RecordBook[Override]):
    """The overrides of all services, as records of the store."""

    def __init__(self) -> None:
        super().__init__(RECORD, Override)

    def of(self, service: str) -> Override:
        """The override of a service; an empty one when there is none."""
        return self.records.get(service) or Override(service)

    def put(self, override: Override) -> None:
        """Replace the override of a service."""
        if override.count is None and not override.restarts:
            self.drop(override.service)
        else:
            self.keep(override.service, override)

    def give_way(self, services: Iterable[Service]) -> list[Override]:
        """Drop what newer services of the file have overruled; returns the counts that are void."""
        configured = {
            service.name: service.count if service.mode == "replicated" else None for service in services
        }
        void = []
        for name, override in list(self.records.items()):
            if name not in configured:
                self.put(Override(name))
            elif override.count is not None and override.configured != configured[name]:
                void.append(override)
                self.put(replace(override, count=None))
        return void

    def restarts(self) -> dict[str, int]:
        """By service, how many restarts have been asked for; those without any are left out."""
        return {name: override.restarts for name, override in self.records.items() if override.restarts}

    def applied_to(self, config: Config) -> Config:
        """What should run: the file's services, with the counts that were asked for."""
        services = tuple(self._applied(service) for service in config.services)
        return config.model_copy(update={"services": services})

    def _applied(self, service: Service) -> Service:
        count = self.of(service.name).count
        return service if count is None else service.model_copy(update={"count": count})
