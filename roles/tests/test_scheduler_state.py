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
from mesos_docker_scheduler.records.store import Change, SqliteStore

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def module(load: Load) -> ModuleType:
    return load("plugins/modules/scheduler_state.py")


def test_there_is_none(module: ModuleType, tmp_path: Path) -> None:
    assert module.state(tmp_path / "state") == {"exists": False, "framework_id": "", "term": 0}


def test_what_the_scheduler_has_written(module: ModuleType, tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        assert module.state(tmp_path) == {"exists": True, "framework_id": "", "term": 0}
        store.commit(Change(framework_id="f-1", records={ownership.RECORD: str(ownership.Owner(12, "a"))}))
        # What is not in the file itself yet, after a crash, counts as well.
        assert (tmp_path / "state.sqlite-wal").stat().st_size > 0
        files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        assert module.state(tmp_path) == {"exists": True, "framework_id": "f-1", "term": 12}
        assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files


def test_an_owner_by_command_has_no_term(module: ModuleType, tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        store.commit(Change(framework_id="f-1", records={ownership.RECORD: ownership.BY_COMMAND}))
    assert module.state(tmp_path)["term"] == 0


def test_a_schema_of_before_there_were_records(module: ModuleType, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as database:
        database.execute("CREATE TABLE framework (id TEXT NOT NULL)")
        database.execute("INSERT INTO framework VALUES ('f-1')")
        database.commit()
    assert module.state(tmp_path) == {"exists": True, "framework_id": "f-1", "term": 0}


def test_a_damaged_one(module: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(os.urandom(8192))
    with pytest.raises(sqlite3.DatabaseError):
        module.state(tmp_path)
