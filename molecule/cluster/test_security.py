"""An open cluster that runs is secured, gets other keys, and is opened again. No container stops."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import lab_ha
from lab_client import asking
from lab_cluster import TOKEN_FILE, Cluster, SecurityFolder
from lab_site import Measure, playbook
from lab_watch import watching

ROTATE = "playbooks/rotate_secrets.yml"
SUPERUSER = "/etc/zookeeper/superuser"


class Absence:
    """The longest time in seconds that the scheduler was seen without a master."""

    seconds = 0.0


@contextmanager
def watching_scheduler(lab: Cluster) -> Generator[Absence, None, None]:
    """Ask the scheduler on its host all the time meanwhile."""
    absence, over = Absence(), threading.Event()

    def watch() -> None:
        last = time.monotonic()
        while not over.wait(0.5):
            asked = time.monotonic()
            for scheduler in lab.schedulers:
                status = lab.host(scheduler).run("mesos-docker-scheduler status --json")
                if status.rc == 0 and json.loads(status.stdout)["connected"]:
                    last = time.monotonic()
            absence.seconds = max(absence.seconds, asked - last)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield absence
    finally:
        over.set()
        thread.join()


def passwords(lab: Cluster) -> dict[str, str]:
    """Return all by name: what the control node keeps, and what hosts have made for themselves."""
    ours = dict(SecurityFolder(lab_ha.SECURITY.path).secrets)
    for host in lab.schedulers:
        ours[f"{TOKEN_FILE} ({host})"] = lab.host(host).file(TOKEN_FILE).content_string
    for host in lab_ha.MASTERS:
        ours[f"{SUPERUSER} ({host})"] = lab.host(host).file(SUPERUSER).content_string
    return ours


def test_open_secured_other_keys_and_open(lab: Cluster, measure: Measure) -> None:
    opened = lab_ha.deploy(variables={"cluster_security": False})
    assert opened.exit_code == 0, opened.output
    containers = lab.containers().keys()
    before = passwords(lab)
    values = {"scheduler_image": lab_ha.IMAGE, "scheduler_count": lab_ha.COUNT, "cluster_security": True}
    with watching(lab, "web") as story:
        for what, name, was, secured in (
            ("open -> secured: site.yml", "site.yml", False, True),
            ("other keys and passwords: rotate_secrets.yml", ROTATE, True, True),
            ("secured -> open: site.yml", "site.yml", True, False),
            ("open -> secured: site.yml, again", "site.yml", False, True),
        ):
            variables = json.dumps({**values, "cluster_security": secured})
            with watching_scheduler(lab) as absence, asking(lab_ha.cluster(secured=was), "web") as client:
                run = playbook(name, "--extra-vars", variables, inventory=lab_ha.INVENTORY)
            measure(what, run.seconds)
            measure("  longest time without scheduling", absence.seconds)
            measure("  meanwhile", client.report)
            assert run.exit_code == 0, run.output
            assert lab.containers().keys() == containers
            assert client.report.failures == []
            again = lab_ha.deploy(variables={"cluster_security": secured})
            assert (again.exit_code, again.changed) == (0, 0), again.output
    assert (story.starts, story.ends) == ({}, 0), str(story)
    after = passwords(lab)
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in before)
    verified = lab_ha.verify()
    assert verified.exit_code == 0, verified.output
