"""A scheduler that follows: it shows what the leader has written, and waits for its turn."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from mesos_docker_scheduler.config import Config
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.desired_state import DesiredState
from mesos_docker_scheduler.control.edition import Edition, recorded
from mesos_docker_scheduler.control.offers import OfferBook
from mesos_docker_scheduler.control.operations import NotLeadingError
from mesos_docker_scheduler.control.ownership import MOVED
from mesos_docker_scheduler.observability.event_log import EventLog
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.observability.snapshot import ConfigView, Leader, ServiceView, Snapshot, Views
from mesos_docker_scheduler.records.dependencies import Dependencies
from mesos_docker_scheduler.records.desired import Desired
from mesos_docker_scheduler.records.overrides import Overrides
from mesos_docker_scheduler.records.rollout import Rollouts
from mesos_docker_scheduler.records.store import Remembered, StoreError
from mesos_docker_scheduler.records.task_index import TaskIndex
from mesos_docker_scheduler.records.tasks import Task
from mesos_docker_scheduler.records.tokens import Token, Tokens
from mesos_docker_scheduler.records.versions import Versions
from mesos_docker_scheduler.records.zookeeper_store import Fence, Replica

_LOOK_SECONDS = 5.0
_SHORTEST_PAUSE_SECONDS = 0.5
_EVENTS_SHOWN = 50
# A moment that goes on alone is told so seldom to those who watch.
_AGE_SECONDS = 15.0

OUTDATED = (
    "the leader has acted on a newer configuration than that of this host, so this scheduler does not lead:"
    " deploy the newer one here, too, or reload the service if this host's is meant"
)


class Standby:
    """Follows until `run` says what comes next. Any thread may ask for what is shown.

    `snapshot` has the leader's tasks, versions and events as they were written, and the moment when they were
    read; what the leader alone knows (offers, why something waits) it has not. `alive_at` is the monotonic
    time of the last look.

    problem: why we could not lead if it were our turn. stand: becomes a candidate; it is called once, when it
    is known that our configuration is not outdated, and the state still there.
    """

    def __init__(
        self,
        config: Config,
        sha256: str,
        written_at: float,
        replica: Replica,
        us: Leader,
        *,
        problem: Callable[[], str | None],
        stand: Callable[[], None],
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self.config = config
        """As it was read last."""
        self._edition = Edition.of(config, written_at)
        self.config_view = ConfigView(sha256, clock(), self._edition.digest)
        self._replica = replica
        self._us = us
        self._problem = problem
        self._stand: Callable[[], None] | None = stand
        self._metrics = metrics
        self._clock = clock
        self._views = _FollowedViews()
        self._shown: object = None
        self._known = False
        self._read_at = 0.0
        self._meant = False  # whether an operator says so of our configuration, whatever is on record
        self.log = EventLog()
        self.tokens: tuple[Token, ...] | None = None
        """Those made over the API; None: they were not read yet."""
        self.alive_at = time.monotonic()
        metrics.last_round.set_function(lambda: time.time() - (time.monotonic() - self.alive_at))
        metrics.watch_reading(lambda: self._read_at)
        self.snapshot = Snapshot(
            0.0,
            None,
            False,
            None,
            self.config_view,
            (),
            "nothing was read from ZooKeeper yet",
            leads=False,
            known=False,
        )

    @property
    def written_at(self) -> float:
        """When the configuration was written last, as it counts against the one on record."""
        return self._edition.written_at

    def run(
        self, inbox: queue.SimpleQueue[events.AnyEvent], after_round: Callable[[], None]
    ) -> Fence | events.Stop | events.Deposed:
        """Follow until we are elected, can't go on following, or are told to stop."""
        earliest, latest = 0.0, 0.0
        while True:
            now = time.monotonic()
            if now >= latest:
                self._look()
                self.alive_at = time.monotonic()
                # However often the leader writes, most of our time is left to those who ask.
                earliest = self.alive_at + max(_SHORTEST_PAUSE_SECONDS, 5 * (self.alive_at - now))
                latest = max(earliest, self.alive_at + _LOOK_SECONDS)
                after_round()
            try:
                event = inbox.get(timeout=max(0.0, latest - time.monotonic()))
            except queue.Empty:
                continue
            match event:
                case events.Elected():
                    return event.fence
                case events.Stop() | events.Deposed():
                    return event
                case events.ThreadEnded():
                    return events.Deposed(f"the thread {event.thread} has ended by a {event.error}")
                case events.Command():
                    event.reply(NotLeadingError(self.snapshot.leader))
                case events.ConfigRead():
                    needed = self._take_config(event)
                    if needed:
                        return events.Deposed(f"changed, and read at a start alone: {', '.join(needed)}")
                    latest = earliest
                case events.Written():
                    latest = earliest

    def _take_config(self, event: events.ConfigRead) -> list[str]:
        """Take in what the file says; returns the settings that are read at a start alone, and have changed.

        A start costs a follower nothing.
        """
        if event.config is None:
            self.config_view = replace(self.config_view, error=event.error)
            return []
        needed = self.config.restart_needed(event.config)
        self._edition = Edition.of(event.config, event.written_at)
        self.config = event.config
        self.config_view = ConfigView(event.sha256, self._clock(), self._edition.digest)
        self._meant = event.asked
        return needed

    def _look(self) -> None:
        """Take in what was written since the last look, and show it if it is news."""
        try:
            self._replica.catch_up()
            self._known, self._read_at = True, self._clock()
            leader = self._replica.leader
            problem = self._obstacle() or self._problem()
        except StoreError as error:
            leader, problem = None, str(error)
        seen = (self._replica.generation, leader, self.config_view, problem)
        if seen != self._shown:
            self._shown = seen
            self.snapshot = self._snapshot(leader, problem)
            self._metrics.show(self.snapshot)
        elif self._read_at - self.snapshot.at >= _AGE_SECONDS:
            self.snapshot = replace(self.snapshot, at=self._read_at)

    def _obstacle(self) -> str | None:
        """Why we may not lead; stand if nothing keeps us from it."""
        records = self._replica.content.remembered().records
        known = recorded(records)
        if self._meant:
            self._edition = self._edition.after(known)
        outdated = self._edition.is_older_than(known)
        if outdated is not self.config_view.outdated:
            self.config_view = replace(self.config_view, outdated=outdated)
        if MOVED in records:
            return f"the state was moved from here to {records[MOVED]}, and this scheduler does not know it"
        if outdated:
            return OUTDATED
        if self._stand is not None:
            stand, self._stand = self._stand, None
            stand()
        return None

    def _snapshot(self, leader: Leader | None, problem: str | None) -> Snapshot:
        remembered = self._replica.content.remembered()
        try:
            services, tokens = self._views.show(self.config, remembered, self._clock())
            if self._known:
                self.tokens = tokens
        except StoreError as error:
            services, problem = self.snapshot.services, str(error)
        self.log.extend(event for event in remembered.events if event.id > self.log.newest_id)
        return Snapshot(
            self._read_at,
            remembered.framework_id,
            False,
            None,
            self.config_view,
            services,
            problem,
            events=remembered.events[-_EVENTS_SHOWN:],
            agents=self._views.agents,
            leads=False,
            known=self._known,
            # One that was killed and started again has led until its former session ends.
            leader=leader if leader != self._us else None,
        )


