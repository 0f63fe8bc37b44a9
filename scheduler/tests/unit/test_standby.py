"""A scheduler that follows: what it shows, and what it waits for."""

from __future__ import annotations

import gc
import queue
import re
import time

import pytest
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.edition import Edition, Editions, recorded
from mesos_docker_scheduler.control.operations import NotLeadingError
from mesos_docker_scheduler.control.ownership import MOVED
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.observability.snapshot import Leader
from mesos_docker_scheduler.records.content import Content
from mesos_docker_scheduler.records.store import Change, Event, StoreError
from mesos_docker_scheduler.records.tasks import TaskState
from mesos_docker_scheduler.records.zookeeper_store import Fence
from mesos_docker_scheduler.standby import OUTDATED, Standby
from scheduler_fakes import NOW, configuration, service, task

WEB = service(count=2)
US, LEADER = Leader("a", "https://a:8090"), Leader("b", "https://b:8090")


class Replica:
    """What the leader has written, as a test says; `problem`: why it can't be read."""

    def __init__(self) -> None:
        self.content, self.problem = Content(), ""
        self.leader: Leader | None = None
        self.looks = 0

    @property
    def generation(self) -> int:
        return len(self.content.events)

    def catch_up(self) -> None:
        self.looks += 1
        if self.problem:
            raise StoreError(self.problem)

    def lead(self, *ids: str) -> None:
        self.leader = LEADER
        self.content.apply(
            Change(
                "framework",
                {made: task(made, WEB, state=TaskState.RUNNING) for made in ids},
                versions={("web", WEB.version): WEB.model_dump_json()},
                events=[Event(NOW, "launch", made, "web", made) for made in ids],
            )
        )


class Follower:
    """A standby, with what it is told in order; it is stopped after that."""

    def __init__(self) -> None:
        self.replica = Replica()
        self.why_not: str | None = None
        self.now = NOW
        self.stood: list[float] = []
        self.metrics = Metrics()
        self.standby = Standby(
            configuration(WEB),
            "sha",
            NOW,
            self.replica,  # type: ignore[arg-type]
            US,
            problem=lambda: self.why_not,
            stand=lambda: self.stood.append(self.standby.alive_at),
            metrics=self.metrics,
            clock=lambda: self.now,
        )

    def hear(self, *told: events.AnyEvent) -> Fence | events.Stop | events.Deposed:
        inbox: queue.SimpleQueue[events.AnyEvent] = queue.SimpleQueue()
        for event in (*told, events.Stop()):
            inbox.put(event)
        return self.standby.run(inbox, lambda: None)


@pytest.fixture
def follower() -> Follower:
    return Follower()


def test_shows_what_the_leader_has_written(follower: Follower) -> None:
    follower.replica.lead("web.1", "web.2")
    follower.hear()
    shown = follower.standby.snapshot
    assert (shown.leads, shown.leader, shown.framework_id) == (False, LEADER, "framework")
    assert [view.running for view in shown.services] == [2]
    assert [event.text for event in follower.standby.log.latest(9)] == ["web.1", "web.2"]
    assert "mesos_docker_scheduler_leads 0.0" in follower.metrics.text().decode()
    (round_at,) = re.findall(
        r"^\S+_last_round_timestamp_seconds (\S+)$", follower.metrics.text().decode(), re.M
    )
    assert float(round_at) > time.time() - 5
    assert "service_wanted{" not in follower.metrics.text().decode()


def test_says_why_what_it_shows_may_be_old(follower: Follower) -> None:
    follower.replica.lead("web.1")
    follower.hear()
    follower.replica.problem = "zk://z/: can't be read"
    follower.hear()
    shown = follower.standby.snapshot
    assert (shown.problem, shown.framework_id) == ("zk://z/: can't be read", "framework")
    follower.replica.problem = ""
    follower.hear()
    assert follower.standby.snapshot.problem is None


def test_changes_are_for_the_leader(follower: Follower) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    answers: list[Exception | None] = []
    follower.hear(events.Command(never, answers.append))
    follower.replica.lead("web.1")
    follower.hear(events.Command(never, answers.append))
    assert [type(answer) for answer in answers] == [NotLeadingError, NotLeadingError]
    assert [getattr(answer, "leader", None) for answer in answers] == [None, LEADER]


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (events.Elected(Fence("/leader", 3, "/ours")), Fence("/leader", 3, "/ours")),
        (events.Deposed("why"), events.Deposed("why")),
        (events.Stop(), events.Stop()),
        (
            events.ThreadEnded("election", "KeyError"),
            events.Deposed("the thread election has ended by a KeyError"),
        ),
    ],
)
def test_follows_until(follower: Follower, event: events.AnyEvent, outcome: object) -> None:
    assert follower.hear(event) == outcome


def test_takes_over_with_the_configuration_that_was_read_last(follower: Follower) -> None:
    newer = configuration(service(count=5))
    follower.hear(events.ConfigRead(newer, "new"), events.ConfigRead(None, "", "refused"))
    follower.hear()
    assert follower.standby.config == newer
    view = follower.standby.snapshot.config
    assert (view, view.sha256, view.error) == (follower.standby.config_view, "new", "refused")


def test_looks_when_something_was_written_but_not_all_the_time(follower: Follower) -> None:
    follower.hear(*[events.Written()] * 100)
    assert follower.replica.looks == 1


