"""What must survive the process: the framework id, the tasks, and what happened lately.

`Store` is the interface; `SqliteStore` keeps it in one file on this host. A `Change` is written as a whole or
not at all, and is on the disk when `commit` returns: only then may it be acted on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from sys import intern
from typing import Any, Protocol, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from mesos_docker_scheduler.errors import Error
from mesos_docker_scheduler.records.tasks import Task, TaskState
from mesos_docker_scheduler.wording import first_problem

EVENTS_KEPT = 10_000
STATE_FILE = "state.sqlite"

Record = TypeVar("Record")

CURE = "restore a copy of it, or move it away: the next start then takes over what runs from the master"


class StoreError(Error):
    """The store can't be read or written; the message says which file and why."""


def read_record(adapter: TypeAdapter[Record], name: tuple[str, str], text: str) -> Record:
    """Read one of the owner's own records. StoreError when it is damaged."""
    try:
        return adapter.validate_json(text, strict=True)
    except ValidationError as error:
        kind, key = name
        what = first_problem(error)
        raise StoreError(
            f'the state file\'s record "{kind}" of "{key}" is damaged: {what}; {CURE}'
        ) from error


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling an operator. `at` is seconds of the epoch; service and task may be empty.

    `id` grows from each event to the next; 0: the store gives it one.
    """

    at: float
    kind: str
    text: str
    service: str = ""
    task_id: str = ""
    id: int = field(default=0, compare=False)


@dataclass(slots=True)
class Change:
    """What to write in one go. `forget` names tasks that are of no more use.

    `versions` holds what a (service, version) is made of, as JSON; `records` holds JSON of the owner's own by
    (kind, key). None deletes one.
    """

    framework_id: str | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    forget: set[str] = field(default_factory=set)
    versions: dict[tuple[str, str], str | None] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    records: dict[tuple[str, str], str | None] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many records it writes or deletes."""
        changes = (self.tasks, self.forget, self.versions, self.events, self.records)
        return sum(map(len, changes)) + (self.framework_id is not None)

    def __bool__(self) -> bool:
        return any((self.framework_id, self.tasks, self.forget, self.versions, self.events, self.records))


@dataclass(frozen=True, slots=True)
class Remembered:
    """Everything that was written before: `versions` and `events` oldest first, `events` the latest alone."""

    framework_id: str | None
    tasks: Mapping[str, Task]
    versions: Mapping[tuple[str, str], str]
    events: tuple[Event, ...]
    records: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def as_change(self) -> Change:
        """What writes all of it into an empty store."""
        return Change(
            self.framework_id,
            dict(self.tasks),
            set(),
            dict(self.versions),
            list(self.events),
            dict(self.records),
        )


class Writer(Protocol):
    """Where changes are written."""

    def commit(self, change: Change) -> None:
        """Make the change durable before returning, as a whole or not at all. StoreError."""

    def check(self) -> None:
        """StoreError when it is known that nothing could be written now."""


class Store(Writer, Protocol):
    """Where the scheduler keeps what it must not forget. Any method may raise StoreError."""

    def load(self) -> Remembered:
        """Read everything."""

    def close(self) -> None:
        """Let go of it."""


class DurableStore(Store, Protocol):
    """One that outlives the process."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    @property
    def size_bytes(self) -> int:
        """What it takes there. Any thread may ask."""

    def discard(self) -> None:
        """Forget everything: the framework has ended. Only `close` may follow."""


# Each step leads from one schema version to the next; a new file takes all of them. A released step never
# changes. A new field of a record needs no step as long as a scheduler without it may leave it out.
_STEPS = (
    """
