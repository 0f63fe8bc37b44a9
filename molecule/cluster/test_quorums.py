"""The number of masters and ZooKeeper servers changes, and which hosts they are; no container notices."""

from __future__ import annotations

from pathlib import Path

import lab_ha
import pytest
from lab_cluster import Cluster
from lab_control_plane import (
    leading_master,
    watching_control_plane,
    zookeeper_members,
    zookeeper_state,
)
from lab_site import Measure

FIVE = (*lab_ha.MASTERS, *lab_ha.MORE_MASTERS)


def deploy(folder: Path, masters: tuple[str, ...], measure: Measure, what: str) -> None:
    """Let these hosts be masters and ZooKeeper servers, and see that they are, and nobody else."""
    everybody = [lab_ha.address(host) for host in FIVE]
    others = [host for host in FIVE if host not in masters]
    groups = {"zookeepers": masters, "mesos_masters": masters, "retired": others}
    inventory = lab_ha.inventory_with(folder, groups)
    with watching_control_plane(everybody, lab_ha.SECURITY) as outages:
        run = lab_ha.deploy(inventory=inventory)
    assert run.exit_code == 0, run.output
    measure(f"{what}: site.yml", run.seconds)
    measure(f"{what}: longest time without a leading master", outages.without_leader)
    measure(f"{what}: longest time without a quorum of ZooKeeper", outages.without_quorum)
    wanted = {lab_ha.address(host) for host in masters}
    assert outages.with_two_ensembles < 10, "there were two ensembles"
    assert leading_master(everybody, lab_ha.SECURITY) in wanted
    for host in masters:
        assert set(zookeeper_members(lab_ha.address(host)).values()) == wanted
        assert zookeeper_state(lab_ha.address(host)) in {"leader", "follower"}
    for host in set(FIVE) - set(masters):
        assert zookeeper_state(lab_ha.address(host)) == "", f"ZooKeeper still runs on {host}"
        assert Cluster.host(host).run("systemctl is-active mesos-master").stdout.strip() != "active"
    again = lab_ha.deploy(inventory=inventory)
    assert (again.exit_code, again.changed) == (0, 0), again.output


@pytest.mark.parametrize("other", [lab_ha.MASTERS[:1], FIVE], ids=["one", "five"])
def test_from_three_masters_to_others_and_back(
    lab: Cluster, measure: Measure, tmp_path: Path, other: tuple[str, ...]
) -> None:
    containers = lab.containers().keys()
    agents = {agent: agent_id(lab, agent) for agent in lab.slaves}
    first = lab_ha.address(lab_ha.MASTERS[0])
    number = number_of(first)
    before = len(lab_ha.MASTERS)
    for masters in (other, lab_ha.MASTERS):
        deploy(tmp_path, masters, measure, f"{before} -> {len(masters)}")
        before = len(masters)
        assert lab.containers().keys() == containers
        assert {agent: agent_id(lab, agent) for agent in lab.slaves} == agents, "the registry was lost"
        assert number_of(first) == number


def number_of(address: str) -> int:
    """Return the ZooKeeper server's number."""
    return next(number for number, member in zookeeper_members(address).items() if member == address)


def agent_id(lab: Cluster, slave: str) -> str:
    return str(lab.get(slave, 5051, "/state")["id"])