def test_what_has_not_changed_is_not_made_anew(follower: Follower) -> None:
    follower.replica.lead("web.1")
    follower.hear()
    before = follower.standby.snapshot
    follower.hear()
    assert follower.standby.snapshot.services is before.services
    follower.replica.content.apply(Change(events=[Event(NOW, "kind", "text")]))
    follower.hear()
    assert follower.standby.snapshot is not before
    assert follower.standby.snapshot.services[0] is before.services[0]


def test_says_how_old_it_is_what_it_shows(follower: Follower) -> None:
    def told() -> float:
        text = follower.metrics.text().decode()
        (found,) = re.findall(r"^\S+_state_read_timestamp_seconds (\S+)$", text, re.M)
        return float(found)

    assert told() == 0
    assert follower.standby.snapshot.at == 0
    follower.replica.lead("web.1")
    for _ in range(2):
        follower.now += 60
        follower.hear()
        assert follower.standby.snapshot.at == told() == follower.now
    shown = follower.standby.snapshot
    assert shown.leader == LEADER
    follower.now += 5
    follower.hear()
    assert follower.standby.snapshot is shown, "those who watch are not told each time"
    assert told() == follower.now
    read_at = follower.now
    follower.replica.problem = "zk://z/: can't be read"
    follower.now += 60
    follower.hear()
    assert follower.standby.snapshot.at == told() == read_at
    assert follower.standby.snapshot.leader is None, "it may have gone"
    follower.replica.problem = ""
    follower.hear()
    assert follower.standby.snapshot.at == told() == follower.now


def test_looking_for_a_long_time_leaves_nothing_behind(follower: Follower) -> None:
    """It had kept all of its former views once."""
    follower.replica.lead("web.1")
    follower.hear()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for number in range(100):
            follower.replica.content.apply(
                Change(records={("token", "t"): None}, events=[Event(NOW, "kind", str(number))])
            )
            follower.hear()
        assert len(gc.get_objects()) < before + 1000
    finally:
        gc.enable()


def test_says_why_it_could_not_lead(follower: Follower) -> None:
    follower.why_not = "ZooKeeper lets this scheduler not write"
    follower.hear()
    assert follower.standby.snapshot.problem == follower.why_not


def test_stands_once_it_knows_that_its_configuration_is_the_leaders(follower: Follower) -> None:
    follower.replica.problem = "zk://z/: can't be read"
    follower.hear()
    assert follower.stood == []
    follower.replica.problem = ""
    for _ in range(2):
        follower.hear()
    assert len(follower.stood) == 1


def test_does_not_stand_while_its_configuration_is_outdated(follower: Follower) -> None:
    newer = configuration(service(count=5))
    editions = Editions(None)
    editions.take(Edition.of(newer, NOW + 1))
    follower.replica.content.apply(Change(records=editions.take_records()))
    follower.hear()
    assert follower.stood == []
    assert follower.standby.snapshot.config.outdated
    assert follower.standby.snapshot.problem == OUTDATED
    follower.hear(events.ConfigRead(newer, "new", written_at=NOW + 9))
    follower.hear()
    assert len(follower.stood) == 1
    assert follower.standby.snapshot.problem is None
    assert not follower.standby.snapshot.config.outdated


def test_stands_when_asked_to_whatever_the_clock_of_the_last_leader_said(follower: Follower) -> None:
    others = Edition.of(configuration(service(count=5)), NOW + 86_400)
    editions = Editions(None)
    editions.take(others)
    follower.replica.content.apply(Change(records=editions.take_records()))
    # It is asked before it knows what is on record.
    follower.replica.problem = "zk://z/: can't be read"
    follower.hear(events.ConfigRead(follower.standby.config, "same", asked=True, written_at=NOW))
    assert follower.stood == []
    follower.replica.problem = ""
    follower.hear()
    assert len(follower.stood) == 1
    ours = Edition.of(follower.standby.config, follower.standby.written_at)
    assert others.is_older_than(ours)
    editions.take(ours)
    follower.replica.content.apply(Change(records=editions.take_records()))
    assert others.is_older_than(recorded(follower.replica.content.remembered().records))


def test_does_not_stand_where_the_state_was_moved_away(follower: Follower) -> None:
    follower.replica.content.apply(Change(records={MOVED: "a:/state"}))
    follower.hear()
    assert follower.stood == []
    assert str(follower.standby.snapshot.problem).startswith("the state was moved from here to a:/state")
    follower.replica.content.apply(Change(records={MOVED: None}, events=[Event(NOW, "kind", "text")]))
    follower.hear()
    assert len(follower.stood) == 1


def test_is_not_its_own_leader(follower: Follower) -> None:
    follower.replica.leader = US
    follower.hear()
    assert follower.standby.snapshot.leader is None


def test_starts_anew_for_what_is_read_at_a_start_alone(follower: Follower) -> None:
    newer = configuration(WEB, master="m2:5050")
    assert follower.hear(events.ConfigRead(newer, "new")) == events.Deposed(
        "changed, and read at a start alone: master"
    )


def test_what_runs_is_not_known_before_it_was_read_once(follower: Follower) -> None:
    """Nobody must take what is not known for nothing: a load balancer would drop every instance."""
    follower.replica.problem = "zk://z/: can't be read"
    follower.hear()
    assert not follower.standby.snapshot.known
    assert follower.standby.tokens is None
    follower.replica.problem = ""
    follower.hear()
    assert follower.standby.snapshot.known
    assert follower.standby.tokens == ()
    follower.replica.problem = "zk://z/: can't be read"
    follower.hear()
    assert follower.standby.snapshot.known
