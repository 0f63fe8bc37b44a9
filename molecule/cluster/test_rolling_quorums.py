"""Masters and ZooKeeper servers stop one after the other: no quorum is lost, the leaders are last."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import lab_ha
import pytest
from lab_cluster import Cluster, eventually
from lab_control_plane import leading_master, watching_control_plane, zookeeper_state
from lab_site import Measure, playbook

RESTART, REBOOT = "playbooks/restart.yml", "playbooks/reboot.yml"
ADDRESSES = [lab_ha.address(host) for host in lab_ha.MASTERS]


def leads_zookeeper() -> str:
    return next(host for host in lab_ha.MASTERS if zookeeper_state(lab_ha.address(host)) == "leader")


def leads_mesos() -> str:
    return next(
        host for host in lab_ha.MASTERS if lab_ha.address(host) == leading_master(ADDRESSES, lab_ha.SECURITY)
    )


def started(host: str, process: str) -> int:
    """Return when a process was started, in ticks of the kernel that all hosts share."""
    return int(Cluster.host(host).check_output(f"cut --delimiter=' ' --fields=22 /proc/{process}/stat"))


def unit_started(host: str, unit: str) -> int:
    return started(host, Cluster.host(host).check_output(f"systemctl show --property=MainPID --value {unit}"))


@contextmanager
def stopped(host: str, unit: str) -> Generator[None, None, None]:
    Cluster.host(host).check_output(f"systemctl stop {unit}")
    try:
        yield
    finally:
        Cluster.host(host).check_output(f"systemctl start {unit}")
        # A server that is back takes part only after a moment.
        eventually("all three are in", lambda: all(map(zookeeper_state, ADDRESSES)), seconds=60)


def test_daemons_restart_in_turns_the_leader_last(lab: Cluster, measure: Measure) -> None:
    containers = lab.containers().keys()
    zookeeper_leader, master = leads_zookeeper(), leads_mesos()
    with watching_control_plane(ADDRESSES, lab_ha.SECURITY) as outages:
        run = playbook(
            RESTART, "--extra-vars=restart_units=zookeeper,mesos-master", inventory=lab_ha.INVENTORY
        )
        assert run.exit_code == 0, run.output
    measure("restart.yml of three masters and ZooKeeper servers", run.seconds)
    measure("  nobody led for", outages.without_leader)
    measure("  ZooKeeper had no quorum for", outages.without_quorum)
    for unit, last in (("zookeeper", zookeeper_leader), ("mesos-master", master)):
        starts = {host: unit_started(host, unit) for host in lab_ha.MASTERS}
        assert max(starts, key=lambda host: starts[host]) == last
    assert len(outages.leaders) <= 3, f"at most one fail-over for each kind: {outages.leaders}"
    assert lab.containers().keys() == containers


@pytest.mark.parametrize("unit", ["zookeeper", "mesos-master"])
def test_nothing_stops_when_the_quorum_would_be_lost(lab: Cluster, unit: str) -> None:
    down, victim = lab_ha.MASTERS[0], lab_ha.MASTERS[1]
    boot = started(victim, "1")
    with stopped(down, unit):
        pid = unit_started(victim, unit)
        for run in (
            playbook(REBOOT, f"--limit={victim}", inventory=lab_ha.INVENTORY),
            playbook(
                RESTART,
                f"--limit={victim}",
                f"--extra-vars=restart_units={unit}",
                inventory=lab_ha.INVENTORY,
            ),
        ):
            assert run.exit_code != 0, run.output
            assert run.changed == 0, run.output
            text = run.words
            assert f"on {victim} is not stopped: without it 1 of 3 would take part, and 2 are needed" in text
            assert f"Bring back {lab_ha.address(down)}" in text
        assert unit_started(victim, unit) == pid
    assert started(victim, "1") == boot


def test_the_hosts_of_the_quorums_reboot_in_turns(lab: Cluster, measure: Measure) -> None:
    containers = lab.containers().keys()
    boots = {host: started(host, "1") for host in lab_ha.MASTERS}
    master = leads_mesos()
    with watching_control_plane(ADDRESSES, lab_ha.SECURITY) as outages:
        run = playbook(REBOOT, "--limit=mesos_masters", inventory=lab_ha.INVENTORY)
        assert run.exit_code == 0, run.output
    measure("reboot.yml of three masters", run.seconds)
    measure("  nobody led for", outages.without_leader)
    measure("  ZooKeeper had no quorum for", outages.without_quorum)
    after = {host: started(host, "1") for host in lab_ha.MASTERS}
    assert all(after[host] != boots[host] for host in after)
    assert max(after, key=lambda host: after[host]) == master
    eventually("everything is in order", lab.converged, seconds=60)
    assert lab.containers().keys() == containers
