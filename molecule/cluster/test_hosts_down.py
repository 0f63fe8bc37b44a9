"""A host of the control plane is down, loses its disk, or is replaced by another one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import lab_ha
import pytest
from lab_cluster import Cluster, eventually
from lab_control_plane import leading_host, zookeeper_members, zookeeper_state
from lab_site import UNREACHABLE, Measure, playbook

EVERYBODY = {host: lab_ha.address(host) for host in (*lab_ha.MASTERS, *lab_ha.MORE_MASTERS)}


def leader() -> str:
    """Return the host whose master leads, once there is one."""
    return leading_host(EVERYBODY, lab_ha.SECURITY)


def test_the_leading_masters_host_is_off(lab: Cluster, measure: Measure, tmp_path: Path) -> None:
    before = lab.containers()
    off, slave = leader(), lab.slaves[0]
    inventory = lab_ha.inventory_with(tmp_path, {}, off=[off])
    with lab_ha.powered_off(off):
        assert leader() != off
        run = lab_ha.deploy(inventory=inventory, variables={"scheduler_count": lab_ha.COUNT + 1})
        measure("site.yml with the leader's host off", run.seconds)
        assert run.exit_code == UNREACHABLE, run.output
        assert f"Left out: {off}" in run.output
        assert before.keys() < lab.containers().keys()
        count = json.dumps({"scheduler_count": lab_ha.COUNT})
        services = playbook("playbooks/services.yml", "--extra-vars", count, inventory=inventory)
        measure("services.yml with the leader's host off", services.seconds)
        assert services.exit_code == 0, services.output
        assert len(lab.containers()) == lab_ha.COUNT
        for verb in ("drain", "undrain"):
            drained = playbook(f"playbooks/{verb}.yml", f"--limit={slave}", inventory=inventory)
            assert drained.exit_code == 0, drained.output
        verified = lab_ha.verify(inventory)
        assert verified.exit_code == UNREACHABLE, verified.output
    eventually("all three are in", lambda: zookeeper_state(lab_ha.address(off)) != "", seconds=60)
    run = lab_ha.deploy()
    assert run.exit_code == 0, run.output
    verified = lab_ha.verify()
    assert verified.exit_code == 0, verified.output


@pytest.mark.parametrize("zeros", [0, 4096], ids=["empty", "zeros"])
def test_zookeeper_had_no_room_to_begin_a_log(lab: Cluster, zeros: int) -> None:
    name = lab_ha.MASTERS[1]
    host = lab.host(name)
    # Newer than all others, as a server leaves it that finds its disk full or loses its power.
    log = "/var/lib/zookeeper/version-2/log.fffffffffffffff"
    try:
        host.check_output(
            f"systemctl stop zookeeper && truncate --size={zeros} {log} && chown zookeeper: {log}"
            " && systemctl start zookeeper"
        )
        eventually("it serves", lambda: zookeeper_state(lab_ha.address(name)) != "", seconds=30)
        assert not host.file(log).exists
    finally:
        host.check_output(f"rm --force {log}")


def test_a_leader_that_cannot_read_the_registry_steps_back(lab: Cluster, measure: Measure) -> None:
    leads = leader()
    others = [host for host in lab_ha.MASTERS if host != leads]
    started = time.time()
    for host in others:
        lab.host(host).check_output("systemctl kill --signal=SIGSTOP mesos-master")
    try:
        lab.host(leads).check_output("systemctl kill --signal=SIGKILL mesos-master")
        # A session of 10 seconds ends before it is elected again.
        _, seconds = eventually(
            "it steps back",
            lambda: "Failed to recover registrar" in lab.said(leads, "mesos-master", started),
            seconds=45,
        )
    finally:
        for host in others:
            lab.host(host).check_output("systemctl kill --signal=SIGCONT mesos-master")
    measure("a leader that can't read the registry steps back", seconds)
    leader()


def test_a_slave_that_is_back_in_time_is_not_lost(lab: Cluster) -> None:
    slave, since = lab.slaves[0], time.time()
    with lab_ha.powered_off(slave):
        time.sleep(40)
    # Five pings, one each 15 seconds: the last one that it could have missed is over then.
    time.sleep(60)
    said = "".join(lab.said(master, "mesos-master", since) for master in lab_ha.MASTERS)
    assert f"({slave}) disconnected" in said
    assert f"({slave}) unreachable" not in said
    eventually(
        "all run again, and no more",
        lambda: lab.converged() and len(lab.containers()) == lab_ha.COUNT,
        seconds=60,
    )


def test_a_masters_disk_is_emptied(lab: Cluster) -> None:
    containers = lab.containers().keys()
    members = zookeeper_members(lab_ha.address(lab_ha.MASTERS[0]))
    host = lab.host(lab_ha.MASTERS[1])
    host.check_output(
        "systemctl stop mesos-master zookeeper;"
        " rm -rf /var/lib/mesos/master/* /var/lib/zookeeper/* /etc/zookeeper /etc/mesos-master"
        " /etc/systemd/system/zookeeper.service /etc/systemd/system/mesos-master.service;"
        " systemctl daemon-reload"
    )
    run = lab_ha.deploy()
    assert run.exit_code == 0, run.output
    assert zookeeper_members(lab_ha.address(lab_ha.MASTERS[1])) == members, "numbers are kept"
    assert lab.containers().keys() == containers


def test_a_master_is_replaced_by_another_host(lab: Cluster, tmp_path: Path) -> None:
    containers = lab.containers().keys()
    before = zookeeper_members(lab_ha.address(lab_ha.MASTERS[1]))
    new = lab_ha.MORE_MASTERS[0]
    # The new one stands first; the host that was first is gone.
    masters = (new, *lab_ha.MASTERS[1:])
    inventory = lab_ha.inventory_with(tmp_path, {"zookeepers": masters, "mesos_masters": masters})
    with lab_ha.powered_off(lab_ha.MASTERS[0]):
        run = lab_ha.deploy(inventory=inventory)
        assert run.exit_code == 0, run.output
        after = zookeeper_members(lab_ha.address(lab_ha.MASTERS[1]))
        kept = {number: address for number, address in after.items() if address != lab_ha.address(new)}
        assert kept.items() < before.items(), "numbers are kept"
        assert set(after.values()) == {lab_ha.address(host) for host in masters}
        assert leader() in masters
    assert lab.containers().keys() == containers
    # It comes back. A master that nobody knows would be refused: the other one is on its way out.
    assert "nobody knows can break" in lab_ha.deploy().output
    run = lab_ha.deploy(inventory=lab_ha.inventory_with(tmp_path / "back", {"retired": [new]}))
    assert run.exit_code == 0, run.output
    assert set(zookeeper_members(lab_ha.address(lab_ha.MASTERS[1])).values()) == {
        lab_ha.address(host) for host in lab_ha.MASTERS
    }
    assert lab.containers().keys() == containers


def test_a_majority_that_is_down_is_refused(lab: Cluster, tmp_path: Path) -> None:
    containers = lab.containers().keys()
    off = lab_ha.MASTERS[:2]
    inventory = lab_ha.inventory_with(tmp_path, {}, off=off)
    with lab_ha.powered_off(off[0]), lab_ha.powered_off(off[1]):
        run = lab_ha.deploy(inventory=inventory, variables={"scheduler_count": 1})
        assert run.exit_code != 0
        assert run.changed == 0, run.output
        assert "can't be reached; more than half of the group is needed" in run.output
    assert lab.containers().keys() == containers
