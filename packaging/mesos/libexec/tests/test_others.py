"""Other people's schedulers and executors, as they would write them."""

from __future__ import annotations

import base64
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import Framework, eventually

Message = dict[str, Any]
pytestmark = pytest.mark.integration

OTHERS = Path(__file__).with_name("others")


def resources(cpus: float, mem: float) -> list[Message]:
    amounts = {"cpus": cpus, "mem": mem}
    return [{"name": name, "type": "SCALAR", "scalar": {"value": value}} for name, value in amounts.items()]


def task_of(executor: Message, data: bytes = b"") -> Message:
    return {
        "name": "test",
        "task_id": {"value": f"test-{uuid.uuid4().hex[:12]}"},
        "executor": executor,
        "resources": resources(0.1, 32),
        "data": base64.b64encode(data).decode(),
    }


def executor_of(command: str, *uris: Path) -> Message:
    return {
        "type": "CUSTOM",
        "executor_id": {"value": f"executor-{uuid.uuid4().hex[:6]}"},
        "command": {"value": command, "uris": [{"value": str(uri)} for uri in uris]},
        "resources": resources(0.1, 128),
    }


@pytest.fixture
def framework(command_bed: Any) -> Iterator[Framework]:
    with Framework(command_bed.master.address) as subscribed:
        yield subscribed
        subscribed.teardown()


def test_a_scheduler_of_bash_and_curl(command_bed: Any, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("from a file\n")
    command = "grep from words && sleep 1"
    run = subprocess.run(
        [OTHERS / "scheduler.sh", command_bed.master.address, str(tmp_path / "words"), command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.split() == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]


def test_an_executor_on_pymesos(command_bed: Any, framework: Framework) -> None:
    executor = executor_of(f"{sys.executable} executor.py", OTHERS / "executor.py")
    first, second = task_of(executor, b"one"), task_of(executor, b"two")
    agent_id = framework.launch([first])
    assert framework.wait_state(first["task_id"]["value"], "TASK_FINISHED")["message"] == "one"
    (sandbox,) = Path(str(command_bed.agent.flags["work_dir"])).glob(
        f"slaves/*/frameworks/{framework.id}/executors/*/runs/latest"
    )
    assert (sandbox / "stdout").read_text() == "begun\n"

    # One executor runs the next task, too, and hears its framework.
    framework.launch([second])
    assert framework.wait_state(second["task_id"]["value"], "TASK_FINISHED")["message"] == "two"
    executor_id = executor["executor_id"]["value"]
    framework.send(executor_id, agent_id, b"abc")
    eventually(lambda: (executor_id, b"cba") in framework.messages, "its answer")
    assert (sandbox / "stdout").read_text() == "begun\n"


def test_an_executor_in_java(framework: Framework) -> None:
    executor = executor_of("java HttpExecutor.java", OTHERS / "HttpExecutor.java")
    task = task_of(executor)
    framework.launch([task])
    message = framework.wait_state(task["task_id"]["value"], "TASK_FINISHED", 60)["message"]
    assert message.startswith("Java ")
