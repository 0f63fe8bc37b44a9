"""A run of site.yml fails in the middle: the rest is left as it was, and the next run does what was due."""

from __future__ import annotations

from lab_cluster import Cluster
from lab_site import deploy

FIRST, SECOND = "lab-slave1", "lab-slave2"


def process(lab: Cluster, host: str) -> str:
    """Return the process id of the host's mesos-slave."""
    return str(lab.host(host).check_output("systemctl show --property=MainPID --value mesos-slave"))


def credentials(secret: str) -> dict[str, object]:
    """Return a setting that only a file has, not the unit."""
    return {"mesos_slave_http_credentials": [{"principal": "operator", "secret": secret}]}


def test_a_slave_that_fails_stops_the_rest_and_is_restarted_later(lab: Cluster) -> None:
    containers = lab.containers().keys()
    assert deploy(credentials("first-secret")).exit_code == 0
    before = {host: process(lab, host) for host in lab.slaves}
    # It refuses its flags after the new secret was written, and before it was restarted.
    lab.host(FIRST).check_output("mv /usr/sbin/mesos-slave /usr/sbin/mesos-slave.aside")
    try:
        failed = deploy(credentials("second-secret"))
    finally:
        lab.host(FIRST).check_output("mv /usr/sbin/mesos-slave.aside /usr/sbin/mesos-slave")
    assert failed.exit_code != 0
    assert "second-secret" not in failed.output
    written = {
        host: "second" in lab.host(host).check_output("cat /etc/mesos-slave/http_credentials.json")
        for host in lab.slaves
    }
    assert written == {FIRST: True, SECOND: False}, "the batch after the one that failed is untouched"
    assert {host: process(lab, host) for host in lab.slaves} == before
    healed = deploy(credentials("second-secret"))
    assert healed.exit_code == 0, healed.output
    after = {host: process(lab, host) for host in lab.slaves}
    assert all(after[host] != before[host] for host in lab.slaves), "a restart that was due did not happen"
    assert deploy().exit_code == 0
    assert lab.containers().keys() == containers


def test_files_of_the_operators_stay(lab: Cluster) -> None:
    own = {lab.master: "/etc/mesos-master/rates.json", FIRST: "/etc/mesos-slave/docker.json"}
    try:
        for host, path in own.items():
            lab.host(host).check_output(f"echo '{{}}' >{path}")
        run = deploy()
        assert (run.exit_code, run.changed) == (0, 0), run.output
        for host, path in own.items():
            assert lab.host(host).file(path).exists, f"{path} was removed"
    finally:
        for host, path in own.items():
            lab.host(host).check_output(f"rm -f {path}")
