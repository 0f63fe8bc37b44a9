"""What the versions of each service are made of: to start an older one again, and to say what still runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping

from mesos_docker_scheduler.config import Service

KEPT = 20
"""So many versions of each service are remembered; more if more are in use."""

Key = tuple[str, str]


class Versions:
    """Service definitions as JSON by (service, version), oldest first."""

    def __init__(self, remembered: Mapping[Key, str]) -> None:
        self._specs = dict(remembered)

    def image(self, service: str, version: str) -> str:
        """The image of a version; empty when it is not known."""
        spec = self._specs.get((service, version))
        return str(json.loads(spec)["image"]) if spec is not None else ""

    def spec(self, service: str, version: str) -> str | None:
        """The definition of a version."""
        return self._specs.get((service, version))

    def put(
        self, service: Service, configured: Collection[str], in_use: Callable[[str, str], bool]
    ) -> dict[Key, str | None]:
        """Remember a version that is about to run; returns what to write, with None for what is forgotten.

        `configured` names all services there are. `in_use` tells whether a version must be kept: something
        of it runs, or may be asked for again.
        """
        key = (service.name, service.version)
        if key in self._specs:
            return {}
        changes: dict[Key, str | None] = {key: service.model_dump_json()}
        self._specs[key] = service.model_dump_json()
        left = KEPT
        for name, version in reversed(list(self._specs)):
            if name == service.name:
                left -= 1
                too_many = left < 0
            else:
                too_many = name not in configured
            if too_many and not in_use(name, version):
                del self._specs[name, version]
                changes[name, version] = None
        return changes
