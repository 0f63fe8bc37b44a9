"""What is on the scheduler's disk, and how writing it fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from memory_store import MemoryStore
from mesos_docker_scheduler.records.store import Change, Remembered, SqliteStore, Store, StoreError

from simulated_mesos.fate import Fate


class Medium(Protocol):
    """Where a store's content stays while no scheduler runs."""

    def open(self) -> Store:
        """What a new process finds."""

    def wipe(self) -> None:
        """Lose it all."""


class Memory:
    """Quick."""

    def __init__(self) -> None:
        self._store = MemoryStore()

    def open(self) -> Store:
        """The same store."""
        return self._store

    def wipe(self) -> None:
        """Begin with an empty one."""
        self._store = MemoryStore()


class Folder:
    """The real store, in a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> Store:
        """Open its file."""
        return SqliteStore(self._path)

    def wipe(self) -> None:
        """Delete its file."""
        shutil.rmtree(self._path, ignore_errors=True)


class Disk:
    """The store of a simulated scheduler, as good as its medium, with faults before and after each write.

    `durable` repeats what was committed: invariants look there, and what is loaded must be the same. `check`
    sees each change, and which tasks it decides to stop.
    """

    def __init__(self, fate: Fate, medium: Medium, check: Callable[[Change, set[str]], None]) -> None:
        self.durable = MemoryStore()
        self._fate = fate
        self._medium = medium
        self._check = check
        self._store = medium.open()
        self._full_until = 0.0
        self._copy = self.durable.load()

    def load(self) -> Remembered:
        """Open the store again, as a new process does."""
        self._store.close()
        self._store = self._medium.open()
        found, known = self._store.load(), self.durable.load()
        for name in ("framework_id", "tasks", "records"):
            if getattr(found, name) != getattr(known, name):
                raise AssertionError(f"the store lost {name}: {getattr(found, name)} {getattr(known, name)}")
        return found

    def commit(self, change: Change, check: Callable[[], None] = lambda: None) -> None:
        """Write, or fail, or be the scheduler's last deed. `check` raises when nothing may be written."""
        fate = self._fate
        self._disturb()
        check()
        self._store.commit(change)
        known = self.durable.tasks
        decided = {
            task.id
            for task in change.tasks.values()
            if task.kill_reason is not None and (task.id not in known or known[task.id].kill_reason is None)
        }
        self.durable.commit(change)
        self._check(change, decided)
        if fate.chance(1 / 40):
            fate.count("disk: written, but said to have failed")
            raise StoreError("the answer of the disk is lost")
        fate.step()

    def check(self) -> None:
        """A disk tells when it is written."""

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def keep_copy(self) -> None:
        """Make a backup."""
        self._copy = self.durable.load()

    def copy_is_of(self, framework_id: str | None) -> bool:
        """Whether the backup was made as that framework, or knows of none."""
        return self._copy.framework_id in (None, framework_id)

    def restore_copy(self) -> None:
        """Put the backup in place of what there is; only while no scheduler runs."""
        self._replace(self._copy)

    def lose(self) -> None:
        """Lose everything; only while no scheduler runs."""
        self._replace(MemoryStore().load())

    def _replace(self, content: Remembered) -> None:
        self._store.close()
        self._medium.wipe()
        self._store = self._medium.open()
        self.durable = MemoryStore()
        change = Change(
            content.framework_id,
            dict(content.tasks),
            versions=dict(content.versions),
            records=dict(content.records),
        )
        self._store.commit(change)
        self.durable.commit(change)

    def _disturb(self) -> None:
        fate = self._fate
        if fate.trouble and fate.now < self._full_until:
            raise StoreError("disk full")
        if fate.chance(1 / 20):
            fate.count("disk full")
            fate.log("the disk is full")
            self._full_until = fate.now + fate.between(1, 30)
            raise StoreError("disk full")
        fate.step()
