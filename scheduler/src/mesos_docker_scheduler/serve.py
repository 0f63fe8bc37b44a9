"""Puts the parts together and runs them until a signal, or until Mesos refuses us."""

from __future__ import annotations

import contextlib
import gc
import logging
import queue
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mesos_docker_scheduler import sd_notify, web
from mesos_docker_scheduler.clock import SteadyClock
from mesos_docker_scheduler.config import Config, Http
from mesos_docker_scheduler.control import events, ownership, principal
from mesos_docker_scheduler.control.callbacks import QueueingScheduler
from mesos_docker_scheduler.control.controller import Controller, Refused
from mesos_docker_scheduler.control.framework import framework_info
from mesos_docker_scheduler.control.ownership import Ownership
from mesos_docker_scheduler.control.principal import as_registered
from mesos_docker_scheduler.control.recovery import BEGIN_ANEW, Recovery
from mesos_docker_scheduler.driver import Credential, SchedulerDriver, TlsSettings
from mesos_docker_scheduler.driver.operator_api import OperatorApi
from mesos_docker_scheduler.exits import ExitError
from mesos_docker_scheduler.observability import journal
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.observability.snapshot import Snapshot
from mesos_docker_scheduler.records.store import Change, Event, Remembered, SqliteStore, StoreError
from mesos_docker_scheduler.sandbox import Sandboxes
from mesos_docker_scheduler.watcher import ConfigWatcher

# As in sysexits.h where that has a fitting one. After 76 and 77 systemd must not start us again
# (RestartPreventExitStatus).
EXIT_REFUSED = 70
EXIT_ADDRESS = 71
EXIT_STORE = 74
EXIT_FRAMEWORK_REMOVED = 76
EXIT_FAILED_OVER = 77
EXIT_CONFIG = 78

_SHORTEST_TOKEN = 16

logger = logging.getLogger(__name__)


class SchedulerError(ExitError):
    """The scheduler can't go on."""


@dataclass(frozen=True, slots=True)
class Source:
    """The configuration: as read, its file's sha256, and the file to watch (None: it never changes)."""

    config: Config
    sha256: str
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """What we send to masters and agents to be let in, and how we speak to them."""

    masters: Credential | None
    agents: Credential | None
    tls: TlsSettings | None

    @classmethod
    def of(cls, config: Config) -> Access:
        """As configured. SchedulerError when a secret can't be read."""
        framework = config.framework
        masters = credential("framework.secret_file", framework.principal, framework.secret_file)
        agents = credential("framework.agent_secret_file", framework.principal, framework.agent_secret_file)
        tls = TlsSettings(**config.tls.model_dump()) if config.tls.model_fields_set else None
        return cls(masters, agents or masters, tls)


def credential(setting: str, principal: str | None, path: str | None) -> Credential | None:
    """The credential whose secret stands in a file. SchedulerError when that can't be read.

    The file is read each time. One beside it, PATH.previous, has the secret of before for as long as some may
    know no other.
    """
    if principal is None or path is None:
        return None
    made = Credential(principal, partial(_secrets, Path(path), Path(f"{path}.previous")))
    try:
        _secrets(Path(path), Path(f"{path}.previous"))
    except (OSError, ValueError) as error:
        raise SchedulerError(EXIT_CONFIG, f"{setting}: {path}: can't be read: {error}") from error
    return made


def _secrets(current: Path, previous: Path) -> list[str]:
    secrets = [current.read_text().rstrip("\n")]
    if not secrets[0]:
        raise ValueError("it is empty")
    with contextlib.suppress(FileNotFoundError):
        secrets.append(previous.read_text().rstrip("\n"))
    return secrets


