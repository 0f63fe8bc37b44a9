"""Copies the state out of ZooKeeper, for a backup. Schedulers may run meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kazoo.client import KazooClient
from kazoo.handlers.threading import KazooTimeoutError

from mesos_docker_scheduler.config import Config, SharedState
from mesos_docker_scheduler.election import client_of, root_of
from mesos_docker_scheduler.exits import EXIT_CONFIG, EXIT_STORE, SchedulerError
from mesos_docker_scheduler.mesos_access import zookeeper_logins
from mesos_docker_scheduler.records.store import STATE_FILE, SqliteStore, StoreError
from mesos_docker_scheduler.records.zookeeper_store import Replica, place_of

_CONNECT_SECONDS = 10.0


def copy_state(config: Config, folder: Path) -> int:
    """Write what is in shared_state, as of one moment, into a folder; returns the exit status.

    SchedulerError: there is a state in the folder, or ZooKeeper's can't be read.
    """
    if config.shared_state is None:
        raise SchedulerError(EXIT_CONFIG, "shared_state: is missing; it says where the state is in ZooKeeper")
    if (folder / STATE_FILE).exists():
        raise SchedulerError(EXIT_STORE, f"{folder / STATE_FILE}: is there already")
    try:
        with _connected(config.shared_state) as client:
            replica = Replica(client, root_of(config.shared_state))
            replica.catch_up()
        remembered = replica.content.remembered()
        with contextlib.closing(SqliteStore(folder)) as copy:
            copy.load()
            copy.commit(remembered.as_change())
            print(f"The state of framework {remembered.framework_id} is in {copy.place}, too")
    except StoreError as error:
        raise SchedulerError(EXIT_STORE, str(error)) from error
    return 0


@contextlib.contextmanager
def _connected(shared: SharedState) -> Iterator[KazooClient]:
    client = client_of(shared, zookeeper_logins(shared))
    try:
        client.start(timeout=_CONNECT_SECONDS)
        yield client
    except KazooTimeoutError as error:
        raise StoreError(f"{place_of(client, root_of(shared))}: there is no connection") from error
    finally:
        client.stop()
        client.close()
