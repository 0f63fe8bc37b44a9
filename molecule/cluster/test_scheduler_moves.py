"""The scheduler moves to another host, and back."""

from __future__ import annotations

from pathlib import Path

import lab_ha
from lab_cluster import Cluster
from lab_site import Measure

OTHER = lab_ha.MORE_MASTERS[0]


def test_the_scheduler_moves_and_comes_back(lab: Cluster, measure: Measure, tmp_path: Path) -> None:
    containers, framework = lab.containers().keys(), lab.status()["framework_id"]
    token = lab.host(lab_ha.SCHEDULER).file("/etc/mesos-docker-scheduler/token").content_string
    for old, new in ((lab_ha.SCHEDULER, OTHER), (OTHER, lab_ha.SCHEDULER)):
        inventory = lab_ha.inventory_with(tmp_path, {"schedulers": [new], "retired": [old]})
        run = lab_ha.deploy(inventory=inventory)
        measure(f"site.yml that moves the scheduler to {new}", run.seconds)
        assert run.exit_code == 0, run.output
        moved = Cluster(master=new, slaves=lab_ha.SLAVES)
        assert moved.status()["framework_id"] == framework
        assert moved.containers().keys() == containers
        assert moved.host(new).file("/etc/mesos-docker-scheduler/token").content_string == token
        unit = moved.host(old).service("mesos-docker-scheduler")
        assert not unit.is_running
        assert not unit.is_enabled