def make_driver(
    config: Config, access: Access, remembered: Remembered, inbox: Callable[[events.AnyEvent], None]
) -> SchedulerDriver:
    """A driver that puts all it hears into the inbox. SchedulerError when the credential can't be used."""
    try:
        registered = as_registered(config, remembered)
    except ValueError as error:
        raise SchedulerError(EXIT_CONFIG, str(error)) from error
    owned = Ownership(operator_api(config, access), remembered.records.get(ownership.RECORD), inbox)
    return SchedulerDriver(
        QueueingScheduler(inbox),
        framework_info(registered, remembered.framework_id),
        config.master,
        credential=access.masters,
        tls=access.tls,
        before_subscribe=owned.before_subscribe,
    )


def operator_api(config: Config, access: Access) -> OperatorApi:
    """Whom to ask what the masters know."""
    return OperatorApi(config.master, credential=access.masters, tls=access.tls)


def serve(source: Source, tell: Callable[[Event], None]) -> Snapshot:
    """Run until SIGTERM or SIGINT; returns what it left running. SchedulerError in all other cases."""
    config = source.config
    try:
        store = SqliteStore(Path(config.state_dir))
        with contextlib.closing(store), rare_garbage_collection():
            return _serve(source, store, tell)
    except StoreError as error:
        raise SchedulerError(EXIT_STORE, str(error)) from error


@contextlib.contextmanager
def rare_garbage_collection() -> Iterator[None]:
    """Look for unreachable cycles seldom.

    What comes and goes by the thousand here (events, offers, calls, tasks) is no part of any, and Python
    would look through all of it again and again: half of the time of placing 100,000 instances.
    """
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _serve(source: Source, store: SqliteStore, tell: Callable[[Event], None]) -> Snapshot:
    config = source.config
    remembered = store.load()
    inbox: queue.SimpleQueue[events.AnyEvent] = queue.SimpleQueue()
    access = Access.of(config)
    driver = make_driver(config, access, remembered, inbox.put)
    known = as_registered(config, remembered).framework.principal
    store.commit(Change(records={principal.RECORD: known or ""}))
    recovery = Recovery(
        operator_api(config, access),
        config.framework.name,
        config.framework.principal,
        inbox.put,
    )
    metrics = Metrics()
    metrics.watch_driver(driver)
    metrics.store_size.set_function(lambda: store.size_bytes)
    controller = Controller(
        config,
        source.sha256,
        store,
        remembered,
        driver,
        inbox=inbox,
        clock=SteadyClock(),
        metrics=metrics,
        tell=tell,
        survey=recovery.survey,
        skipped_ports=secrets.randbelow(1 << 16),
    )

    def subscribe_as(framework_id: str | None) -> None:
        if framework_id is not None:
            driver.take_over(framework_id)
        driver.start()

    certificate = _certificate(config.http)
    if certificate is not None:
        metrics.watch_certificate(lambda: certificate.ends_at)

    def look(asked: bool) -> None:
        if certificate is not None:
            certificate.look(asked=asked)

    with (
        _supervised(inbox.put),
        _web_server(config, controller, metrics, inbox, access, certificate),
        _signals(source, inbox, look),
    ):
        if remembered.framework_id is None and BEGIN_ANEW not in remembered.records:
            recovery.find(subscribe_as)
        else:
            driver.start()
        try:
            sd_notify.notify("READY=1")
            outcome = controller.run(after_round=_beat())
            sd_notify.notify("STOPPING=1")
        finally:
            recovery.stop()
            driver.stop()
            driver.join()
    if isinstance(outcome, Refused):
        raise _refusal(outcome.message, config, controller.snapshot.framework_id)
    return controller.snapshot


@contextlib.contextmanager
def _web_server(
    config: Config,
    controller: Controller,
    metrics: Metrics,
    inbox: queue.SimpleQueue[events.AnyEvent],
    access: Access,
    certificate: web.Certificate | None,
) -> Iterator[None]:
    if config.http is None:
        yield
        return
    sources = web.Sources(
        snapshot=lambda: controller.snapshot,
        alive_at=lambda: controller.alive_at,
        log=controller.log,
        metrics=metrics,
        put=inbox.put,
        sandboxes=Sandboxes(access.tls, access.agents),
        tokens=lambda: controller.tokens,
    )
    app = web.application(sources, _web_access(config.http))
    try:
        server = web.WebServer(app, config.http.bind, config.http.port, certificate)
    except OSError as error:
        address = f"{config.http.bind}:{config.http.port}"
        raise SchedulerError(EXIT_ADDRESS, f"http: can't listen on {address}: {error.strerror}") from error
    server.start()
    try:
        yield
    finally:
        server.stop()


