"""The sandbox's stdout and stderr, limited by an agent's and a task's settings, on real Mesos and Docker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import Framework, docker_task, eventually

pytestmark = pytest.mark.integration

LIMITS = {
    "CONTAINER_LOGGER_MAX_STDOUT_SIZE": "16KB",
    "CONTAINER_LOGGER_MAX_FILES": "3",
}
# 3000 lines, then as many when the sandbox has a file "go".
COMMAND = """
lines() { i=$1; while [ $i -lt $2 ]; do echo line $i; i=$((i+1)); done; }
lines 0 3000
while [ ! -e "$MESOS_SANDBOX/go" ]; do sleep 0.1; done
lines 3000 6000
"""


def launch(framework: Framework, **environment: str) -> str:
    task = docker_task(command=COMMAND)
    variables = [{"name": name, "value": value} for name, value in environment.items()]
    task["command"]["environment"] = {"variables": variables}
    framework.launch([task])
    task_id = str(task["task_id"]["value"])
    framework.wait_state(task_id, "TASK_RUNNING")
    return task_id


def text(sandbox: Path, name: str) -> str:
    return (sandbox / name).read_text() if (sandbox / name).exists() else ""


@pytest.mark.parametrize("own_bed", [{"executor_environment_variables": json.dumps(LIMITS)}], indirect=True)
def test_output_is_rotated_as_the_slave_says_unless_the_task_does(own_bed: Any) -> None:
    with Framework(own_bed.master.address) as framework:
        limited = launch(framework)
        unlimited = launch(framework, CONTAINER_LOGGER_MAX_STDOUT_SIZE="0")
        sandboxes = [own_bed.sandbox(task_id) for task_id in (limited, unlimited)]
        eventually(
            lambda: all(text(sandbox, "stdout").endswith("line 2999\n") for sandbox in sandboxes),
            "the first half",
        )
        own_bed.agent.kill9()  # it goes on without the agent, and after its return
        (own_bed.sandbox(limited) / "go").touch()
        eventually(
            lambda: text(own_bed.sandbox(limited), "stdout").endswith("line 5999\n"), "the second half"
        )
        own_bed.agent.recover(own_bed.master)
        (own_bed.sandbox(unlimited) / "go").touch()
        for task_id in (limited, unlimited):
            framework.wait_state(task_id, "TASK_FINISHED", 30)
            own_bed.wait_gone(task_id)

        whole = [f"line {number}" for number in range(6000)]
        sandbox = own_bed.sandbox(unlimited)
        assert sorted(path.name for path in sandbox.glob("std*")) == ["stderr", "stdout"]
        assert text(sandbox, "stdout").splitlines() == whole

        sandbox = own_bed.sandbox(limited)
        names = ["stdout.2", "stdout.1", "stdout"]
        assert sorted(path.name for path in sandbox.glob("std*")) == ["stderr", *reversed(names)]
        assert all(0 < (sandbox / name).stat().st_size <= 16384 for name in names)
        kept = "".join(text(sandbox, name) for name in names).splitlines()
        assert len(kept) > 3000
        assert kept == whole[-len(kept) :]
        assert "TASK_FINISHED: " in text(sandbox, "stderr")

        # As the scheduler reads it; an offset beyond the end is no error, so it must ask for the size.
        path = f"/frameworks/{framework.id}/executors/{limited}/runs/latest/stdout"
        read = own_bed.agent.get(f"/files/read?path={path}&offset=0&length=20000")
        assert read == {"data": text(sandbox, "stdout"), "offset": 0}
        beyond = own_bed.agent.get(f"/files/read?path={path}&offset=16384&length=20000")
        assert beyond == {"data": "", "offset": 16384}
        end = own_bed.agent.get(f"/files/read?path={path}&offset=-1&length=0")
        assert end == {"data": "", "offset": (sandbox / "stdout").stat().st_size}
