"""The controller against a fake driver: what it writes, what it sends, and in which order."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from mesos_docker_scheduler.config import Service, secrets
from mesos_docker_scheduler.control import events, leader, ownership
from mesos_docker_scheduler.control.controller import Refused
from mesos_docker_scheduler.control.launching import REFUSE_SECONDS
from mesos_docker_scheduler.control.recovery import BEGIN_ANEW
from mesos_docker_scheduler.planning.cluster import Agent
from mesos_docker_scheduler.records.rollout import Rollout
from mesos_docker_scheduler.records.store import Change, Remembered, SqliteStore, StoreError
from mesos_docker_scheduler.records.tasks import TaskState, new_task_id
from scheduler_fakes import (
    MASTER,
    NOW,
    Bench,
    Message,
    answer,
    configuration,
    offer_message,
    service,
    status,
    task,
)
from small_cluster import SmallCluster

WEB = service(count=2)


class FailingStore:
    """A store whose disk is full until `works` is set."""

    def __init__(self, inner: SqliteStore) -> None:
        self.inner = inner
        self.works = True

    def load(self) -> Remembered:
        return self.inner.load()

    def commit(self, change: Change) -> None:
        if not self.works:
            raise StoreError("state.sqlite: can't be written: disk full")
        self.inner.commit(change)

    def check(self) -> None:
        self.inner.check()

    def close(self) -> None:
        self.inner.close()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, WEB)
    made.subscribe()
    return made


def test_writes_the_framework_id_before_it_asks_for_anything(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WEB)
    bench.take(events.Subscribed("framework", MASTER))
    assert bench.store.load().framework_id == "framework"
    assert bench.driver.calls[0][0] == "reconcile"


def test_asks_for_all_tasks_then_for_each_known_one_with_its_agent(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.commit(Change("framework", tasks={"1": task("1", WEB, "a"), "2": task("2", WEB, "b")}))
    bench = Bench(tmp_path, WEB, store=store)
    bench.take(events.Subscribed("framework", MASTER))
    implicit, explicit = bench.driver.take("reconcile")
    assert implicit[1] == []
    assert explicit[1][:2] == [("1", "a"), ("2", "b")]


def test_starts_nothing_before_the_master_has_said_what_runs(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WEB)
    bench.take(events.Subscribed("framework", MASTER))
    bench.offer("a", "b", after=5)
    assert bench.launched() == []
    assert bench.view.waiting == ("asking the master which instances run",)
    bench.answer_fence()
    assert len(bench.launched()) == 2


def test_gathers_offers_for_a_moment_so_that_instances_are_spread(bench: Bench) -> None:
    bench.take(events.Offers((offer_message("a"),)), after=0.1)
    assert bench.launched() == []
    bench.take(events.Offers((offer_message("b"),)), after=0.5)
    assert bench.launched() == []
    bench.take(after=0.6)
    assert sorted(info["agent_id"]["value"] for info in bench.launched()) == ["a", "b"]


def test_a_launch_is_on_disk_before_it_is_sent(tmp_path: Path) -> None:
    store = FailingStore(SqliteStore(tmp_path))
    bench = Bench(tmp_path, WEB, store=store)
    bench.subscribe()
    store.works = False
    bench.offer("a", "b")
    assert bench.launched() == []
    store.works = True
    bench.take(after=2)
    # What was planned then is not sent now, when much may have changed: the offers go back.
    assert bench.launched() == []
    assert len(bench.driver.take("decline")) == 2
    bench.offer("a", "b")
    launched = {info["task_id"]["value"] for info in bench.launched()}
    assert len(launched) == 2
    written = store.load().tasks
    assert {task_id for task_id, made in written.items() if not made.state.ended} == launched


def test_an_update_is_acknowledged_only_once_it_is_on_disk(tmp_path: Path) -> None:
    store = FailingStore(SqliteStore(tmp_path))
    bench = Bench(tmp_path, WEB, store=store)
    bench.subscribe()
    first, _ = bench.launch("a", "b")
    bench.driver.take("acknowledge")
    store.works = False
    bench.tell(first, "FAILED", message="exit status 1")
    assert bench.driver.take("acknowledge", "revive") == []
    assert bench.controller.snapshot.problem == "state.sqlite: can't be written: disk full"
    store.works = True
    bench.take(after=2)
    assert len(bench.driver.take("acknowledge")) == 1
    assert store.load().tasks[first].state is TaskState.FAILED
    assert bench.view.waiting
    assert bench.controller.snapshot.problem is None


def test_what_was_said_of_an_old_version_is_not_said_of_a_new_one(tmp_path: Path) -> None:
    store = FailingStore(SqliteStore(tmp_path))
    bench = Bench(tmp_path, WEB, store=store)
    bench.subscribe()
    first, _ = bench.launch("a", "b")
    bench.tell(first, "FAILED", message="exit status 1")
    assert "1 instance waiting for resources" in " ".join(bench.view.waiting)
    store.works = False
    bench.take(events.ConfigRead(configuration(service(count=2, image="demo/web:2")), "sha2"))
    assert (bench.view.image, bench.view.waiting) == ("demo/web:2", ())
    assert bench.controller.snapshot.problem == "state.sqlite: can't be written: disk full"


def test_what_could_not_be_written_down_is_not_stopped_later(tmp_path: Path) -> None:
    class NoKills(FailingStore):
        def commit(self, change: Change) -> None:
            if not self.works and any(task.kill_reason for task in change.tasks.values()):
                raise StoreError("state.sqlite: can't be written: disk full")
            self.inner.commit(change)

    store = NoKills(SqliteStore(tmp_path))
    bench = Bench(tmp_path, WEB, store=store)
    bench.subscribe()
    first, second = bench.launch("a", "b")
    store.works = False
    bench.take(events.ConfigRead(configuration(service(count=1)), "sha"))
    bench.take(events.ConfigRead(configuration(WEB), "sha"))
    store.works = True
    bench.take(after=2)
    bench.take(after=10)
    assert bench.driver.take("kill") == []
    assert [store.load().tasks[task_id].kill_reason for task_id in (first, second)] == [None, None]


def test_shows_that_nothing_wanted_is_as_wanted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=0))
    bench.take(events.Subscribed("framework", MASTER), after=1)
    bench.take(after=1)
    assert not bench.view.converged
    bench.answer_fence()
    assert bench.view.converged


def test_updates_without_a_uuid_are_not_acknowledged(bench: Bench) -> None:
    first, _ = bench.launch("a", "b")
    bench.driver.take("acknowledge")
    bench.take(events.Update(answer(first, "RUNNING")))
    assert bench.driver.take("acknowledge") == []


def test_updates_of_tasks_that_ended_or_were_never_ours_are_acknowledged(bench: Bench) -> None:
    first, _ = bench.launch("a", "b")
    bench.tell(first, "FAILED")
    bench.driver.take("acknowledge")
    bench.tell(first, "FAILED")
    bench.tell("somebody's", "FAILED")
    assert len(bench.driver.take("acknowledge")) == 2


def test_wants_no_offers_when_all_run_and_declines_for_long(bench: Bench) -> None:
    bench.launch("a", "b")
    assert bench.driver.take("suppress") == [("suppress",)]
    bench.offer("c")
    ((_, _, refuse),) = bench.driver.take("decline")
    assert refuse == REFUSE_SECONDS
    bench.take(after=100)
    assert bench.driver.take("suppress", "revive") == []


def test_a_crash_after_a_good_run_is_replaced_at_once(bench: Bench) -> None:
    first, _ = bench.launch("a", "b")
    bench.take(after=120)
    bench.driver.calls.clear()
    bench.tell(first, "FAILED", message="exit status 137")
    assert bench.driver.take("revive") == [("revive",)]
    # Both known agents have answered: there is nothing to gather.
    bench.take(events.Offers((offer_message("a"), offer_message("b"))))
    (info,) = bench.launched()
    assert info["agent_id"]["value"] == "a"


def test_repeated_crashes_are_held_back_longer_and_longer(bench: Bench) -> None:
    failing, _ = bench.launch("a", "b")
    bench.take(after=2)
    pauses = []
    for _ in range(12):
        failed_at = bench.now
        bench.tell(failing, "FAILED", message="exit status 1")
        launched: list[Message] = []
        while not launched:
            bench.take(after=0.05)
            if bench.driver.take("revive"):
                bench.take(events.Offers((offer_message("a"), offer_message("b"))))
            launched = bench.launched()
        pauses.append(bench.now - failed_at)
        failing = launched[0]["task_id"]["value"]
        bench.tell(failing, "RUNNING", launched[0]["agent_id"]["value"])
        bench.take(after=2)
    assert pauses == pytest.approx([0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300], abs=0.3)


def test_a_crash_loop_goes_on_waiting_after_a_restart_and_is_lived_down_for_good(tmp_path: Path) -> None:
    def restarted(after: float) -> Bench:
        again = Bench(tmp_path, service(), store=first.store, now=first.now + after)
        again.subscribe()
        return again

    first = Bench(tmp_path, service())
    first.subscribe()
    for pause in (0, 1, 2, 4):
        (failing,) = first.launch("a")
        first.tell(failing, "FAILED", message="exit status 1")
        first.take(after=pause)
    first.offer("a")
    (failing,) = (info["task_id"]["value"] for info in first.launched())
    first.tell(failing, "FAILED", message="exit status 1")
    until = first.now + 8

    again = restarted(after=2)
    again.offer("a")
    assert again.launched() == []
    assert "after 5 failures in a row; the last: TASK_FAILED" in " ".join(again.view.waiting)
    again.now = until
    assert again.launch("a") != []
    assert "wait" in {kind for kind, _ in first.store.load().records}
    again.take(after=61)
    assert "wait" not in {kind for kind, _ in first.store.load().records}


def test_faults_of_mesos_do_not_hold_the_service_back(bench: Bench) -> None:
    first, _ = bench.launch("a", "b")
    for _ in range(5):
        bench.tell(first, "DROPPED", reason="REASON_INVALID_OFFERS")
        bench.take(after=1.1)
        bench.offer("a", "b")
        (info,) = bench.launched()
        first = info["task_id"]["value"]


def test_one_agent_where_nothing_starts_swallows_no_launches(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, service(count=4))
    cluster.play(60, lambda name, agent: agent == "a")
    assert cluster.running("web") == 4
    assert cluster.launches["web", "a"] <= 2
    cluster.bench.take(events.ConfigRead(configuration(service(count=4, image="demo/web:2")), "sha"))
    cluster.play(180, lambda name, agent: agent == "a")
    update = cluster.bench.view.update
    assert update is not None
    assert (update.state, update.to_image) == ("complete", "demo/web:2")
    assert cluster.launches["web", "a"] <= 4


def test_an_agent_where_nothing_starts_is_used_again_once_it_is_mended(tmp_path: Path) -> None:
    cluster = SmallCluster(
        tmp_path, service(count=3, constraints=[{"field": "hostname", "operator": "UNIQUE"}])
    )
    cluster.play(120, lambda name, agent: agent == "a")
    assert cluster.running("web") == 2
    # Each failure there waits longer; nothing else waits for it.
    assert cluster.launches["web", "a"] < 10
    cluster.bench.take(events.ConfigRead(cluster.bench.controller._desired.file_config, "sha", asked=True))
    cluster.play(10, lambda name, agent: False)
    assert cluster.running("web") == 3


@pytest.mark.parametrize("reason", ["REASON_EXECUTOR_TERMINATED", "REASON_CONTAINER_LAUNCH_FAILED"])
def test_a_service_that_starts_nowhere_holds_no_other_back(tmp_path: Path, reason: str) -> None:
    bad, worse, good = service(name="bad"), service(name="worse", count=3), service(name="good", count=3)
    cluster = SmallCluster(tmp_path, bad, worse, good)

    def fails(name: str, agent: str) -> bool:
        return name in ("bad", "worse")

    cluster.play(300, fails, reason)
    assert cluster.running("good") == 3
    assert sum(count for (name, _), count in cluster.launches.items() if name == "bad") < 20
    for _ in range(10):
        lost = next(one for one in cluster.bench.controller.snapshot.services if one.name == "good").tasks[0]
        cluster.bench.tell(lost.id, "FAILED", lost.agent_id)
        cluster.play(4, fails, reason)
        assert cluster.running("good") == 3
        cluster.play(120, fails, reason)


def test_services_that_may_run_on_one_agent_only_do_not_make_it_avoided(tmp_path: Path) -> None:
    only_a = [{"field": "hostname", "operator": "LIKE", "value": "host-a"}]
    services = [service(name=name, count=1, constraints=only_a) for name in ("bad", "worse", "good")]
    cluster = SmallCluster(tmp_path, *services)

    def fails(name: str, agent: str) -> bool:
        return name in ("bad", "worse")

    cluster.play(120, fails)
    for _ in range(10):
        lost = next(one for one in cluster.bench.controller.snapshot.services if one.name == "good").tasks[0]
        cluster.bench.tell(lost.id, "FAILED", lost.agent_id)
        cluster.play(4, fails)
        assert cluster.running("good") == 1
        cluster.play(60, fails)


def test_an_update_that_may_run_on_one_agent_only_fails_there(tmp_path: Path) -> None:
    only_a = [{"field": "hostname", "operator": "LIKE", "value": "host-a"}]
    cluster = SmallCluster(tmp_path, service(count=1, constraints=only_a))
    cluster.play(60, lambda name, agent: False)
    new = service(count=1, constraints=only_a, image="demo/web:2")
    cluster.bench.take(events.ConfigRead(configuration(new), "sha"))
    cluster.play(60, lambda name, agent: True)
    update = cluster.bench.view.update
    assert update is not None
    assert update.state == "paused"
    assert "3 failures in a row; the last: TASK_FAILED on host-a: no space left on device" in update.reason


def test_where_nothing_started_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=1))
    bench.subscribe()
    bench.offer("a", "b")
    for info in bench.launched():
        bench.tell(info["task_id"]["value"], "FAILED", info["agent_id"]["value"])
    (places,) = bench.controller._failures.places().values()
    bench.store.close()
    bench = Bench(tmp_path, service(count=1), now=bench.now + 1)
    bench.subscribe()
    assert bench.controller._failures.places().popitem()[1] == places


def test_an_update_that_starts_nowhere_is_paused_after_so_many_failures(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, service(count=2))
    cluster.play(60, lambda name, agent: False)
    before = sum(cluster.launches.values())
    cluster.bench.take(events.ConfigRead(configuration(service(count=2, image="demo/web:2")), "sha"))
    cluster.play(60, lambda name, agent: True, "REASON_EXECUTOR_TERMINATED")
    update = cluster.bench.view.update
    assert update is not None
    assert update.state == "paused"
    assert sum(cluster.launches.values()) - before == 3


def test_what_never_starts_is_given_up_and_started_elsewhere(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=1, start_timeout_seconds=60))
    bench.subscribe()
    bench.offer("a", "b")
    (hangs,) = bench.launched()
    task_id, agent = hangs["task_id"]["value"], hangs["agent_id"]["value"]
    bench.tell(task_id, "STARTING", agent)
    bench.take(after=57)
    assert bench.driver.take("kill") == []
    bench.take(after=3)
    assert [call[1] for call in bench.driver.take("kill")] == [task_id]
    assert f"did not start on host-{agent} within 60 seconds" in [event.text for event in bench.events]
    bench.tell(task_id, "KILLED", agent)
    bench.offer("a", "b")
    (again,) = bench.launched()
    assert again["agent_id"]["value"] != agent


def test_what_does_not_even_obey_keeps_no_place(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=1, start_timeout_seconds=60))
    bench.subscribe()
    bench.offer("a", "b")
    (hangs,) = bench.launched()
    agent = hangs["agent_id"]["value"]
    bench.tell(hangs["task_id"]["value"], "STARTING", agent)
    bench.take(after=60)
    bench.take(after=200)
    bench.offer("a", "b")
    assert bench.launched() == []
    bench.take(after=101)
    bench.offer("a", "b")
    (again,) = bench.launched()
    assert again["agent_id"]["value"] != agent


def test_what_the_master_does_not_know_yet_is_not_given_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=1, start_timeout_seconds=60))
    bench.subscribe()
    bench.offer("a")
    (info,) = bench.launched()
    bench.tell(info["task_id"]["value"], "STARTING")
    bench.take(events.Disconnected())
    bench.take(events.Subscribed(None, {**MASTER, "id": "master-2"}))
    bench.answer_fence()
    for _ in range(30):
        bench.take(after=10)
    assert bench.driver.take("kill") == []


def hang(bench: Bench) -> list[str]:
    """Have what is launched begin to start and stay so, and what is killed end; returns the agents."""
    agents = []
    for info in bench.launched():
        agents.append(info["agent_id"]["value"])
        bench.tell(info["task_id"]["value"], "STARTING", agents[-1])
    for _, task_id, agent, _ in bench.driver.take("kill"):
        bench.tell(task_id, "KILLED", agent)
    return agents


def test_hung_starts_count_for_the_version(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=1))
    bench.subscribe()
    agents: list[str] = []
    for _ in range(400):
        bench.offer("a", "b", "c", after=10)
        agents += hang(bench)
    assert set(agents) == {"a", "b", "c"}
    (wait,) = bench.controller._failures.service_waits().values()
    assert wait.failures >= 3


def test_an_update_that_never_starts_fails(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=1))
    bench.subscribe()
    bench.launch("a", "b")
    bench.take(after=60)
    update = {"max_failures": 2}
    hanging = service(count=1, image="demo/web:2", start_timeout_seconds=60, update=update)
    bench.take(events.ConfigRead(configuration(hanging), "sha"))
    for _ in range(90):
        bench.offer("a", "b", after=1)
        hang(bench)
    view = bench.view.update
    assert view is not None
    assert view.state == "paused"
    assert "2 failures in a row; the last: did not start on host-" in view.reason


def test_a_health_check_that_never_says_anything_is_given_up(tmp_path: Path) -> None:
    check = {
        **{"protocol": "tcp", "port": 80, "delay_seconds": 2, "grace_seconds": 8},
        **{"interval_seconds": 6, "timeout_seconds": 4},
    }
    bench = Bench(tmp_path, service(count=1, start_timeout_seconds=60, health_check=check))
    bench.subscribe()
    (task_id,) = bench.launch("a")
    bench.take(after=78)
    assert bench.driver.take("kill") == []
    bench.take(after=3)
    assert [call[1] for call in bench.driver.take("kill")] == [task_id]
    bench.tell(task_id, "KILLED")
    (task_id,) = bench.launch("a")
    bench.tell(task_id, "RUNNING", healthy=False)
    bench.take(after=1000)
    assert bench.driver.take("kill") == [], "a check that fails is the executor's to oracle"


def test_a_start_may_take_for_ever_and_time_without_a_connection_does_not_count(tmp_path: Path) -> None:
    patient = service(name="patient", count=1, start_timeout_seconds=0)
    bench = Bench(tmp_path, patient, service(count=1, start_timeout_seconds=60))
    bench.subscribe()
    bench.offer("a")
    launched = {info["name"]: info["task_id"]["value"] for info in bench.launched()}
    bench.take(events.Disconnected())
    bench.take(after=600)
    bench.take(events.Subscribed(None, MASTER))
    for task_id in launched.values():
        bench.take(events.Update(answer(task_id, "STAGING")))
    bench.answer_fence()
    bench.take(after=50)
    assert bench.driver.take("kill") == []
    bench.take(after=20)
    assert [call[1] for call in bench.driver.take("kill")] == [launched["web"]]


def test_a_flood_of_failures_stops_launching(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=60))
    bench.subscribe()
    ids = bench.launch("a", "b")
    assert len(ids) == 60
    bench.take(after=120)
    bench.take(*(events.Update(status(task_id, "FAILED")) for task_id in ids))
    bench.offer("a", "b")
    again = bench.launched()
    assert len(again) == 60
    bench.take(*(events.Update(status(info["task_id"]["value"], "FAILED")) for info in again[:10]))
    bench.driver.calls.clear()
    bench.offer("a", "b")
    assert bench.launched() == []
    assert "too much failed within a minute" in bench.view.waiting[0]
    bench.take(after=31)
    bench.offer("a", "b")
    assert bench.launched()


def test_scaling_up_keeps_what_runs_and_scaling_down_stops_the_newest(bench: Bench) -> None:
    ids = bench.launch("a", "b")
    bench.take(events.ConfigRead(configuration(service(count=3)), "sha2"), after=10)
    assert bench.driver.take("revive")
    (third,) = bench.launch("a", "b")
    bench.driver.calls.clear()
    bench.take(events.ConfigRead(configuration(service(count=2)), "sha3"), after=10)
    assert bench.driver.take("kill") == [("kill", third, "a", 5.0)]
    bench.tell(third, "KILLED")
    assert {instance.task_id for instance in bench.view.instances} == set(ids)
    assert bench.view.converged


def test_an_image_change_replaces_one_by_one(bench: Bench) -> None:
    old = bench.launch("a", "b")
    bench.take(events.ConfigRead(configuration(service(count=2, image="demo/web:2")), "sha2"), after=10)
    for _ in range(2):
        bench.take(after=1.1)
        bench.launch("a", "b")
        assert bench.driver.take("kill") == []
        bench.take(after=3.1)
        ((_, killed, agent, _),) = bench.driver.take("kill")
        assert killed in old
        bench.tell(killed, "KILLED", agent)
    view = bench.view
    assert view.converged
    assert {instance.image for instance in view.instances} == {"demo/web:2"}


def test_a_kill_is_repeated_until_the_task_has_ended(bench: Bench) -> None:
    bench.launch("a", "b")
    bench.take(events.ConfigRead(configuration(service(count=1)), "sha2"))
    ((_, killed, agent, _),) = bench.driver.take("kill")
    bench.take(after=9)
    assert bench.driver.take("kill") == []
    bench.take(after=2)
    assert len(bench.driver.take("kill")) == 1
    bench.tell(killed, "KILLING", agent)
    bench.take(after=100)
    assert len(bench.driver.take("kill")) == 1
    bench.tell(killed, "KILLED", agent)
    bench.take(after=1000)
    assert bench.driver.take("kill") == []


def test_a_kill_survives_a_restart_of_the_scheduler(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    leaving = task("1", WEB, kill_reason="more than wanted")
    store.commit(Change("framework", tasks={"1": leaving, "2": task("2", WEB), "3": task("3", WEB)}))
    bench = Bench(tmp_path, WEB, store=store)
    bench.subscribe()
    for task_id in "123":
        bench.take(events.Update(answer(task_id, "RUNNING")))
    assert [call[1] for call in bench.driver.take("kill")] == ["1"]


def test_a_restart_touches_no_task(tmp_path: Path) -> None:
    first = Bench(tmp_path, WEB)
    first.subscribe()
    ids = first.launch("a", "b")
    first.store.close()

    second = Bench(tmp_path, WEB)
    second.subscribe()
    for task_id in ids:
        second.take(events.Update(answer(task_id, "RUNNING")))
    second.offer("a", "b")
    assert second.launched() == []
    assert second.driver.take("kill", "revive") == []
    assert second.view.converged


def test_a_launch_that_was_written_but_never_sent_is_found_out(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    intent = task("1", WEB, state=TaskState.STAGING, running_since=None, confirmed=False)
    store.commit(Change("framework", tasks={"1": intent}))
    bench = Bench(tmp_path, WEB, store=store)
    bench.subscribe()
    bench.take(events.Update(answer("1", "GONE")))
    bench.offer("a", "b")
    assert len(bench.launched()) == 2


def test_a_launch_of_which_nothing_is_heard_is_asked_about(bench: Bench) -> None:
    bench.offer("a", "b")
    ids = {info["task_id"]["value"] for info in bench.launched()}
    bench.take(after=10)
    assert bench.driver.take("reconcile") == []
    bench.take(after=11)
    ((_, asked),) = bench.driver.take("reconcile")
    assert {task_id for task_id, _ in asked} == ids


def test_a_failed_accept_is_asked_about(bench: Bench) -> None:
    bench.offer("a")
    infos = bench.launched()
    launch = {"type": "LAUNCH", "launch": {"task_infos": infos}}
    call = {"type": "ACCEPT", "accept": {"offer_ids": [{"value": "offer"}], "operations": [launch]}}
    bench.take(events.CallFailed(call, "timed out"))
    ((_, asked),) = bench.driver.take("reconcile")
    assert {task_id for task_id, _ in asked} == {info["task_id"]["value"] for info in infos}


def test_a_launch_on_a_lost_connection_counts_as_not_sent(bench: Bench) -> None:
    bench.driver.up = False
    bench.offer("a", "b")
    bench.driver.up = True
    bench.take()
    assert bench.view.instances == ()
    assert {task.state for task in bench.store.load().tasks.values()} == {TaskState.DROPPED}


@pytest.mark.parametrize("state", ["UNREACHABLE", "LOST", "GONE_BY_OPERATOR"])
def test_a_task_that_was_away_is_replaced_and_stopped_when_it_returns(bench: Bench, state: str) -> None:
    first, second = bench.launch("a", "b")
    bench.tell(second, state, "b")
    bench.offer("a")
    (info,) = bench.launched()
    replacement = info["task_id"]["value"]
    bench.tell(replacement, "RUNNING")
    bench.tell(second, "RUNNING", "b")
    assert [call[1] for call in bench.driver.take("kill")] == [second]
    bench.tell(second, "KILLED", "b")
    assert {instance.task_id for instance in bench.view.instances} == {first, replacement}


def test_sleeps_while_it_asks_about_instances_that_were_not_on_record(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WEB)
    bench.subscribe()
    bench.take(after=2)
    bench.take(events.Update(answer(new_task_id("web", WEB.version), "RUNNING")))
    for _ in range(4):
        bench.take(after=2)
        assert bench.view.waiting == ("asking the master about instances that were not on record",)
        assert bench.controller.wake_at > bench.now


def test_a_task_of_ours_that_is_not_on_record_is_adopted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WEB)
    bench.subscribe()
    ours = new_task_id("web", WEB.version)
    bench.take(events.Update(answer(ours, "RUNNING")))
    bench.offer("a", "b")
    assert bench.launched() == []
    assert bench.view.waiting == ("asking the master about instances that were not on record",)
    told = replace(task(ours, WEB), host_ports=(31000,), image="demo/web:1", hostname="host-a")
    bench.answer_survey(told, task(new_task_id("web", WEB.version), WEB, "b"))
    assert bench.launched() == []
    (known, surveyed) = bench.store.load().tasks.values()
    if known.id != ours:
        known, surveyed = surveyed, known
    assert (known.hostname, known.host_ports, known.image) == ("host-a", (31000,), "demo/web:1")
    assert surveyed.agent_id == "b"
    # They may have ended meanwhile, so Mesos is asked about them.
    asked = [task_id for _, asked in bench.driver.take("reconcile") for task_id, _ in asked]
    assert {ours, surveyed.id} <= set(asked)


def test_what_an_earlier_process_was_not_told_of_an_instance_is_asked_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WEB)
    bench.subscribe()
    ours = new_task_id("web", WEB.version)
    bench.take(events.Update(answer(ours, "RUNNING")))

    again = Bench(tmp_path, WEB, store=bench.store)
    again.take(events.Subscribed("framework", MASTER))
    assert again.surveys == []
    again.take(events.Update(answer(ours, "RUNNING")))
    assert again.surveys == [("framework", False)]
    agent = Agent("a", "host-a", attributes={"rack": "1"})
    again.take(events.Surveyed((replace(task(ours, WEB), hostname="host-a"),), (agent,)))
    again.answer_fence()
    remembered = again.store.load()
    assert remembered.tasks[ours].hostname == "host-a"
    assert json.loads(remembered.records["agent", "a"])["attributes"] == {"rack": "1"}

    last = Bench(tmp_path, WEB, store=bench.store)
    last.take(events.Subscribed("framework", MASTER))
    last.take(events.Update(answer(ours, "RUNNING")))
    assert last.surveys == []


def test_what_a_new_master_did_not_know_yet_is_asked_when_it_does(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WEB)
    bench.subscribe()
    ours = new_task_id("web", WEB.version)
    bench.take(events.Update(answer(ours, "RUNNING")))
    bench.take(events.Disconnected())
    bench.take(events.Subscribed("framework", {**MASTER, "id": "another"}))
    bench.answer_survey()
    bench.take(events.Update(answer(ours, "UNKNOWN")))
    assert bench.surveys == []
    bench.tell(ours, "RUNNING")
    bench.take(after=30)
    assert bench.surveys == [("framework", False)]
    bench.answer_survey()
    bench.tell(ours, "RUNNING", healthy=True)
    bench.take(after=30)
    assert bench.surveys == []  # it can't tell more


def test_looks_after_what_runs_even_if_nobody_can_tell_more_of_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WEB)
    bench.subscribe()
    bench.take(events.Update(answer(new_task_id("web", WEB.version), "RUNNING")))
    assert bench.surveys == [("framework", False)]
    bench.take(events.Surveyed(error="no master leads"))
    bench.offer("a", "b")
    assert len(bench.launched()) == 1
    assert "asked what runs: no master leads" in [event.text for event in bench.events]
    bench.take(after=30)
    assert len(bench.surveys) == 2
    bench.take(after=15)
    assert bench.view.waiting != ("asking the master about instances that were not on record",)


def test_what_the_master_knows_of_a_lost_state_is_durable_before_the_subscription(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WEB)
    found = [task(new_task_id("web", WEB.version), WEB, agent) for agent in ("a", "b")]
    on_record: list[Remembered] = []
    bench.take(events.Recovering("no master leads"))
    assert bench.view.waiting == ("not known yet which instances run: no master leads",)
    agent = Agent("a", "host-a", attributes={"rack": "1"}, region="r", zone="z")
    recovered = events.Recovered(
        "framework", tuple(found), (agent,), lambda: on_record.append(bench.store.load())
    )
    bench.take(recovered)
    assert on_record[0].framework_id == "framework"
    assert on_record[0].tasks == {made.id: made for made in found}
    assert json.loads(on_record[0].records["agent", "a"])["attributes"] == {"rack": "1"}
    bench.take(events.Subscribed("framework", MASTER))
    assert bench.surveys == []
    for made in found:
        bench.take(events.Update(answer(made.id, "RUNNING", made.agent_id)))
    bench.answer_fence()
    bench.offer("a", "b")
    assert (bench.launched(), bench.driver.take("kill")) == ([], [])
    assert bench.view.converged


def test_a_new_framework_starts_nothing_before_the_master_shows_that_it_is_the_only_one(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, WEB)
    bench.take(events.Subscribed("framework", MASTER))
    assert bench.surveys == [("framework", True)]
    bench.take(events.Surveyed(problem="frameworks are hidden"))
    bench.surveys.clear()
    bench.answer_fence()
    bench.offer("a", "b")
    assert (bench.launched(), bench.view.waiting) == ([], ("frameworks are hidden",))

    again = Bench(tmp_path, WEB, store=bench.store)
    again.take(events.Subscribed(None, MASTER))
    assert again.surveys == [("framework", True)]
    again.answer_fence()
    again.offer("a", "b")
    assert len(again.launched()) == 2

    last = Bench(tmp_path, WEB, store=bench.store)
    last.take(events.Subscribed(None, MASTER))
    assert last.surveys == []


@pytest.fixture
def restored(tmp_path: Path) -> SqliteStore:
    """A state that an operator has restored, with one of the two instances that run."""
    store = SqliteStore(tmp_path)
    known = task(new_task_id("web", WEB.version), WEB, "a", state=TaskState.RUNNING)
    store.commit(Change("framework", {known.id: known}, records={ownership.RECORD: ownership.BY_COMMAND}))
    return store


def test_a_restored_state_starts_nothing_before_all_slaves_have_told_what_runs(
    tmp_path: Path, restored: SqliteStore
) -> None:
    bench = Bench(tmp_path, WEB, store=restored)
    (known,) = restored.load().tasks.values()
    bench.take(events.Owned("2 here"), events.Subscribed(None, MASTER))
    assert bench.surveys == [("framework", False)]
    bench.take(events.Surveyed(away=("host-b",)))
    bench.surveys.clear()
    bench.answer_fence()
    bench.tell(known.id, "RUNNING", agent_id="a")
    bench.offer("a")
    assert (bench.launched(), bench.view.waiting) == (
        [],
        ("1 of the slaves that may run our tasks have not come back to the new leading master yet: host-b",),
    )

    again = Bench(tmp_path, WEB, store=restored, now=bench.now)  # it does not forget that with the process
    again.take(events.Subscribed(None, MASTER))
    assert again.surveys == [("framework", False)]
    younger = task(new_task_id("web", WEB.version), WEB, "b", state=TaskState.RUNNING)
    again.answer_survey(younger)
    again.answer_fence()
    for one in (known, younger):
        again.tell(one.id, "RUNNING", agent_id=one.agent_id)
    again.offer("a", "b")
    assert (again.launched(), again.driver.take("kill")) == ([], [])
    assert again.view.running == 2

    last = Bench(tmp_path, WEB, store=restored, now=again.now)
    last.take(events.Subscribed(None, MASTER))
    assert last.surveys == []


def test_a_slave_that_never_comes_back_to_a_restored_state_holds_it_for_a_while_only(
    tmp_path: Path, restored: SqliteStore
) -> None:
    bench = Bench(tmp_path, WEB, store=restored)
    bench.take(events.Owned("2 here"), events.Subscribed(None, MASTER))
    bench.take(events.Surveyed(error="may not be asked"))
    bench.surveys.clear()
    bench.answer_fence()
    bench.offer("a", "b")
    assert bench.launched() == []
    bench.take(after=leader.REREGISTER_SECONDS)
    bench.offer("a", "b")
    assert len(bench.launched()) == 1


def test_an_operators_word_that_there_is_no_earlier_framework_is_enough(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.commit(Change(records={BEGIN_ANEW: ""}))
    bench = Bench(tmp_path, WEB, store=store)
    bench.take(events.Subscribed("framework", MASTER))
    assert bench.surveys == []


def test_of_a_service_that_is_not_configured_it_is_adopted_and_stopped(bench: Bench) -> None:
    ours = new_task_id("former", WEB.version)
    bench.take(events.Update(answer(ours, "RUNNING")))
    bench.answer_survey()
    bench.take(after=2)
    assert [call[1] for call in bench.driver.take("kill")] == [ours]


def test_a_task_that_was_not_started_by_us_is_left_alone_and_told_once(bench: Bench) -> None:
    for _ in range(2):
        bench.take(events.Update(answer("somebody's", "RUNNING")))
    assert bench.driver.take("kill") == []
    assert [event.task_id for event in bench.events if event.kind == "foreign"] == ["somebody's"]


def test_tasks_that_nobody_knows_are_forgotten_after_a_while(bench: Bench) -> None:
    first, second = bench.launch("a", "b")
    bench.tell(first, "UNKNOWN")
    bench.tell(second, "UNREACHABLE", "b")
    bench.take(after=4000)
    bench.take()
    assert first not in bench.store.load().tasks
    assert second in bench.store.load().tasks


def test_a_lost_connection_voids_the_offers_and_holds_everything(bench: Bench) -> None:
    bench.take(events.Offers((offer_message("a"), offer_message("b"))))
    bench.driver.problem = "connection refused"
    bench.take(events.Disconnected())
    bench.take(after=5)
    assert bench.driver.calls == []
    view = bench.view
    assert view.waiting == ("not connected to a Mesos master: connection refused",)
    assert not bench.controller.snapshot.connected


def test_a_new_master_is_asked_about_everything_again(bench: Bench) -> None:
    ids = bench.launch("a", "b")
    bench.take(events.Disconnected())
    bench.driver.calls.clear()
    bench.take(events.Subscribed(None, {"address": {"ip": "10.0.0.2", "port": 5050}}))
    assert bench.controller.snapshot.framework_id == "framework"
    _, (_, asked) = bench.driver.take("reconcile")
    assert {task_id for task_id, _ in asked} > set(ids)


def test_what_an_agent_does_not_answer_for_is_neither_replaced_nor_a_reason_to_stop_others(
    bench: Bench,
) -> None:
    first, _ = bench.launch("a", "b")
    bench.take(events.Disconnected())
    bench.take(events.Subscribed(None, MASTER))
    bench.answer_fence()
    bench.take(events.Update(answer(first, "RUNNING")))
    bench.take(events.ConfigRead(configuration(service(count=1)), "sha2"))
    bench.offer("a")
    assert bench.driver.take("kill", "accept") == []


def test_a_configuration_with_errors_changes_nothing_and_is_told(bench: Bench) -> None:
    bench.launch("a", "b")
    bench.take(events.ConfigRead(None, "", "services[0].count: -1 is not allowed"))
    bench.take(events.ConfigRead(None, "", "services[0].count: -1 is not allowed"), after=1)
    view = bench.controller.snapshot.config
    assert view.error == "services[0].count: -1 is not allowed"
    assert view.sha256 == "sha"
    assert sum(event.kind == "config refused" for event in bench.events) == 1
    assert bench.view.converged
    bench.take(events.ConfigRead(configuration(WEB), "sha2"), after=1)
    bench.take(after=1)
    assert bench.controller.snapshot.config.error is None


def test_settings_that_need_a_restart_are_told(bench: Bench) -> None:
    bench.take(events.ConfigRead(configuration(WEB, master="m2:5050"), "sha2"))
    bench.take(after=1)
    assert bench.controller.snapshot.config.restart_needed == ("master",)


def test_what_mesos_may_know_of_us_is_changed_while_we_run(bench: Bench) -> None:
    changed = configuration(WEB)
    changed = changed.model_copy(
        update={
            "framework": changed.framework.model_copy(
                update={"failover_timeout_seconds": 60.0, "user": "web"}
            )
        }
    )
    bench.take(events.ConfigRead(changed, "sha2"))
    ((_, info, _),) = bench.driver.take("update framework")
    assert info["failover_timeout"] == 60.0
    assert info["user"] == "root"


def test_answers_inverse_offers_by_whether_something_of_ours_runs_there(bench: Bench) -> None:
    bench.launch("a")
    bench.take(
        events.InverseOffers(
            (
                {"id": {"value": "1"}, "agent_id": {"value": "a"}},
                {"id": {"value": "2"}, "agent_id": {"value": "b"}},
            )
        )
    )
    assert bench.driver.take("accept inverse", "decline inverse") == [
        ("decline inverse", ["1"]),
        ("accept inverse", ["2"]),
    ]


def test_an_offer_that_was_rescinded_is_not_used(bench: Bench) -> None:
    message = offer_message("a")
    bench.take(events.Offers((message,)))
    bench.take(events.OfferRescinded(message["id"]["value"]))
    bench.take(after=2)
    assert bench.launched() == []


def test_a_suppress_that_failed_is_sent_again(bench: Bench) -> None:
    bench.launch("a", "b")
    bench.driver.take("suppress")
    bench.take(events.CallFailed({"type": "SUPPRESS"}, "timed out"))
    assert bench.driver.take("suppress")


def test_forgets_an_agent_that_the_master_removed(bench: Bench) -> None:
    bench.launch("a", "b")
    bench.take(events.AgentLost("b"))
    bench.take(events.ConfigRead(configuration(service(count=2, mem=9999)), "sha2"), after=10)
    assert "of 1 slave" in " ".join(bench.view.waiting)


def test_ends_when_mesos_refuses_us_and_acts_no_more(bench: Bench) -> None:
    bench.driver.calls.clear()
    bench.take(events.FrameworkError("Framework has been removed"))
    assert bench.controller.outcome == Refused("Framework has been removed")
    bench.offer("a", "b")
    assert bench.driver.calls == []


def test_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WEB)
    bench.controller._inbox.put(events.Subscribed("framework", MASTER))
    bench.controller._inbox.put(events.Stop())
    rounds: list[int] = []
    assert bench.controller.run(lambda: rounds.append(1)) == events.Stop()
    assert rounds
    assert bench.store.load().framework_id == "framework"


def test_says_why_something_waits_once_it_lasts_and_again_only_when_it_changes(bench: Bench) -> None:
    for _ in range(10):
        bench.take(after=1)
    texts = [event.text for event in bench.events if event.kind == "waiting"]
    assert len(texts) == 1
    assert texts[0].startswith("2 instances waiting for resources: Mesos has offered none so far")


def test_says_at_once_that_a_crash_loop_is_held_back(bench: Bench) -> None:
    failing, _ = bench.launch("a", "b")
    bench.take(after=2)
    bench.tell(failing, "FAILED", message="exit status 1")
    (again,) = bench.launch("a", "b")
    bench.tell(again, "FAILED", message="exit status 1")
    said = [event for event in bench.events if event.kind == "waiting"]
    assert "held back until" in said[-1].text
    assert said[-1].at == bench.now


def test_sleeps_when_all_is_well(bench: Bench) -> None:
    bench.launch("a", "b")
    for _ in range(5):
        bench.take(after=1)
    assert bench.controller.wake_at - bench.now == 5.0


def test_sleeps_when_the_disk_is_full_and_something_waits(tmp_path: Path) -> None:
    store = FailingStore(SqliteStore(tmp_path))
    bench = Bench(tmp_path, WEB, store=store)
    bench.subscribe()
    store.works = False
    bench.take(events.Disconnected(), after=0.5)
    bench.take(after=5)
    assert bench.controller.wake_at - bench.now == 2.0


def test_sleeps_when_a_service_that_waits_is_no_longer_wanted(bench: Bench) -> None:
    bench.take(after=0.5)
    bench.take(events.ConfigRead(configuration(), "sha2"))
    bench.take(after=5)
    bench.take(after=5)
    assert bench.controller.wake_at - bench.now == 5.0


def test_asks_for_offers_ever_more_slowly_while_none_fit(bench: Bench) -> None:
    revived = []
    for _ in range(2000):
        bench.take(after=0.1)
        revived += [bench.now - NOW for _ in bench.driver.take("revive")]
    assert 6 <= len(revived) <= 9


def test_history_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesos_docker_scheduler.control.ledger._ENDED_KEPT", 3)
    for number in range(6):
        bench.controller._ledger.put(replace(task(f"t{number}", WEB), state=TaskState.FINISHED))
    bench.take()
    assert sorted(bench.store.load().tasks) == ["t3", "t4", "t5"]


# Secrets


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("hunter2")
    return path


def with_token(token: Path) -> Service:
    """A service with a secret, as the configuration's file gives it when the secret can be read."""
    wish = service(count=1, secrets={"TOKEN": str(token)})
    values, problems = secrets.read(wish)
    return wish if problems else wish.with_secrets(values, secrets.digest(wish.name, values))


