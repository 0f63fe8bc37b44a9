"""Restarts, reboots and upgrades from host to host: containers stay, or move before their host goes."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest
from lab_client import asking
from lab_cluster import OWN_UNITS, UNITS, Cluster, eventually
from lab_site import IMAGE, WEB, WEB_COUNT, Measure, playbook

RESTART, REBOOT, UPGRADE = "playbooks/restart.yml", "playbooks/reboot.yml", "playbooks/upgrade.yml"
DRAIN = "playbooks/drain.yml"
NOTE = "/var/lib/mesos-slave-reboots"
FOLDER = "/var/tmp/lab-packages"  # noqa: S108
SOURCE = "/etc/apt/sources.list.d/lab.list"

# Makes a package that is the installed one but for its version, in an archive of the host's own.
NEWER = """
set -e
rm -rf {folder} && mkdir -p {folder} && cd {folder}
apt-get download {package} >/dev/null
dpkg-deb --raw-extract {package}_*.deb content
rm {package}_*.deb
sed --in-place 's/^Version: .*/&+lab/' content/DEBIAN/control
dpkg-deb -Znone --build content {package}.deb >/dev/null
{{
  cat content/DEBIAN/control
  echo "Filename: ./{package}.deb"
  echo "Size: $(stat --format=%s {package}.deb)"
  echo "SHA256: $(sha256sum {package}.deb | cut --delimiter=' ' --fields=1)"
}} >Packages
rm -r content
echo 'deb [trusted=yes] file:{folder} ./' >{source}
"""


def main_pids(lab: Cluster) -> dict[tuple[str, str], str]:
    """Return the process of each of our units that runs, by host and unit."""
    units = " ".join(UNITS)
    command = f"for unit in {units}; do echo $unit $(systemctl show --property=MainPID --value $unit); done"
    pids = {}
    for host in lab.hosts:
        for line in lab.host(host).check_output(command).splitlines():
            unit, pid = line.split()
            pids[host, unit] = pid
    return {service: pid for service, pid in pids.items() if pid != "0"}


def booted(lab: Cluster, host: str) -> str:
    """Return what names the host's boot: the start of its first process."""
    return str(lab.host(host).check_output("cut --delimiter=' ' --fields=22 /proc/1/stat"))


def version(host: Any, package: str) -> str:
    return str(host.check_output(f"dpkg-query --show --showformat='${{Version}}' {package}"))


def test_all_daemons_restart_and_no_request_fails(web: Cluster, measure: Measure) -> None:
    lab = web
    containers, pids, frameworks = lab.containers(), main_pids(lab), lab.frameworks()
    with asking(lab, "web") as client:
        run = playbook(RESTART, "--extra-vars", json.dumps({"restart_units": list(OWN_UNITS)}))
        assert run.exit_code == 0, run.output
    measure("playbooks/restart.yml, all daemons", run.seconds)
    measure("  meanwhile", client.report)
    after = main_pids(lab)
    assert after.keys() == pids.keys()
    kept = {place for place in pids if after[place] == pids[place]}
    assert {unit for _, unit in kept} == {"docker"}
    assert lab.containers().keys() == containers.keys()
    assert lab.frameworks() == frameworks
    eventually("everything is in order", lab.converged, seconds=30)
    assert not client.report.failures, client.report.failures[:10]


def test_docker_restarts_and_refuses_connections_for_a_moment_only(web: Cluster, measure: Measure) -> None:
    """The engine makes its rules for published ports anew, and nothing listens there meanwhile."""
    lab = web
    containers, pids = lab.containers(), main_pids(lab)
    with asking(lab, "web") as client:
        run = playbook(RESTART, "--extra-vars=restart_units=docker")
        assert run.exit_code == 0, run.output
    measure("playbooks/restart.yml, Docker Engine", run.seconds)
    measure("  meanwhile", client.report)
    changed = {place for place, pid in main_pids(lab).items() if pid != pids[place]}
    assert changed == {(slave, "docker") for slave in lab.slaves}
    assert lab.containers().keys() == containers.keys()
    failures = client.report.failures
    assert all("Connection refused" in failure for failure in failures), failures
    for slave in lab.slaves:
        times = [float(failure.split(" ", 1)[0]) for failure in failures if lab.address(slave) in failure]
        assert not times or times[-1] - times[0] < 3, failures


