from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from mesos_docker_scheduler import web
from mesos_docker_scheduler.exec_sessions import ExecSessions
from mesos_docker_scheduler.observability import history as history_module
from mesos_docker_scheduler.observability.event_log import EventLog
from mesos_docker_scheduler.observability.history import EVERY_SECONDS, SAMPLES, History
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.observability.snapshot import ConfigView, ServiceView, Snapshot
from mesos_docker_scheduler.records.desired import Desired
from mesos_docker_scheduler.records.overrides import Override
from mesos_docker_scheduler.records.store import Event
from mesos_docker_scheduler.sandbox import Sandboxes
from scheduler_fakes import service
from starlette.testclient import TestClient

NOTHING: Counter[str] = Counter()


def view(name: str = "web", wanted: int = 3, running: int = 2, healthy: int = 1) -> ServiceView:
    return ServiceView(
        name=name,
        image="demo/web:1",
        version="1",
        wanted=wanted,
        running=running,
        staging=0,
        waiting=(),
        reasons=(),
        converged=False,
        desired=Desired(service(name=name), Override(name), None),
        healthy=healthy,
    )


def add(history: History, at: float, *views: ServiceView, launches: Any = (), failures: Any = ()) -> None:
    history.add(at, views, Counter(launches), Counter(failures))


def test_a_new_history_is_empty() -> None:
    series = History().series()
    assert (series.at, series.wanted, series.failures) == ([], [], [])


def test_samples_have_each_service_and_the_sum() -> None:
    history = History()
    add(history, 10, view("web", 3, 2, 1), view("db", 1, 1, 1), launches={"web": 2, "db": 1})
    add(history, 20, view("web", 3, 3, 3), view("db", 1, 0, 0), failures={"db": 1})
    web, total = history.series("web"), history.series()
    assert (web.at, web.wanted, web.running, web.healthy) == ([10, 20], [3, 3], [2, 3], [1, 3])
    assert (web.launches, web.failures) == ([2, 0], [0, 0])
    assert (total.wanted, total.running, total.healthy) == ([4, 4], [3, 3], [2, 3])
    assert (total.launches, total.failures) == ([3, 0], [0, 1])


def test_what_a_service_that_is_gone_did_last_is_in_the_sum() -> None:
    history = History()
    add(history, 10, view("web"), failures={"db": 1})
    assert history.series().failures == [1]


def test_only_the_last_hour_is_kept() -> None:
    history = History()
    for number in range(SAMPLES + 5):
        add(history, number, view(running=number))
    for series in (history.series("web"), history.series()):
        assert series.at == series.running == list(range(5, SAMPLES + 5))


def test_a_service_that_came_later_has_its_own_samples_alone() -> None:
    history = History()
    add(history, 10, view("web"))
    add(history, 20, view("web"), view("db", wanted=7))
    series = history.series("db")
    assert (series.at, series.wanted) == ([20], [7])


def test_a_service_that_went_and_came_again_starts_anew() -> None:
    history = History()
    add(history, 10, view("web", wanted=9))
    add(history, 20)
    assert history.series("web").at == []
    add(history, 30, view("web", wanted=1))
    assert (history.series("web").at, history.series("web").wanted) == ([30], [1])


def test_those_after_a_time() -> None:
    history = History()
    for at in (10, 20, 30):
        add(history, at, view(running=at))
    assert history.series("web", after=10).running == [20, 30]
    assert history.series(after=30).at == []


def test_more_services_than_can_be_kept_have_the_sum_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "MOST_SERVICES", 2)
    history = History()
    add(history, 10, view("a"), view("b"), view("c"))
    assert (history.series("b").at, history.series("c").at) == ([10], [])
    assert history.series().wanted == [9]


def test_a_thousand_services_take_less_than_ten_mebibytes() -> None:
    history = History()
    views = [view(f"service-{number}") for number in range(1_000)]
    add(history, 10, *views)
    tracks = [history._total, *history._services.values()]
    taken = sum(len(column) * column.itemsize for track in tracks for column in track._columns)
    assert taken < 10 * 2**20
    for number in range(SAMPLES):
        add(history, 20 + number, *views[:2])
    assert len(history._services) == 2


class Clock:
    """Time goes on when somebody sleeps, until the test has seen enough."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rounds: int, each: Callable[[int], None]) -> None:
        self.now = 1_000.0
        self.rounds = 0

        async def sleep(seconds: float) -> None:
            self.now += seconds
            self.rounds += 1
            each(self.rounds)
            if self.rounds > rounds:
                raise asyncio.CancelledError

        monkeypatch.setattr(asyncio, "sleep", sleep)

    def keep(self, history: History, log: EventLog) -> None:
        shown: Any = SimpleNamespace(services=(view(),))
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(history.keep(lambda: shown, log, lambda: self.now))


def events(first: int, *kinds: str) -> Iterator[Event]:
    for event_id, kind in enumerate(kinds, first):
        yield Event(1.0, kind, "", "web", "t", event_id)


def test_launches_and_failures_are_counted_in_the_sample_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    log, history = EventLog(events(1, "launch", "ended")), History()

    def each(rounds: int) -> None:
        if rounds == 2:
            log.extend(events(3, "launch", "running", "launch", "ended", "stopped"))

    Clock(monkeypatch, 25, each).keep(history, log)
    series = history.series("web")
    assert series.at == [1_000.0, 1_000.0 + EVERY_SECONDS, 1_000.0 + 2 * EVERY_SECONDS]
    assert (series.launches, series.failures) == ([0, 2, 0], [0, 1, 0])


def test_events_are_counted_before_the_log_forgets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    log, history = EventLog(), History()
    Clock(
        monkeypatch,
        10,
        lambda rounds: log.extend(events(6_000 * rounds, *["launch"] * 6_000)) if rounds < 4 else None,
    ).keep(history, log)
    assert history.series().launches == [0, 18_000]


@pytest.fixture
def client() -> TestClient:
    snapshot = Snapshot(1.0, None, True, None, ConfigView("sha", 1.0), (view(),))
    sources = web.Sources(
        lambda: snapshot,
        lambda: 0.0,
        EventLog(),
        Metrics(),
        lambda asked: None,
        Sandboxes(),
        ExecSessions(lambda *_: None),
        tuple,
    )
    return TestClient(web.application(sources, web.Access(None)), "http://localhost")


def test_the_history_is_kept_while_the_application_is_served(client: TestClient) -> None:
    with client:
        answer = client.get("/v1/history").json()
        assert answer["every_seconds"] == EVERY_SECONDS
        assert (answer["wanted"], answer["running"], answer["launches"]) == ([3], [2], [0])
        assert client.get("/v1/history", params={"service": "web"}).json()["healthy"] == [1]
        assert client.get("/v1/history", params={"after": answer["at"][0]}).json()["at"] == []


def test_the_history_of_a_service_that_is_not_there(client: TestClient) -> None:
    answer = client.get("/v1/history", params={"service": "wep"})
    assert (answer.status_code, "its services: web" in answer.json()["error"]) == (404, True)


@pytest.mark.parametrize("after", ["x", "-1", "nan", "inf"])
def test_a_time_that_is_none_is_refused(client: TestClient, after: str) -> None:
    assert client.get("/v1/history", params={"after": after}).status_code == 400
