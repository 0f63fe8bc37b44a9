"""Hosts leave the cluster, come in, and take each other's place, by the playbooks that are for it."""

from __future__ import annotations

import json
from pathlib import Path

import lab_ha
from lab_cluster import MASTER_PORT, OWN_UNITS, Cluster
from lab_control_plane import zookeeper_members
from lab_site import Measure, Run, playbook


def run(name: str, *arguments: str, inventory: Path = lab_ha.INVENTORY, **variables: str) -> Run:
    """Run a playbook with what the lab's deployment has been given, and these variables."""
    values = {"scheduler_image": lab_ha.IMAGE, "scheduler_count": lab_ha.COUNT, **variables}
    return playbook(
        f"playbooks/{name}.yml", *arguments, "--extra-vars", json.dumps(values), inventory=inventory
    )


def units(lab: Cluster, host: str) -> list[str]:
    """Return our units that there are on a host."""
    return [unit for unit in OWN_UNITS if lab.host(host).file(f"/etc/systemd/system/{unit}.service").exists]


def test_a_slave_leaves_and_comes_back(lab: Cluster, measure: Measure) -> None:
    slave = lab_ha.SLAVES[-1]
    elsewhere = {key for key, container in lab.containers().items() if container.host != slave}
    removed = run("remove_host", f"--limit={slave}", remove_confirm="yes")
    measure("remove_host.yml, a slave", removed.seconds)
    assert removed.exit_code == 0, removed.output
    assert units(lab, slave) == []
    after = lab.containers()
    assert len(after) == lab_ha.COUNT
    assert elsewhere <= after.keys(), "who was not on it has not noticed"
    assert slave not in {container.host for container in after.values()}

    added = run("add_host", add_hosts=slave)
    measure("add_host.yml, a slave", added.seconds)
    assert added.exit_code == 0, added.output
    known = lab.get(lab_ha.MASTERS[0], MASTER_PORT, "/master/slaves")["slaves"]
    assert len([agent for agent in known if agent["active"]]) == len(lab_ha.SLAVES)
    assert lab.containers().keys() == after.keys()


def test_a_host_that_the_control_plane_needs_is_not_removed(lab: Cluster) -> None:
    refused = run("remove_host", f"--limit={lab_ha.MASTERS[0]}", remove_confirm="yes")
    assert refused.exit_code != 0
    assert refused.changed == 0, refused.output
    assert "take it out there, with another host in its place" in refused.words


def test_a_master_is_replaced_and_given_back(lab: Cluster, measure: Measure, tmp_path: Path) -> None:
    containers = lab.containers().keys()
    before = zookeeper_members(lab_ha.address(lab_ha.MASTERS[0]))
    old, new = lab_ha.MASTERS[-1], lab_ha.MORE_MASTERS[0]
    for number, (leaving, coming) in enumerate([(old, new), (new, old)]):
        masters = [*lab_ha.MASTERS[:-1], coming]
        groups = {"zookeepers": masters, "mesos_masters": masters, "retired": [leaving]}
        inventory = lab_ha.inventory_with(tmp_path / str(number), groups)
        replaced = run("replace_master", inventory=inventory, old_master=leaving, new_master=coming)
        measure("replace_master.yml", replaced.seconds)
        assert replaced.exit_code == 0, replaced.output
        after = zookeeper_members(lab_ha.address(lab_ha.MASTERS[0]))
        assert set(after.values()) == {lab_ha.address(host) for host in masters}
        assert len(after.items() & before.items()) >= len(masters) - 1, "numbers are kept"
        removed = run("remove_host", f"--limit={leaving}", inventory=inventory, remove_confirm="yes")
        assert removed.exit_code == 0, removed.output
        assert units(lab, leaving) == []
    assert lab.containers().keys() == containers