def test_only_what_is_named_restarts_and_only_there(web: Cluster) -> None:
    lab, slave = web, web.slaves[0]
    containers, pids = lab.containers(), main_pids(lab)
    words = "--extra-vars=restart_units=mesos-slave"
    checked = playbook(RESTART, "--check", "--limit", slave, words)
    assert (checked.exit_code, checked.changed) == (0, 1), checked.output
    assert main_pids(lab) == pids
    run = playbook(RESTART, "--limit", slave, words)
    assert (run.exit_code, run.changed) == (0, 1), run.output
    after = main_pids(lab)
    assert {unit for unit in pids if after[unit] != pids[unit]} == {(slave, "mesos-slave")}
    assert lab.containers().keys() == containers.keys()


def test_a_unit_that_is_none_of_ours_is_refused(web: Cluster) -> None:
    run = playbook(RESTART, "--extra-vars=restart_units=mesos-slave,ssh")
    assert run.exit_code != 0
    assert run.changed == 0, run.output
    assert "restart_units is 'mesos-slave,ssh'; allowed are zookeeper, mesos-master, docker," in run.words


def test_a_container_that_stops_meanwhile_stops_the_playbook(web: Cluster, slave: str) -> None:
    lab = web
    host = lab.host(slave)
    victim = next(key for key, container in lab.containers().items() if container.host == slave)
    drop_in = "/run/systemd/system/mesos-slave.service.d/kill.conf"
    text = f"[Service]\\nExecStartPre=docker kill {victim}\\n"
    host.check_output(f"mkdir -p $(dirname {drop_in}) && printf '{text}' >{drop_in}")
    try:
        pids = main_pids(lab)
        run = playbook(RESTART, "--extra-vars=restart_units=mesos-slave,mesos-docker-scheduler")
        assert run.exit_code != 0, run.output
        assert f"On {slave} these containers have stopped meanwhile: /mesos-" in run.words
        scheduler = (lab.master, "mesos-docker-scheduler")
        assert main_pids(lab)[scheduler] == pids[scheduler], "what comes after is left as it is"
    finally:
        host.check_output(f"rm -r $(dirname {drop_in}) && systemctl daemon-reload")


def test_a_reboot_wants_to_know_which_hosts(web: Cluster) -> None:
    boots = {host: booted(web, host) for host in web.hosts}
    run = playbook(REBOOT)
    assert run.exit_code != 0
    assert "This would reboot every host; name those that you mean with --limit" in run.words
    foreign = playbook(REBOOT, "--limit=registries")
    assert foreign.exit_code != 0
    assert "is not in the group zookeepers or mesos_masters or mesos_slaves or schedulers" in foreign.words
    nothing = playbook(REBOOT, "--extra-vars", json.dumps({"reboot_all": True, "reboot_if_required": True}))
    assert (nothing.exit_code, nothing.changed) == (0, 0), nothing.output
    assert "No host is to be rebooted." in nothing.words
    assert {host: booted(web, host) for host in web.hosts} == boots


def test_a_slave_reboots_and_no_request_fails(web: Cluster, slave: str, measure: Measure) -> None:
    lab = web
    boots = {host: booted(lab, host) for host in lab.hosts}
    lab.host(slave).check_output("touch /run/reboot-required")
    required = ("--limit=mesos_slaves", "--extra-vars=reboot_if_required=true")
    checked = playbook(REBOOT, "--check", *required)
    assert checked.exit_code == 0, checked.output
    assert {host: booted(lab, host) for host in lab.hosts} == boots
    assert not lab.agent(slave).get("deactivated")
    with asking(lab, "web") as client:
        run = playbook(REBOOT, *required)
        assert run.exit_code == 0, run.output
    measure("playbooks/reboot.yml of a slave", run.seconds)
    measure("  meanwhile", client.report)
    assert not client.report.failures, client.report.failures[:10]
    assert {host for host in lab.hosts if booted(lab, host) != boots[host]} == {slave}
    assert lab.registered_slaves() == sorted(lab.slaves)
    assert not lab.agent(slave).get("deactivated")
    assert not lab.schedule().get("windows")
    assert len(lab.containers()) == WEB_COUNT
    assert not lab.host(slave).file(NOTE).exists