def test_a_secret_goes_to_mesos_and_nowhere_else(tmp_path: Path, token: Path) -> None:
    bench = Bench(tmp_path, with_token(token))
    bench.subscribe()
    bench.offer("a")
    (info,) = bench.launched()
    assert json.loads(base64.b64decode(info["data"])) == {"secrets": {"TOKEN": "hunter2"}}
    told = f"{bench.events} {bench.controller.snapshot.json()!r} {bench.store.load()}"
    bench.store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith("state"))
    digest = hashlib.sha256(b"hunter2").hexdigest()
    for shown in ("hunter2", info["data"], digest, digest[:10]):
        assert shown not in told
        assert shown.encode() not in kept


def test_so_does_a_secret_uri(tmp_path: Path, token: Path) -> None:
    token.write_text("https://ann:hunter2@host/x")
    wish = service(count=1, fetch=[{"uri_secret": str(token), "output_file": "x"}])
    values, _ = secrets.read(wish)
    bench = Bench(tmp_path, wish.with_secrets(values, secrets.digest(wish.name, values)))
    bench.subscribe()
    bench.offer("a")
    (info,) = bench.launched()
    (file,) = json.loads(base64.b64decode(info.pop("data")))["fetch"]
    assert file["value"] == "https://ann:hunter2@host/x"
    told = f"{info} {bench.events} {bench.controller.snapshot.json()!r} {bench.store.load()}"
    assert "hunter2" not in told


