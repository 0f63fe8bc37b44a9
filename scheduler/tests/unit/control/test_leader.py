"""A new master whose registry is empty, or old, knows nothing of slaves until they register with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.leader import REREGISTER_SECONDS, Leader
from mesos_docker_scheduler.records.tasks import TaskState
from scheduler_fakes import MASTER, NOW, Bench, answer, configuration, offer_message, service, status

WEB = service(count=2)
NEW_MASTER = {"id": "master-2", "hostname": "m2", "port": 5050}


class Cluster(Bench):
    """Has two instances, `first` on a and `second` on b."""

    first = second = ""

    def fail_over(self, master: dict[str, Any] = NEW_MASTER) -> None:
        """Subscribe to a master that knows neither of them."""
        self.take(events.Subscribed(None, master))
        self.take(*self.unknown())
        self.answer_fence()
        self.driver.calls.clear()

    def unknown(self) -> tuple[events.Update, events.Update]:
        return (
            events.Update(answer(self.first, "UNKNOWN", "a")),
            events.Update(answer(self.second, "UNKNOWN", "b")),
        )


@pytest.fixture
def bench(tmp_path: Path) -> Cluster:
    made = Cluster(tmp_path, WEB)
    made.subscribe()
    made.first, made.second = made.launch("a", "b")
    made.take(events.Disconnected(), after=3600)
    made.fail_over()
    return made


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 5},
        {"id": {}},
        {"id": "\ud800"},
        {"address": None},
        {"address": [1]},
        {"hostname": "a\nb"},
        {"port": "x"},
    ],
)
def test_what_a_master_says_of_itself_stops_neither_this_process_nor_the_next(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    bench = Bench(tmp_path, WEB)
    bench.take(events.Subscribed("framework", {**MASTER, **odd}))
    assert bench.controller.snapshot.problem is None
    assert Bench(tmp_path, WEB, store=bench.store).controller.snapshot.framework_id == "framework"


def states(bench: Cluster) -> list[TaskState]:
    known = bench.store.load().tasks
    return [known[task_id].state for task_id in (bench.first, bench.second)]


def asked(bench: Cluster) -> set[str]:
    return {task_id for _, tasks in bench.driver.take("reconcile") for task_id, _ in tasks}


def test_what_an_empty_registry_does_not_tell_is_neither_replaced_nor_stopped(bench: Cluster) -> None:
    bench.offer("c", "d")
    for task_id, agent_id in ((bench.first, "a"), (bench.second, "b")):
        bench.take(events.Update(answer(task_id, "RUNNING", agent_id)), after=3)
    bench.offer("a", "b")
    assert bench.driver.take("accept", "kill") == []
    assert bench.view.converged
    assert "lost" not in [event.kind for event in bench.events]


def test_says_for_which_slaves_it_waits_and_until_when(bench: Cluster) -> None:
    view = bench.view
    assert not view.converged
    assert (view.running, view.states) == (2, {"RUNNING": 2})
    assert view.waiting == (
        "2 instances are not known to the new master yet: it waits for slaves host-a, host-b to register,"
        " until 1970-01-12 14:56:41 UTC",
    )
    (reason,) = view.reasons
    assert (reason.kind, reason.instances) == ("unconfirmed", 2)
    assert reason.until == NOW + 1 + 3600 + REREGISTER_SECONDS
    bench.take(events.Update(answer(bench.first, "RUNNING")))
    assert bench.view.waiting[0].startswith(
        "1 instance is not known to the new master yet: it waits for slave host-b"
    )


def test_asks_again_until_the_master_knows(bench: Cluster) -> None:
    bench.take(after=2)
    assert asked(bench) == {bench.first, bench.second}
    bench.take(*bench.unknown())
    bench.take(after=60)
    assert asked(bench) == {bench.first, bench.second}


def test_what_a_slave_that_has_registered_does_not_run_is_replaced_at_once(bench: Cluster) -> None:
    bench.take(events.Offers((offer_message("a"),)))
    assert asked(bench) == {bench.first}
    bench.take(events.Update(answer(bench.first, "GONE")), after=0.1)
    bench.take(after=1)
    assert len(bench.launched()) == 1


def test_what_a_slave_says_of_one_instance_makes_us_ask_about_its_others(bench: Cluster) -> None:
    bench.take(events.ConfigRead(configuration(service(count=3)), "sha"))
    (third,) = bench.launch("c")
    bench.take(events.Disconnected())
    bench.take(events.Subscribed(None, {**NEW_MASTER, "id": "master-3"}))
    bench.answer_fence()
    back = answer(bench.second, "RUNNING", "c")
    bench.take(events.Update({**back, "reason": "REASON_AGENT_REREGISTERED"}))
    assert asked(bench) == {third}


def test_after_the_time_for_registering_it_is_gone(bench: Cluster) -> None:
    for pause in (10, 20, 60, 60, 60, 60, 60, 60, 60, 60, 60):
        bench.take(*bench.unknown(), after=pause)
    bench.offer("c", "d")
    assert bench.launched() == []
    asked(bench)
    sure_at = NOW + 1 + 3600 + REREGISTER_SECONDS
    bench.take(after=sure_at - bench.now - 1)
    assert bench.controller.wake_at == sure_at
    bench.take(after=1)
    assert asked(bench) == {bench.first, bench.second}
    bench.take(*bench.unknown())
    assert states(bench) == [TaskState.UNKNOWN] * 2
    bench.offer("c", "d")
    assert len(bench.launched()) == 2


@pytest.mark.parametrize("state", ["GONE", "UNREACHABLE", "GONE_BY_OPERATOR", "LOST", "DROPPED"])
def test_what_a_new_master_does_say_is_believed_at_once(bench: Cluster, state: str) -> None:
    bench.take(events.Update(answer(bench.first, state)))
    bench.offer("c")
    assert len(bench.launched()) == 1


def test_a_slave_that_has_left_the_new_master_is_no_longer_waited_for(bench: Cluster) -> None:
    bench.take(events.Offers((offer_message("a"),)))
    bench.take(events.AgentLost("a"), events.Update(answer(bench.first, "UNKNOWN")))
    bench.offer("c")
    assert len(bench.launched()) == 1


def test_a_launch_that_the_master_drops_does_not_show_that_it_knows_the_slave(bench: Cluster) -> None:
    dropped = status("web.0000000000.0000000000000001", "DROPPED", "a", reason="REASON_INVALID_OFFERS")
    del dropped["uuid"]
    bench.take(events.Update(dropped))
    bench.take(events.Update(answer(bench.first, "UNKNOWN")))
    assert states(bench) == [TaskState.RUNNING] * 2


def test_an_answer_to_a_kill_is_no_proof_either(bench: Cluster) -> None:
    bench.take(
        events.Update(answer(bench.first, "RUNNING")), events.Update(answer(bench.second, "RUNNING", "b"))
    )
    bench.take(events.ConfigRead(configuration(service(count=0)), "sha"))
    bench.take(events.Disconnected(), after=1)
    bench.take(events.Subscribed(None, {**NEW_MASTER, "id": "master-3"}))
    bench.answer_fence()
    assert {call[1] for call in bench.driver.take("kill")} == {bench.first, bench.second}
    bench.take(events.Update(answer(bench.first, "UNKNOWN")))
    assert states(bench)[0] is TaskState.RUNNING
    bench.take(after=2)
    assert bench.first in asked(bench)


def again(bench: Cluster, after: float, master: dict[str, Any] = NEW_MASTER) -> Cluster:
    """Another process of the scheduler, some seconds later."""
    made = Cluster(Path(), WEB, store=bench.store, now=bench.now + after)
    made.first, made.second = bench.first, bench.second
    made.fail_over(master)
    return made


def test_a_restarted_scheduler_believes_a_master_that_has_led_for_long(bench: Cluster) -> None:
    made = again(bench, after=REREGISTER_SECONDS)
    made.offer("c", "d")
    assert len(made.launched()) == 2


def test_a_restart_of_the_scheduler_does_not_prolong_the_time(bench: Cluster) -> None:
    until = bench.now + REREGISTER_SECONDS
    made = again(bench, after=300)
    made.offer("c", "d")
    assert made.launched() == []
    assert made.view.reasons[0].until == until


def test_a_restarted_scheduler_does_not_believe_a_master_that_it_meets_first(bench: Cluster) -> None:
    made = again(bench, after=REREGISTER_SECONDS, master={**NEW_MASTER, "id": "master-3"})
    made.offer("c", "d")
    assert made.launched() == []


def test_a_reconnection_does_not_prolong_the_time(bench: Cluster) -> None:
    until = bench.now + REREGISTER_SECONDS
    bench.take(events.Disconnected(), after=200)
    bench.fail_over()
    assert bench.view.reasons[0].until == until


def led_since(records: dict[tuple[str, str], str | None], now: float) -> Leader:
    made = Leader()
    made.restore({key: value for key, value in records.items() if value is not None}, now)
    return made


def test_a_clock_that_was_set_back_prolongs_the_time_by_no_more_than_itself() -> None:
    before = Leader()
    before.subscribed(MASTER, 10_000)
    assert led_since(before.take_records(), 5_000).sure_at == 5_000 + REREGISTER_SECONDS


def test_a_master_that_does_not_say_who_it_is_may_be_another_each_time() -> None:
    nameless = Leader()
    nameless.subscribed({"hostname": "m1", "port": 5050}, 0)
    nameless.subscribed({"hostname": "m1", "port": 5050}, 100)
    assert nameless.sure_at == 100 + REREGISTER_SECONDS
