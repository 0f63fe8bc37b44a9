"""A daemon is restarted or killed: no container notices."""

from __future__ import annotations

import time

import pytest
from lab_cluster import Cluster, eventually
from lab_site import Measure

RESTART = "systemctl restart {unit}"
KILL = "systemctl kill --signal=KILL --kill-whom=main {unit}"
# Whatever a daemon takes away when it is back, it does so soon.
SETTLING_SECONDS = 5


def main_pid(lab: Cluster, host: str, unit: str) -> str:
    pid: str = lab.host(host).check_output(f"systemctl show --property=MainPID --value {unit}").strip()
    return pid


def in_order(lab: Cluster, frameworks: list[str]) -> bool:
    """Tell whether all slaves are registered, the scheduler is content, and the frameworks are these."""
    return (
        len(lab.registered_slaves()) == len(lab.slaves) and lab.converged() and lab.frameworks() == frameworks
    )


@pytest.mark.parametrize("command", [RESTART, KILL], ids=["restart", "kill-9"])
@pytest.mark.parametrize(
    ("host", "unit"),
    [
        ("lab-slave1", "mesos-slave"),
        ("lab-master", "mesos-master"),
        ("lab-master", "mesos-docker-scheduler"),
    ],
)
def test_containers_outlive_their_daemons(
    lab: Cluster, measure: Measure, host: str, unit: str, command: str
) -> None:
    containers = lab.containers()
    framework, frameworks = lab.status()["framework_id"], lab.frameworks()
    assert frameworks == [framework]

    pid = main_pid(lab, host, unit)
    lab.host(host).run_test(command.format(unit=unit))
    eventually(f"{unit} runs again", lambda: main_pid(lab, host, unit) not in {pid, "0"}, seconds=30)
    _, seconds = eventually("everything is in order again", lambda: in_order(lab, frameworks), seconds=90)
    measure(f"{'restart' if command == RESTART else 'kill -9'} of {unit}, until all is in order", seconds)

    time.sleep(SETTLING_SECONDS)
    assert lab.containers().keys() == containers.keys()
    assert lab.status()["framework_id"] == framework
    assert lab.frameworks() == frameworks