def test_a_service_becomes_a_command_and_an_image_again(tmp_path: Path) -> None:
    mesos = {"containerizer": "mesos", "network": "host", "user": "ann", "image": None, "command": "x"}
    bench = Bench(tmp_path, service(count=1))
    bench.subscribe()
    for wish, shown, words in (
        (service(count=1), "demo/web:1", None),
        (service(count=1, **mesos), None, "demo/web:1 → a command"),
        (service(count=1), "demo/web:1", "a command → demo/web:1"),
    ):
        bench.take(events.ConfigRead(configuration(wish), "sha"))
        bench.offer("a")
        (info,) = bench.launched()
        bench.tell(info["task_id"]["value"], "RUNNING")
        (view,) = bench.controller.snapshot.services
        assert (view.image, view.containerizer) == (shown, wish.containerizer)
        if words is not None:
            assert view.update is not None
            assert f"{view.update.from_image} → {view.update.to_image}" == words
        bench.take(after=10)
        for _, old, _, _ in bench.driver.take("kill"):
            bench.tell(old, "KILLED")
        bench.take(after=1)


@pytest.mark.parametrize("content", ["hun", "", None])
def test_an_instance_gets_the_secret_that_its_version_is_named_after(
    tmp_path: Path, token: Path, content: str | None
) -> None:
    bench = Bench(tmp_path, with_token(token))
    bench.subscribe()
    token.unlink()
    if content is not None:
        token.write_text(content)  # somebody is writing it
    bench.offer("a")
    (info,) = bench.launched()
    assert json.loads(base64.b64decode(info["data"])) == {"secrets": {"TOKEN": "hunter2"}}


