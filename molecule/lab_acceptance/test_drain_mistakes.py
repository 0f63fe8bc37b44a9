"""The playbooks that drain slaves, while masters are dead, others announce something, or somebody errs."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lab_cluster import Cluster, eventually
from lab_site import COUNT, playbook

DRAIN, UNDRAIN = "playbooks/drain.yml", "playbooks/undrain.yml"
# Another operator's machine, years from now.
OTHERS = {
    "machine_ids": [{"hostname": "elsewhere", "ip": "10.77.0.99"}],
    "unavailability": {"start": {"nanoseconds": 2000000000000000000}},
}


@pytest.fixture
def slave(lab: Cluster) -> Generator[str, None, None]:
    """A slave; afterwards all are taken back, whatever the test has come to."""
    yield lab.slaves[0]
    lab.take_back()


def drained(lab: Cluster, slave: str) -> bool:
    return bool(lab.agent(slave).get("drain_info", {}).get("state") == "DRAINED")


def untouched(lab: Cluster) -> bool:
    deactivated = any(lab.agent(slave).get("deactivated") for slave in lab.slaves)
    return not deactivated and not lab.schedule().get("windows")


def test_masters_that_never_answer_stop_nothing(lab: Cluster, slave: str, tmp_path: Path) -> None:
    inventory = tmp_path / "dead_masters.yml"
    inventory.write_text(
        "mesos_masters: {hosts: {lab-never-seen: , lab-dead: {mesos_master_ip: 10.77.0.250}}}\n"
    )
    run = playbook(DRAIN, f"--inventory={inventory}", "--limit", slave)
    assert run.exit_code == 0, run.output
    assert drained(lab, slave)
    assert all(container.host != slave for container in lab.containers().values())
    back = playbook(UNDRAIN, f"--inventory={inventory}", "--limit", slave)
    assert back.exit_code == 0, back.output
    assert untouched(lab)


def test_says_what_each_master_answered_when_none_leads(lab: Cluster, slave: str) -> None:
    run = playbook(DRAIN, "--limit", slave, "--extra-vars", "mesos_master_port=5099")
    assert run.exit_code != 0
    answer = f"{lab.master}: {lab.address(lab.master)}:5099: [Errno 111] Connection refused"
    assert answer in run.words, run.output
    assert untouched(lab)


def test_what_others_announce_meanwhile_stays(lab: Cluster, slave: str) -> None:
    with ThreadPoolExecutor() as pool:
        running = pool.submit(playbook, DRAIN, "--limit", slave)
        windows, _ = eventually("it is announced", lambda: lab.schedule().get("windows"), seconds=60)
        lab.announce([*windows, OTHERS])
        run = running.result()
    assert run.exit_code == 0, run.output
    assert drained(lab, slave)
    assert lab.schedule()["windows"] == [OTHERS]
    back = playbook(UNDRAIN, "--limit", slave)
    assert back.exit_code == 0, back.output
    assert lab.schedule()["windows"] == [OTHERS]


def test_several_slaves_at_a_time(lab: Cluster, slave: str) -> None:
    named = ["--limit", ",".join(lab.slaves)]
    run = playbook(DRAIN, *named, "--extra-vars", "drain_serial=100% drain_wait_seconds=0")
    assert run.exit_code == 0, run.output
    assert all(drained(lab, one) for one in lab.slaves)
    assert not lab.containers()
    assert not lab.schedule().get("windows")
    back = playbook(UNDRAIN, *named)
    assert back.exit_code == 0, back.output
    eventually("all run again", lambda: len(lab.containers()) == COUNT and lab.converged(), seconds=60)


def test_a_slave_with_anothers_name_is_not_touched(lab: Cluster, slave: str) -> None:
    other = lab.slaves[1]
    run = playbook(DRAIN, "--limit", slave, "--extra-vars", f"mesos_slave_hostname={other}")
    assert run.exit_code != 0
    words = run.words
    assert f"Mesos knows no agent with the hostname {other} at {lab.address(slave)}:5051" in words, run.output
    assert untouched(lab)


@pytest.mark.parametrize("name", [DRAIN, UNDRAIN])
def test_asks_which_slave(lab: Cluster, slave: str, name: str) -> None:
    lab.announce([OTHERS])
    run = playbook(name)
    assert run.exit_code != 0
    assert run.changed == 0
    assert "name those that you mean with --limit" in run.output
    run = playbook(name, "--limit", lab.master)
    assert run.exit_code != 0
    assert f"The host {lab.master} is not in the group mesos_slaves" in run.output
    assert lab.schedule()["windows"] == [OTHERS]


def test_refuses_a_time_that_is_no_number(lab: Cluster, slave: str) -> None:
    """Else it would be taken for none, and Mesos would stop what runs there at once."""
    run = playbook(DRAIN, "--limit", slave, "--extra-vars", "drain_wait_seconds=10m")
    assert run.exit_code != 0
    assert "drain_wait_seconds is '10m'; it must be a whole number" in run.output
    assert untouched(lab)


def test_check_mode_changes_nothing(lab: Cluster, slave: str) -> None:
    run = playbook(DRAIN, "--limit", slave, "--check")
    assert (run.exit_code, run.changed) == (0, 2), run.output
    assert untouched(lab)
    assert playbook(DRAIN, "--limit", slave).exit_code == 0
    run = playbook(UNDRAIN, "--limit", slave, "--check")
    assert (run.exit_code, run.changed) == (0, 1), run.output
    assert drained(lab, slave)
