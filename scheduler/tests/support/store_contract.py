"""What every store must do: a test class derives from `StoreContract` and gives `Medium`s to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mesos_docker_scheduler.records import store as store_module
from mesos_docker_scheduler.records.store import Change, Event, Remembered, Store
from mesos_docker_scheduler.records.tasks import Task, TaskState
from scheduler_fakes import NOW, Bench, service, task

WEB = service()

Keys = st.tuples(st.sampled_from("ab"), st.sampled_from("xy"))
Tasks = st.builds(
    lambda task_id, state, ports: replace(task(task_id, WEB), state=state, host_ports=ports),
    st.sampled_from("abcd"),
    st.sampled_from(list(TaskState)),
    st.lists(st.integers(1, 65535), max_size=2).map(tuple),
)
Changes = st.builds(
    Change,
    framework_id=st.sampled_from([None, "one", "two"]),
    tasks=st.lists(Tasks, max_size=3).map(lambda made: {one.id: one for one in made}),
    forget=st.sets(st.sampled_from("abcd"), max_size=2),
    versions=st.dictionaries(Keys, st.none() | st.text(max_size=3), max_size=3),
    records=st.dictionaries(Keys, st.none() | st.text(max_size=3), max_size=3),
    events=st.lists(
        st.builds(Event, st.floats(0, 1e9), st.text(max_size=3), st.text(max_size=3)), max_size=2
    ),
)


class Medium(Protocol):
    """Where the content of a store stays while nobody uses it."""

    def open(self) -> Store:
        """What a process finds that starts now; the one before has ended."""


class StoreContract:
    """The tests. `make` gives a medium with nothing on it."""

    @pytest.fixture
    def medium(self, make: Callable[[], Medium]) -> Medium:
        return make()

    def test_a_new_one_is_empty(self, medium: Medium) -> None:
        assert medium.open().load() == Remembered(None, {}, {}, (), {})

    def test_finds_everything_again(self, medium: Medium) -> None:
        made = task("1", WEB, host_ports=(31000, 31001), healthy=True, kill_reason="surplus", container="c")
        change = Change(
            framework_id="framework",
            tasks={"1": made},
            versions={("web", WEB.version): WEB.model_dump_json()},
            events=[Event(NOW, "launch", "text", "web", "1")],
            records={("wait", "web"): '{"failures": 2}', ("agent", "a"): "{}"},
        )
        medium.open().commit(change)
        assert medium.open().load() == Remembered(
            "framework",
            {"1": made},
            {("web", WEB.version): WEB.model_dump_json()},
            (Event(NOW, "launch", "text", "web", "1"),),
            {("wait", "web"): '{"failures": 2}', ("agent", "a"): "{}"},
        )

    def test_keeps_any_text(self, medium: Medium) -> None:
        text = 'ümläut \N{SNOWMAN} "quoted" \\ \n\t\x00 \'; DROP TABLE tasks; --'
        made = task("1", WEB, message=text)
        change = Change(
            text, {"1": made}, set(), {("s", "v"): text}, [Event(NOW, "k", text)], {("k", text): text}
        )
        medium.open().commit(change)
        found = medium.open().load()
        assert (found.framework_id, found.tasks["1"].message, found.events[0].text) == (text, text, text)
        assert (found.versions, found.records) == ({("s", "v"): text}, {("k", text): text})

    def test_knows_versions_and_events_in_the_order_in_which_they_came(self, medium: Medium) -> None:
        for name in ("b", "a", "c", "b"):
            medium.open().commit(Change(versions={(name, "v"): "{}"}, events=[Event(NOW, "kind", name)]))
        found = medium.open().load()
        assert [name for name, _ in found.versions] == ["a", "c", "b"]
        assert [event.text for event in found.events] == ["b", "a", "c", "b"]

    def test_events_are_bounded(self, medium: Medium, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store_module, "EVENTS_KEPT", 3)
        for number in range(9):
            medium.open().commit(Change(events=[Event(NOW, "kind", str(number))]))
        medium.open().commit(Change(framework_id="framework"))
        assert [event.text for event in medium.open().load().events] == ["6", "7", "8"]

    def test_what_was_loaded_does_not_change_with_the_store(self, medium: Medium) -> None:
        store = medium.open()
        store.commit(Change("one", {"1": task("1", WEB)}, records={("k", "1"): "1"}))
        found = store.load()
        store.commit(Change("two", forget={"1"}, records={("k", "1"): None}))
        assert (found.framework_id, set(found.tasks), found.records) == ("one", {"1"}, {("k", "1"): "1"})

    def test_history_stays_bounded_whatever_fails_and_however_often_it_starts_anew(
        self, medium: Medium, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mesos_docker_scheduler.control.ledger._ENDED_KEPT", 5)
        monkeypatch.setattr("mesos_docker_scheduler.records.versions.KEPT", 3)
        monkeypatch.setattr(store_module, "EVENTS_KEPT", 20)
        now = NOW
        for number in range(8):
            wish = service(image=f"demo/web:{number}", count=2)
            bench = Bench(Path(), wish, store=medium.open(), now=now)
            bench.subscribe()
            for _ in range(2):
                for task_id in bench.launch("a", "b"):
                    bench.tell(task_id, "FAILED", message="exit status 1")
                bench.take(after=400)
            now = bench.now
        found = medium.open().load()
        ended = [made for made in found.tasks.values() if made.state.ended]
        assert (len(ended), len(found.versions), len(found.events)) == (5, 3, 20)
        assert len([name for name in found.records if name[0] == "wait"]) == 1

    def test_is_what_dictionaries_would_be(self, make: Callable[[], Medium]) -> None:
        @settings(suppress_health_check=list(HealthCheck), max_examples=40, deadline=None, database=None)
        @given(st.lists(Changes, max_size=6))
        def check(history: list[Change]) -> None:
            medium, tasks = make(), dict[str, Task]()
            versions, records = dict[tuple[str, str], str | None](), dict[tuple[str, str], str | None]()
            framework_id, events = None, list[Event]()
            for change in history:
                medium.open().commit(change)
                framework_id = change.framework_id or framework_id
                tasks |= change.tasks
                tasks = {key: made for key, made in tasks.items() if key not in change.forget}
                versions |= change.versions
                records |= change.records
                events += change.events
                found = medium.open().load()
                assert (found.framework_id, found.tasks, list(found.events)) == (framework_id, tasks, events)
                assert found.versions == {key: value for key, value in versions.items() if value is not None}
                assert found.records == {key: value for key, value in records.items() if value is not None}

        check()

    def test_a_hundred_thousand_tasks_are_there_in_seconds(self, medium: Medium) -> None:
        made = {f"{number:016x}": task(f"{number:016x}", WEB, f"agent-{number}") for number in range(100_000)}
        medium.open().commit(Change(tasks=made))
        started = time.perf_counter()
        found = medium.open().load()
        assert time.perf_counter() - started < 15
        assert len(found.tasks) == len(made)