def test_a_secret_that_can_not_be_read_holds_its_service_alone(tmp_path: Path, token: Path) -> None:
    token.rename(tmp_path / "elsewhere")
    bench = Bench(tmp_path, with_token(token), service(name="db"))
    bench.subscribe()
    bench.offer("a")
    assert [info["name"] for info in bench.launched()] == ["db"]
    assert bench.view.waiting == (f"secrets.TOKEN: {token} can't be read: No such file or directory",)
    assert [reason.kind for reason in bench.view.reasons] == ["held"]
    (tmp_path / "elsewhere").rename(token)
    bench.take(events.ConfigRead(configuration(with_token(token), service(name="db")), "sha"))
    bench.offer("a")
    assert [info["name"] for info in bench.launched()] == ["web"]
    assert [reason.kind for reason in bench.view.reasons] == ["starting"]


def test_nothing_is_replaced_while_the_version_of_a_secret_is_not_known(tmp_path: Path, token: Path) -> None:
    store = SqliteStore(tmp_path)
    store.commit(Change("framework", tasks={"1": task("1", with_token(token))}))
    token.rename(tmp_path / "elsewhere")
    bench = Bench(tmp_path, with_token(token), store=store)
    bench.subscribe()
    bench.tell("1", "RUNNING")
    bench.offer("a")
    assert bench.launched() == []
    assert "can't be read" in bench.view.waiting[0]
    (tmp_path / "elsewhere").rename(token)
    bench.offer("a")
    assert bench.launched() == []
    bench.take(events.ConfigRead(configuration(with_token(token)), "sha"))
    assert bench.view.waiting == ()
    assert bench.launched() == []
    assert bench.driver.take("kill") == []


