"""What the module reads in the state of a scheduler that does not run."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
from mesos_docker_scheduler.control import ownership
from mesos_docker_scheduler.records.store import Change, Event, SqliteStore

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def module(load: Load) -> ModuleType:
    return load("plugins/modules/scheduler_state.py")


def test_there_is_none(module: ModuleType, tmp_path: Path) -> None:
    nothing = {"exists": False, "framework_id": "", "owner": "", "term": 0, "events": 0}
    assert module.state(tmp_path / "state") == nothing


def test_what_the_scheduler_has_written(module: ModuleType, tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        empty = {"exists": True, "framework_id": "", "owner": "", "term": 0, "events": 0}
        assert module.state(tmp_path) == empty
        events = [Event(1.0, "connected", f"text {number}") for number in range(3)]
        records: dict[tuple[str, str], str | None] = {ownership.RECORD: str(ownership.Owner(12, "a"))}
        store.commit(Change(framework_id="f-1", records=records, events=events))
        # What is not in the file itself yet, after a crash, counts as well.
        assert (tmp_path / "state.sqlite-wal").stat().st_size > 0
        files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        written = {"exists": True, "framework_id": "f-1", "owner": "12 a", "term": 12, "events": 3}
        assert module.state(tmp_path) == written
        assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files


def test_an_operator_says_who_owns_the_framework(module: ModuleType, tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        store.commit(Change(framework_id="f-1", records={ownership.RECORD: str(ownership.Owner(12, "a"))}))
    module.own(tmp_path)
    with closing(SqliteStore(tmp_path)) as store:
        assert store.load().records[ownership.RECORD] == ownership.BY_COMMAND
    assert (module.state(tmp_path)["owner"], module.state(tmp_path)["term"]) == (ownership.BY_COMMAND, 0)


def test_a_schema_of_before_there_were_records(module: ModuleType, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as database:
        database.execute("CREATE TABLE framework (id TEXT NOT NULL)")
        database.execute("INSERT INTO framework VALUES ('f-1')")
        database.commit()
    old = {"exists": True, "framework_id": "f-1", "owner": "", "term": 0, "events": 0}
    assert module.state(tmp_path) == old


def test_a_damaged_one(module: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(os.urandom(8192))
    with pytest.raises(sqlite3.DatabaseError):
        module.state(tmp_path)
