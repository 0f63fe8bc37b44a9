"""Puts the parts together and runs them until a signal, or until Mesos refuses us."""

from __future__ import annotations

import contextlib
import gc
import logging
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from mesos_docker_scheduler import web
from mesos_docker_scheduler.config import Config, Http, SharedState
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.election import Member
from mesos_docker_scheduler.exits import EXIT_ADDRESS, EXIT_CONFIG, EXIT_STORE, SchedulerError
from mesos_docker_scheduler.mesos_access import zookeeper_logins
from mesos_docker_scheduler.observability import journal
from mesos_docker_scheduler.observability.snapshot import Leader, Snapshot
from mesos_docker_scheduler.process import Process, Source
from mesos_docker_scheduler.records.store import STATE_FILE, Event, SqliteStore, StoreError
from mesos_docker_scheduler.watcher import ConfigWatcher

logger = logging.getLogger(__name__)


def serve(source: Source, tell: Callable[[Event], None]) -> Snapshot:
    """Run until SIGTERM or SIGINT; returns what it left running. SchedulerError in all other cases."""
    config = source.config
    inbox: queue.SimpleQueue[events.AnyEvent] = queue.SimpleQueue()
    certificate = _certificate(config.http)

    def look(asked: bool) -> None:
        if certificate is not None:
            certificate.look(asked=asked)

    try:
        with rare_garbage_collection(), _supervised(inbox.put), _listener(config.http) as listener:
            process = Process(source, inbox, tell, listener, certificate)
            if config.shared_state is None:
                with (
                    contextlib.closing(SqliteStore(Path(config.state_dir))) as store,
                    _signals(source, inbox, look),
                ):
                    return process.lead(store)
            _see_that_state_has_moved(config)
            with (
                contextlib.closing(_member(config.shared_state, config.framework.hostname, inbox)) as member,
                _signals(source, inbox, look),
            ):
                return process.take_turns(member)
    except StoreError as error:
        raise SchedulerError(EXIT_STORE, str(error)) from error


def _see_that_state_has_moved(config: Config) -> None:
    """With a state left in the folder, the one in ZooKeeper would lack what operators have changed."""
    if not (Path(config.state_dir) / STATE_FILE).exists():
        return
    with contextlib.closing(SqliteStore(Path(config.state_dir))) as store:
        framework_id = store.load().framework_id
    if framework_id is not None:
        raise StoreError(
            f"{store.place}: framework {framework_id} is on record here, and shared_state is set: move it"
            " first, by `mesos-docker-scheduler move-state --config FILE --to zookeeper`"
        )


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


def _member(shared: SharedState, hostname: str | None, inbox: queue.SimpleQueue[events.AnyEvent]) -> Member:
    us = Leader(hostname or socket.gethostname(), shared.url)
    return Member(
        shared,
        zookeeper_logins(shared),
        us,
        elected=lambda fence: inbox.put(events.Elected(fence)),
        ended=lambda why: inbox.put(events.Deposed(why)),
        changed=lambda: inbox.put(events.Written()),
    )


@contextlib.contextmanager
def _listener(http: Http | None) -> Iterator[socket.socket | None]:
    if http is None:
        yield None
        return
    try:
        listener = web.listen(http.bind, http.port)
    except OSError as error:
        raise SchedulerError(
            EXIT_ADDRESS, f"http: can't listen on {http.bind}:{http.port}: {error.strerror}"
        ) from error
    with listener:
        yield listener


def _certificate(http: Http | None) -> web.Certificate | None:
    """What the web server shows. SchedulerError when the files can't be used."""
    if http is None or http.tls is None:
        return None
    try:
        return web.Certificate(http.tls.cert_file, http.tls.key_file)
    except web.CertificateError as error:
        raise SchedulerError(EXIT_CONFIG, str(error)) from error


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