def constrained(rack: str, **fields: Any) -> Service:
    limit = {"field": "rack", "operator": "LIKE", "value": rack}
    return service(constraints=[limit], **{"name": f"on-{rack}", **fields})


def rack(agent_id: str, text: str, role: str = "*") -> Message:
    attribute = {"name": "rack", "type": "TEXT", "text": {"value": text}}
    return offer_message(agent_id, more={"attributes": [attribute], "allocation_info": {"role": role}})


def test_the_master_filters_offers_while_only_that_is_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, constrained("r1", count=1))
    bench.subscribe()
    bench.take(events.Offers((rack("a", "r2"),)))
    bench.take(after=1.0)
    ((_, _, filters),) = bench.driver.take("update framework")
    (group,) = filters["role_constraints"]["*"]["groups"]
    assert group["attribute_constraints"][0]["predicate"] == {"text_matches": {"regex": "r1"}}
    bench.take(after=2.0)
    assert bench.view.waiting[0].endswith(
        "of 1 slave 1 does not meet constraint rack LIKE r1; only slaves with rack LIKE r1 are offered"
    )
    bench.take(events.ConfigRead(configuration(constrained("r1", count=1), service(mem=99_999)), "2"))
    ((_, _, filters),) = bench.driver.take("update framework")
    assert filters == {}


