"""What inventory/example describes, from nothing; the host of all that lead is lost, and other disasters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lab_example
import yaml
from lab_cluster import Cluster, eventually
from lab_control_plane import leading_host, zookeeper_state
from lab_ha import by_ssh, powered_off
from lab_site import ROOT, UNREACHABLE, Measure

COUNT = 6  # as the example says
CHAOS = ROOT / "molecule" / "chaos" / "chaos.py"
CHAOS_SECONDS = 1800
ADDRESSES = lab_example.addresses()


def leader() -> str:
    """Return the host whose master leads, once there is one."""
    return leading_host({host: ADDRESSES[host] for host in lab_example.MASTERS}, lab_example.SECURITY)


def without(folder: Path, host: str) -> Path:
    """Write an inventory in which a host is powered off."""
    path = folder / "off.yml"
    hosts = {host: by_ssh(ADDRESSES[host])}
    path.write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")
    return path


def test_the_example_is_deployed_as_it_stands_and_survives_the_loss_of_a_master(
    lab: Cluster, measure: Measure, tmp_path: Path
) -> None:
    first = lab_example.run("site.yml")
    measure("site.yml on the example's hosts, from nothing", first.seconds)
    assert first.exit_code == 0, first.output
    containers = lab.containers()
    assert len(containers) == COUNT
    again = lab_example.run("site.yml")
    measure("site.yml again", again.seconds)
    assert (again.exit_code, again.changed) == (0, 0), again.output
    for playbook in ("playbooks/verify.yml", "playbooks/lab_summary.yml"):
        looked = lab_example.run(playbook)
        assert looked.exit_code == 0, looked.output
    assert looked.output.count("containers of") == 1, looked.output

    # The host of both that lead.
    if leader() not in lab_example.SCHEDULERS:
        lab.host(leader()).check_output("systemctl restart mesos-master")
        eventually("another master leads", lambda: leader() in lab_example.SCHEDULERS, seconds=60)
    if lab.scheduler != leader():
        lab.host(lab.scheduler).check_output("systemctl restart mesos-docker-scheduler")
        eventually("the other scheduler leads", lambda: lab.scheduler == leader(), seconds=60)
    off = leader()
    with powered_off(off, verb="kill"):
        eventually("another master leads", lambda: leader() != off, seconds=60)
        eventually("the other scheduler is connected", lab.converged, seconds=60)
        arguments = ("--extra-vars", f'{{"scheduler_count": {COUNT + 1}}}')
        run = lab_example.run("site.yml", *arguments, inventory=without(tmp_path, off))
        measure("site.yml with the host of the leading master and scheduler off", run.seconds)
        assert run.exit_code == UNREACHABLE, run.output
        assert f"Left out: {off}" in run.words
        assert len(lab.containers()) == COUNT + 1
    eventually("its ZooKeeper is back", lambda: zookeeper_state(ADDRESSES[off]) != "", seconds=60)
    run = lab_example.run("site.yml")
    assert run.exit_code == 0, run.output
    assert lab.containers().keys() & containers.keys(), "the first ones stay"
    verified = lab_example.run("playbooks/verify.yml")
    assert verified.exit_code == 0, verified.output

    # The rest of the faults, and more rounds: make chaos.
    chaos = subprocess.run(
        [
            sys.executable,
            str(CHAOS),
            *(f"--inventory={inventory}" for inventory in lab_example.INVENTORIES),
            f"--rounds={lab_example.ROUNDS}",
            f"--seed={lab_example.SEED}",
            f"--faults={','.join(lab_example.FAULTS)}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=CHAOS_SECONDS,
    )
    assert chaos.returncode == 0, chaos.stdout
    measure("rounds of disasters", chaos.stdout.splitlines()[-1])
