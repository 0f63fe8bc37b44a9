"""Moves the state from this host's folder into ZooKeeper, and back, while no scheduler runs."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from mesos_docker_scheduler.config import Config
from mesos_docker_scheduler.control.ownership import MOVED
from mesos_docker_scheduler.exits import EXIT_CONFIG, EXIT_STORE, SchedulerError
from mesos_docker_scheduler.offline import offline_shared_store, told
from mesos_docker_scheduler.records.store import Change, DurableStore, SqliteStore


def move_state(config: Config, *, to_folder: bool) -> int:
    """Move it out of state_dir into shared_state, or the other way; returns the exit status.

    It can be done again when it was interrupted. SchedulerError when another framework's is there already.
    """
    if config.shared_state is None:
        raise SchedulerError(EXIT_CONFIG, "shared_state: is missing; it says where the state is in ZooKeeper")
    with (
        told(),
        contextlib.closing(SqliteStore(Path(config.state_dir))) as folder,
        offline_shared_store(config.shared_state) as shared,
    ):
        print(_to_folder(shared, folder) if to_folder else _to_zookeeper(folder, shared))
    return 0


def _to_folder(shared: DurableStore, folder: DurableStore) -> str:
    said = _move(shared, folder)
    if folder.load().framework_id is not None:
        # A scheduler that was away meanwhile, and shares the state as far as it knows, must not begin anew.
        shared.commit(Change(records={MOVED: f"{socket.gethostname()}:{folder.place}"}))
    return said


def _to_zookeeper(folder: DurableStore, shared: DurableStore) -> str:
    said = _move(folder, shared)
    shared.commit(Change(records={MOVED: None}))
    return said


def _move(source: DurableStore, target: DurableStore) -> str:
    known, there = source.load(), target.load()
    if known.framework_id is None:
        return f"{source.place}: no framework is on record here: nothing to move"
    if there.framework_id not in (None, known.framework_id):
        raise SchedulerError(
            EXIT_STORE,
            f"{target.place}: is the record of framework {there.framework_id}; {source.place} is that of"
            f" {known.framework_id}. One scheduler can't look after both",
        )
    if there.framework_id is None:
        target.commit(known.as_change())
    elif there != known:
        raise SchedulerError(
            EXIT_STORE,
            f"{source.place} and {target.place} are both records of framework {known.framework_id}, and they"
            " differ: a scheduler has gone on with one of them. Find out which one, and remove the other",
        )
    source.discard()  # of two, nobody could tell which one is right
    tasks = sum(not task.state.ended for task in known.tasks.values())
    return f"The state of framework {known.framework_id}, with {tasks} tasks, is in {target.place} now"
