"""What is deployed: many services of the demo image, of which two change each minute."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

# So little of a slave that it offers room for a hundred.
_INSTANCE: dict[str, Any] = {
    "cpus": 0.01,
    "mem": 8,
    "ports": [{"container_port": 80}],
    "health_check": {"protocol": "http", "port": 80, "path": "/health", "interval_seconds": 5},
    "update": {"min_ready_seconds": 1},
}
VERSIONS = ("1", "2")  # of the demo image that work


@dataclass
class _Service:
    version: int
    more: bool


class Services:
    """So many services of so many instances each, or one more."""

    def __init__(self, image: str, services: int, count: int) -> None:
        self._name, _, _ = image.rpartition(":")
        self._count = count
        self._services = [_Service(version=0, more=False) for _ in range(services)]

    def change(self, number: int) -> None:
        """Give one service another image and the next one another count: others in each minute."""
        updated = self._services[number % len(self._services)]
        updated.version = 1 - updated.version
        scaled = self._services[(number + 1) % len(self._services)]
        scaled.more = not scaled.more

    def variables(self) -> str:
        """Return them as variables for Ansible."""
        entries = [
            {
                **_INSTANCE,
                "name": f"web-{number:03}",
                "image": f"{self._name}:{VERSIONS[service.version]}",
                "count": self._count + service.more,
            }
            for number, service in enumerate(self._services)
        ]
        return json.dumps({"scheduler_image": "", "scheduler_services": entries})

    @property
    def instances(self) -> int:
        """How many instances there should be."""
        return sum(self._count + service.more for service in self._services)
