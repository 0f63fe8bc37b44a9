"""Something happens to a container, or to the executor that looks after it."""

from __future__ import annotations

import pytest
from lab_cluster import Cluster, eventually
from lab_site import COUNT, Measure


def wait_for_replacement(lab: Cluster, lost: str) -> float:
    """Return the seconds until COUNT containers run and the lost one is not among them."""

    def replaced() -> bool:
        running = lab.containers()
        return len(running) == COUNT and lost not in running

    return eventually(f"{COUNT} containers without {lost}", replaced, seconds=30)[1]


@pytest.mark.parametrize("command", ["docker kill", "docker rm --force"])
def test_lost_container_is_replaced(lab: Cluster, measure: Measure, command: str) -> None:
    container, *others = lab.containers().values()
    lab.host(container.host).run_test(f"{command} {container.id}")
    measure(f"{command}, until the replacement runs", wait_for_replacement(lab, container.id))
    assert {other.id for other in others} < lab.containers().keys()
    eventually("the scheduler is content", lab.converged, seconds=10)


def test_container_does_not_outlive_its_executor(lab: Cluster, measure: Measure) -> None:
    container = next(iter(lab.containers().values()))
    # The brackets keep pgrep from finding the shell that runs it.
    lab.host(container.host).run_test(
        f"kill -KILL $(pgrep --full '[m]esos-docker-executor.*{container.name}')"
    )
    measure("kill -9 of an executor, until the replacement runs", wait_for_replacement(lab, container.id))
    eventually("the scheduler is content", lab.converged, seconds=10)
    all_ids = lab.host(container.host).check_output("docker ps --quiet --no-trunc")
    assert container.id not in all_ids.split()
