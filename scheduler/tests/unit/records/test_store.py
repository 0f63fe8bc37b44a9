"""Stores keep their contract (tests/support/store_contract.py), and the file in SQLite what is its own."""

from __future__ import annotations

import os
import random
import select
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from memory_store import MemoryStore
from mesos_docker_scheduler.records import store as store_module
from mesos_docker_scheduler.records.store import Change, Event, SqliteStore, StoreError
from mesos_docker_scheduler.records.tasks import TaskState
from scheduler_fakes import NOW, service, task
from store_contract import StoreContract

WEB = service()
CURE = "restore a copy of it, or move it away: the next start then takes over what runs from the master"


class Folder:
    """A SqliteStore's folder; a new process finds it as a killed one left it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: SqliteStore | None = None

    def open(self) -> SqliteStore:
        if self._open is not None:
            # The file of a process that was killed has its latest changes in the write-ahead log.
            left = self.path.with_name(f"{self.path.name}-left")
            shutil.copytree(self.path, left)
            self.close()
            shutil.rmtree(self.path)
            left.rename(self.path)
        self._open = SqliteStore(self.path)
        return self._open

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def make(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Folder]]:
        made: list[Folder] = []

        def new() -> Folder:
            made.append(Folder(tmp_path_factory.mktemp("store") / "state"))
            return made[-1]

        yield new
        for folder in made:
            folder.close()


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def make(self) -> Callable[[], Medium]:
        return Medium


class Medium:
    def __init__(self) -> None:
        self.store = MemoryStore()

    def open(self) -> MemoryStore:
        return self.store


def test_an_empty_change_is_nothing_to_write() -> None:
    assert not Change()
    assert Change(forget={"1"})
    assert Change(records={("wait", "web"): None})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path)) as made:
        yield made


def test_a_change_that_fails_leaves_nothing_behind(store: SqliteStore) -> None:
    store.commit(Change(framework_id="one"))
    bad = Change(framework_id="two", events=[Event(NOW, "kind", None)])  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=r"state\.sqlite: can't be written: NOT NULL"):
        store.commit(bad)
    assert store.load().framework_id == "one"
    store.commit(Change(framework_id="three"))
    assert store.load().framework_id == "three"


def test_writes_survive_a_power_cut(store: SqliteStore) -> None:
    assert store._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._database.execute("PRAGMA synchronous").fetchone() == (2,)


_WRITER = """
import sys
from pathlib import Path
from mesos_docker_scheduler.records.store import Change, Event, SqliteStore
store = SqliteStore(Path(sys.argv[1]))
number = int(store.load().framework_id or 0)
while True:
    number += 1
    records = {("number", str(digit)): str(number) for digit in range(20)}
    store.commit(Change(str(number), records=records, events=[Event(number, "number", str(number))]))
    print(number, flush=True)
"""


def test_nothing_that_was_committed_is_lost_with_the_process(tmp_path: Path) -> None:
    moments = random.Random(1)  # noqa: S311 - repeatable, not secret
    for _ in range(25):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            assert select.select([writer.stdout], [], [], 30)[0]
            first = writer.stdout.readline()  # whole: the number may come before its line's end
            time.sleep(moments.uniform(0, 0.05))
            writer.kill()
            said = int((first + writer.stdout.read()).split("\n")[-2])
        with closing(SqliteStore(tmp_path)) as store:
            found = store.load()
        # The last one may have been written without a word about it; of each, all or nothing is there.
        assert found.framework_id in (str(said), str(said + 1))
        assert set(found.records.values()) == {found.framework_id}
        assert [event.text for event in found.events] == [
            str(number + 1) for number in range(int(found.framework_id))
        ]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of a MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def filled(disk: Path) -> Path:
    """A file that leaves no room for anything else."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return ballast


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")


@needs_root
def test_a_full_disk_fails_a_change_as_a_whole_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    with closing(SqliteStore(small_disk / "state")) as store:
        store.commit(Change("one", {"1": task("1", WEB)}))
        ballast = filled(small_disk)
        big = {str(number): task(str(number), WEB, message="x" * 1000) for number in range(100)}
        for _ in range(3):
            with pytest.raises(StoreError, match=r"can't be written: database or disk is full"):
                store.commit(Change("two", big))
            assert (store.load().framework_id, list(store.load().tasks)) == ("one", ["1"])
        ballast.unlink()
        store.commit(Change("two", big))
    with closing(SqliteStore(small_disk / "state")) as again:
        assert (again.load().framework_id, again.load().tasks) == ("two", {"1": task("1", WEB), **big})


@needs_root
def test_a_disk_without_room_or_rights_at_the_start_is_told_and_nothing_is_lost(small_disk: Path) -> None:
    with closing(SqliteStore(small_disk / "state")) as store:
        store.commit(Change("one"))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match=r"state: can't be used as the state folder: Read-only"):
        SqliteStore(small_disk / "state")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    ballast = filled(small_disk)
    with pytest.raises(StoreError, match=r"state\.sqlite: can't be opened"):
        SqliteStore(small_disk / "state")
    ballast.unlink()
    with closing(SqliteStore(small_disk / "state")) as again:
        assert again.load().framework_id == "one"


def test_only_one_scheduler_may_use_a_folder(store: SqliteStore) -> None:
    with pytest.raises(StoreError, match="another scheduler uses this state folder"):
        SqliteStore(store.path.parent)


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/state: can't be used as the state folder: Not a directory"):
        SqliteStore(tmp_path / "file" / "state")


