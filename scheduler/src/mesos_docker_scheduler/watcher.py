"""Reads the configuration file again when it changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from mesos_docker_scheduler import config, events

_POLL_SECONDS = 1.0


class ConfigWatcher(threading.Thread):
    """Looks every second whether the file is another one, and at once when `look_now` is called."""

    def __init__(self, path: Path, put: Callable[[events.ConfigRead], None]) -> None:
        super().__init__(name="config", daemon=True)
        self._path = path
        self._put = put
        self._asked = threading.Event()
        self._seen = _identity(path)

    def look_now(self) -> None:
        """Read the file even if it looks the same (SIGHUP)."""
        self._asked.set()

    def run(self) -> None:
        """Poll for ever; the process' end is the thread's."""
        while True:
            asked = self._asked.wait(_POLL_SECONDS)
            self._asked.clear()
            identity = _identity(self._path)
            if asked or identity != self._seen:
                self._seen = identity
                self._put(read(self._path))


def read(path: Path) -> events.ConfigRead:
    """Read the file into an event."""
    try:
        loaded, sha256 = config.load(path)
    except config.ConfigError as error:
        return events.ConfigRead(None, "", str(error))
    return events.ConfigRead(loaded, sha256)


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
