"""What the process does in turn: follow another scheduler, where there are several, and lead."""

from __future__ import annotations

import contextlib
import logging
import queue
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mesos_docker_scheduler import sd_notify, web
from mesos_docker_scheduler.clock import SteadyClock
from mesos_docker_scheduler.config import Config, Http
from mesos_docker_scheduler.control import events, ownership, principal
from mesos_docker_scheduler.control.callbacks import QueueingScheduler
from mesos_docker_scheduler.control.controller import Controller, Refused
from mesos_docker_scheduler.control.edition import Edition, recorded
from mesos_docker_scheduler.control.framework import framework_info
from mesos_docker_scheduler.control.operations import HandOver
from mesos_docker_scheduler.control.ownership import Ownership
from mesos_docker_scheduler.control.principal import as_registered
from mesos_docker_scheduler.control.recovery import BEGIN_ANEW, Recovery
from mesos_docker_scheduler.driver import SchedulerDriver
from mesos_docker_scheduler.driver.operator_api import OperatorApi
from mesos_docker_scheduler.election import Member
from mesos_docker_scheduler.exec_sessions import EXEC_SECRET, ExecSessions, new_secret
from mesos_docker_scheduler.exits import (
    EXIT_CONFIG,
    EXIT_DEPOSED,
    EXIT_FAILED_OVER,
    EXIT_FRAMEWORK_REMOVED,
    EXIT_REFUSED,
    SchedulerError,
)
from mesos_docker_scheduler.mesos_access import Access
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.observability.snapshot import ConfigView, Snapshot
from mesos_docker_scheduler.records.store import (
    Change,
    DurableStore,
    Event,
    Remembered,
)
from mesos_docker_scheduler.records.zookeeper_store import Fence, FencedError, Replica, ZooKeeperStore
from mesos_docker_scheduler.sandbox import Sandboxes
from mesos_docker_scheduler.standby import OUTDATED, Standby

_SHORTEST_TOKEN = 16

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """The configuration: as read, its file's sha256, and the file to watch (None: it never changes).

    `written_at`: when it was written last, in seconds of the epoch.
    """

    config: Config
    sha256: str
    path: Path | None = None
    written_at: float = 0.0


def make_driver(
    config: Config,
    access: Access,
    remembered: Remembered,
    inbox: Callable[[events.AnyEvent], None],
    leads: Callable[[], bool] | None = None,
    message: Callable[[str, bytes], None] | None = None,
) -> SchedulerDriver:
    """A driver that puts all it hears into the inbox. SchedulerError when the credential can't be used.

    leads: whether we are still elected, where schedulers share their state. `message` hears what executors
    say.
    """
    try:
        registered = as_registered(config, remembered)
    except ValueError as error:
        raise SchedulerError(EXIT_CONFIG, str(error)) from error
    record = remembered.records.get(ownership.RECORD)
    owned = Ownership(operator_api(config, access), record, inbox, leads=leads)
    return SchedulerDriver(
        QueueingScheduler(inbox, message),
        framework_info(registered, remembered.framework_id),
        config.master,
        credential=access.masters,
        tls=access.tls,
        before_subscribe=owned.before_subscribe,
    )


def operator_api(config: Config, access: Access) -> OperatorApi:
    """Whom to ask what the masters know."""
    return OperatorApi(config.master, credential=access.masters, tls=access.tls)


