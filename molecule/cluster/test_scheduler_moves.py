"""The scheduler moves to another host, and back."""

from __future__ import annotations

import json
from pathlib import Path

import lab_ha
from lab_cluster import Cluster, eventually
from lab_site import Measure, playbook

OTHER = lab_ha.MORE_MASTERS[0]


def test_the_scheduler_moves_and_comes_back(lab: Cluster, measure: Measure, tmp_path: Path) -> None:
    containers, framework = lab.containers().keys(), lab.status()["framework_id"]
    token = lab.host(lab_ha.SCHEDULER).file("/etc/mesos-docker-scheduler/token").content_string
    for old, new in ((lab_ha.SCHEDULER, OTHER), (OTHER, lab_ha.SCHEDULER)):
        inventory = lab_ha.inventory_with(tmp_path, {"schedulers": [new], "retired": [old]})
        run = lab_ha.deploy(inventory=inventory)
        measure(f"site.yml that moves the scheduler to {new}", run.seconds)
        assert run.exit_code == 0, run.output
        moved = lab_ha.cluster(new)
        assert moved.status()["framework_id"] == framework
        assert moved.containers().keys() == containers
        assert moved.host(new).file("/etc/mesos-docker-scheduler/token").content_string == token
        unit = moved.host(old).service("mesos-docker-scheduler")
        assert not unit.is_running
        assert not unit.is_enabled


def test_a_host_that_was_off_while_its_scheduler_moved_takes_nothing_back(
    lab: Cluster, measure: Measure, tmp_path: Path
) -> None:
    containers, framework = lab.containers().keys(), lab.status()["framework_id"]
    moved = lab_ha.cluster(OTHER)
    inventory = lab_ha.inventory_with(tmp_path, {"schedulers": [OTHER]}, off=[lab_ha.SCHEDULER])
    with lab_ha.powered_off(lab_ha.SCHEDULER):
        count = json.dumps({"scheduler_image": lab_ha.IMAGE, "scheduler_count": lab_ha.COUNT})
        arguments = ("--extra-vars", count, "--extra-vars", f"new_scheduler={OTHER}")
        run = playbook("playbooks/move_scheduler.yml", *arguments, inventory=inventory)
        measure("move_scheduler.yml with the old host off", run.seconds)
        assert run.exit_code == 0, run.output
        assert moved.status()["framework_id"] == framework
        assert moved.containers().keys() == containers
    old = lab.host(lab_ha.SCHEDULER)
    eventually(
        "the old scheduler has ended",
        lambda: old.check_output("systemctl show --property=ExecMainStatus mesos-docker-scheduler").endswith(
            "=77"
        ),
        seconds=60,
    )
    assert "another scheduler has taken over" in old.check_output(
        "journalctl -u mesos-docker-scheduler -n 20"
    )
    assert moved.converged()
    assert moved.status()["framework_id"] == framework
    # Back again: the state that was left there is the older one.
    run = lab_ha.deploy(inventory=lab_ha.inventory_with(tmp_path / "back", {"retired": [OTHER]}))
    assert run.exit_code == 0, run.output
    assert lab.status()["framework_id"] == framework
    assert lab.containers().keys() == containers
