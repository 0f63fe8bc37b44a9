"""Every certificate of the cluster has ended: nobody has deployed it for a year."""

from __future__ import annotations

import lab_ha
import pytest
from lab_authority import Authority
from lab_cluster import Cluster, eventually
from lab_site import Measure


@pytest.mark.parametrize("restarted", [1, 3])
def test_certificates_that_have_all_ended(lab: Cluster, measure: Measure, restarted: int) -> None:
    """So many of the masters' hosts have started again since; the others use connections of before."""
    ours, containers = Authority(lab_ha.SECURITY.path), lab.containers().keys()
    for host in (*lab_ha.MASTERS, *lab_ha.SLAVES, *lab_ha.SCHEDULERS):
        ours.certify(lab.host(host), begins=-30, ends=-1)
    for host in lab_ha.MASTERS[:restarted]:
        lab.host(host).run("systemctl restart zookeeper mesos-master")
    run = lab_ha.deploy()
    measure(f"all certificates have ended, {restarted} of 3 masters restarted: site.yml", run.seconds)
    assert run.exit_code == 0, run.output
    eventually("all containers run", lambda: lab.containers().keys() == containers, seconds=60)
    again = lab_ha.deploy()
    assert (again.exit_code, again.changed) == (0, 0), again.output