class _FollowedViews:
    """The services as the leader's records have them; what has not changed is not made anew."""

    def __init__(self) -> None:
        self._versions = Versions({})
        self._index = TaskIndex()
        self._tasks: Mapping[str, Task] = {}
        self._views = Views(self._made_of)
        self.agents = OfferBook().agents

    def show(
        self, config: Config, remembered: Remembered, now: float
    ) -> tuple[tuple[ServiceView, ...], tuple[Token, ...]]:
        """What is to be shown of the services, and the tokens. StoreError: a record is damaged."""
        self._versions = Versions(remembered.versions)
        overrides, dependencies, tokens = Overrides(), Dependencies(), Tokens()
        rollouts, offers = Rollouts(lambda state, seconds: None), OfferBook()
        rollouts.restore_by(remembered.records, now)
        for kept in (overrides, dependencies, tokens, offers):
            kept.restore(remembered.records)
        desired = DesiredState(overrides, rollouts, dependencies, self._versions)
        desired.take(config)
        self._follow(remembered.tasks)
        self.agents = offers.agents
        services = tuple(
            self._views.show(
                service,
                self._index.of_service(service.name),
                (),
                Desired(
                    desired.file_services[service.name],
                    overrides.of(service.name),
                    rollouts.records.get(service.name),
                ),
                self.agents,
                certain=False,
            )
            for service in desired.config.services
        )
        self._views.forget_except(desired.services)
        return services, tokens.all

    def _made_of(self, service: str, version: str) -> str:
        return self._versions.made_of(service, version)

    def _follow(self, tasks: Mapping[str, Task]) -> None:
        for task_id, task in self._tasks.items():
            if tasks.get(task_id) is not task:
                self._index.remove(task)
        for task_id, task in tasks.items():
            if self._tasks.get(task_id) is not task and not task.state.ended:
                self._index.put(task)
        self._tasks = tasks