def test_discarding_leaves_an_empty_store(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.commit(Change(framework_id="one"))
    store.discard()
    store.close()
    with closing(SqliteStore(tmp_path)) as again:
        assert again.load().framework_id is None


# Damage


def test_a_file_that_is_none_of_ours_is_refused_with_what_helps(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"not a database, not even nearly" * 100)
    for _ in range(2):
        with pytest.raises(
            StoreError, match=rf"state\.sqlite: can't be opened: file is not a database; {CURE}"
        ):
            SqliteStore(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "zeros", "noise"])
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        store.commit(Change("one", {str(number): task(str(number), WEB) for number in range(1000)}))
    path = tmp_path / "state.sqlite"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    if damage == "cut":
        del content[middle:]
    else:
        noise = random.Random(1).randbytes(8192)  # noqa: S311 - repeatable, not secret
        new = bytes(8192) if damage == "zeros" else noise
        content[middle : middle + 8192] = new
    path.write_bytes(content)
    with pytest.raises(StoreError, match=rf"state\.sqlite: .*{CURE}"):
        SqliteStore(tmp_path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("record", ["{", "[]", "{}", '{"state":"NONE","host_ports":[]}'])
def test_a_damaged_record_is_refused(store: SqliteStore, record: str) -> None:
    store.commit(Change(tasks={"1": task("1", WEB)}))
    store._database.execute("UPDATE tasks SET record = ?", (record,))
    with pytest.raises(StoreError, match=rf"can't be read: .*{CURE}"):
        store.load()


# Schemas


def test_a_file_of_a_newer_schema_is_refused_and_the_folder_released(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as database:
        database.execute("PRAGMA user_version = 99")
    for _ in range(2):
        with pytest.raises(StoreError, match="has schema version 99, this scheduler knows 2 and older"):
            SqliteStore(tmp_path)


_SCHEMA_1 = """
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
INSERT INTO framework VALUES ('framework');
INSERT INTO versions VALUES ('web', '0123456789', '{"image":"demo/web:1"}');
INSERT INTO events (at, kind, service, task_id, text) VALUES (1.5, 'launch', 'web', 'web.1', 'started');
INSERT INTO tasks VALUES ('web.1', 'web', 'RUNNING', NULL, '{"id":"web.1","service":"web",
    "version":"0123456789","image":"demo/web:1","agent_id":"a1","hostname":"slave1","launched_at":1.0,
    "state_since":2.0,"state":"RUNNING","has_health_check":false,"healthy":null,"running_since":2.0,
    "container":"mesos-c","address":"172.17.0.2","host_ports":[31000],"confirmed":true,"returned":false,
    "kill_reason":null,"reason":null,"message":""}');
PRAGMA user_version = 1;
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The file of a scheduler that knew schema 1 and was killed."""
    folder = tmp_path / "old"
    (tmp_path / "left").mkdir()
    folder.mkdir()
    with closing(sqlite3.connect(tmp_path / "left" / "state.sqlite")) as database:
        database.executescript(f"PRAGMA journal_mode = WAL; {_SCHEMA_1}")
        for file in (tmp_path / "left").iterdir():
            shutil.copy(file, folder)
    return folder


def test_a_file_of_schema_1_is_taken_over_with_all_it_holds(old: Path) -> None:
    with closing(SqliteStore(old)) as store:
        found = store.load()
        assert found.framework_id == "framework"
        assert found.versions == {("web", "0123456789"): '{"image":"demo/web:1"}'}
        assert found.events == (Event(1.5, "launch", "started", "web", "web.1"),)
        assert found.records == {}
        (taken,) = found.tasks.values()
        assert (taken.id, taken.state, taken.host_ports) == ("web.1", TaskState.RUNNING, (31000,))
        store.commit(Change(records={("wait", "web"): "{}"}))
    with closing(SqliteStore(old)) as again:
        assert again.load().records == {("wait", "web"): "{}"}


def test_a_copy_stays_for_the_older_scheduler(old: Path) -> None:
    SqliteStore(old).close()
    copy = old / "state.schema-1.sqlite"
    assert copy.stat().st_mode & 0o777 == 0o640
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert database.execute("SELECT task_id FROM tasks").fetchall() == [("web.1",)]


def test_a_migration_that_fails_leaves_the_file_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = store_module._STEPS
    broken = (*steps, "CREATE TABLE more (a TEXT); DROP TABLE tasks; CREATE TABLE versions (a TEXT);")
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_STEPS", broken)
        patch.setattr(store_module, "SCHEMA_VERSION", 3)
        with pytest.raises(
            StoreError, match=r"state\.sqlite: can't be opened: table versions already exists"
        ):
            SqliteStore(old)
    with closing(sqlite3.connect(old / "state.sqlite")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables == {"framework", "tasks", "versions", "events", "sqlite_sequence"}
    with closing(SqliteStore(old)) as store:
        assert store.load().framework_id == "framework"


def test_a_record_with_more_and_with_fewer_fields_is_understood(store: SqliteStore) -> None:
    made = task("1", WEB)
    store.commit(Change(tasks={"1": made}))
    store._database.execute(
        "UPDATE tasks SET record = json_set(json_remove(record, '$.returned', '$.message'), '$.newer', 1)"
    )
    assert store.load().tasks == {"1": made}


def test_what_was_written_but_said_to_have_failed_can_be_written_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    change = Change("one", {"1": task("1", service())}, events=[Event(NOW, "kind", "text", id=7)])
    store.commit(change)
    store.commit(change)
    assert [event.id for event in store.load().events] == [7]
    store.close()