def test_filters_that_the_master_refuses_are_left_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path, constrained("r1", count=1))
    bench.subscribe()
    bench.take(after=1.0)
    ((_, info, filters),) = bench.driver.take("update framework")
    assert filters
    call = {"type": "UPDATE_FRAMEWORK", "update_framework": {"framework_info": info}}
    bench.take(events.CallFailed(call, "400: too complex"))
    ((_, _, filters),) = bench.driver.take("update framework")
    assert filters == {}
    bench.take(after=60)
    assert bench.driver.take("update framework") == []


def test_roles_that_the_master_may_not_have_heard_of_are_told_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=0, role="web"), service(name="db", count=0, role="db"))
    bench.subscribe()
    bench.take(events.ConfigRead(configuration(service(count=0, role="web")), "2"))
    ((_, info, _),) = bench.driver.take("update framework")
    assert info["roles"] == ["web"]
    call = {"type": "UPDATE_FRAMEWORK", "update_framework": {"framework_info": info}}
    bench.take(events.CallFailed(call, "the connection was lost"))
    assert bench.driver.take("update framework") == []
    bench.take(after=10.0)
    assert [told["roles"] for _, told, _ in bench.driver.take("update framework")] == [["web"]]
    bench.take(events.CallFailed(call, "not authorized", 403))
    bench.take(after=60)
    assert bench.driver.take("update framework") == []


