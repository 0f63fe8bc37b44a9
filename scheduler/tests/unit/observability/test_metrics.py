"""What is measured, under which names, and that it does not grow without bounds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.operations import Operations
from mesos_docker_scheduler.driver import calls
from mesos_docker_scheduler.driver.call_times import CallTimes
from mesos_docker_scheduler.observability.metrics import GONE, Metrics
from mesos_docker_scheduler.observability.snapshot import ConfigView, ServiceView, Snapshot
from mesos_docker_scheduler.records.desired import Desired
from mesos_docker_scheduler.records.overrides import Override
from mesos_docker_scheduler.records.store import Change, SqliteStore, StoreError
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from scheduler_fakes import Bench, configuration, service

PREFIX = "mesos_docker_scheduler_"
WEB = service(count=2, backoff={"initial_seconds": 60})


class Driver:
    """One with a call of each kind under way."""

    calls_open = (3, 2)

    def __init__(self) -> None:
        self.call_times = CallTimes()
        self.call_times.note("KILL", 0.02)


class Reading:
    """The metrics of a bench, as Prometheus would read them."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.metrics = bench.controller._metrics

    def families(self) -> list[Metric]:
        self.bench.take(after=1)  # so that what has changed is shown
        return list(text_string_to_metric_families(self.metrics.text().decode()))

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """The values by the labels' values, these in the order of the labels' names."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in self.families()
            for sample in family.samples
            if sample.name == PREFIX + name
        }

    def value(self, name: str, *labels: str) -> float | None:
        return self.samples(name).get(labels)

    def nonzero(self, name: str) -> dict[tuple[str, ...], float]:
        return {labels: value for labels, value in self.samples(name).items() if value}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, WEB)
    made.subscribe()
    return made


@pytest.fixture
def reading(bench: Bench) -> Reading:
    return Reading(bench)


def ask(bench: Bench, what: Callable[[Operations, float], None]) -> None:
    def reply(error: Exception | None) -> None:
        assert error is None

    bench.take(events.Command(what, reply))


# Names


def everything(reading: Reading) -> list[Metric]:
    reading.metrics.watch_driver(Driver())
    return reading.families()


def test_names_follow_the_conventions(reading: Reading) -> None:
    units = ("_seconds", "_bytes", "_total", "_timestamp_seconds")
    for family in everything(reading):
        assert family.documentation.strip(), family.name
        assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name)
        if not family.name.startswith(PREFIX):
            assert family.name.startswith(("process_", "python_gc_"))
            continue
        names = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert all(name.endswith("_total") for name in names), family.name
        else:
            assert not family.name.endswith("_total")
        if re.search(r"milli|micro|minute|hour|kilo|mega|_ms$|percent", family.name):
            pytest.fail(f"{family.name} is not in a base unit; these are: {units}")
        if "time" in family.documentation.lower().split()[:1]:
            assert family.name.endswith("_seconds")


def test_no_series_says_when_another_began(reading: Reading) -> None:
    names = {sample.name for family in everything(reading) for sample in family.samples}
    assert not [name for name in names if name.endswith("_created")]


def test_shows_the_process_and_the_version(reading: Reading) -> None:
    names = {family.name for family in everything(reading)}
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "python_gc_collections"} <= names
    ((labels, value),) = reading.samples("build_info").items()
    assert (len(labels), value) == (1, 1)


# Services


def test_shows_what_is_wanted_and_what_there_is(bench: Bench, reading: Reading) -> None:
    assert reading.value("service_converged", "web") == 0
    first, _ = bench.launch("a", "b")
    assert reading.value("instances_wanted", "web") == 2
    assert reading.value("instances_healthy", "web") == 2
    assert reading.value("instances_in_service", "web") == 2
    assert reading.value("service_converged", "web") == 1
    assert reading.samples("instances") == {("web", "running"): 2}
    bench.tell(first, "FAILED")
    assert reading.value("instances_in_service", "web") == 1
    assert reading.samples("instances") == {("web", "running"): 1}
    assert reading.value("launches_total", "web") == 2


def test_shows_when_the_certificate_ends_where_there_is_one() -> None:
    name = "mesos_docker_scheduler_http_certificate_end_timestamp_seconds"
    metrics = Metrics()
    assert name not in metrics.text().decode()
    metrics.watch_certificate(lambda: 1_800_000_000.5)
    assert f"\n{name} 1.8000000005e+09\n" in metrics.text().decode()


def test_counts_from_zero_on(reading: Reading) -> None:
    for name in ("launches_total", "kills_total", "instances_lost_total"):
        assert reading.value(name, "web") == 0
    assert reading.samples("failures_total") == {("service", "none", "web"): 0}


def test_says_why_instances_wait(bench: Bench, reading: Reading) -> None:
    bench.offer("a", mem=32)
    assert reading.samples("instances_waiting") == {("resources", "web"): 2}
    bench.launch("a", "b")
    assert reading.samples("instances_waiting") == {}


def test_says_whose_fault_a_failure_is_and_why_in_bounded_words(bench: Bench, reading: Reading) -> None:
    bench.driver.calls.clear()
    reasons: tuple[tuple[str, dict[str, str]], ...] = (
        ("FAILED", {"reason": "REASON_CONTAINER_LIMITATION_MEMORY", "message": "12 MiB"}),
        ("FAILED", {"reason": "REASON_OF_A_NEWER_MESOS"}),
        ("FAILED", {}),
        ("FAILED", {"reason": "REASON_AGENT_REMOVED"}),
        ("KILLED", {}),
    )
    for state, fields in reasons:
        bench.now += 1000
        task_id = bench.launch("a")[0]
        bench.tell(task_id, state, **fields)
    assert reading.nonzero("failures_total") == {
        ("service", "container_limitation_memory", "web"): 1,
        ("service", "other", "web"): 1,
        ("service", "none", "web"): 1,
        ("infrastructure", "agent_removed", "web"): 1,
    }


def test_shows_what_fails_in_a_row_and_waits(bench: Bench, reading: Reading) -> None:
    assert reading.samples("service_consecutive_failures") == {}
    for _ in range(2):
        bench.tell(bench.launch("a", "b")[0], "FAILED")
        bench.take(after=1)
    assert reading.samples("service_consecutive_failures") == {("web",): 2}
    assert reading.value("services_backing_off") == 1
    assert reading.value("agents_backing_off") == 0
    bench.take(after=100)
    assert reading.value("services_backing_off") == 0


def test_an_agent_that_fails_to_start_tasks_backs_off(bench: Bench, reading: Reading) -> None:
    for _ in range(2):
        bench.offer("a")
        for info in bench.launched():
            bench.tell(info["task_id"]["value"], "GONE", reason="REASON_AGENT_REMOVED")
        bench.take(after=1)
    assert reading.value("agents_backing_off") == 1


def test_counts_instances_that_are_lost_with_their_slave(bench: Bench, reading: Reading) -> None:
    first, _ = bench.launch("a", "b")
    bench.take(events.AgentLost("a"))
    bench.tell(first, "UNREACHABLE")
    assert reading.value("instances_lost_total", "web") == 1
    assert reading.value("agents_lost_total") == 1
    assert reading.value("instances", "web", "unreachable") == 1


def test_says_when_an_operator_overrides_the_file(bench: Bench, reading: Reading) -> None:
    assert reading.value("service_overridden", "web") == 0
    ask(bench, lambda operations, now: operations.scale("web", 3, "me", now))
    assert reading.value("service_overridden", "web") == 1
    assert reading.value("instances_wanted", "web") == 3
    ask(bench, lambda operations, now: operations.reset("web", "me", now))
    assert reading.value("service_overridden", "web") == 0


def deploy(bench: Bench) -> None:
    """Have all instances run for long enough to be called ready."""
    bench.launch("a", "b")
    bench.take(after=60)


def update(bench: Bench, image: str, **fields: Any) -> Service:
    """Change the image of all instances that run."""
    changed = service(count=2, image=image, **fields)
    bench.take(events.ConfigRead(configuration(changed), image))
    return changed


def test_measures_an_update_from_its_beginning_to_its_end(bench: Bench, reading: Reading) -> None:
    deploy(bench)
    assert reading.samples("service_update_state") == {("web", "complete"): 1}
    assert sum(reading.samples("update_seconds_count").values()) == 0  # a first deployment is none
    update(bench, "demo/web:2", update={"min_ready_seconds": 0})
    began = bench.now
    assert reading.samples("service_update_state") == {("web", "rolling"): 1}
    while reading.samples("service_update_state") != {("web", "complete"): 1}:
        assert bench.now < began + 300
        bench.launch("a", "b")
        for _, task_id, agent_id, _ in bench.driver.take("kill"):
            bench.tell(task_id, "KILLED", agent_id)
    assert reading.nonzero("update_seconds_count") == {("complete",): 1}
    taken = reading.value("update_seconds_sum", "complete")
    assert taken is not None
    assert 1 < taken < bench.now - began


@pytest.mark.parametrize(("what", "state"), [("pause", "paused"), ("roll_back", "rolled_back")])
def test_measures_updates_that_an_operator_ends(
    bench: Bench, reading: Reading, what: str, state: str
) -> None:
    deploy(bench)
    update(bench, "demo/web:2")
    bench.take(after=30)
    ask(bench, lambda operations, now: getattr(operations, what)("web", "me", now))
    assert reading.samples("service_update_state") == {("web", state): 1}
    assert reading.nonzero("update_seconds_count") == {(state,): 1}
    assert reading.value("update_seconds_sum", state) == 30


def test_measures_an_update_that_fails_across_a_restart(tmp_path: Path) -> None:
    before = Bench(tmp_path, WEB)
    before.subscribe()
    deploy(before)
    changed = update(before, "demo/web:2", update={"progress_deadline_seconds": 100})
    before.take(after=50)
    before.store.close()
    bench = Bench(tmp_path, changed, now=before.now)
    bench.subscribe()
    bench.take(after=200)
    reading = Reading(bench)
    assert reading.nonzero("update_seconds_count") == {("paused",): 1}
    assert reading.value("update_seconds_sum", "paused") == pytest.approx(250, abs=2)


# Mesos


def test_counts_what_becomes_of_offers_and_why(bench: Bench, reading: Reading) -> None:
    bench.offer("a", mem=32)
    assert reading.samples("offers_total")["received",] == 1
    assert reading.nonzero("offers_unused_total") == {("mem",): 1}
    bench.launch("a", "b")
    bench.offer("c")
    assert reading.samples("offers_total") == {
        ("received",): 4,
        ("accepted",): 2,
        ("declined",): 2,
        ("rescinded",): 0,
    }
    assert reading.nonzero("offers_unused_total") == {("mem",): 1, ("not_wanted",): 1}
    bench.take(events.OfferRescinded("an-offer"))
    assert reading.samples("offers_total")["rescinded",] == 1


@pytest.mark.parametrize(
    ("fields", "offered", "why"),
    [
        ({"cpus": 8}, {}, "cpus"),
        ({"ports": [{"container_port": 80, "host_port": 80}], "network": "bridge"}, {}, "ports"),
        ({"constraints": [{"field": "rack", "operator": "LIKE", "value": "r1"}]}, {}, "constraint"),
        (
            {},
            {"more": {"unavailability": {"start": {"nanoseconds": 0}}}},
            "maintenance",
        ),
    ],
)
def test_names_what_an_offer_lacks(
    tmp_path: Path, fields: dict[str, Any], offered: dict[str, Any], why: str
) -> None:
    bench = Bench(tmp_path, service(count=1, **fields))
    bench.subscribe()
    bench.offer("a", **offered)
    assert Reading(bench).nonzero("offers_unused_total") == {(why,): 1}


def test_counts_connections_and_failed_calls(bench: Bench, reading: Reading) -> None:
    assert (reading.value("connected"), reading.value("reconciliation_settled")) == (1, 1)
    bench.take(events.CallFailed(calls.kill("t", None, None), "HTTP 503"))
    bench.take(events.Disconnected())
    assert (reading.value("connected"), reading.value("reconciliation_settled")) == (0, 0)
    bench.subscribe()
    assert reading.value("subscriptions_total") == 2
    assert reading.value("disconnections_total") == 1
    assert reading.samples("failed_calls_total") == {("KILL",): 1}


def test_measures_reconciliation(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WEB)
    reading = Reading(bench)
    bench.subscribe()
    bench.launch("a", "b")
    bench.take(events.Disconnected())
    counted = reading.value("reconciliation_seconds_count")
    assert counted is not None
    bench.take(events.Subscribed(None, {}))
    assert reading.value("reconciliation_unanswered") == 2
    assert reading.value("reconciliation_settled") == 0
    bench.now += 4
    bench.answer_fence()
    assert reading.value("reconciliation_settled") == 1
    assert reading.value("reconciliation_seconds_count") == counted + 1
    assert reading.samples("reconciliations_total") == {("explicit",): 4, ("implicit",): 2}


def test_counts_instances_that_do_not_stop(bench: Bench, reading: Reading) -> None:
    bench.launch("a", "b")
    bench.take(events.ConfigRead(configuration(service(count=1)), "fewer"))
    assert reading.value("kills_open") == 1
    assert reading.value("kills_repeated_total") == 0
    bench.take(after=60)
    assert reading.value("kills_repeated_total") == 1
    assert reading.value("kills_total", "web") == 2
    for _, task_id, agent_id, _ in bench.driver.take("kill")[:1]:
        bench.tell(task_id, "KILLED", agent_id)
    assert reading.value("kills_open") == 0


def test_shows_the_drivers_calls(reading: Reading) -> None:
    reading.metrics.watch_driver(Driver())
    assert (reading.value("calls_queued"), reading.value("calls_in_flight")) == (3, 2)
    buckets = reading.samples("call_seconds_bucket")
    assert (buckets["0.01", "KILL"], buckets["0.025", "KILL"], buckets["+Inf", "KILL"]) == (0, 1, 1)
    assert reading.value("call_seconds_count", "KILL") == 1
    assert reading.value("call_seconds_sum", "KILL") == 0.02


# The scheduler itself


def test_says_when_the_configuration_was_applied_or_refused(bench: Bench, reading: Reading) -> None:
    started = reading.value("config_applied_timestamp_seconds")
    bench.take(events.ConfigRead(None, "", "services[0].count: -1 is not allowed"))
    assert reading.value("config_refused") == 1
    assert reading.value("config_applied_timestamp_seconds") == started
    bench.take(events.ConfigRead(configuration(WEB, master="m2:5050"), "other"))
    assert reading.value("config_refused") == 0
    assert reading.value("config_restart_needed") == 1
    assert reading.value("config_applied_timestamp_seconds") != started


def test_counts_events_by_kind(bench: Bench, reading: Reading) -> None:
    bench.launch("a", "b")
    counted = reading.nonzero("events_total")
    assert (counted["launch",], counted["running",], counted["converged",]) == (2, 2, 1)


def test_measures_rounds_plans_and_writes(bench: Bench, reading: Reading) -> None:
    bench.launch("a", "b")
    for name in ("plan_seconds_count", "store_commit_seconds_count", "store_commit_records_count"):
        assert reading.value(name)
    records = reading.value("store_commit_records_sum")
    assert records is not None
    assert records > 6
    assert reading.value("inbox_events") == 0
    assert reading.value("last_round_timestamp_seconds")


def test_says_when_the_store_can_not_be_written(tmp_path: Path) -> None:
    class Full(SqliteStore):
        full = False

        def commit(self, change: Change) -> None:
            if self.full:
                raise StoreError("disk full")
            super().commit(change)

    store = Full(tmp_path)
    bench = Bench(tmp_path, WEB, store=store)
    bench.subscribe()
    reading = Reading(bench)
    assert reading.value("store_failing") == 0
    store.full = True
    bench.offer("a", "b")
    assert reading.value("store_failing") == 1
    assert reading.value("store_errors_total")
    store.full = False
    bench.take(after=5)
    assert reading.value("store_failing") == 0


def test_says_when_nothing_is_launched_because_too_much_failed(tmp_path: Path) -> None:
    services = [service(name=f"s{number}", count=1, cpus=0.01, mem=32) for number in range(30)]
    bench = Bench(tmp_path, *services)
    bench.subscribe()
    reading = Reading(bench)
    assert reading.value("launches_held") == 0
    for _ in range(2):
        for task_id in bench.launch("a", "b"):
            bench.tell(task_id, "FAILED")
    assert reading.value("launches_held") == 1


def test_the_store_knows_its_size(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    assert store.size_bytes >= (tmp_path / "state.sqlite").stat().st_size > 0


# Cardinality


def test_a_service_that_is_gone_leaves_no_series(bench: Bench, reading: Reading) -> None:
    bench.launch("a", "b")
    bench.tell(next(iter(bench.controller._ledger.tasks)), "FAILED")
    bench.take(events.ConfigRead(configuration(service(name="other", count=0)), "other"))
    bench.take(after=1)
    bench.take(after=1)
    (kill,) = bench.driver.take("kill")
    bench.tell(kill[1], "KILLED", kill[2])
    assert 'service="web"' not in reading.metrics.text().decode()
    # What still happened to its instances is not lost.
    assert reading.nonzero("kills_total") == {(GONE,): 1}
    bench.take(events.ConfigRead(configuration(WEB), "web"))
    assert reading.value("launches_total", "web") == 0


def test_no_label_takes_what_differs_from_task_to_task(bench: Bench, reading: Reading) -> None:
    ids = bench.launch("a", "b")
    bench.tell(ids[0], "FAILED", message="one of a kind")
    text = reading.metrics.text().decode()
    for particular in (*ids, "host-a", "one of a kind", "uuid"):
        assert particular not in text


def test_the_number_of_series_depends_on_services_alone(tmp_path: Path) -> None:
    def series(name: str, *services: Service, rounds: int) -> int:
        bench = Bench(tmp_path / name, *services)
        bench.subscribe()
        for _ in range(rounds):
            bench.take(after=100)
            for task_id in bench.launch("a", "b"):
                bench.tell(task_id, "FAILED", reason="REASON_OF_A_NEWER_MESOS")
        bench.take(after=600)
        bench.launch("a", "b")
        return sum(len(family.samples) for family in Reading(bench).families())

    one = series("once", WEB, rounds=3)
    assert series("often", WEB, rounds=8) == one
    more = series("many", WEB, *(service(name=f"s{number}", count=1) for number in range(10)), rounds=3)
    assert (more - one) / 10 < 20


def views(number: int) -> tuple[ServiceView, ...]:
    wishes = Desired(service(count=1), Override("web"), None)
    return tuple(
        ServiceView(f"s{index}", "i", "v", 1, 1, 0, (), (), True, wishes, {"RUNNING": 1})
        for index in range(number)
    )


def test_only_services_that_changed_are_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    shown = views(100)
    metrics.expect({view.name for view in shown})
    snapshot = Snapshot(1.0, None, True, None, ConfigView("sha", 1.0), shown)
    metrics.show(snapshot)
    touched: list[object] = []
    monkeypatch.setattr("prometheus_client.Gauge.set", lambda gauge, value: touched.append(gauge))
    metrics.show(snapshot)
    few = len(touched)
    (changed,) = views(1)
    metrics.show(Snapshot(1.0, None, True, None, snapshot.config, (changed, *shown[1:])))
    assert few <= 3
    assert len(touched) - few < 10
