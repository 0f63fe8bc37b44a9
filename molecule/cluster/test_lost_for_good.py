"""A majority of the disks is lost for good: what docs/operations.md says under "Nobody leads"."""

from __future__ import annotations

import lab_ha
from lab_cluster import Cluster, eventually
from lab_site import Measure

REFUSED = 2
LEFT, *LOST = lab_ha.MASTERS


def lose(host: str) -> None:
    """Have the host come back as one that was installed anew."""
    Cluster.host(host).check_output(
        "systemctl stop mesos-master zookeeper;"
        " rm -rf /var/lib/mesos/master /var/lib/zookeeper /etc/zookeeper /etc/mesos-master"
        " /etc/systemd/system/zookeeper.service /etc/systemd/system/mesos-master.service;"
        " systemctl daemon-reload"
    )


def test_of_three_disks_one_is_left(lab: Cluster, measure: Measure) -> None:
    containers, framework = lab.containers().keys(), lab.status()["framework_id"]
    for host in LOST:
        lose(host)
    refused = lab_ha.deploy()
    assert refused.exit_code == REFUSED
    assert "ZooKeeper has no majority" in refused.words
    lab.host(LEFT).check_output("systemctl stop zookeeper && mv /var/lib/zookeeper /var/lib/zookeeper.old")
    run = lab_ha.deploy(f"--extra-vars=mesos_master_log_from={LEFT}")
    measure("site.yml after two of three disks were lost", run.seconds)
    assert run.exit_code == 0, run.output
    eventually("all is as wanted", lab.converged, seconds=60)
    assert lab.status()["framework_id"] == framework
    assert lab.containers().keys() == containers, "no container notices"
    again = lab_ha.deploy()
    assert (again.exit_code, again.changed) == (0, 0), again.output
    verified = lab_ha.verify()
    assert verified.exit_code == 0, verified.output
