"""Tells a scheduler without records which framework it is, where the master can not tell."""

from __future__ import annotations

from mesos_docker_scheduler.config import Config
from mesos_docker_scheduler.control import ownership, principal
from mesos_docker_scheduler.control.recovery import BEGIN_ANEW, UNSEEN
from mesos_docker_scheduler.exits import EXIT_STORE, SchedulerError
from mesos_docker_scheduler.offline import offline_store
from mesos_docker_scheduler.records.store import Change


def adopt(config: Config, framework_id: str | None) -> int:
    """Go on as this framework from the next start on, or as a new one (None); returns the exit status.

    SchedulerError when that would give up another framework that still has tasks.
    """
    with offline_store(config) as store:
        remembered = store.load()
        known = remembered.framework_id
        tasks = sum(not task.state.ended for task in remembered.tasks.values())
        if known is not None and known != framework_id and tasks:
            raise SchedulerError(
                EXIT_STORE,
                f"{store.place}: is the record of framework {known} and its {tasks} tasks, which nobody would"
                " look after any more. End them first by `mesos-docker-scheduler teardown`",
            )
        if framework_id is None and known is not None:
            raise SchedulerError(
                EXIT_STORE, f"{store.place}: framework {known} is on record: move the file away to begin anew"
            )
        if framework_id is None:
            store.commit(Change(records={BEGIN_ANEW: "", ownership.MOVED: None}))
            print("The next start registers a new framework.")
        else:
            records = {
                BEGIN_ANEW: None,
                UNSEEN: None,
                ownership.MOVED: None,
                ownership.RECORD: ownership.BY_COMMAND,
                principal.RECORD: config.framework.principal or "",
            }
            store.commit(Change(framework_id=framework_id, records=records))
            print(f"The next start goes on as framework {framework_id} and takes over its tasks.")
    return 0
