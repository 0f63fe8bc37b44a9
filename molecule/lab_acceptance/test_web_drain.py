"""A slave is drained, by Mesos' own call and by the playbook: what runs there moves."""

from __future__ import annotations

import time

from lab_client import asking
from lab_cluster import Cluster, eventually
from lab_site import WEB_COUNT, Measure, playbook

NANOSECONDS = 10**9


def moved(lab: Cluster, slave: str) -> bool:
    """Tell whether all run, none of them on the slave, and Mesos calls it drained."""
    hosts = [container.host for container in lab.containers().values()]
    drained = lab.agent(slave).get("drain_info", {}).get("state") == "DRAINED"
    return len(hosts) == WEB_COUNT and slave not in hosts and drained and lab.converged()


def test_what_mesos_drains_moves_at_once(web: Cluster, slave: str, measure: Measure) -> None:
    lab, since = web, time.time()
    staying = {id_ for id_, container in lab.containers().items() if container.host != slave}
    agent_id = lab.agent(slave)["agent_info"]["id"]
    with asking(lab, "web") as client:
        lab.call_master(
            {
                "type": "DRAIN_AGENT",
                "drain_agent": {
                    "agent_id": agent_id,
                    "max_grace_period": {"nanoseconds": 10 * NANOSECONDS},
                },
            }
        )
        _, seconds = eventually("all have moved", lambda: moved(lab, slave), seconds=60)
    measure("DRAIN_AGENT, until all run elsewhere", seconds)
    measure("  meanwhile (Mesos stops them without a word before)", client.report)
    after = lab.containers()
    assert staying < after.keys(), "what runs elsewhere must stay"
    assert not any(reason["kind"] == "back-off" for reason in lab.reasons()), lab.reasons()
    journal = lab.scheduler_journal(since)
    assert "held back" not in journal
    assert "in a row" not in journal

    lab.call_master({"type": "REACTIVATE_AGENT", "reactivate_agent": {"agent_id": agent_id}})
    eventually("the slave is back", lambda: lab.registered_slaves() == sorted(lab.slaves), seconds=30)
    assert lab.containers().keys() == after.keys(), "nothing moves back by itself"


def test_the_playbook_drains_without_a_failed_request(web: Cluster, slave: str, measure: Measure) -> None:
    lab = web
    with asking(lab, "web") as client:
        run = playbook("playbooks/drain.yml", "--limit", slave)
        assert run.exit_code == 0, run.output
        assert moved(lab, slave), "the playbook ends when the slave is empty"
    measure("playbooks/drain.yml", run.seconds)
    measure("  meanwhile", client.report)
    assert not client.report.failures, f"{client.report}: {client.report.failures[:10]}"
    assert client.report.fewest == WEB_COUNT
    again = playbook("playbooks/drain.yml", "--limit", slave)
    assert (again.exit_code, again.changed) == (0, 0), again.output

    after = lab.containers()
    back = playbook("playbooks/undrain.yml", "--limit", slave)
    measure("playbooks/undrain.yml", back.seconds)
    assert back.exit_code == 0, back.output
    eventually("the slave is back", lambda: lab.registered_slaves() == sorted(lab.slaves), seconds=10)
    assert not lab.schedule().get("windows")
    again = playbook("playbooks/undrain.yml", "--limit", slave)
    assert (again.exit_code, again.changed) == (0, 0), again.output
    assert lab.containers().keys() == after.keys()