class Process:
    """What stays while a scheduler follows another one, and then leads.

    `source` is what it was started with.
    """

    def __init__(
        self,
        source: Source,
        inbox: queue.SimpleQueue[events.AnyEvent],
        tell: Callable[[Event], None],
        listener: socket.socket | None,
        certificate: web.Certificate | None,
    ) -> None:
        self._source = source
        self._inbox = inbox
        self._tell = tell
        self._listener = listener
        self._certificate = certificate
        self._web_access = _web_access(source.config.http)
        self._access = Access.of(source.config)
        self._beat = sd_notify.beat()
        self._clock = SteadyClock()

    def take_turns(self, member: Member) -> Snapshot:
        """Follow until it is our turn, and lead then."""
        config, inbox = self._source.config, self._inbox
        replica = Replica(member.client, member.root, lambda: inbox.put(events.Written()))
        metrics = self._metrics()
        standby = Standby(
            config,
            self._source.sha256,
            self._source.written_at,
            replica,
            member.us,
            problem=lambda: member.problem,
            stand=member.stand,
            metrics=metrics,
            clock=self._clock,
        )
        server = self._web_server(standby, metrics, ExecSessions(_nowhere))
        member.connect()
        sd_notify.notify("READY=1")
        try:
            outcome = standby.run(inbox, self._beat)
        finally:
            # Whoever holds a connection to it must not keep us from taking over.
            ending = threading.Thread(target=server.stop, name="former web", daemon=True)
            ending.start()
        if isinstance(outcome, events.Deposed):
            raise _deposed(outcome)
        if isinstance(outcome, events.Stop):
            return standby.snapshot
        store = ZooKeeperStore(member.client, member.root, outcome, replica, self._fenced)
        try:
            with contextlib.closing(store):
                term = Term(member, outcome, standby.config, standby.config_view, standby.written_at)
                return self.lead(store, term)
        except FencedError as error:
            raise _deposed(events.Deposed(str(error))) from error

    def _fenced(self) -> None:
        self._inbox.put(events.Deposed("another one has been elected"))

    def _step_down(self) -> None:
        self._inbox.put(events.Deposed("an operator has asked for it"))

    def lead(self, store: DurableStore, term: Term | None = None) -> Snapshot:
        """Keep what runs as the configuration says. `term`: of one of several schedulers."""
        config = self._source.config if term is None else term.config
        sha256 = self._source.sha256 if term is None else term.config_view.sha256
        written_at = self._source.written_at if term is None else term.written_at
        inbox, access = self._inbox, self._access
        remembered = store.load()
        if term is not None and term.outdated(remembered):
            raise _deposed(events.Deposed(OUTDATED))
        # The driver and the sessions need each other: it is there when the first message is sent.
        exec_secret = remembered.records.get(EXEC_SECRET) or new_secret()
        execs = ExecSessions(
            lambda *message: driver.send_message(*message),  # noqa: PLW0108
            exec_secret,
        )
        driver = make_driver(
            config, access, remembered, inbox.put, term.holds if term is not None else None, execs.heard
        )
        known = as_registered(config, remembered).framework.principal
        store.commit(Change(records={principal.RECORD: known or "", EXEC_SECRET: exec_secret}))
        recovery = Recovery(
            operator_api(config, access),
            config.framework.name,
            config.framework.principal,
            inbox.put,
        )
        metrics = self._metrics()
        metrics.watch_driver(driver)
        metrics.store_size.set_function(lambda: store.size_bytes)
        controller = Controller(
            config,
            sha256,
            store,
            remembered,
            driver,
            inbox=inbox,
            clock=self._clock,
            metrics=metrics,
            tell=self._tell,
            survey=recovery.survey,
            skipped_ports=secrets.randbelow(1 << 16),
            written_at=written_at,
            started_with=self._source.config,
            exec_secret=exec_secret,
            hand_over=HandOver(term.member.no_successor, self._step_down) if term is not None else None,
        )
        if term is not None and term.config_view.error is not None:
            inbox.put(events.ConfigRead(None, "", term.config_view.error))

        def subscribe_as(framework_id: str | None) -> None:
            if framework_id is not None:
                driver.take_over(framework_id)
            driver.start()

        server = self._web_server(controller, metrics, execs)
        try:
            if remembered.framework_id is None and BEGIN_ANEW not in remembered.records:
                recovery.find(subscribe_as)
            else:
                driver.start()
            sd_notify.notify("READY=1")
            outcome = controller.run(after_round=self._beat)
            sd_notify.notify("STOPPING=1")
        finally:
            recovery.stop()
            driver.stop()
            driver.join()
            if term is not None:
                term.member.close()  # the next one need not wait for those who look at our page
            server.stop()
        if isinstance(outcome, events.Deposed):
            raise _deposed(outcome)
        if isinstance(outcome, Refused):
            framework_id = controller.snapshot.framework_id
            raise _refusal(outcome.message, store.place, framework_id, alone=term is None)
        return controller.snapshot

    def _metrics(self) -> Metrics:
        metrics, certificate = Metrics(), self._certificate
        if certificate is not None:
            metrics.watch_certificate(lambda: certificate.ends_at)
        return metrics

    def _web_server(self, shown: Standby | Controller, metrics: Metrics, execs: ExecSessions) -> _Server:
        if self._listener is None:
            return _NoServer()
        sources = web.Sources(
            snapshot=lambda: shown.snapshot,
            alive_at=lambda: shown.alive_at,
            log=shown.log,
            metrics=metrics,
            put=self._inbox.put,
            sandboxes=Sandboxes(self._access.tls, self._access.agents),
            execs=execs,
            tokens=lambda: shown.tokens,
        )
        app = web.application(sources, self._web_access)
        server = web.WebServer(app, self._listener, self._certificate)
        server.start()
        return server