def test_asks_for_offers_to_the_roles_that_want_some_and_for_none_to_others(tmp_path: Path) -> None:
    web, db = service(count=1, role="web"), service(name="db", count=1, role="db")
    bench = Bench(tmp_path, web, db)
    bench.subscribe()
    bench.take(events.Offers((rack("a", "r1", "web"),)))
    bench.take(after=1.0)
    assert [info["name"] for info in bench.launched()] == ["web"]
    assert bench.driver.take("suppress") == [("suppress", ["web"])]
    bench.take(after=2.0)
    assert bench.driver.take("revive") == [("revive", ["db"])]
    bench.take(events.Offers((rack("a", "r1", "db"),)))
    bench.take(after=1.0)
    assert [info["name"] for info in bench.launched()] == ["db"]
    assert bench.driver.take("suppress") == [("suppress", ["db"])]


def test_facts_of_agents_outlive_the_process(tmp_path: Path) -> None:
    unique = {"field": "rack", "operator": "UNIQUE"}
    web = service(count=2, constraints=[unique])
    bench = Bench(tmp_path, web)
    bench.subscribe()
    bench.take(events.Offers((rack("a", "r1"),)))
    bench.take(after=1.0)
    (first,) = bench.launched()
    bench.tell(first["task_id"]["value"], "RUNNING", "a")

    again = Bench(tmp_path, web, store=bench.store)
    again.take(events.Subscribed("framework", MASTER))
    again.take(events.Update(answer(first["task_id"]["value"], "RUNNING")))
    again.answer_fence()
    again.take(events.Offers((rack("b", "r1"), rack("c", "r2"))))
    again.take(after=1.0)
    assert [info["agent_id"]["value"] for info in again.launched()] == ["c"]


@pytest.mark.parametrize("offered_first", [True, False])
def test_facts_of_agents_where_something_is_adopted_outlive_the_process(
    offered_first: bool, tmp_path: Path
) -> None:
    web = service(count=2, constraints=[{"field": "rack", "operator": "UNIQUE"}])
    ours = new_task_id("web", web.version)
    bench = Bench(tmp_path, web)
    bench.subscribe()
    told = (events.Offers((rack("a", "r1"),)), events.Update(answer(ours, "RUNNING")))
    for event in told if offered_first else reversed(told):
        bench.take(event)

    again = Bench(tmp_path, web, store=bench.store)
    again.take(events.Subscribed("framework", MASTER))
    again.take(events.Update(answer(ours, "RUNNING")))
    again.take(events.Surveyed(error="no master leads"))
    again.answer_fence()
    again.take(events.Offers((rack("b", "r1"), rack("c", "r2"))))
    again.take(after=1.0)
    assert [info["agent_id"]["value"] for info in again.launched()] == ["c"]


@pytest.mark.parametrize("name", [("wait", "web.0123456789"), ("wait", "agent a"), ("agent", "a")])
@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"failures": "many"}', '{"hostname": 5}', "\u0000"])
def test_a_damaged_record_is_named(tmp_path: Path, name: tuple[str, str], text: str) -> None:
    with pytest.raises(StoreError, match=f'record "{name[0]}" of "{name[1]}" is damaged: .*; restore a copy'):
        damaged(tmp_path, name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (("rollout", "web"), '{"service": "web", "target": "x", "state": "sideways"}'),
        (("override", "web"), '{"service": "web", "count": "3"}'),
        (("framework", "master"), '{"id": 5, "since": 1}'),
    ],
)
def test_a_damaged_record_of_each_kind_is_named(tmp_path: Path, name: tuple[str, str], text: str) -> None:
    with pytest.raises(StoreError, match="is damaged"):
        damaged(tmp_path, name, text)


