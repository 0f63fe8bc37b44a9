"""Hosts are given back as they were, one of them or all, and become hosts of the cluster again."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest
from lab_backup import RESET
from lab_cluster import OWN_UNITS, Cluster, eventually
from lab_site import COUNT, IMAGE, Measure, deploy, playbook

YES = "--extra-vars=reset_confirm=yes"
# What the roles bring to a host, less what an engine keeps for the containers on it.
PATHS = (
    "/etc/mesos-docker-scheduler",
    "/etc/mesos-master",
    "/etc/mesos-slave",
    "/etc/zookeeper",
    "/etc/docker/set-by-ansible.json",
    "/opt/mesos-docker-scheduler",
    "/run/mesos",
    "/usr/local/bin/mesos-docker-scheduler",
    "/usr/local/sbin/zookeeper-drop-unbegun-log",
    "/usr/local/sbin/zookeeper-server",
    "/var/lib/mesos",
    "/var/lib/mesos-docker-scheduler",
    "/var/lib/zookeeper",
)
FOREIGN = "mesos-dns"


@pytest.fixture
def foreign(lab: Cluster) -> Generator[str, None, None]:
    """Somebody else's container on the first slave. Its name begins as those of tasks do."""
    host = lab.host(lab.slaves[0])
    host.check_output(
        f"docker pull --quiet {IMAGE}; docker run --detach --restart=always --name={FOREIGN} {IMAGE}"
    )
    yield FOREIGN
    host.run(f"docker rm --force {FOREIGN}")


def left(host: Any) -> list[str]:
    """Return what of the roles' is on the host."""
    paths = " ".join([*PATHS, *(f"/etc/systemd/system/{unit}.service" for unit in OWN_UNITS)])
    found = host.check_output(f"ls -d {paths} 2>/dev/null || true").split()
    users = [name for name in ("mesos", "mesos-scheduler", "zookeeper") if host.user(name).exists]
    running = [
        unit for unit in OWN_UNITS if host.run(f"systemctl is-active {unit}").stdout.strip() == "active"
    ]
    processes = host.check_output("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' || true").split()
    executors = [word for word in processes if word in {"mesos-docker-executor", "container-guard"}]
    return [*found, *users, *running, *executors]


def packages(host: Any) -> set[str]:
    return set(host.check_output("dpkg-query --show --showformat='${Package}\\n'").split())


def test_nothing_goes_by_accident(lab: Cluster) -> None:
    containers = lab.containers().keys()
    run = playbook(RESET, YES)
    assert run.exit_code != 0
    assert "name those that you mean with --limit, or add -e reset_all=true" in run.words
    for answer in ([], ["--extra-vars=reset_confirm=no"]):
        run = playbook(RESET, "--extra-vars=reset_all=true", *answer)
        assert run.exit_code != 0
        assert "Nothing was changed, for nobody has said yes" in run.output
        assert run.changed == 0
    checked = playbook(RESET, "--extra-vars=reset_all=true reset_packages=true", "--check")
    assert checked.exit_code == 0, checked.output
    assert checked.changed > 0
    assert lab.containers().keys() == containers
    assert lab.converged()
    again = deploy()
    assert (again.exit_code, again.changed) == (0, 0), again.output


def test_a_slave_is_given_back_and_taken_again(lab: Cluster, measure: Measure, foreign: str) -> None:
    slave, other = lab.slaves
    host = lab.host(slave)
    engine = host.check_output("systemctl show --property=MainPID --value docker")
    agent = lab.agent(slave)["agent_info"]["id"]["value"]
    run = playbook(RESET, f"--limit={slave}", YES, "--extra-vars=reset_packages=true")
    measure("reset.yml of a slave", run.seconds)
    assert run.exit_code == 0, run.output
    _, seconds = eventually("the other one has all", lambda: len(lab.containers()) == COUNT, seconds=60)
    measure("until all containers run elsewhere", seconds)
    assert {container.host for container in lab.containers().values()} == {other}
    assert left(host) == []
    assert not host.package("mesos").is_installed
    assert host.check_output("docker ps --all --format '{{.Names}}'").split() == [foreign]
    assert host.check_output("systemctl show --property=MainPID --value docker") == engine, "it was restarted"
    assert not host.file("/etc/docker/daemon.json").exists
    again = playbook(RESET, f"--limit={slave}", YES, "--extra-vars=reset_packages=true")
    assert (again.exit_code, again.changed) == (0, 0), again.output

    assert deploy().exit_code == 0
    eventually("both are slaves", lambda: lab.registered_slaves() == sorted(lab.slaves), seconds=60)
    assert lab.agent(slave)["agent_info"]["id"]["value"] != agent
    assert foreign in host.check_output("docker ps --format '{{.Names}}'").split()


def test_all_hosts_are_given_back_and_taken_again(lab: Cluster, measure: Measure) -> None:
    framework = lab.status()["framework_id"]
    run = playbook(RESET, "--extra-vars=reset_all=true reset_packages=true", YES)
    measure("reset.yml of all hosts", run.seconds)
    assert run.exit_code == 0, run.output
    for name in lab.hosts:
        host = lab.host(name)
        assert left(host) == [], name
        brought = {"mesos", "docker.io", "containerd", "libzookeeper-java", "default-jre-headless"}
        assert packages(host) & brought == set(), name
        assert not host.file("/var/lib/installed-by-ansible").exists
        assert host.package("python3").is_installed
    again = playbook(RESET, "--extra-vars=reset_all=true reset_packages=true", YES)
    assert (again.exit_code, again.changed) == (0, 0), again.output

    values = json.dumps({"scheduler_image": IMAGE, "scheduler_count": COUNT})
    run = playbook("site.yml", "--extra-vars", values)
    assert run.exit_code == 0, run.output
    assert len(lab.containers()) == COUNT
    assert lab.status()["framework_id"] != framework
