"""A slave's host is restarted, or taken away for good."""

from __future__ import annotations

import subprocess

from lab_cluster import Cluster, eventually
from lab_site import COUNT, Measure

# The master gives up a slave that does not answer after 75 seconds, Mesos' default.
GONE_SECONDS = 180


def machine(verb: str, host: str) -> None:
    subprocess.run(["docker", verb, host], check=True, capture_output=True)


def wait_for_count(lab: Cluster, lost: set[str]) -> float:
    """Return the seconds until COUNT containers run and none of the lost ones is among them."""

    def complete() -> bool:
        running = lab.containers().keys()
        return len(running) == COUNT and not running & lost

    _, seconds = eventually(f"{COUNT} containers again", complete, seconds=GONE_SECONDS)
    eventually("the scheduler is content", lab.converged, seconds=30)
    return seconds


def ids_on(lab: Cluster, host: str) -> set[str]:
    return {container.id for container in lab.containers().values() if container.host == host}


def test_slave_host_is_restarted(lab: Cluster, measure: Measure) -> None:
    lost, kept = ids_on(lab, "lab-slave1"), ids_on(lab, "lab-slave2")
    machine("restart", "lab-slave1")
    measure("restart of a slave's host, until the count is right", wait_for_count(lab, lost))
    assert kept <= lab.containers().keys()


def test_slave_host_is_taken_away(lab: Cluster, measure: Measure) -> None:
    lost, kept = ids_on(lab, "lab-slave2"), ids_on(lab, "lab-slave1")
    machine("stop", "lab-slave2")
    try:
        measure("loss of a slave's host, until the count is right", wait_for_count(lab, lost))
        assert kept <= lab.containers().keys()
    finally:
        machine("start", "lab-slave2")
    eventually("the slave is back", lambda: len(lab.registered_slaves()) == len(lab.slaves), seconds=90)
    assert len(lab.containers()) == COUNT
