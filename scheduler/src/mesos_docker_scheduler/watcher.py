"""Reads the configuration file again when it changes, or a secret that it names."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mesos_docker_scheduler import config
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.files import identity

_POLL_SECONDS = 1.0
_MOST_RESTLESS = 5

logger = logging.getLogger(__name__)


class ConfigWatcher(threading.Thread):
    """Looks every second whether the file or a secret of it is another one, and at once after `look_now`.

    `in_use`: what was read of it before. `also` looks at further files each time; `asked`: after `look_now`.
    """

    def __init__(
        self,
        path: Path,
        in_use: config.Config,
        put: Callable[[events.ConfigRead], None],
        also: Callable[[bool], None] = lambda asked: None,
    ) -> None:
        super().__init__(name="config", daemon=True)
        self._path = path
        self._in_use = in_use
        self._put = put
        self._also = also
        # Not an Event: its lock may be held by the very thread that a second signal interrupts.
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._files = _files(path)
        self._seen = [identity(file) for file in self._files]

    def look_now(self) -> None:
        """Read the file even if it looks the same, and try again what failed (SIGHUP)."""
        self._asked.put(None)

    def run(self) -> None:
        """Poll for ever; the process' end is the thread's."""
        self._read_if_other()
        before, restless = self._seen, 0
        while True:
            asked = self._was_asked()
            self._also(asked)
            seen = [identity(file) for file in self._files]
            # A secret may not be written as a whole: it is read when it has rested for a moment. But one that
            # never rests must not keep others from being read.
            restless = restless + 1 if seen not in (self._seen, before) else 0
            changed = seen[0] != self._seen[0] or (
                seen != self._seen and (seen == before or restless > _MOST_RESTLESS)
            )
            before = seen
            if asked or changed:
                restless = 0
                self._files = _files(self._path)
                # Before they are read: a change that comes meanwhile is found the next time.
                self._seen = [identity(file) for file in self._files]
                event = replace(read(self._path), asked=asked)
                # Whoever asks for it means what stands there, however old it is.
                self._put(replace(event, written_at=time.time()) if asked else event)

    def _read_if_other(self) -> None:
        """Take what was written between the first reading and the first look."""
        event = read(self._path)
        if event.config is not None and event.config != self._in_use:
            self._put(event)

    def _was_asked(self) -> bool:
        """Wait for a moment, or until somebody asks."""
        asked = False
        with contextlib.suppress(queue.Empty):
            self._asked.get(timeout=_POLL_SECONDS)
            asked = True
            while True:
                self._asked.get_nowait()
        return asked


def _files(path: Path) -> list[Path]:
    """The configuration file and those of its secrets."""
    try:
        loaded, _ = config.load(path, without_secrets=True)
    except Exception:  # `read` says what is wrong
        return [path]
    return [path, *(Path(file) for service in loaded.services for file in service.secret_files.values())]


def written_at(path: Path) -> float:
    """When the file, or a secret of it, was written last, in seconds of the epoch."""
    times = [0.0]
    for file in _files(path):
        with contextlib.suppress(OSError):  # one that is not there is told of elsewhere
            times.append(file.stat().st_mtime)
    return max(times)


def read(path: Path) -> events.ConfigRead:
    """Read the file into an event."""
    written = written_at(path)
    try:
        loaded, sha256 = config.load(path)
    except config.ConfigError as error:
        return events.ConfigRead(None, "", str(error))
    except Exception as error:
        # Whatever stands there, the next file must be read, too. The error's own words may quote it.
        logger.error("The configuration can't be read: %s", type(error).__name__)
        return events.ConfigRead(None, "", f"{path}: can't be read ({type(error).__name__})")
    return events.ConfigRead(loaded, sha256, written_at=written)
