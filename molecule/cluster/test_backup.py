"""All hosts of a control plane are lost, and it is restored on new ones: as many, or one elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lab_ha
import pytest
from lab_backup import back_up, backups, create, destroy, manifest, restore
from lab_cluster import Cluster, eventually
from lab_control_plane import leading_master, zookeeper_state
from lab_site import Measure
from lab_watch import watching

LOST = (*lab_ha.MASTERS, *lab_ha.SCHEDULERS)


def agent_ids(lab: Cluster) -> dict[str, str]:
    return {slave: str(lab.get(slave, 5051, "/state")["id"]) for slave in lab.slaves}


@pytest.mark.parametrize(
    ("masters", "schedulers"),
    [(lab_ha.MASTERS, lab_ha.SCHEDULERS), (lab_ha.MORE_MASTERS[:1], lab_ha.MORE_MASTERS[:1])],
    ids=["the same names", "one host of another name"],
)
def test_all_control_hosts_are_lost(
    lab: Cluster, measure: Measure, tmp_path: Path, masters: Sequence[str], schedulers: Sequence[str]
) -> None:
    run = back_up(tmp_path / "backups", inventory=lab_ha.INVENTORY)
    measure("backup.yml, three masters", run.seconds)
    assert run.exit_code == 0, run.output
    (backup,) = backups(tmp_path / "backups")
    containers, framework = lab.containers().keys(), lab.status()["framework_id"]
    agents = agent_ids(lab)
    assert manifest(backup)["agents"] == {agent: slave for slave, agent in agents.items()}
    assert len(containers) == lab_ha.COUNT

    groups = {"zookeepers": masters, "mesos_masters": masters, "schedulers": schedulers}
    inventory = lab_ha.inventory_with(tmp_path / "inventory", groups)
    variables = {"scheduler_image": lab_ha.IMAGE, "scheduler_count": lab_ha.COUNT}
    restored = lab_ha.cluster(*schedulers)
    with watching(lab, "web") as story:
        # New hosts are new: another test may have had a master on them.
        destroy({*LOST, *masters})
        create(inventory=lab_ha.INVENTORY)
        run = restore(backup, inventory=inventory, variables=variables)
        measure(f"restore.yml on {len(masters)} new masters", run.seconds)
        assert run.exit_code == 0, run.output
        eventually("all is in order", restored.converged, seconds=60)
    assert restored.containers().keys() == containers
    assert (story.starts, story.ends) == ({}, 0), str(story)
    assert restored.status()["framework_id"] == framework
    assert agent_ids(restored) == agents
    assert leading_master(map(lab_ha.address, masters), lab_ha.SECURITY) != ""
    for host in masters:
        assert zookeeper_state(lab_ha.address(host)) in {"leader", "follower"}
    verified = lab_ha.verify(inventory)
    assert verified.exit_code == 0, verified.output
    again = lab_ha.deploy(inventory=inventory)
    assert (again.exit_code, again.changed) == (0, 0), again.output

    if masters != lab_ha.MASTERS:  # back to where the other tests begin
        # ZooKeeper's servers can't all leave at once: masters and slaves know only these.
        between = {"zookeepers": [*masters, *lab_ha.MASTERS[1:]]}
        for number, step in enumerate((between, {"retired": [*masters]})):
            run = lab_ha.deploy(inventory=lab_ha.inventory_with(tmp_path / f"back{number}", step))
            assert run.exit_code == 0, run.output
        assert lab.containers().keys() == containers
