"""What the versions of each service are made of: to start an older one again, and to say what still runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from mesos_docker_scheduler.config import A_COMMAND, Service

KEPT = 20
"""So many versions of each service are remembered; more if more are in use."""

Changes = dict[tuple[str, str], str | None]
InUse = Callable[[str, str], bool]
"""Tells whether a version of a service must be kept: something of it runs, or may be asked for again."""


class Versions:
    """Service definitions as JSON, by service and version, oldest first. What changes is returned."""

    def __init__(self, remembered: Mapping[tuple[str, str], str]) -> None:
        self._specs: dict[str, dict[str, str]] = {}
        for (service, version), spec in remembered.items():
            self._specs.setdefault(service, {})[version] = spec

    def containerizer(self, service: str, version: str) -> str:
        """What runs a version; the usual one when that is not known."""
        return str(self._known(service, version).get("containerizer", "docker"))

    def image(self, service: str, version: str) -> str:
        """The image of a version; empty when it has none, or is not known."""
        return self._known(service, version).get("image") or ""

    def made_of(self, service: str, version: str) -> str:
        """The image of a version, or that it is a command; empty when it is not known."""
        known = self._known(service, version)
        return str(known["image"] or A_COMMAND) if known else ""

    def _known(self, service: str, version: str) -> dict[str, Any]:
        spec = self.spec(service, version)
        return {} if spec is None else dict(json.loads(spec))

    def spec(self, service: str, version: str) -> str | None:
        """The definition of a version."""
        return self._specs.get(service, {}).get(version)

    def put(self, service: Service, in_use: InUse) -> Changes:
        """Remember a version that is about to run, and forget old ones of the same service."""
        if self.spec(service.name, service.version) is not None:
            return {}
        spec = service.model_dump_json(exclude={"count", "constraints"})
        self._specs.setdefault(service.name, {})[service.version] = spec
        return {(service.name, service.version): spec, **self._forget(service.name, KEPT, in_use)}

    def forget_except(self, services: Collection[str], in_use: InUse) -> Changes:
        """Forget services that are no longer configured."""
        changes: Changes = {}
        for name in self._specs.keys() - set(services):
            changes |= self._forget(name, 0, in_use)
        return changes

    def _forget(self, name: str, kept: int, in_use: InUse) -> Changes:
        """Forget all but the newest versions of a service, and those in use."""
        own = self._specs[name]
        old = [version for version in list(own)[: max(0, len(own) - kept)] if not in_use(name, version)]
        for version in old:
            del own[version]
        if not own:
            del self._specs[name]
        return {(name, version): None for version in old}
