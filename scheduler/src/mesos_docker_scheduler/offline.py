"""The state, for commands that are given while no scheduler runs."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Iterator
from pathlib import Path

from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError

from mesos_docker_scheduler.config import Config, SharedState
from mesos_docker_scheduler.election import Member, in_words
from mesos_docker_scheduler.exits import EXIT_STORE, SchedulerError
from mesos_docker_scheduler.mesos_access import zookeeper_logins
from mesos_docker_scheduler.observability.snapshot import Leader
from mesos_docker_scheduler.records.store import DurableStore, SqliteStore, StoreError
from mesos_docker_scheduler.records.zookeeper_store import Fence, ZooKeeperStore, place_of

_ELECTION_SECONDS = 10.0
_PAUSE_SECONDS = 0.2


@contextlib.contextmanager
def offline_store(config: Config) -> Iterator[DurableStore]:
    """Open the state, and keep schedulers from it meanwhile. SchedulerError while one uses it."""
    with told():
        if config.shared_state is None:
            with contextlib.closing(SqliteStore(Path(config.state_dir))) as store:
                yield store
        else:
            with offline_shared_store(config.shared_state) as store:
                yield store


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Say of a store that can't be used what to do."""
    try:
        yield
    except StoreError as error:
        raise SchedulerError(EXIT_STORE, f"{error}; stop the scheduler first") from error


@contextlib.contextmanager
def offline_shared_store(shared: SharedState) -> Iterator[DurableStore]:
    """Open the state in ZooKeeper. StoreError while a scheduler leads."""
    fences: queue.SimpleQueue[Fence] = queue.SimpleQueue()
    us = Leader("a command", None)
    member = Member(shared, zookeeper_logins(shared), us, elected=fences.put, ended=lambda why: None)
    where = place_of(member.client, member.root)
    with contextlib.closing(member):
        _wait_until_nobody_runs(member, shared.session_seconds, where)
        member.stand()
        try:
            fence = fences.get(timeout=_ELECTION_SECONDS)
        except queue.Empty:
            raise StoreError(f"{where}: {member.problem or 'another scheduler leads'}") from None
        with contextlib.closing(ZooKeeperStore(member.client, member.root, fence)) as store:
            yield store


def _wait_until_nobody_runs(member: Member, session_seconds: float, where: str) -> None:
    """See that there is no candidate; one that was killed counts until its session has ended."""
    until = time.monotonic() + max(_ELECTION_SECONDS, session_seconds + _ELECTION_SECONDS / 2)
    member.connect()
    problem = "there is no connection"
    while time.monotonic() < until:
        try:
            if member.client.connected:
                others = len(member.others())
                if others == 0:
                    return
                problem = f"{others} {'scheduler runs' if others == 1 else 'schedulers run'}"
        except (KazooException, KazooTimeoutError) as error:
            problem = in_words(error, member.root)
        time.sleep(_PAUSE_SECONDS)
    raise StoreError(f"{where}: {problem}")
