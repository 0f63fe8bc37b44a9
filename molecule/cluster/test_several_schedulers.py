"""Two schedulers share a state, and one leads: its host is lost, it is frozen, ZooKeeper has no quorum."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lab_ha
from lab_client import asking
from lab_cluster import SCHEDULER_PORT, Cluster, eventually
from lab_site import UNREACHABLE, WEB, Measure, Run, playbook
from lab_watch import watching

SERVICES = "playbooks/services.yml"
SESSION_SECONDS = 6
TAKE_OVER_SECONDS = 10  # on a machine that other tests keep busy
UNIT = "mesos-docker-scheduler"


def values(image: str, **more: object) -> str:
    """Variables for a service whose instances are in service once they are well."""
    return json.dumps({**WEB, "scheduler_image": image, "scheduler_count": lab_ha.COUNT, **more})


def services(image: str, inventory: Path = lab_ha.INVENTORY, **more: object) -> Run:
    """Run services.yml."""
    return playbook(SERVICES, "--extra-vars", values(image, **more), inventory=inventory)


def status_of(lab: Cluster, host: str) -> dict[str, Any]:
    """What this host's scheduler says of itself."""
    said: dict[str, Any] = lab.get(host, SCHEDULER_PORT, "/v1/status?instances=false")
    return said


def other(host: str) -> str:
    """The other scheduler's host."""
    (found,) = (each for each in lab_ha.SCHEDULERS if each != host)
    return found


def another_leads(lab: Cluster, former: str) -> Callable[[], bool]:
    """Whether the other one leads, and has a master."""

    def leads() -> bool:
        try:
            said = status_of(lab, other(former))
        except OSError:
            return False
        return bool(said["leads"] and said["connected"])

    return leads


def images(lab: Cluster) -> list[str]:
    """What runs."""
    return [container.image for container in lab.containers().values()]


def connected(lab: Cluster, host: str) -> bool:
    """Whether this host's scheduler has a master."""
    try:
        return bool(status_of(lab, host)["connected"])
    except OSError:  # it is being started again
        return False


def follows_the_other(lab: Cluster, host: str) -> bool:
    """Whether this host's scheduler says that the other one leads."""
    try:
        leader = status_of(lab, host)["leader"]
    except OSError:
        return False
    return leader is not None and leader["host"] == other(host)


def test_the_leaders_host_is_lost_during_an_update(lab: Cluster, measure: Measure, tmp_path: Path) -> None:
    assert services(lab_ha.IMAGE).exit_code == 0
    framework, leader = lab.status()["framework_id"], lab.scheduler
    with watching(lab, "web") as story, asking(lab, "web") as client, ThreadPoolExecutor() as pool:
        run = pool.submit(services, lab_ha.NEXT_IMAGE)
        eventually("the update is under way", lambda: lab_ha.NEXT_IMAGE in images(lab), seconds=60)
        with lab_ha.powered_off(leader, verb="kill"):
            off = time.monotonic()
            _, took = eventually("another one leads", another_leads(lab, leader), seconds=30)
            measure("the leader's host is killed: until another one is connected", took)
            assert took < SESSION_SECONDS + TAKE_OVER_SECONDS
            eventually(
                "the update is complete",
                lambda: images(lab) == [lab_ha.NEXT_IMAGE] * lab_ha.COUNT and lab.converged(),
                seconds=90,
            )
            measure("  until the update is complete", time.monotonic() - off)
            run.result()  # it fails, or not: its own host may be the one that is gone
            inventory = lab_ha.inventory_with(tmp_path, {}, off=[leader])
            without = services(lab_ha.NEXT_IMAGE, inventory)
            assert without.exit_code == UNREACHABLE, without.output
        eventually("the one that was lost follows", lambda: follows_the_other(lab, leader), seconds=60)
    measure("  meanwhile", client.report)
    assert client.report.failures == []
    assert story.most <= lab_ha.COUNT + 1
    assert sum(story.starts.values()) == lab_ha.COUNT, str(story)
    assert lab.status()["framework_id"] == framework
    assert lab.scheduler == other(leader)
    assert services(lab_ha.IMAGE).exit_code == 0


