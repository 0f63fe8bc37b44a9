"""The scheduler moves to another host, and two become one, and one two."""

from __future__ import annotations

import json
import time
from pathlib import Path

import lab_ha
from lab_cluster import Cluster, eventually
from lab_site import Measure, playbook
from lab_watch import watching

FIRST, SECOND = lab_ha.SCHEDULERS
STATE = "/var/lib/mesos-docker-scheduler/state.sqlite"
READ_STATE = (
    "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT id FROM framework').fetchall())"
)


def test_one_scheduler_takes_over_the_state_of_several_moves_and_becomes_several_again(
    lab: Cluster, measure: Measure, tmp_path: Path
) -> None:
    containers, framework = lab.containers().keys(), lab.status()["framework_id"]
    for what, groups in (
        ("has two schedulers become one", {"schedulers": [SECOND], "retired": [FIRST]}),
        ("moves the one to the other host", {"schedulers": [FIRST], "retired": [SECOND]}),
        ("has one scheduler become two", {}),
    ):
        with watching(lab, "web") as story:
            run = lab_ha.deploy(inventory=lab_ha.inventory_with(tmp_path, groups))
        measure(f"site.yml that {what}", run.seconds)
        assert run.exit_code == 0, run.output
        assert (story.starts, story.ends) == ({}, 0), str(story)
        members = groups.get("schedulers", lab_ha.SCHEDULERS)
        moved = lab_ha.cluster(*members)
        eventually("it runs what it should", moved.converged, seconds=30)
        assert moved.status()["framework_id"] == framework
        assert moved.containers().keys() == containers
        assert moved.scheduler_access() == lab.scheduler_access()
        for host in members:
            assert _knows_the_framework(moved, host) is (len(members) == 1)
        for host in groups.get("retired", ()):
            unit = moved.host(host).service("mesos-docker-scheduler")
            assert not unit.is_running
            assert not unit.is_enabled
    again = lab_ha.deploy()
    assert (again.exit_code, again.changed) == (0, 0), again.output


def _knows_the_framework(lab: Cluster, host: str) -> bool:
    """Whether the host has the state on its disk."""
    file = lab.host(host).run(f'test -e {STATE} && python3 -c "{READ_STATE}" {STATE}')
    return file.rc == 0 and file.stdout.strip() not in ("[]", "[(None,)]")


def test_a_host_that_was_off_while_its_scheduler_moved_takes_nothing_back(
    lab: Cluster, measure: Measure, tmp_path: Path
) -> None:
    alone = lab_ha.inventory_with(tmp_path / "alone", {"schedulers": [FIRST], "retired": [SECOND]})
    assert lab_ha.deploy(inventory=alone).exit_code == 0
    containers, framework = lab.containers().keys(), lab_ha.cluster(FIRST).status()["framework_id"]
    moved = lab_ha.cluster(SECOND)
    inventory = lab_ha.inventory_with(tmp_path / "moved", {"schedulers": [SECOND]}, off=[FIRST])
    with lab_ha.powered_off(FIRST):
        count = json.dumps({"scheduler_image": lab_ha.IMAGE, "scheduler_count": lab_ha.COUNT})
        arguments = ("--extra-vars", count, "--extra-vars", f"new_scheduler={SECOND}")
        run = playbook("playbooks/move_scheduler.yml", *arguments, inventory=inventory)
        measure("move_scheduler.yml with the old host off", run.seconds)
        assert run.exit_code == 0, run.output
        assert moved.status()["framework_id"] == framework
        assert moved.containers().keys() == containers
    # Nobody lets it in any more: it belongs to no group.
    old = lab.host(FIRST)
    eventually("it is back", lambda: old.service("mesos-docker-scheduler").is_running, seconds=60)
    time.sleep(15)
    assert not json.loads(old.check_output("mesos-docker-scheduler status --json"))["connected"]
    assert moved.converged()
    assert moved.status()["framework_id"] == framework
    # Two again: the state that was left there is the older one.
    run = lab_ha.deploy()
    assert run.exit_code == 0, run.output
    assert lab.status()["framework_id"] == framework
    assert lab.containers().keys() == containers
