"""A hundred commands and fifty containers of another framework, through what happens to slaves."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from lab_cluster import Cluster, eventually
from lab_site import IMAGE, ROOT, Measure
from mesos_testbed import Framework, command_task, docker_task

COMMANDS = 100
CONTAINERS = 50
MARK = "7654321"  # seconds that nobody else sleeps
GOES_ON = {"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_UNREACHABLE"}
SETTLING_SECONDS = 10


class Many:
    """The tasks of one framework."""

    def __init__(self, lab: Cluster) -> None:
        assert lab.security is not None
        secret = lab.security.secrets["mesos_master_scheduler"]
        self.lab = lab
        self.framework = Framework(
            f"{lab.address(lab.master)}:5050",
            {"name": "many", "principal": "scheduler"},
            credential=("scheduler", secret),
            tls=lab.security.context(),
        )

    def launch(self) -> None:
        """Launch them on all slaves alike."""
        offers = eventually("an offer of each slave", self._offers, seconds=60)[0]
        containers = [docker_task(IMAGE, 0.01, 8, f"exec sleep {MARK}") for _ in range(CONTAINERS)]
        small = containers[0]["resources"]
        commands = [command_task(f"exec sleep {MARK}", resources=small) for _ in range(COMMANDS)]
        tasks = commands + containers
        for number, (agent, offer) in enumerate(offers.items()):
            share = [{**task, "agent_id": {"value": agent}} for task in tasks[number :: len(offers)]]
            launch = {"type": "LAUNCH", "launch": {"task_infos": share}}
            self.framework.call("ACCEPT", {"offer_ids": [offer], "operations": [launch]})
        eventually("that all run", self._all_run, seconds=240)

    def _all_run(self) -> bool:
        assert not self.ended, self.ended
        return len(self.running) == COMMANDS + CONTAINERS

    def _offers(self) -> dict[str, Any] | None:
        found = {offer["agent_id"]["value"]: offer["id"] for offer in list(self.framework.offers.values())}
        return found if len(found) == len(self.lab.slaves) else None

    @property
    def states(self) -> dict[str, str]:
        """The last state of each task."""
        return {update["task_id"]["value"]: update["state"] for update in list(self.framework.updates)}

    @property
    def running(self) -> set[str]:
        return {task_id for task_id, state in self.states.items() if state == "TASK_RUNNING"}

    @property
    def ended(self) -> Counter[str]:
        return Counter(state for state in self.states.values() if state not in GOES_ON)


def processes(lab: Cluster, slave: str) -> set[str]:
    """What runs of the tasks, with the time of its start: a process of the same number is not the same."""
    command = f"ps -e -o pid=,lstart=,args= | grep '[s]leep {MARK}' || true"
    return {" ".join(line.split()[:6]) for line in lab.host(slave).check_output(command).splitlines()}


def left_over(lab: Cluster, slave: str) -> dict[str, str]:
    """What there is of tasks on a slave, by kind; our services' are Docker's and labelled."""
    look = {
        "processes": f"pgrep --full --list-full '[s]leep {MARK}|^mesos-(executor|containerizer)'",
        "containers": f"docker ps --all --no-trunc | grep 'sleep {MARK}'",
        "mounts": "grep -E '/var/lib/mesos/slave/(slaves|provisioner)' /proc/mounts",
        "control groups": "find /sys/fs/cgroup -type d -path '*mesos/*-*-*-*-*' -not -path '*docker*'",
    }
    found = {kind: str(lab.host(slave).run(command).stdout).strip() for kind, command in look.items()}
    return {kind: text for kind, text in found.items() if text}


def nothing_is_left(lab: Cluster, *slaves: str) -> None:
    deadline = time.monotonic() + 60
    while left := {slave: found for slave in slaves if (found := left_over(lab, slave))}:
        assert time.monotonic() < deadline, left
        time.sleep(1)


@pytest.fixture
def many(lab: Cluster) -> Iterator[Many]:
    tasks = Many(lab)
    with tasks.framework:
        try:
            tasks.launch()
            yield tasks
        finally:
            tasks.framework.teardown()


def test_through_kills_upgrades_and_a_reboot(lab: Cluster, many: Many, measure: Measure) -> None:
    before = {slave: processes(lab, slave) for slave in lab.slaves}
    assert sum(map(len, before.values())) >= COMMANDS + CONTAINERS

    def nothing_is_lost(what: str) -> None:
        _, seconds = eventually(
            "all slaves are registered", lambda: len(lab.registered_slaves()) == len(lab.slaves), seconds=120
        )
        time.sleep(SETTLING_SECONDS)
        assert not many.ended, f"{what}: {many.ended}"
        assert {slave: processes(lab, slave) for slave in lab.slaves} == before
        measure(f"{what} with {COMMANDS + CONTAINERS} tasks, until all is in order", seconds)

    for slave in lab.slaves:
        lab.host(slave).check_output("systemctl kill --signal=KILL --kill-whom=main mesos-slave")
    time.sleep(2)
    nothing_is_lost("kill -9 of all slaves")

    (package,) = (ROOT / "packaging" / "mesos" / "dist").glob("mesos_*.deb")
    for slave in lab.slaves:
        subprocess.run(["docker", "cp", package, f"{slave}:/var/tmp/"], check=True, capture_output=True)
        lab.host(slave).check_output(f"dpkg --install /var/tmp/{package.name}")
        lab.host(slave).check_output("systemctl restart mesos-slave")
    nothing_is_lost("upgrade")

    # What has run on a host that boots is gone, and its framework hears so; on the other one nothing happens.
    rebooted, other = lab.slaves
    subprocess.run(["docker", "restart", rebooted], check=True, capture_output=True)
    eventually("the slave is back", lambda: len(lab.registered_slaves()) == len(lab.slaves), seconds=180)
    lost = (COMMANDS + CONTAINERS) // len(lab.slaves)
    eventually("that its tasks are told of", lambda: sum(many.ended.values()) == lost, seconds=240)
    assert processes(lab, other) == before[other]
    nothing_is_left(lab, rebooted)

    for task_id in many.running:
        many.framework.kill(task_id)
    eventually("the end of all", lambda: sum(many.ended.values()) == COMMANDS + CONTAINERS, seconds=240)
    nothing_is_left(lab, *lab.slaves)