def test_a_slave_that_was_drained_before_stays_so(web: Cluster, slave: str) -> None:
    lab = web
    drained = playbook(DRAIN, "--limit", slave)
    assert drained.exit_code == 0, drained.output
    before = booted(lab, slave)
    run = playbook(REBOOT, "--limit", slave)
    assert run.exit_code == 0, run.output
    assert booted(lab, slave) != before
    assert lab.agent(slave)["drain_info"]["state"] == "DRAINED"
    # As a run leaves it that has not got to the end.
    lab.host(slave).check_output(f"touch {NOTE}")
    again = playbook(REBOOT, "--limit", slave)
    assert again.exit_code == 0, again.output
    assert not lab.agent(slave).get("deactivated")


def test_the_masters_host_reboots(web: Cluster, measure: Measure) -> None:
    lab = web
    containers, before = lab.containers(), booted(lab, lab.master)
    frameworks = lab.frameworks()
    run = playbook(REBOOT, "--limit", lab.master)
    assert run.exit_code == 0, run.output
    measure("playbooks/reboot.yml of the master's host", run.seconds)
    assert booted(lab, lab.master) != before
    eventually(
        "all slaves are back",
        lambda: lab.registered_slaves() == sorted(lab.slaves) and lab.converged(),
        seconds=90,
    )
    assert lab.containers().keys() == containers.keys()
    assert lab.frameworks() == frameworks


def test_nothing_is_to_be_upgraded(web: Cluster, measure: Measure) -> None:
    run = playbook(UPGRADE, "--check")
    assert (run.exit_code, run.changed) == (0, 0), run.output
    assert "Everything is up to date." in run.words
    measure("playbooks/upgrade.yml --check, nothing to do", run.seconds)


@pytest.fixture
def newer(web: Cluster) -> Generator[dict[str, tuple[str, str]], None, None]:
    """Newer packages for a slave and the master: package, and version of before, by host."""
    packages = {web.slaves[0]: "docker.io", web.master: "libzookeeper-java"}
    before = {name: (package, version(web.host(name), package)) for name, package in packages.items()}
    for name, package in packages.items():
        web.host(name).check_output(NEWER.format(folder=FOLDER, package=package, source=SOURCE))
    yield before
    for name, (package, old) in before.items():
        host = web.host(name)
        taken_back = version(host, package) == old
        host.check_output(
            f"rm -rf {FOLDER} {SOURCE} && apt-get update"
            f" && apt-get install --yes --allow-downgrades {package}={old}"
        )
        assert taken_back, f"{package} on {name} was not taken back to {old}"


def test_a_new_version_is_shown_confirmed_installed_and_taken_back(
    web: Cluster, newer: dict[str, tuple[str, str]], measure: Measure
) -> None:
    lab = web
    containers, pids = lab.containers(), main_pids(lab)
    affected = {(lab.slaves[0], "docker"), (lab.master, "zookeeper")}

    for words in ([], ["--check"]):
        run = playbook(UPGRADE, *words)
        assert (run.exit_code == 0) == bool(words), run.output
        assert run.changed == 0, run.output
        for host, (package, old) in newer.items():
            assert f"{host} {package} {old} {old}+lab" in run.words
        assert ("Nothing was changed, for nobody has said yes." in run.words) != bool(words)
    assert main_pids(lab) == pids

    values = {"scheduler_image": IMAGE, **WEB, "upgrade_confirm": True}
    run = playbook(UPGRADE, "--extra-vars", json.dumps(values))
    assert run.exit_code == 0, run.output
    measure("playbooks/upgrade.yml, Docker Engine on one slave, ZooKeeper", run.seconds)
    after = main_pids(lab)
    assert {unit for unit in affected if after[unit] == pids[unit]} == set()
    for host, (package, old) in newer.items():
        assert version(lab.host(host), package) == f"{old}+lab"
    assert lab.containers().keys() == containers.keys()

    # Back to a version that is named.
    packages = {"docker.io": "docker_packages", "libzookeeper-java": "zookeeper_packages"}
    pins = {packages[package]: [f"{package}={old}"] for package, old in newer.values()}
    back = playbook(UPGRADE, "--extra-vars", json.dumps(values | pins))
    assert back.exit_code == 0, back.output
    assert lab.containers().keys() == containers.keys()
    assert {unit for unit in affected if main_pids(lab)[unit] == after[unit]} == set()
