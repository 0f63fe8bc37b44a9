"""How many containers of a service ran at every moment, from the Docker Engines' own events."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from types import TracebackType

from mesos_testbed import PrivateDocker
from typing_extensions import Self


class ContainerWatch:
    """Follows `docker events` of all engines; `counts` tells the fewest and the most that ran at once."""

    def __init__(self, engines: Sequence[PrivateDocker], service: str) -> None:
        self._engines = engines
        self._label = f"mesos.label.service={service}"
        self._since = 0.0

    def __enter__(self) -> Self:
        self._since = time.time()
        self._running = {container for engine in self._engines for container in self._ps(engine)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to end: engines keep their latest events."""

    def counts(self) -> tuple[int, int]:
        """The fewest and the most that ran at once since the watch began."""
        happened = sorted(event for engine in self._engines for event in self._events(engine))
        running = set(self._running)
        counts = [len(running)]
        for _, what, container in happened:
            (running.add if what == "start" else running.discard)(container)
            counts.append(len(running))
        found = {container for engine in self._engines for container in self._ps(engine)}
        assert found == running, "the engines' events do not lead to what runs"
        return min(counts), max(counts)

    def _ps(self, engine: PrivateDocker) -> list[str]:
        return engine.docker("ps", "--quiet", "--no-trunc", "--filter", f"label={self._label}").split()

    def _events(self, engine: PrivateDocker) -> list[tuple[int, str, str]]:
        filters = ["event=start", "event=die", f"label={self._label}"]
        times = ["--since", f"{self._since:.6f}", "--until", f"{time.time():.6f}"]
        words = [word for item in filters for word in ("--filter", item)]
        lines = engine.docker("events", *times, "--format", "{{json .}}", *words).splitlines()
        events = [json.loads(line) for line in lines]
        return [(event["timeNano"], event["Action"], event["Actor"]["ID"]) for event in events]
