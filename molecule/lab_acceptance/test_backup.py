"""The control plane is backed up while all runs, lost with its host, and restored on a new one."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from lab_backup import back_up, backups, create, destroy, manifest, restore
from lab_cluster import TOKEN_FILE, Cluster, eventually
from lab_site import COUNT, IMAGE, Measure, deploy, playbook
from lab_watch import watching

MORE = COUNT + 1


def agent_ids(lab: Cluster) -> dict[str, str]:
    return {slave: lab.agent(slave)["agent_info"]["id"]["value"] for slave in lab.slaves}


def state_of(lab: Cluster) -> tuple[set[str], str, dict[str, str]]:
    """Return what must outlive the control plane: containers, framework and agents, by their ids."""
    return set(lab.containers()), lab.status()["framework_id"], agent_ids(lab)


def test_a_backup_stops_nothing_and_is_the_owners_alone(
    lab: Cluster, measure: Measure, tmp_path: Path
) -> None:
    host = lab.host(lab.master)
    show = "systemctl show --property=MainPID zookeeper mesos-master mesos-docker-scheduler"
    processes = host.check_output(show)
    run = back_up(tmp_path / "kept")
    measure("backup.yml", run.seconds)
    assert run.exit_code == 0, run.output
    assert host.check_output(show) == processes
    (backup,) = backups(tmp_path / "kept")
    said = manifest(backup)
    assert said["scheduler"]["framework_id"] == lab.status()["framework_id"]
    assert said["agents"] == {agent: slave for slave, agent in agent_ids(lab).items()}
    for path in [backup, *backup.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    left = host.check_output("ls -d /var/tmp/mesos-* 2>/dev/null || true")
    assert left == "", "something is left on the host"


def test_a_backup_of_a_registry_that_is_written_to(lab: Cluster, measure: Measure, tmp_path: Path) -> None:
    """Each write is large, so that LevelDB begins new files again and again."""
    over, writes = threading.Event(), [0]
    machines = [{"hostname": f"host{number}.example.org"} for number in range(3000)]
    window = {"machine_ids": machines, "unavailability": {"start": {"nanoseconds": 2000000000000000000}}}

    def write() -> None:
        while not over.is_set():
            lab.announce([window])
            writes[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(2):
            run = back_up(tmp_path)
            assert run.exit_code == 0, run.output
    finally:
        over.set()
        writer.join()
        lab.announce([])
    measure("registry writes during two backups", writes[0])
    for backup in backups(tmp_path):
        assert len(manifest(backup)["agents"]) == len(lab.slaves)


def test_only_the_latest_are_kept(lab: Cluster, tmp_path: Path) -> None:
    for name in ("20200101T000000Z", "20200102T000000Z", ".20200103T000000Z", "notes"):
        (tmp_path / name).mkdir()
    run = back_up(tmp_path, "--extra-vars=backup_keep=2")
    assert run.exit_code == 0, run.output
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert (kept[0], len(kept), kept[2]) == ("20200102T000000Z", 3, "notes")


def test_nothing_is_written_when_it_can_not_be_complete(lab: Cluster, tmp_path: Path) -> None:
    refused = back_up(tmp_path, "--extra-vars=backup_keep=none")
    assert refused.exit_code != 0
    assert "backup_keep is 'none'; it must be a whole number, 1 or more" in refused.words
    checked = back_up(tmp_path, "--check")
    assert (checked.exit_code, checked.changed) == (0, 0), checked.output
    assert "This would write" in checked.output
    host = lab.host(lab.master)
    # The last that is asked for.
    host.check_output("mv /usr/local/bin/mesos-docker-scheduler /root/")
    try:
        failed = back_up(tmp_path)
    finally:
        host.check_output("mv /root/mesos-docker-scheduler /usr/local/bin/")
    assert failed.exit_code != 0
    assert "There is no new backup" in failed.output
    assert list(tmp_path.iterdir()) == []
    assert host.check_output("ls -d /var/tmp/mesos-* 2>/dev/null || true") == ""


def test_a_restore_is_refused_while_a_master_lives(lab: Cluster, tmp_path: Path) -> None:
    before = state_of(lab)
    assert back_up(tmp_path).exit_code == 0
    (backup,) = backups(tmp_path)
    run = restore(backup)
    assert (run.exit_code != 0, run.changed) == (True, 0), run.output
    assert f"A mesos-master answers at {lab.address(lab.master)}:5050" in run.words
    (backup / "scheduler" / "state.sqlite").write_text("damaged")
    damaged = restore(backup)
    assert "is not what was backed up" in damaged.words
    assert "No backup is named" in playbook("playbooks/restore.yml").output
    assert state_of(lab) == before


@pytest.mark.parametrize("count", [COUNT, MORE], ids=["as it was", "older than what runs"])
def test_the_control_plane_is_lost_and_restored(
    lab: Cluster, measure: Measure, tmp_path: Path, count: int
) -> None:
    token = lab.host(lab.master).check_output(f"cat {TOKEN_FILE}")
    assert back_up(tmp_path).exit_code == 0
    (backup,) = backups(tmp_path)
    if count != COUNT:
        assert deploy({"scheduler_count": count}).exit_code == 0
    before = state_of(lab)
    assert len(before[0]) == count
    variables = {"scheduler_image": IMAGE, "scheduler_count": count}
    with watching(lab, "web") as story:
        destroy([lab.master])
        create()
        checked = restore(backup, "--check", variables=variables)
        assert checked.exit_code == 0, checked.output
        run = restore(backup, variables=variables)
        measure(f"restore.yml, {count - COUNT} instances newer than the backup", run.seconds)
        assert run.exit_code == 0, run.output
        eventually("all slaves are back", lambda: lab.registered_slaves() == sorted(lab.slaves), seconds=60)
        eventually("all is in order", lab.converged, seconds=60)
    assert state_of(lab) == before
    assert (story.starts, story.ends) == ({}, 0), str(story)
    assert lab.frameworks() == [before[1]]
    assert lab.host(lab.master).check_output(f"cat {TOKEN_FILE}") == token
    verified = playbook("playbooks/verify.yml", "--extra-vars", json.dumps(variables))
    assert verified.exit_code == 0, verified.output
    again = playbook("site.yml", "--extra-vars", json.dumps(variables))
    assert (again.exit_code, again.changed) == (0, 0), again.output
    # It is in control: it can end what it has taken over.
    assert deploy().exit_code == 0
    assert lab.containers().keys() <= before[0]
