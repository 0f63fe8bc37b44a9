"""How an update goes on, ends well, fails, and is tried again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.rollout import RECORD, Progress, Rollout, Rollouts, advance
from mesos_docker_scheduler.records.versions import Versions
from scheduler_fakes import NOW, Bench, Message, configuration, offer_message, service

OLD = service(count=2, image="demo/web:1")
NEW = service(count=2, image="demo/web:2")
NONE, DONE = Progress(0, 2), Progress(2, 0)
ROLLING = Rollout("web", NEW.version, "rolling", OLD.version, 0, "", NOW)
THRICE = Wait(3, NOW, NOW + 1, "TASK_FAILED on host-a: exit status 1")


def step(
    rollout: Rollout | None, progress: Progress = NONE, wait: Wait | None = None, **more: float
) -> Rollout:
    now = more.pop("now", NOW + 1)
    return advance(rollout, NEW, progress, wait, now, can_return=True, **more)


def test_a_first_deployment_has_no_good_version_and_never_pauses() -> None:
    first = step(None)
    assert (first.state, first.target, first.good) == ("rolling", NEW.version, None)
    assert step(first, wait=THRICE, now=NOW + 10_000).state == "rolling"


def test_is_complete_when_all_are_ready_and_no_other_is_left() -> None:
    assert step(ROLLING, Progress(2, 1)).state == "rolling"
    done = step(ROLLING, DONE)
    assert (done.state, done.good) == ("complete", NEW.version)


def test_a_version_of_which_nothing_was_wanted_is_not_a_good_one() -> None:
    idle = advance(ROLLING, service(count=0, image="demo/web:2"), Progress(0, 0), None, NOW)
    assert (idle.state, idle.good) == ("complete", OLD.version)
    assert step(idle).state == "rolling"


def test_so_many_failures_in_a_row_pause_it_and_say_why() -> None:
    assert step(ROLLING, wait=replace(THRICE, failures=2)).state == "rolling"
    paused = step(ROLLING, wait=THRICE)
    assert (paused.state, paused.failures) == ("paused", 3)
    assert paused.reason == "3 failures in a row; the last: TASK_FAILED on host-a: exit status 1"
    assert step(paused) == paused


def test_no_progress_until_the_deadline_pauses_it() -> None:
    assert step(ROLLING, now=NOW + 599).state == "rolling"
    assert step(ROLLING, now=NOW + 600).reason == "no new instance became ready within 600 seconds"


def test_each_new_instance_that_is_ready_moves_the_deadline() -> None:
    moved = step(ROLLING, Progress(1, 2), now=NOW + 500)
    assert step(moved, Progress(1, 2), now=NOW + 700) == moved
    assert step(moved, Progress(1, 2), now=NOW + 1100).state == "paused"
    # One that is ready for a second time is no progress.
    assert step(step(moved, now=NOW + 600), Progress(1, 2), now=NOW + 1100).state == "paused"


def test_one_that_is_proving_itself_at_the_deadline_is_waited_for() -> None:
    late = Progress(0, 2, not_yet_ready=1)
    assert step(ROLLING, late, now=NOW + 600) == ROLLING
    assert step(ROLLING, replace(late, ready=1, not_yet_ready=0), now=NOW + 603).ready == 1
    assert step(ROLLING, NONE, now=NOW + 603).state == "paused"


def test_time_in_which_nothing_could_be_done_does_not_count() -> None:
    assert step(ROLLING, now=NOW + 1000, acting_since=NOW + 900).state == "rolling"


def test_is_rolled_back_where_that_is_asked_for_even_later() -> None:
    careful = service(count=2, image="demo/web:2", update={"on_failure": "rollback"})
    assert advance(ROLLING, careful, NONE, THRICE, NOW, can_return=True).state == "rolled back"
    assert (
        advance(step(ROLLING, wait=THRICE), careful, NONE, None, NOW, can_return=True).state == "rolled back"
    )


def test_without_knowing_what_to_return_to_it_goes_on() -> None:
    assert advance(ROLLING, NEW, NONE, THRICE, NOW, can_return=False).state == "rolling"


def test_another_target_begins_anew_and_keeps_the_good_version() -> None:
    third = service(count=2, image="demo/web:3")
    again = advance(step(ROLLING, wait=THRICE), third, NONE, THRICE, NOW + 5, can_return=True)
    assert (again.state, again.target, again.good, again.failures) == (
        "rolling",
        third.version,
        OLD.version,
        0,
    )


def test_asked_again_a_failed_one_is_tried_again_and_others_are_left_alone() -> None:
    rollouts = Rollouts()
    rollouts.put(step(ROLLING, wait=THRICE))
    rollouts.put(replace(ROLLING, service="db", state="complete"))
    assert rollouts.ask_again(["db"], NOW + 50) == []
    (again,) = rollouts.ask_again(["db", "web"], NOW + 50)
    assert (again.service, again.state, again.reason, again.since) == ("web", "rolling", "", NOW + 50)


def test_outlives_the_process_and_knows_what_the_good_version_is_made_of() -> None:
    first = Rollouts()
    first.put(ROLLING)
    records = {key: value for key, value in first.take_records().items() if value is not None}
    assert first.take_records() == {}

    second = Rollouts()
    second.restore(records)
    assert second.records == {"web": ROLLING}
    versions = Versions({("web", OLD.version): OLD.model_dump_json()})
    before = second.before(service(count=7, image="demo/web:2"), versions)
    assert before is not None
    assert (before.image, before.count, before.version) == ("demo/web:1", 7, OLD.version)
    assert second.before(NEW, Versions({})) is None
    second.forget_except([])
    assert second.take_records() == {(RECORD, "web"): None}


class Update:
    """A service of two that runs well, and then is asked to change its image."""

    def __init__(self, folder: Path, **fields: Message) -> None:
        self.fields = fields
        self.bench = Bench(folder, self.wish("demo/web:1"))
        self.bench.subscribe()
        self.bench.launch("a", "b")
        self.bench.take(after=10)
        self.ask("demo/web:2")

    def wish(self, image: str) -> Service:
        return service(count=2, image=image, **self.fields)

    def ask(self, image: str, asked: bool = False) -> None:
        self.bench.take(events.ConfigRead(configuration(self.wish(image)), "sha", asked=asked), after=1)

    def restart(self) -> None:
        bench = self.bench
        known = [task for task in bench.store.load().tasks.values() if task.present]
        self.bench = Bench(
            Path(), bench.controller._desired.config.services[0], store=bench.store, now=bench.now + 5
        )
        self.bench.subscribe()
        for task in known:
            self.bench.tell(task.id, task.state.value, task.agent_id)

    def play(self, fails: str = "", rounds: int = 60) -> None:
        """Let a minute pass in which all starts run, but those of an image fail."""
        for _ in range(rounds):
            self.bench.take(events.Offers((offer_message("a"), offer_message("b"))), after=1)
            for info in self.bench.launched():
                image = info["container"]["docker"]["image"]
                state = "FAILED" if image == fails else "RUNNING"
                message = {"message": "manifest unknown"} if image == fails else {}
                self.bench.tell(info["task_id"]["value"], state, info["agent_id"]["value"], **message)
            for _, task_id, agent_id, _ in self.bench.driver.take("kill"):
                self.bench.tell(task_id, "KILLED", agent_id)

    @property
    def images(self) -> list[str]:
        return sorted(one.image for one in self.bench.view.instances)

    @property
    def kinds(self) -> list[str]:
        return [reason.kind for reason in self.bench.view.reasons]


def test_a_broken_image_pauses_the_update_and_the_old_version_serves_on(tmp_path: Path) -> None:
    update = Update(tmp_path)
    update.play(fails="demo/web:2")
    assert update.images == ["demo/web:1"] * 2
    (reason,) = update.bench.view.reasons
    assert reason.kind == "update paused"
    assert "3 failures in a row; the last: TASK_FAILED on host-" in reason.text
    assert "manifest unknown" in reason.text
    assert not update.bench.view.converged
    launched = [event for event in update.bench.events if event.kind == "launch"]
    assert len(launched) == 2 + 3
    update.play(fails="demo/web:2")
    assert [event for event in update.bench.events if event.kind == "launch"] == launched


def test_a_paused_update_keeps_the_count_filled_with_the_good_version(tmp_path: Path) -> None:
    update = Update(tmp_path)
    update.play(fails="demo/web:2")
    first = update.bench.view.instances[0]
    update.bench.tell(first.task_id, "FAILED", first.agent_id)
    update.play(fails="demo/web:2")
    assert update.images == ["demo/web:1"] * 2


def test_a_paused_update_fills_the_count_in_the_role_that_the_good_version_had(tmp_path: Path) -> None:
    good, bad = service(image="demo/web:1", role="blue"), service(image="demo/web:2", role="green")
    bench = Bench(tmp_path, good)
    bench.subscribe()

    def offered(role: str) -> list[Message]:
        offer = offer_message("a", more={"allocation_info": {"role": role}})
        for resource in offer["resources"]:
            resource["allocation_info"] = {"role": role}
        bench.take(events.Offers((offer,)), after=1)
        bench.take(after=1)
        return bench.launched()

    (first,) = offered("blue")
    bench.tell(first["task_id"]["value"], "RUNNING")
    bench.take(after=10)
    bench.take(events.ConfigRead(configuration(bad), "sha"))
    for _ in range(100):
        for info in offered("green"):
            bench.tell(info["task_id"]["value"], "FAILED")
    assert [reason.kind for reason in bench.view.reasons] == ["update paused"]
    bench.driver.take("revive", "suppress", "update framework")
    bench.tell(first["task_id"]["value"], "FAILED")
    bench.take(after=2)
    bench.take(after=2)
    assert {role for _, (role,) in bench.driver.take("revive")} == {"blue"}
    (again,) = offered("blue")
    assert again["container"]["docker"]["image"] == "demo/web:1"


def test_a_paused_update_stays_so_after_a_restart_and_goes_on_when_asked(tmp_path: Path) -> None:
    update = Update(tmp_path)
    update.play(fails="demo/web:2")
    update.restart()
    update.play()
    assert update.images == ["demo/web:1"] * 2
    assert update.kinds == ["update paused"]
    update.ask("demo/web:2")
    update.play()
    assert update.kinds == ["update paused"]
    update.ask("demo/web:2", asked=True)
    update.play()
    assert update.images == ["demo/web:2"] * 2
    assert update.bench.view.converged


def test_an_update_that_fails_half_way_keeps_what_is_ready_of_it(tmp_path: Path) -> None:
    update = Update(tmp_path)
    update.play(rounds=3)
    assert "demo/web:2" in update.images
    update.play(fails="demo/web:2")
    assert update.images == ["demo/web:1", "demo/web:2"]
    assert update.kinds == ["update paused"]


def test_a_rollback_replaces_what_is_new_and_stays(tmp_path: Path) -> None:
    update = Update(tmp_path, update={"on_failure": "rollback"})
    update.play(rounds=3)
    assert "demo/web:2" in update.images
    update.play(fails="demo/web:2")
    assert update.images == ["demo/web:1"] * 2
    assert update.kinds == ["rolled back"]
    update.restart()
    update.play()
    assert update.images == ["demo/web:1"] * 2


def test_the_old_image_put_back_keeps_the_instances_that_still_run(tmp_path: Path) -> None:
    update = Update(tmp_path)
    before = {one.task_id for one in update.bench.view.instances}
    update.play(fails="demo/web:2")
    update.ask("demo/web:1")
    update.play(rounds=10)
    assert {one.task_id for one in update.bench.view.instances} == before
    assert update.bench.view.converged


def test_a_healthy_instance_leaves_the_list_before_it_is_told_to_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=2, shutdown_delay_seconds=3))
    bench.subscribe()
    bench.launch("a", "b")
    bench.take(after=10)
    bench.take(events.ConfigRead(configuration(service(count=1, shutdown_delay_seconds=3)), "sha"))
    shown = [one for one in bench.controller.snapshot.services[0].instances if one.in_service]
    assert len(shown) == 1
    assert sum(task.kill_reason is not None for task in bench.store.load().tasks.values()) == 1
    assert bench.driver.take("kill") == []
    # A new connection does not shorten that time.
    bench.take(events.Disconnected(), after=1)
    bench.subscribe()
    assert bench.driver.take("kill") == []
    bench.take(after=1.5)
    assert bench.driver.take("kill") == []
    bench.take(after=1)
    assert len(bench.driver.take("kill")) == 1


def test_a_new_process_gives_clients_the_whole_time_again(tmp_path: Path) -> None:
    """The one before may have ended before anybody saw its list without the instance."""
    bench = Bench(tmp_path, service(count=2, shutdown_delay_seconds=3))
    bench.subscribe()
    bench.launch("a", "b")
    bench.take(after=10)
    bench.take(events.ConfigRead(configuration(service(count=1, shutdown_delay_seconds=3)), "sha"))
    again = Bench(tmp_path, service(count=1, shutdown_delay_seconds=3), store=bench.store, now=bench.now + 5)
    again.subscribe()
    again.take(after=2)
    assert again.driver.take("kill") == []
    again.take(after=1.5)
    ((_, killed, agent_id, _),) = again.driver.take("kill")
    # What has begun to stop is told so again at once.
    again.tell(killed, "KILLING", agent_id)
    third = Bench(tmp_path, service(count=1, shutdown_delay_seconds=3), store=again.store, now=again.now + 1)
    third.subscribe()
    assert [call[1] for call in third.driver.take("kill")] == [killed]


def test_an_instance_that_is_not_well_is_stopped_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(shutdown_delay_seconds=30))
    bench.subscribe()
    bench.offer("a")
    (info,) = bench.launched()
    bench.take(events.ConfigRead(configuration(service(count=0)), "sha"))
    assert [call[1] for call in bench.driver.take("kill")] == [info["task_id"]["value"]]


def unavailable(agent_id: str, in_seconds: float, number: str = "inverse-1") -> events.InverseOffers:
    window = {"start": {"nanoseconds": int((NOW + in_seconds) * 1e9)}}
    message = {"id": {"value": number}, "agent_id": {"value": agent_id}, "unavailability": window}
    return events.InverseOffers((message,))


def test_instances_move_away_before_their_agent_goes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=2))
    bench.subscribe()
    bench.launch("a", "b")
    bench.take(after=10)
    bench.take(unavailable("b", 1800), after=1)
    assert bench.driver.take("decline inverse")
    assert "moving" in [reason.kind for reason in bench.view.reasons]
    assert bench.driver.take("kill") == []
    (new,) = bench.launch("a")
    assert bench.driver.take("kill") == []
    bench.take(after=3)
    ((_, killed, agent_id, _),) = bench.driver.take("kill")
    assert agent_id == "b"
    bench.tell(killed, "KILLED", "b")
    assert bench.view.converged
    assert new in {one.task_id for one in bench.view.instances}
    bench.take(unavailable("b", 1800, "inverse-2"))
    assert bench.driver.take("accept inverse") == [("accept inverse", ["inverse-2"])]


def test_nothing_moves_for_maintenance_that_is_far_away_or_withdrawn(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=2))
    bench.subscribe()
    bench.launch("a", "b")
    bench.take(after=10)
    bench.take(unavailable("b", 7200))
    assert bench.view.reasons == ()
    bench.take(unavailable("b", 1800))
    assert bench.view.reasons != ()
    bench.take(events.InverseOfferRescinded("inverse-1"))
    assert bench.view.reasons == ()


def test_a_schedule_that_mesos_no_longer_repeats_is_void(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=2))
    bench.subscribe()
    bench.launch("a", "b")
    bench.take(unavailable("b", 1800), after=10)
    assert bench.view.reasons != ()
    bench.take(after=61)
    assert bench.view.reasons == ()


def test_what_a_drain_stops_is_replaced_as_soon_as_it_begins_and_is_nobodys_fault(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service(count=2))
    bench.subscribe()
    _, second = bench.launch("a", "b")
    bench.take(after=10)
    bench.tell(second, "KILLING", "b", reason="REASON_AGENT_DRAINING")
    bench.offer("a")
    (replacement,) = bench.launched()
    bench.tell(replacement["task_id"]["value"], "RUNNING")
    bench.tell(second, "KILLED", "b", reason="REASON_AGENT_DRAINING", healthy=False)
    assert bench.view.converged
    assert bench.driver.take("kill") == []
    assert bench.controller._failures.waits() == {}


def test_an_update_of_what_never_found_room_for_all_ends_when_as_many_run_as_before() -> None:
    part = replace(step(None, Progress(0, 0)), target=OLD.version, ready=1)
    begun = step(part, Progress(0, 1, serving=1, in_service=1))
    assert (begun.good, begun.served) == (OLD.version, 1)
    alone = Progress(1, 0, in_service=1)
    replaced = step(begun, alone, now=NOW + 10)
    assert step(replaced, alone, now=NOW + 609).state == "rolling"
    done = step(replaced, alone, now=NOW + 610)
    assert (done.state, done.good, done.previous) == ("complete", NEW.version, OLD.version)
    # Not while it fails, nor with fewer than there were.
    assert step(replaced, alone, THRICE, now=NOW + 610).state == "paused"
    fewer = Progress(1, 0, not_yet_ready=0, in_service=2)
    assert step(replace(replaced, served=2), fewer, now=NOW + 610).state == "paused"


def test_an_update_that_waits_for_a_port_of_its_own_says_so() -> None:
    new = service(count=2, image="demo/web:2", ports=[{"container_port": 80, "host_port": 8080}])
    rolling = replace(ROLLING, target=new.version)
    there = Progress(0, 2, serving=2, held_ports=frozenset([8080]))
    failed = advance(rolling, new, there, None, NOW + 600, can_return=True)
    assert failed.state == "paused"
    assert "host port 8080, which the old ones hold" in failed.reason
    assert "update.max_unavailable is 0" in failed.reason
    elsewhere = replace(there, held_ports=frozenset([8081]))
    failed = advance(rolling, new, elsewhere, None, NOW + 600, can_return=True)
    assert failed.reason == "no new instance became ready within 600 seconds"