def _certificate(http: Http | None) -> web.Certificate | None:
    """What the web server shows. SchedulerError when the files can't be used."""
    if http is None or http.tls is None:
        return None
    try:
        return web.Certificate(http.tls.cert_file, http.tls.key_file)
    except web.CertificateError as error:
        raise SchedulerError(EXIT_CONFIG, str(error)) from error


def _web_access(http: Http) -> web.Access:
    """Who may do what there. SchedulerError when the token can't be read or is none."""
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


@contextlib.contextmanager
def _supervised(put: Callable[[events.ThreadEnded], None]) -> Iterator[None]:
    """Tell of every thread that ends by an error, those of libraries included."""

    def ended(details: threading.ExceptHookArgs) -> None:
        if details.exc_type is SystemExit or details.exc_value is None:
            return
        name = details.thread.name if details.thread is not None else "?"
        logger.critical("The thread %s has ended", name, exc_info=details.exc_value)
        # Its words may quote what is nobody's business.
        put(events.ThreadEnded(name, details.exc_type.__name__))

    before, threading.excepthook = threading.excepthook, ended
    try:
        yield
    finally:
        threading.excepthook = before


@contextlib.contextmanager
def _signals(
    source: Source, inbox: queue.SimpleQueue[events.AnyEvent], look: Callable[[bool], None]
) -> Iterator[None]:
    """SIGTERM and SIGINT end the scheduler and leave the tasks; SIGHUP reads its files again.

    `look` looks at files beside the configuration, each second; it hears whether that was asked for.
    """

    def take(event: events.ConfigRead) -> None:
        if event.config is not None:
            journal.set_level(event.config.log_level)
        inbox.put(event)

    watcher = ConfigWatcher(source.path, source.config, take, look) if source.path is not None else None
    if watcher is not None:
        watcher.start()

    def stop(number: int, frame: object) -> None:
        # SimpleQueue.put may be called from a signal handler.
        inbox.put(events.Stop())

    def reload(number: int, frame: object) -> None:
        if watcher is not None:
            watcher.look_now()

    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _beat() -> Callable[[], None]:
    """Give systemd a sign of life after a round, but not after each of hundreds a second."""
    patience = sd_notify.watchdog_seconds()
    if patience is None:
        return lambda: None
    pause, next_at = patience / 4, 0.0

    def beat() -> None:
        nonlocal next_at
        now = time.monotonic()
        if now >= next_at:
            next_at = now + pause
            sd_notify.notify("WATCHDOG=1")

    return beat


def _refusal(message: str, config: Config, framework_id: str | None) -> SchedulerError:
    state = Path(config.state_dir) / "state.sqlite"
    if "failed over" in message:
        return SchedulerError(
            EXIT_FAILED_OVER,
            f"another scheduler has taken over framework {framework_id} ({message}): this one ends, and"
            " leaves the tasks to it. If the other one is gone for good, and this one is to go on:"
            f" `mesos-docker-scheduler adopt --config FILE --framework {framework_id}`, and start it again",
        )
    if "removed" in message or "Completed framework" in message:
        return SchedulerError(
            EXIT_FRAMEWORK_REMOVED,
            f"Mesos has removed framework {framework_id} and killed its tasks (it was torn down, or no"
            f" scheduler came within failover_timeout): {message}. To begin anew under a new id, move {state}"
            " away and start the scheduler again",
        )
    return SchedulerError(EXIT_REFUSED, f"Mesos refuses framework {framework_id}: {message}")
