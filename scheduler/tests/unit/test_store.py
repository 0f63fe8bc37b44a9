from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mesos_docker_scheduler import store as store_module
from mesos_docker_scheduler.store import Change, Event, Remembered, SqliteStore, StoreError
from mesos_docker_scheduler.tasks import Task, TaskState
from scheduler_fakes import NOW, service, task

WEB = service()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path)
    yield made
    made.close()


def reopened(store: SqliteStore) -> Remembered:
    """What another process would find."""
    store.close()
    again = SqliteStore(store.path.parent)
    found = again.load()
    again.close()
    store._lock = store_module._locked(store.path.parent / "lock")
    store._database = store._open()
    return found


def test_a_new_store_is_empty(store: SqliteStore) -> None:
    assert store.load() == Remembered(None, {}, {}, ())


def test_finds_everything_again(store: SqliteStore) -> None:
    made = task("1", WEB, host_ports=(31000, 31001), healthy=True, kill_reason="surplus", container="mesos-x")
    change = Change(
        framework_id="framework",
        tasks={"1": made},
        versions={("web", WEB.version): WEB.model_dump_json()},
        events=[Event(NOW, "launch", "text", "web", "1")],
        records={("wait", "web"): '{"failures": 2}', ("agent", "a"): "{}"},
    )
    store.commit(change)
    found = reopened(store)
    assert found == Remembered(
        "framework",
        {"1": made},
        {("web", WEB.version): WEB.model_dump_json()},
        (Event(NOW, "launch", "text", "web", "1"),),
        {("wait", "web"): '{"failures": 2}', ("agent", "a"): "{}"},
    )


def test_the_latest_of_each_record_counts_and_what_is_deleted_is_gone(store: SqliteStore) -> None:
    store.commit(Change(records={("wait", "web"): "1", ("agent", "web"): "2"}))
    store.commit(Change(records={("wait", "web"): "3", ("agent", "web"): None, ("agent", "never"): None}))
    assert reopened(store).records == {("wait", "web"): "3"}


def test_the_latest_of_each_task_counts_and_what_is_forgotten_is_gone(store: SqliteStore) -> None:
    store.commit(Change(tasks={"1": task("1", WEB), "2": task("2", WEB)}))
    store.commit(Change(tasks={"1": task("1", WEB, state=TaskState.FAILED)}, forget={"2"}))
    found = reopened(store).tasks
    assert found.keys() == {"1"}
    assert found["1"].state is TaskState.FAILED


def test_a_new_framework_id_replaces_the_old_one(store: SqliteStore) -> None:
    store.commit(Change(framework_id="one"))
    store.commit(Change(framework_id="two"))
    assert reopened(store).framework_id == "two"


def test_a_change_that_fails_leaves_nothing_behind(store: SqliteStore) -> None:
    store.commit(Change(framework_id="one"))
    bad = Change(framework_id="two", events=[Event(NOW, "kind", None)])  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=r"state\.sqlite: can't be written: NOT NULL"):
        store.commit(bad)
    assert store.load().framework_id == "one"
    store.commit(Change(framework_id="three"))
    assert reopened(store).framework_id == "three"


def test_events_are_bounded(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "EVENTS_KEPT", 3)
    for number in range(9):
        store.commit(Change(events=[Event(NOW, "kind", str(number))]))
    assert [event.text for event in store.load().events] == ["6", "7", "8"]


def test_versions_are_bounded_by_service(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "VERSIONS_KEPT", 2)
    store.commit(Change(versions={("db", "0"): "{}"}))
    for number in range(4):
        store.commit(Change(versions={("web", str(number)): "{}"}))
    assert store.load().versions.keys() == {("db", "0"), ("web", "2"), ("web", "3")}


def test_an_empty_change_is_nothing_to_write() -> None:
    assert not Change()
    assert Change(forget={"1"})
    assert Change(records={("wait", "web"): None})


def test_only_one_scheduler_may_use_a_folder(store: SqliteStore) -> None:
    with pytest.raises(StoreError, match="another scheduler uses this state folder"):
        SqliteStore(store.path.parent)


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/state: can't be used as the state folder: Not a directory"):
        SqliteStore(tmp_path / "file" / "state")


def test_a_file_of_another_schema_is_refused_and_the_folder_released(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    with sqlite3.connect(tmp_path / "state.sqlite") as database:
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


def test_a_file_of_schema_1_is_taken_over_with_all_it_holds(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.sqlite") as database:
        database.executescript(f"PRAGMA journal_mode = WAL; {_SCHEMA_1}")
    database.close()
    store = SqliteStore(tmp_path)
    found = store.load()
    assert found.framework_id == "framework"
    assert found.versions == {("web", "0123456789"): '{"image":"demo/web:1"}'}
    assert found.events == (Event(1.5, "launch", "started", "web", "web.1"),)
    assert found.records == {}
    (taken,) = found.tasks.values()
    assert (taken.id, taken.state, taken.host_ports) == ("web.1", TaskState.RUNNING, (31000,))
    store.commit(Change(records={("wait", "web"): "{}"}))
    assert reopened(store).records == {("wait", "web"): "{}"}
    store.close()


def test_a_record_with_more_and_with_fewer_fields_is_understood(store: SqliteStore) -> None:
    made = task("1", WEB)
    store.commit(Change(tasks={"1": made}))
    store._database.execute(
        "UPDATE tasks SET record = json_set(json_remove(record, '$.returned', '$.message'), '$.newer', 1)"
    )
    assert store.load().tasks == {"1": made}


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"not a database, not even nearly" * 100)
    with pytest.raises(StoreError, match=r"state\.sqlite: can't be opened: file is not a database"):
        SqliteStore(tmp_path)


def test_a_damaged_record_is_refused(store: SqliteStore) -> None:
    store.commit(Change(tasks={"1": task("1", WEB)}))
    store._database.execute("UPDATE tasks SET record = '{'")
    with pytest.raises(StoreError, match="can't be read"):
        store.load()


def test_writes_survive_a_power_cut(store: SqliteStore) -> None:
    assert store._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._database.execute("PRAGMA synchronous").fetchone() == (2,)


def test_discarding_leaves_an_empty_store(store: SqliteStore) -> None:
    store.commit(Change(framework_id="one"))
    folder = store.path.parent
    store.discard()
    store.close()
    again = SqliteStore(folder)
    assert again.load().framework_id is None
    store._database, store._lock = again._database, again._lock


tasks = st.builds(
    lambda task_id, state: replace(task(task_id, WEB), state=state),
    st.sampled_from("abcd"),
    st.sampled_from(list(TaskState)),
)
changes = st.lists(
    st.tuples(st.lists(tasks, max_size=3), st.sets(st.sampled_from("abcd"), max_size=2)), max_size=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(changes)
def test_is_what_a_dictionary_would_be(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[list[Task], set[str]]]
) -> None:
    store, expected = SqliteStore(tmp_path_factory.mktemp("store")), dict[str, Task]()
    for put, forget in history:
        change = Change(tasks={made.id: made for made in put}, forget=forget)
        store.commit(change)
        expected |= change.tasks
        expected = {task_id: made for task_id, made in expected.items() if task_id not in forget}
        assert store.load().tasks == expected
    store.close()
