"""What operators ask for at run time, and how that gets on with what the file says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from memory_store import MemoryStore
from mesos_docker_scheduler.config import Allowed, Service
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.operations import (
    ChangedError,
    HandOver,
    NotFoundError,
    Operations,
    RefusedError,
)
from scheduler_fakes import MASTER, Bench, configuration, offer_message, service

BY = "test"


def web(count: int = 2, version: int = 1, **fields: Any) -> Service:
    return service(count=count, image=f"demo/web:{version}", **fields)


class Site:
    """A service of two that runs well, and somebody who asks for things."""

    def __init__(self, *services: Service) -> None:
        self.bench = Bench(Path(), *(services or (web(),)), store=MemoryStore())
        self.bench.subscribe()
        self.bench.launch("a", "b")
        self.bench.take(after=10)

    def ask(self, request: Callable[[Operations, float], None], after: float = 1) -> None:
        """Ask; raises what it is refused with."""
        answers: list[Exception | None] = []
        self.bench.take(events.Command(request, answers.append), after=after)
        (answer,) = answers
        if answer is not None:
            raise answer

    @property
    def update_state(self) -> str | None:
        update = self.bench.view.update
        return update.state if update is not None else None

    def scale(self, count: int) -> None:
        self.ask(lambda operations, now: operations.scale("web", count, BY, now))

    def do(self, operate: Callable[[Operations, str, str, float], None], name: str = "web") -> None:
        self.ask(lambda operations, now: operate(operations, name, BY, now))

    def file(self, *services: Service, asked: bool = False, **fields: Any) -> None:
        """The file now says this."""
        self.bench.take(events.ConfigRead(configuration(*services, **fields), "sha", asked=asked), after=1)

    def restart_scheduler(self, *services: Service) -> None:
        bench = self.bench
        known = [task for task in bench.store.load().tasks.values() if task.present]
        self.bench = Bench(Path(), *services, store=bench.store, now=bench.now + 5)
        self.bench.subscribe()
        for task in known:
            self.bench.tell(task.id, task.state.value, task.agent_id)

    def play(self, fails: str = "", seconds: int = 60) -> int:
        """Let time pass in which starts run, but for those of an image; returns the fewest that were well."""
        fewest = 99
        for _ in range(seconds):
            self.bench.take(events.Offers((offer_message("a"), offer_message("b"))), after=1)
            for info in self.bench.launched():
                failed = info["container"]["docker"]["image"] == fails
                agent_id = info["agent_id"]["value"]
                self.bench.tell(info["task_id"]["value"], "FAILED" if failed else "RUNNING", agent_id)
            for _, task_id, agent_id, _ in self.bench.driver.take("kill"):
                self.bench.tell(task_id, "KILLED", agent_id)
            fewest = min(fewest, sum(one.in_service for one in self.bench.view.instances))
        return fewest

    @property
    def ids(self) -> set[str]:
        return {one.task_id for one in self.bench.view.instances}

    @property
    def images(self) -> set[str]:
        return {one.image for one in self.bench.view.instances}

    @property
    def told(self) -> list[str]:
        return [event.text for event in self.bench.events if event.kind == "operator"]


def test_a_scaled_service_keeps_what_runs() -> None:
    site = Site()
    before = site.ids
    site.scale(3)
    site.play(seconds=10)
    assert before < site.ids
    view = site.bench.view
    assert (view.wanted, view.configured, len(site.ids)) == (3, 2, 3)
    assert view.converged


def test_scaling_outlives_the_scheduler_and_a_file_that_says_the_same() -> None:
    site = Site()
    site.scale(3)
    site.file(web(cpus=0.1), service(name="other", count=0))
    assert site.bench.view.wanted == 3
    site.restart_scheduler(web())
    assert site.bench.view.wanted == 3


def test_a_file_with_another_count_is_the_last_word() -> None:
    site = Site()
    site.scale(5)
    site.file(web(count=3))
    assert site.bench.view.wanted == 3
    assert site.told[-1] == "the configuration's count is now 3: scaling to 5 is over"
    site.file(web(count=2))
    assert site.bench.view.wanted == 2


def test_a_file_that_changed_while_the_scheduler_was_away_is_the_last_word() -> None:
    site = Site()
    site.scale(5)
    site.restart_scheduler(web(count=4))
    assert site.bench.view.wanted == 4


def test_a_service_that_left_the_file_is_forgotten() -> None:
    site = Site()
    site.scale(5)
    site.file()
    site.file(web())
    assert site.bench.view.wanted == 2


def test_scaling_to_what_is_configured_ends_the_override() -> None:
    site = Site()
    site.scale(5)
    site.scale(2)
    assert site.bench.view.scaled_since is None
    assert site.told == ["scaled from 2 to 5; the configuration says 2 (test)", "scaled from 5 to 2 (test)"]


def test_reset_returns_to_the_file() -> None:
    site = Site()
    site.scale(5)
    site.do(Operations.reset)
    assert site.bench.view.wanted == 2
    site.do(Operations.reset)  # there is nothing to do: that is no mistake
    assert site.told[-1] == "scaled back from 5 to 2, as configured (test)"


@pytest.mark.parametrize("count", [-1, 100_001])
def test_an_impossible_count(count: int) -> None:
    site = Site()
    with pytest.raises(RefusedError, match=f"count: {count} is not allowed"):
        site.scale(count)
    assert site.bench.view.wanted == 2


def test_a_service_that_is_not_there() -> None:
    with pytest.raises(NotFoundError, match='"db" is not in the configuration'):
        Site().do(Operations.restart, "db")


def test_a_restart_replaces_all_and_keeps_enough_in_service() -> None:
    site = Site()
    before = site.ids
    site.do(Operations.restart)
    assert not site.bench.view.converged
    assert "restart" in [reason.kind for reason in site.bench.view.reasons]
    assert site.play() >= 2
    assert len(site.ids) == 2
    assert not site.ids & before
    assert site.bench.view.converged
    after = site.ids
    site.restart_scheduler(web())
    site.play(seconds=10)
    assert site.ids == after, "a restart is carried out once"


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_restart_hangs_on_no_clock(hours: int) -> None:
    """The order is given while the clock is wrong; then the scheduler starts again with the right one."""
    site = Site()
    old = set(site.ids)
    site.bench.now += hours * 3600
    site.do(Operations.restart)
    site.bench.now -= hours * 3600
    site.restart_scheduler(web())
    site.play(seconds=120)
    assert not old & set(site.ids)
    assert len(site.ids) == 2
    # A crash later is one crash.
    crashed = site.bench.view.instances[0]
    site.bench.tell(crashed.task_id, "FAILED", crashed.agent_id)
    site.play(seconds=600)
    assert [event.kind for event in site.bench.events].count("launch") == 3


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_around_a_restart_replaces_nothing(hours: int) -> None:
    site = Site()
    site.play(seconds=20)
    before = set(site.ids)
    site.bench.now += hours * 3600
    site.restart_scheduler(web())
    site.play(seconds=600)
    assert set(site.ids) == before


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_around_an_update_neither_ends_nor_stretches_it(hours: int) -> None:
    site = Site()
    site.play(seconds=20)
    old = set(site.ids)
    new = web(version=2, update={"progress_deadline_seconds": 120})
    site.file(new)
    site.bench.now += hours * 3600
    site.restart_scheduler(new)
    site.bench.take(after=100)  # nothing is offered
    assert site.update_state == "rolling"
    site.bench.take(after=30)
    assert site.update_state == "paused"
    site.do(Operations.resume)
    site.play(seconds=120)
    assert site.update_state == "complete"
    assert not old & set(site.ids)


@pytest.mark.parametrize("limit", [{"operator": "UNIQUE"}, {"operator": "MAX_PER", "value": "1"}])
def test_a_restart_ends_where_all_hosts_are_taken(limit: dict[str, str]) -> None:
    site = Site(web(constraints=[{"field": "hostname", **limit}]))
    old = set(site.ids)
    assert len(old) == 2
    site.do(Operations.restart)
    assert site.play(seconds=120) >= 2
    assert len(site.ids) == 2
    assert not old & set(site.ids)


def test_a_restart_is_one_more_than_any_instance_has_seen() -> None:
    site = Site()
    for _ in range(2):
        site.do(Operations.restart)
        site.play()
    before = set(site.ids)
    site.bench.take(events.Disconnected())
    site.file()  # without the service, for a moment
    site.file(web())
    site.bench.take(events.Subscribed(None, MASTER))
    for task_id in before:
        site.bench.tell(task_id, "RUNNING")
    site.bench.answer_fence()
    site.do(Operations.restart)
    site.play(seconds=120)
    assert not before & set(site.ids)
    assert len(site.ids) == 2


def test_a_paused_update_is_not_resumed_by_a_reload() -> None:
    site = Site(web(update={"on_failure": "rollback"}))
    newer = web(version=2, update={"on_failure": "rollback"})
    site.file(newer)
    site.do(Operations.pause)
    site.play(seconds=20)
    assert "demo/web:1" in site.images
    (reason,) = [reason for reason in site.bench.view.reasons if reason.kind == "update paused"]
    assert "an operator paused it" in reason.text
    site.file(newer, asked=True)
    site.play(seconds=20)
    assert "demo/web:1" in site.images
    site.do(Operations.resume)
    site.play()
    assert site.images == {"demo/web:2"}


def test_an_update_under_way_is_rolled_back_and_goes_on_when_asked() -> None:
    site = Site()
    site.file(web(version=2))
    site.play(seconds=6)
    site.do(Operations.roll_back)
    assert site.play() >= 2
    assert site.images == {"demo/web:1"}
    assert site.bench.view.converged, "what the operator asked for runs"
    site.restart_scheduler(web(version=2))
    site.play(seconds=10)
    assert site.images == {"demo/web:1"}
    site.do(Operations.reset)
    site.play()
    assert site.images == {"demo/web:2"}


def test_a_complete_update_is_rolled_back() -> None:
    site = Site()
    site.file(web(version=2))
    site.play()
    assert (site.images, site.bench.view.converged) == ({"demo/web:2"}, True)
    assert site.bench.view.update is not None
    assert site.bench.view.update.can_roll_back
    site.do(Operations.roll_back)
    assert site.play() >= 2
    assert site.images == {"demo/web:1"}
    with pytest.raises(RefusedError, match="rolled back already"):
        site.do(Operations.roll_back)
    # The file's next image is an update like any other, from the version that runs.
    site.file(web(version=3))
    assert site.play() >= 2
    assert site.images == {"demo/web:3"}


@pytest.mark.parametrize("record", ["", "{", "{}", '{"name": "web", "image": 5}'])
def test_there_is_no_way_back_to_a_version_whose_record_is_damaged(record: str) -> None:
    site = Site()
    site.file(web(version=2))
    site.play()
    site.bench.controller._versions._specs["web"][web(version=1).version] = record
    with pytest.raises(RefusedError, match="can't be read"):
        site.do(Operations.roll_back)
    assert site.update_state == "complete"
    site.play()
    assert site.images == {"demo/web:2"}


def test_there_is_no_way_back_to_what_is_not_allowed_any_more() -> None:
    site = Site(web(privileged=True))
    site.file(web(version=2))
    site.play()
    with pytest.raises(RefusedError, match="can't be rolled back to demo/web:1: privileged: true is not"):
        site.do(Operations.roll_back)
    site.play()
    assert site.images == {"demo/web:2"}
    site.file(web(version=2), allowed=Allowed(privileged=True))
    site.do(Operations.roll_back)
    site.play()
    assert site.images == {"demo/web:1"}


def test_an_update_that_fails_keeps_what_runs_but_starts_nothing_that_is_not_allowed_any_more() -> None:
    site = Site(web(privileged=True))
    newer = web(version=2, update={"max_failures": 1, "on_failure": "rollback"})
    site.file(newer)
    site.play(fails="demo/web:2")
    assert site.images == {"demo/web:1"}, "what runs goes on"
    site.bench.tell(min(site.ids), "FAILED")
    site.play(seconds=90)
    assert len(site.ids) == 1
    (reason,) = [reason for reason in site.bench.view.reasons if reason.kind == "not allowed"]
    assert "1 instance of the version before may not be started: privileged: true is not" in reason.text
    site.file(newer, allowed=Allowed(privileged=True))
    site.play(fails="demo/web:2", seconds=90)
    assert len(site.ids) == 2


def test_there_is_nothing_to_roll_back_pause_or_resume() -> None:
    site = Site()
    for operate, words in (
        (Operations.roll_back, "no version of web before this one is on record"),
        (Operations.pause, "is not being updated"),
        (Operations.resume, "nothing to resume"),
        (Operations.forget_failures, "no failures on record"),
    ):
        with pytest.raises(RefusedError, match=words):
            site.do(operate)


def test_a_back_off_is_reset() -> None:
    site = Site(web(count=1))
    for _ in range(6):
        for one in site.bench.view.instances:
            site.bench.tell(one.task_id, "FAILED", one.agent_id)
        site.play(fails="demo/web:1", seconds=1)
    assert "back-off" in [reason.kind for reason in site.bench.view.reasons]
    site.do(Operations.forget_failures)
    site.play(seconds=3)
    assert site.bench.view.running == 1


def test_one_instance_is_stopped_and_replaced() -> None:
    site = Site()
    first = sorted(site.ids)[0]
    site.ask(lambda operations, now: operations.kill(first, BY, now))
    site.ask(lambda operations, now: operations.kill(first, BY, now))  # once more does no harm
    site.play(seconds=10)
    assert first not in site.ids
    assert len(site.ids) == 2
    with pytest.raises(NotFoundError, match="runs"):
        site.ask(lambda operations, now: operations.kill(first, BY, now))


def test_who_looked_at_something_else_is_refused() -> None:
    site = Site()
    revision = site.bench.view.revision
    site.ask(lambda operations, now: operations.expect("web", revision))
    site.scale(3)
    with pytest.raises(ChangedError, match="look again"):
        site.ask(lambda operations, now: operations.expect("web", revision))


def test_an_update_that_goes_on_does_not_overtake_who_looked() -> None:
    site = Site()
    site.bench = Bench(Path(), web(), store=MemoryStore())
    site.bench.subscribe()
    assert site.update_state == "rolling"
    revisions = {site.bench.view.revision}
    site.play()
    assert site.update_state == "complete"
    revisions.add(site.bench.view.revision)
    assert len(revisions) == 1
    site.file(web(version=2))
    revisions.add(site.bench.view.revision)
    assert site.update_state == "rolling"
    site.play()
    assert site.update_state == "complete"
    revisions.add(site.bench.view.revision)
    assert len(revisions) == 2


def test_who_looked_before_an_update_was_stopped_is_refused() -> None:
    site = Site()
    site.play()
    site.file(web(version=2))
    seen = site.bench.view.revision
    site.do(Operations.pause)
    with pytest.raises(ChangedError, match="look again"):
        site.ask(lambda operations, now: operations.expect("web", seen))


# Stepping down


def test_only_one_of_several_steps_down_and_only_when_another_one_can_lead() -> None:
    site, stopped, problem = Site(), list[str](), ["no other scheduler follows"]
    with pytest.raises(RefusedError, match="this scheduler is the only one"):
        site.ask(lambda operations, now: operations.step_down(BY, now))
    hand_over = HandOver(lambda: problem[0] if problem else None, lambda: stopped.append("stopped"))
    site.bench.controller._operations._hand_over = hand_over
    with pytest.raises(RefusedError, match="nobody would take over: no other scheduler follows"):
        site.ask(lambda operations, now: operations.step_down(BY, now))
    assert stopped == []
    problem.clear()
    site.ask(lambda operations, now: operations.step_down(BY, now))
    assert stopped == ["stopped"]
    assert site.bench.events[-1].text == "this scheduler steps down (test)"


def test_ends_when_another_one_leads() -> None:
    site = Site()
    site.bench.take(events.Deposed("why"))
    assert site.bench.controller.outcome == events.Deposed("why")