def test_another_one_leads_during_a_deployment(lab: Cluster, measure: Measure) -> None:
    assert services(lab_ha.IMAGE).exit_code == 0
    leader = lab.scheduler
    with ThreadPoolExecutor() as pool:
        run = pool.submit(services, lab_ha.NEXT_IMAGE)
        eventually("the update is under way", lambda: lab_ha.NEXT_IMAGE in images(lab), seconds=60)
        lab.host(leader).check_output("mesos-docker-scheduler step-down")
        _, took = eventually("another one leads", another_leads(lab, leader), seconds=30)
        measure("the leader steps down: until another one is connected", took)
        # It has waited for what the other one made of the same configuration.
        assert run.result().exit_code == 0, run.result().output
    assert images(lab) == [lab_ha.NEXT_IMAGE] * lab_ha.COUNT
    assert lab.scheduler == other(leader)
    assert services(lab_ha.IMAGE).exit_code == 0


def test_a_frozen_leader_never_leads_again(lab: Cluster, measure: Measure) -> None:
    leader, containers = lab.scheduler, lab.containers().keys()
    framework, host = lab.status()["framework_id"], lab.host(leader)
    since = time.time()
    host.check_output(f"systemctl kill --signal=SIGSTOP {UNIT}")
    _, took = eventually("another one leads", another_leads(lab, leader), seconds=30)
    measure("the leader is frozen: until another one is connected", took)
    victim = next(iter(lab.containers().values()))
    lab.host(victim.host).check_output(f"docker kill {victim.id}")
    eventually("it has acted", lambda: len(lab.containers().keys() - {victim.id}) == lab_ha.COUNT, seconds=30)
    # Before systemd notices that it stands still, after a minute.
    host.check_output(f"systemctl kill --signal=SIGCONT {UNIT}")
    eventually("it follows", lambda: follows_the_other(lab, leader), seconds=60)
    assert "another scheduler may lead by now" in lab.said(leader, UNIT, since)
    assert " launch " not in lab.said(leader, UNIT, since)
    # The masters have heard of no subscription but the other one's.
    said = "".join(lab.said(master, "mesos-master", since) for master in lab_ha.MASTERS)
    assert said.count("Received subscription request") == 1, said
    assert lab.scheduler == other(leader)
    assert lab.status()["framework_id"] == framework
    assert len(lab.containers()) == lab_ha.COUNT
    assert containers - {victim.id} < lab.containers().keys()


def test_a_change_is_made_while_the_leader_stands_still(lab: Cluster) -> None:
    leader = lab.scheduler
    lab.host(leader).check_output(f"systemctl kill --signal=SIGSTOP {UNIT}")
    eventually("another one leads", another_leads(lab, leader), seconds=30)
    grown = services(lab_ha.IMAGE, scheduler_count=lab_ha.COUNT + 1)
    assert grown.exit_code == 0, grown.output
    assert len(lab.containers()) == lab_ha.COUNT + 1
    # systemd has it started again.
    eventually("it follows", lambda: follows_the_other(lab, leader), seconds=90)


def test_zookeeper_has_no_quorum_while_containers_crash(lab: Cluster, measure: Measure) -> None:
    framework, before = lab.status()["framework_id"], lab.containers()
    victims = list(before.values())[:2]
    servers = lab_ha.MASTERS[:2]
    try:
        for server in servers:
            lab.host(server).check_output("systemctl stop zookeeper")
        began = time.monotonic()
        for victim in victims:
            lab.host(victim.host).check_output(f"docker kill {victim.id}")
        while time.monotonic() < began + 120:
            running = lab.containers().keys()
            assert running == before.keys() - {victim.id for victim in victims}
            # A session may have lasted, and a master not noticed yet.
            assert time.monotonic() < began + 30 or not any(connected(lab, host) for host in lab.schedulers)
            time.sleep(5)
    finally:
        for server in servers:
            lab.host(server).check_output("systemctl start zookeeper")
    _, took = eventually(
        "all is right", lambda: lab.converged() and len(lab.containers()) == lab_ha.COUNT, seconds=120
    )
    measure("ZooKeeper has a quorum again after 2 minutes: until all runs", took)
    assert lab.status()["framework_id"] == framework
    assert before.keys() - {victim.id for victim in victims} <= lab.containers().keys()
