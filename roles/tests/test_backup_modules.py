"""Copies of what changes meanwhile, and the manifest. That a real master reads its log is seen on the lab."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def log_copy(load: Load) -> ModuleType:
    return load("plugins/modules/mesos_log_copy.py")


@pytest.fixture(scope="module")
def state_copy(load: Load) -> ModuleType:
    return load("plugins/modules/scheduler_state_copy.py")


@pytest.fixture(scope="module")
def manifests(load: Load) -> ModuleType:
    return load("plugins/modules/backup_manifest.py")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log as LevelDB keeps it."""
    folder = tmp_path / "replicated_log"
    folder.mkdir()
    for name in ("000005.log", "000003.sst", "CURRENT", "MANIFEST-000002", "LOG", "LOCK"):
        (folder / name).write_text(name)
    return folder


def copied(
    log_copy: ModuleType, log: Path, changes: Sequence[Callable[[], object]]
) -> tuple[int, dict[str, str]]:
    """Copy the log while each attempt sees one change; return the attempts and the copy's files."""
    copy = log.parent / "copy"
    waiting = list(changes)
    copyfile = shutil.copyfile

    def disturbed(source: Path, dest: Path) -> None:
        copyfile(source, dest)
        if source.name == "MANIFEST-000002" and waiting:
            waiting.pop(0)()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_copy.shutil, "copyfile", disturbed)
        attempts = log_copy.copy_log(log, copy, sleep=lambda _: None)
    assert not waiting
    return attempts, {path.name: path.read_text() for path in copy.iterdir()}


def test_all_that_counts_is_copied(log_copy: ModuleType, log: Path) -> None:
    attempts, files = copied(log_copy, log, [])
    assert attempts == 1
    assert files == {name: name for name in ("000005.log", "000003.sst", "CURRENT", "MANIFEST-000002")}


def test_a_journal_may_grow_meanwhile(log_copy: ModuleType, log: Path) -> None:
    journal = log / "000005.log"
    attempts, files = copied(log_copy, log, [lambda: journal.write_text("000005.log and more")])
    assert attempts == 1
    assert files["000005.log"].startswith("000005.log")


def test_what_is_compacted_meanwhile_is_copied_anew(log_copy: ModuleType, log: Path) -> None:
    attempts, files = copied(
        log_copy,
        log,
        [
            lambda: (log / "000006.log").write_text("the next journal"),
            lambda: (log / "000007.sst").write_text("a table"),
            lambda: (log / "MANIFEST-000002").write_text("longer than it was"),
            (log / "000003.sst").unlink,
        ],
    )
    assert attempts == 5
    assert files.keys() == {"000005.log", "000006.log", "000007.sst", "CURRENT", "MANIFEST-000002"}
    assert files["MANIFEST-000002"] == "longer than it was"


def test_a_file_that_is_gone_before_it_is_copied(log_copy: ModuleType, log: Path) -> None:
    shape = log_copy.shape
    seen: list[dict[str, Any]] = []

    def look(folder: Path) -> Any:
        seen.append(shape(folder))
        if len(seen) == 1:
            (log / "000003.sst").unlink()
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_copy, "shape", look)
        assert log_copy.copy_log(log, log.parent / "copy", sleep=lambda _: None) == 2


def test_a_log_that_never_rests_is_given_up(log_copy: ModuleType, log: Path) -> None:
    names = iter(range(log_copy.ATTEMPTS))
    changes = [lambda: (log / f"{next(names)}.sst").write_text("")] * log_copy.ATTEMPTS
    with pytest.raises(log_copy.CopyError, match="has changed during each of 20 attempts"):
        copied(log_copy, log, changes)