CREATE TABLE framework (id TEXT NOT NULL);
CREATE TABLE tasks (
    task_id TEXT PRIMARY KEY, service TEXT NOT NULL, state TEXT NOT NULL, ended_at REAL, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX ended_tasks ON tasks (ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE versions (
    service TEXT NOT NULL, version TEXT NOT NULL, spec TEXT NOT NULL, PRIMARY KEY (service, version)
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, service TEXT NOT NULL,
    task_id TEXT NOT NULL, text TEXT NOT NULL
);
""",
    """
CREATE TABLE records (
    kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
""",
)
SCHEMA_VERSION = len(_STEPS)


class SqliteStore:
    """A SQLite file in a folder that only one scheduler uses at a time (a lock file sees to it).

    Write-ahead log and synchronous=FULL: a commit that returned survives a power cut.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / STATE_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._lock = _locked(folder / "lock")
        except BlockingIOError as error:
            raise StoreError(f"{folder}: another scheduler uses this state folder") from error
        except OSError as error:
            raise StoreError(f"{folder}: can't be used as the state folder: {error.strerror}") from error
        try:
            self._database = self._open()
        except StoreError:
            os.close(self._lock)
            raise

    def load(self) -> Remembered:
        """Read everything."""
        try:
            framework = self._database.execute("SELECT id FROM framework").fetchone()
            tasks = [read_task(record) for (record,) in self._database.execute("SELECT record FROM tasks")]
            versions = self._database.execute(
                "SELECT service, version, spec FROM versions ORDER BY rowid"
            ).fetchall()
            events = self._database.execute(
                "SELECT at, kind, text, service, task_id, id FROM events ORDER BY id"
            ).fetchall()
            records = self._database.execute("SELECT kind, key, value FROM records").fetchall()
        except (sqlite3.Error, ValueError, TypeError, LookupError) as error:
            raise StoreError(f"{self.path}: can't be read: {error}; {CURE}") from error
        return Remembered(
            framework_id=framework[0] if framework else None,
            tasks={task.id: task for task in tasks},
            versions={(service, version): spec for service, version, spec in versions},
            events=tuple(Event(*row) for row in events),
            records={(kind, key): value for kind, key, value in records},
        )

    def check(self) -> None:
        """What a file can take is known when it is written."""

    def commit(self, change: Change) -> None:
        """Write the change in one transaction."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._write(change)
            self._database.execute("COMMIT")
        except (sqlite3.Error, ValueError, TypeError) as error:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise StoreError(f"{self.path}: can't be written: {error}") from error

    @property
    def place(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def size_bytes(self) -> int:
        """What it takes on the disk. Any thread may ask."""
        files = (self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Close the file and release the folder."""
        self._database.close()
        os.close(self._lock)

    def discard(self) -> None:
        """Forget everything: the framework has ended. Only `close` may follow."""
        self._database.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _open(self) -> sqlite3.Connection:
        try:
            database = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: can't be opened: {error}") from error
        try:
            self.path.chmod(0o640)  # the environment of a service may hold secrets
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            (finding,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if finding != "ok":
                raise StoreError(f"{self.path}: is damaged: {' '.join(finding.split())}; {CURE}")
            self._migrate(database)
        except (sqlite3.Error, OSError) as error:
            database.close()
            cure = f"; {CURE}" if type(error) is sqlite3.DatabaseError else ""
            raise StoreError(f"{self.path}: can't be opened: {error}{cure}") from error
        except StoreError:
            database.close()
            raise
        return database

    def _migrate(self, database: sqlite3.Connection) -> None:
        """Bring the file to today's schema, as a whole or not at all."""
        (found,) = database.execute("PRAGMA user_version").fetchone()
        if found > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: has schema version {found}, this scheduler knows {SCHEMA_VERSION} and older:"
                " it was written by a newer version of the scheduler, which must be installed again"
            )
        if found < SCHEMA_VERSION:
            if found:
                self._keep_copy(database, found)
            steps = "".join(_STEPS[found:])
            database.executescript(f"BEGIN; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def _keep_copy(self, database: sqlite3.Connection, schema: int) -> None:
        """Leave what an older scheduler can read beside the file."""
        copy = self.path.with_name(f"state.schema-{schema}.sqlite")
        new = copy.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.touch(mode=0o640)
        database.execute("VACUUM INTO ?", (str(new),))
        new.replace(copy)

    def _write(self, change: Change) -> None:
        database = self._database
        if change.framework_id is not None:
            database.execute("DELETE FROM framework")
            database.execute("INSERT INTO framework VALUES (?)", (change.framework_id,))
        database.executemany(
            "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?)",
            [
                (
                    task.id,
                    task.service,
                    task.state.value,
                    task.state_since if task.state.ended else None,
                    task_record(task),
                )
                for task in change.tasks.values()
            ],
        )
        database.executemany("DELETE FROM tasks WHERE task_id = ?", [(task_id,) for task_id in change.forget])
        database.executemany("INSERT OR REPLACE INTO versions VALUES (?, ?, ?)", _kept(change.versions))
        database.executemany(
            "DELETE FROM versions WHERE service = ? AND version = ?", _deleted(change.versions)
        )
        database.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", _kept(change.records))
        database.executemany("DELETE FROM records WHERE kind = ? AND key = ?", _deleted(change.records))
        database.executemany(
            "INSERT OR REPLACE INTO events (id, at, kind, text, service, task_id) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (event.id or None, event.at, event.kind, event.text, event.service, event.task_id)
                for event in change.events
            ],
        )
        if change.events:
            database.execute(
                "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", (EVENTS_KEPT,)
            )


def _kept(values: Mapping[tuple[str, str], str | None]) -> list[tuple[str, str, str]]:
    return [(*name, value) for name, value in values.items() if value is not None]


def _deleted(values: Mapping[tuple[str, str], str | None]) -> list[tuple[str, str]]:
    return [name for name, value in values.items() if value is None]


def _locked(path: Path) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


_TASK_FIELDS = frozenset(item.name for item in fields(Task))
# The same texts stand in many records: one copy of each is enough.
_REPEATED = ("service", "version", "image", "agent_id", "hostname")


def task_record(task: Task) -> str:
    """Write a task as JSON."""
    return orjson.dumps(task).decode()


def read_task(record: str) -> Task:
    """Read what `task_record` has written, or a version of it with more or fewer fields.

    ValueError, TypeError, LookupError: it is damaged.
    """
    values: dict[str, Any] = orjson.loads(record)
    for name in _REPEATED:
        values[name] = intern(values[name])
    values["state"] = TaskState(values["state"])
    values["host_ports"] = tuple(values["host_ports"])
    for unknown in values.keys() - _TASK_FIELDS:
        del values[unknown]
    return Task(**values)
