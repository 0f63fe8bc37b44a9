"""Kill, grace periods, shutdown and SIGTERM."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
from mesos_testbed import Framework, docker_task, eventually

pytestmark = pytest.mark.integration

# Shells hold signals back until their foreground command ends: wait in the background instead.
STUBBORN = "trap 'echo asked' TERM; while true; do sleep 60 & wait $!; done"
OBEDIENT = "trap 'echo bye; exit 0' TERM; while true; do sleep 60 & wait $!; done"


def run(framework: Framework, command: str, **fields: Any) -> str:
    task = docker_task(command=command, **fields)
    task_id = str(task["task_id"]["value"])
    framework.launch([task])
    framework.wait_state(task_id, "TASK_RUNNING")
    time.sleep(0.3)  # the shell needs a moment to set its trap
    return task_id


def states(framework: Framework, task_id: str) -> list[str]:
    return [update["state"] for update in framework.of(task_id)]


def test_kill_in_order(bed: Any, framework: Framework) -> None:
    task_id = run(framework, OBEDIENT)
    framework.kill(task_id)
    end = framework.wait_state(task_id, "TASK_KILLED")
    assert states(framework, task_id)[2:] == ["TASK_KILLING", "TASK_KILLED"]
    assert end["message"] == "Container exited with status 0"
    bed.wait_gone(task_id)
    assert (bed.sandbox(task_id) / "stdout").read_text() == "bye\n"


@pytest.mark.parametrize(
    ("policy", "override", "seconds"),
    [(None, 0.5, 0.5), (1, None, 1), (60, 0, 0), (None, None, 5)],
)
def test_grace_periods(
    bed: Any, framework: Framework, policy: float | None, override: float | None, seconds: float
) -> None:
    fields = {"kill_policy": {"grace_period": {"nanoseconds": int(policy * 1e9)}}} if policy else {}
    task_id = run(framework, STUBBORN, **fields)
    before = time.time()
    framework.kill(task_id, override)
    end = framework.wait_state(task_id, "TASK_KILLED")
    assert end["message"] == "Container exited with status 137"
    assert seconds <= end["received"] - before < seconds + 1.5
    bed.wait_gone(task_id)


def test_a_second_kill_may_hurry(bed: Any, framework: Framework) -> None:
    task_id = run(framework, STUBBORN)
    before = time.time()
    framework.kill(task_id, 60)
    framework.wait_state(task_id, "TASK_KILLING")
    framework.kill(task_id, 0)
    assert framework.wait_state(task_id, "TASK_KILLED")["received"] - before < 5
    assert states(framework, task_id).count("TASK_KILLING") == 1


def test_killed_while_starting(bed: Any, framework: Framework) -> None:
    """Wherever the kill arrives, the task ends as killed and nothing stays."""
    tasks = [docker_task(command=OBEDIENT, cpus=0.01) for _ in range(4)]
    framework.launch(tasks)
    ids = [task["task_id"]["value"] for task in tasks]
    for index, task_id in enumerate(ids):
        framework.wait_state(task_id, "TASK_STARTING")
        time.sleep(0.03 * index)
        framework.kill(task_id)
    for task_id in ids:
        framework.wait_state(task_id, "TASK_KILLED", 20)
        bed.wait_gone(task_id)


def test_no_killing_state_for_frameworks_without_it(bed: Any) -> None:
    with Framework(bed.master.address, {"capabilities": [{"type": "MULTI_ROLE"}]}) as framework:
        task_id = run(framework, OBEDIENT)
        framework.kill(task_id)
        framework.wait_state(task_id, "TASK_KILLED")
        assert states(framework, task_id) == ["TASK_STARTING", "TASK_RUNNING", "TASK_KILLED"]
        framework.teardown()


def test_the_end_of_the_framework(bed: Any) -> None:
    with Framework(bed.master.address) as framework:
        task_id = run(framework, STUBBORN)
        before = time.time()
        framework.teardown()
        bed.wait_gone(task_id, 15)
        assert time.time() - before < 9


def test_sigterm_stops_the_container_in_order(bed: Any, framework: Framework) -> None:
    task_id = run(framework, OBEDIENT)
    os.kill(bed.executor_pid(task_id), signal.SIGTERM)
    framework.wait_state(task_id, "TASK_KILLED")
    bed.wait_gone(task_id)
    assert (bed.sandbox(task_id) / "stdout").read_text() == "bye\n"


def test_a_second_sigterm_does_not_wait(bed: Any, framework: Framework) -> None:
    task_id = run(framework, STUBBORN)
    before = time.time()
    pid = bed.executor_pid(task_id)
    os.kill(pid, signal.SIGTERM)
    framework.wait_state(task_id, "TASK_KILLING")
    os.kill(pid, signal.SIGTERM)
    framework.wait_state(task_id, "TASK_KILLED")
    assert time.time() - before < 3
    bed.wait_gone(task_id)


def test_a_kill_of_somebody_elses_task_is_ignored(bed: Any, framework: Framework) -> None:
    task_id = run(framework, OBEDIENT)
    framework.kill("nobody")
    eventually(lambda: framework.of("nobody") or True, "an answer")
    assert bed.container(task_id)["State"]["Running"]