def test_a_folder_without_a_log_is_refused(log_copy: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(log_copy.CopyError, match="is no replicated log"):
        log_copy.copy_log(tmp_path, tmp_path / "copy")


def test_the_archive_is_roots_alone(log_copy: ModuleType, log: Path, tmp_path: Path) -> None:
    archive = tmp_path / "log.tar.gz"
    log_copy.pack(log, archive)
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as packed:
        assert "replicated_log/CURRENT" in packed.getnames()


def test_agents_of_a_registry(log_copy: ModuleType) -> None:
    registry = {"slaves": {"slaves": [{"info": {"id": {"value": "x-S0"}, "hostname": "slave1"}}]}}
    assert log_copy.agents_in(registry) == {"x-S0": "slave1"}
    assert log_copy.agents_in({"master": {}}) == {}


def state(path: Path) -> sqlite3.Connection:
    """A state as the scheduler keeps it, and the connection of the one that goes on writing."""
    running = sqlite3.connect(path, isolation_level=None)
    running.execute("PRAGMA journal_mode = WAL")
    running.execute("PRAGMA user_version = 2")
    running.execute("CREATE TABLE framework (id TEXT NOT NULL)")
    return running


def test_the_state_is_copied_while_it_is_written(state_copy: ModuleType, tmp_path: Path) -> None:
    running = state(tmp_path / "state.sqlite")
    running.execute("INSERT INTO framework VALUES ('x-0000')")
    running.execute("BEGIN IMMEDIATE")
    running.execute("UPDATE framework SET id = 'half done'")
    found = state_copy.copy_state(tmp_path / "state.sqlite", tmp_path / "copy.sqlite")
    running.execute("COMMIT")
    running.close()
    assert found == {"framework_id": "x-0000", "schema": 2}
    assert (tmp_path / "copy.sqlite").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.sqlite"], "it is one file"
    copy = sqlite3.connect(tmp_path / "copy.sqlite")
    assert copy.execute("SELECT id FROM framework").fetchall() == [("x-0000",)]
    copy.close()


def test_a_scheduler_without_a_framework(state_copy: ModuleType, tmp_path: Path) -> None:
    state(tmp_path / "state.sqlite").close()
    found = state_copy.copy_state(tmp_path / "state.sqlite", tmp_path / "copy.sqlite")
    assert found["framework_id"] == ""


def test_a_state_that_is_missing_or_damaged_is_no_backup(state_copy: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(state_copy.StateError, match="does not exist"):
        state_copy.copy_state(tmp_path / "state.sqlite", tmp_path / "copy.sqlite")
    (tmp_path / "state.sqlite").write_text("no database at all, but long enough to be looked at " * 100)
    with pytest.raises(state_copy.StateError, match="not a database"):
        state_copy.copy_state(tmp_path / "state.sqlite", tmp_path / "copy.sqlite")


@pytest.fixture
def backup(manifests: ModuleType, tmp_path: Path) -> Path:
    """A complete backup."""
    partial = tmp_path / ".partial"
    (partial / "scheduler").mkdir(parents=True)
    (partial / "scheduler" / "state.sqlite").write_text("state")
    (partial / "log").write_text("log")
    manifests.complete(partial, {"created": "today"}, tmp_path / "backup")
    assert not partial.exists()
    return tmp_path / "backup"


def test_a_complete_backup_is_the_owners_alone(manifests: ModuleType, backup: Path) -> None:
    manifest, mistakes = manifests.check(backup)
    assert mistakes == []
    assert (manifest["created"], sorted(manifest["files"])) == ("today", ["log", "scheduler/state.sqlite"])
    modes = {path.name: path.stat().st_mode & 0o777 for path in [backup, *backup.rglob("*")]}
    assert modes == {
        "backup": 0o700,
        "scheduler": 0o700,
        "state.sqlite": 0o600,
        "log": 0o600,
        "manifest.json": 0o600,
    }


def test_a_backup_that_has_changed_is_refused(manifests: ModuleType, backup: Path) -> None:
    (backup / "log").unlink()
    (backup / "scheduler" / "state.sqlite").write_text("other")
    _, mistakes = manifests.check(backup)
    assert mistakes == [
        f"{backup}/log is missing.",
        f"{backup}/scheduler/state.sqlite is not what was backed up: its SHA-256 is another.",
    ]


def test_a_backup_of_another_format_is_refused(manifests: ModuleType, backup: Path) -> None:
    manifest = json.loads((backup / "manifest.json").read_text())
    (backup / "manifest.json").write_text(json.dumps(manifest | {"format": 2}))
    assert "has format 2; this version of the playbooks reads format 1" in manifests.check(backup)[1][0]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}'])
def test_a_manifest_that_is_none_is_refused(manifests: ModuleType, backup: Path, text: str) -> None:
    (backup / "manifest.json").write_text(text)
    manifest, (mistake,) = manifests.check(backup)
    assert manifest == {}
    assert "can't be read" in mistake


def test_a_folder_that_is_no_backup_is_refused(manifests: ModuleType, tmp_path: Path) -> None:
    assert manifests.check(tmp_path) == ({}, [f"{tmp_path} is no backup: it has no manifest.json."])
