"""Tells a scheduler without records which framework it is, where the master can not tell."""

from __future__ import annotations

import contextlib
from pathlib import Path

from mesos_docker_scheduler.config import Config
from mesos_docker_scheduler.control import ownership, principal
from mesos_docker_scheduler.control.recovery import BEGIN_ANEW, UNSEEN
from mesos_docker_scheduler.records.store import Change, SqliteStore, StoreError
from mesos_docker_scheduler.serve import EXIT_STORE, SchedulerError


def adopt(config: Config, framework_id: str | None) -> int:
    """Go on as this framework from the next start on, or as a new one (None); returns the exit status.

    SchedulerError when that would give up another framework that still has tasks.
    """
    try:
        store = SqliteStore(Path(config.state_dir))
    except StoreError as error:
        raise SchedulerError(EXIT_STORE, f"{error}; stop the scheduler first") from error
    with contextlib.closing(store):
        remembered = store.load()
        known = remembered.framework_id
        tasks = sum(not task.state.ended for task in remembered.tasks.values())
        if known is not None and known != framework_id and tasks:
            raise SchedulerError(
                EXIT_STORE,
                f"{store.path}: is the record of framework {known} and its {tasks} tasks, which nobody would"
                " look after any more. End them first by `mesos-docker-scheduler teardown`",
            )
        if framework_id is None and known is not None:
            raise SchedulerError(
                EXIT_STORE, f"{store.path}: framework {known} is on record: move the file away to begin anew"
            )
        if framework_id is None:
            store.commit(Change(records={BEGIN_ANEW: ""}))
            print("The next start registers a new framework.")
        else:
            records = {
                BEGIN_ANEW: None,
                UNSEEN: None,
                ownership.RECORD: ownership.BY_COMMAND,
                principal.RECORD: config.framework.principal or "",
            }
            store.commit(Change(framework_id=framework_id, records=records))
            print(f"The next start goes on as framework {framework_id} and takes over its tasks.")
    return 0