def damaged(folder: Path, name: tuple[str, str], text: str) -> Bench:
    """A controller whose store has one record of this content."""
    store = SqliteStore(folder)
    store.commit(Change(framework_id="framework", records={name: text}))
    return Bench(folder, service(), store=store)


def test_instances_of_an_agent_that_never_returns_are_forgotten_when_mesos_has(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=1))
    bench.subscribe()
    (task_id,) = bench.launch("a")
    bench.tell(task_id, "UNREACHABLE")
    bench.take(after=14 * 86_400)
    assert task_id in bench.controller._ledger.tasks
    bench.take(after=2 * 86_400)
    assert task_id not in bench.controller._ledger.tasks


def test_what_returns_from_an_agent_that_was_away_is_told_to_stop_at_once(tmp_path: Path) -> None:
    """It has heard of no KILL there, and the next one may be a minute away."""
    bench = Bench(tmp_path, service(count=1))
    bench.subscribe()
    (task_id,) = bench.launch("a")
    bench.take(events.ConfigRead(configuration(service(count=0)), "sha"))
    for _ in range(40):
        bench.take(after=1)
    assert len(bench.driver.take("kill")) >= 3
    bench.tell(task_id, "UNREACHABLE")
    bench.take(after=1)
    bench.driver.take("kill")
    bench.tell(task_id, "RUNNING")
    assert [call[1] for call in bench.driver.take("kill")] == [task_id]


def test_a_port_that_was_an_instances_is_not_the_next_ones(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=1, ports=[{"container_port": 80}]))
    bench.subscribe()
    ports = []
    for _ in range(3):
        bench.offer("a")
        (info,) = bench.launched()
        (mapping,) = info["container"]["docker"]["port_mappings"]
        ports.append(mapping["host_port"])
        bench.tell(info["task_id"]["value"], "RUNNING")
        bench.tell(info["task_id"]["value"], "FAILED")
        bench.take(after=600)
    assert ports == [31000, 31001, 31002]


def settle(bench: Bench, *agents: str) -> dict[str, str]:
    """Let it start and stop what it likes; returns the agents of what runs, by task id."""
    for _ in range(8):
        bench.launch(*agents)
        bench.take(after=30)
        where = {instance.task_id: instance.agent_id for instance in bench.view.instances}
        for _, task_id, *_ in bench.driver.take("kill"):
            bench.tell(task_id, "KILLED", where[task_id])
    return {instance.task_id: instance.agent_id for instance in bench.view.instances}


@pytest.mark.parametrize("agents", [1, 2])
@pytest.mark.parametrize("restart", [False, True])
def test_what_is_unique_is_replaced_where_there_is_no_room_for_all(
    tmp_path: Path, agents: int, restart: bool
) -> None:
    unique = [{"field": "hostname", "operator": "UNIQUE"}]
    names = "ab"[:agents]
    bench = Bench(tmp_path, service(count=3, constraints=unique))
    bench.subscribe()
    old = set(bench.launch(*names))
    bench.take(after=60)
    new = service(count=3, image="demo/web:1" if restart else "demo/web:2", constraints=unique)
    order: events.AnyEvent = events.ConfigRead(configuration(new), "")
    if restart:
        order = events.Command(
            lambda operations, now: operations.restart("web", "test", now), lambda answer: None
        )
    bench.take(order)
    after = settle(bench, *names)
    assert sorted(after.values()) == list(names)
    assert old.isdisjoint(after)
    bench.take(after=700)
    assert restart or (bench.view.update is not None and bench.view.update.state == "complete")


# Constraints that change while instances run


def limited(*constraints: tuple[str, str, str | None], **fields: Any) -> Service:
    wished = [{"field": field, "operator": how, "value": value} for field, how, value in constraints]
    return service(constraints=wished, **fields)


def test_a_changed_constraint_moves_those_alone_that_it_keeps_off(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limited(("hostname", "LIKE", "host-[ab]"), count=2))
    bench.subscribe()
    before = settle(bench, "a", "b", "c")
    assert sorted(before.values()) == ["a", "b"]
    bench.take(events.ConfigRead(configuration(limited(("hostname", "LIKE", "host-[bc]"), count=2)), ""))
    assert "1 instance to move to other slaves, as the constraints say" in bench.view.waiting[0]
    assert not bench.view.converged
    after = settle(bench, "a", "b", "c")
    assert sorted(after.values()) == ["b", "c"]
    assert len(before.keys() & after.keys()) == 1
    assert bench.view.converged
    # Nowhere to go to: it stays.
    bench.take(events.ConfigRead(configuration(limited(("hostname", "IS", "nowhere"), count=2)), ""))
    assert settle(bench, "a", "b", "c") == after


@pytest.mark.parametrize("limit", [("hostname", "UNIQUE", None), ("hostname", "MAX_PER", "1")])
def test_what_may_share_a_place_no_more_is_moved(tmp_path: Path, limit: tuple[str, str, str | None]) -> None:
    bench = Bench(tmp_path, service(count=3))
    bench.subscribe()
    before = settle(bench, "a")
    assert list(before.values()) == ["a", "a", "a"]
    bench.take(events.ConfigRead(configuration(limited(limit, count=3)), ""))
    bench.take(after=60)
    assert bench.driver.take("kill") == [], "there is nowhere to go to yet"
    after = settle(bench, "a", "b", "c")
    assert sorted(after.values()) == ["a", "b", "c"]
    assert len(before.keys() & after.keys()) == 1


def test_what_an_earlier_release_has_started_is_not_replaced(tmp_path: Path) -> None:
    before = limited(("hostname", "UNIQUE", None), count=1)
    former = before.named(before.former_version)
    assert former.version != before.version
    tried = service(count=1, image="demo/web:9")
    for wish in (before, limited(("hostname", "LIKE", "host-.*"), count=1)):
        for target in (former, tried):
            store = SqliteStore(tmp_path / f"{wish.constraints[0].operator}-{target.version}")
            state: Literal["complete", "paused"] = "complete" if target is former else "paused"
            rollout = Rollout("web", target.version, state, former.version, 0, "", NOW)
            store.commit(
                Change(
                    "framework",
                    tasks={"1": task("1", former)},
                    versions={("web", former.version): before.model_dump_json()},
                    records={("rollout", "web"): json.dumps(asdict(rollout))},
                )
            )
            bench = Bench(tmp_path, wish, store=store)
            bench.subscribe()
            bench.tell("1", "RUNNING")
            assert list(settle(bench, "a", "b")) == ["1"]
            assert bench.view.converged


def test_what_can_not_be_reached_is_awaited_for_as_long_as_its_service_says(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=1, unreachable_seconds=300), service(name="db", count=1))
    bench.subscribe()
    running = bench.launch("a", "b")
    for task_id in running:
        bench.tell(task_id, "UNREACHABLE", bench.controller._ledger.tasks[task_id].agent_id)
    bench.offer("c")
    assert [info["name"] for info in bench.launched()] == ["db"]
    (reason,) = bench.view.reasons
    assert reason.kind == "unreachable"
    assert "1 instance unreachable, on host-" in reason.text
    assert not bench.view.converged
    bench.take(after=bench.controller.wake_at - bench.now)
    bench.offer("c", after=298)
    assert [info["name"] for info in bench.launched()] == ["web"]