def _nowhere(*_: object) -> None:
    """Send no message: who follows has no driver."""


class _Server(Protocol):
    def stop(self) -> None:
        """End it."""


class _NoServer:
    def stop(self) -> None:
        """There is none."""


@dataclass(frozen=True, slots=True)
class Term:
    """The time in which one of several schedulers leads, with the configuration that it had read before."""

    member: Member
    fence: Fence
    config: Config
    config_view: ConfigView
    written_at: float

    def outdated(self, remembered: Remembered) -> bool:
        """Whether a leader has acted on a newer configuration."""
        return Edition.of(self.config, self.written_at).is_older_than(recorded(remembered.records))

    def holds(self) -> bool:
        """Whether nobody has been elected since. ConnectionEnded: that can't be found out now."""
        return self.member.leads(self.fence)


def _web_access(http: Http | None) -> web.Access:
    """Who may do what there. SchedulerError when the token can't be read or is none."""
    if http is None:
        return web.Access()
    hosts = web.Hosts(http.allowed_hosts)
    if http.token_file is None:
        return web.Access(read=http.read, hosts=hosts)
    try:
        token = Path(http.token_file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SchedulerError(
            EXIT_CONFIG, f"http.token_file: {http.token_file}: can't be read: {error}"
        ) from error
    if len(token) < _SHORTEST_TOKEN or not token.isascii():
        raise SchedulerError(
            EXIT_CONFIG,
            f"http.token_file: {http.token_file}: what it holds is not allowed; it must be a text of at least"
            f" {_SHORTEST_TOKEN} ASCII characters",
        )
    return web.Access(token, http.read, hosts)


def was_removed(message: str) -> bool:
    """Whether Mesos refuses a framework because it has ended it."""
    return "removed" in message or "Completed framework" in message


def _deposed(outcome: events.Deposed) -> SchedulerError:
    return SchedulerError(
        EXIT_DEPOSED, f"another scheduler may lead by now ({outcome.why}): this one starts anew, and follows"
    )


def _refusal(message: str, place: str, framework_id: str | None, *, alone: bool) -> SchedulerError:
    if "failed over" in message and not alone:
        return _deposed(events.Deposed(message))
    if "failed over" in message:
        return SchedulerError(
            EXIT_FAILED_OVER,
            f"another scheduler has taken over framework {framework_id} ({message}): this one ends, and"
            " leaves the tasks to it. If the other one is gone for good, and this one is to go on:"
            f" `mesos-docker-scheduler adopt --config FILE --framework {framework_id}`, and start it again",
        )
    if was_removed(message):
        return SchedulerError(
            EXIT_FRAMEWORK_REMOVED,
            f"Mesos has removed framework {framework_id} and killed its tasks (it was torn down, or no"
            f" scheduler came within failover_timeout): {message}. To begin anew under a new id,"
            f" forget what is on record in {place} by `mesos-docker-scheduler teardown --config FILE --yes`,"
            " and start the scheduler again",
        )
    return SchedulerError(EXIT_REFUSED, f"Mesos refuses framework {framework_id}: {message}")
