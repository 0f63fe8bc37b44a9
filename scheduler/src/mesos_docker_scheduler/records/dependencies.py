"""Which services depend on which others, for as long as anything of them runs: they stop in reverse order."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.records.record_book import RecordBook

RECORD = "dependencies"
"""The kind of the store's records that hold dependencies."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A service, and those that it depends on."""

    service: str
    depends_on: tuple[str, ...]


class Dependencies(RecordBook[Dependency]):
    """The dependencies of all services, as records of the store, where they outlive the file's."""

    def __init__(self) -> None:
        super().__init__(RECORD, Dependency)

    def learn(self, services: Iterable[Service]) -> None:
        """Take over what the file says of the services that it has."""
        for service in services:
            known = self.records.get(service.name)
            if service.depends_on:
                record = Dependency(service.name, service.depends_on)
                if known != record:
                    self.keep(service.name, record)
            elif known is not None:
                self.drop(service.name)

    def forget_except(self, names: Collection[str]) -> None:
        """Forget services that are not configured, and of which nothing runs."""
        for name in self.records.keys() - set(names):
            self.drop(name)

    def dependents(self) -> dict[str, list[str]]:
        """By service, those that depend on it; the file may have left both out."""
        found: dict[str, list[str]] = {}
        for record in self.records.values():
            for name in record.depends_on:
                found.setdefault(name, []).append(record.service)
        return found
