"""No container outlives its executor, however that dies."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import Framework, docker_task, eventually

pytestmark = pytest.mark.integration


def start(framework: Framework, state: str = "TASK_RUNNING") -> str:
    task = docker_task(cpus=0.01)
    framework.launch([task])
    task_id = str(task["task_id"]["value"])
    framework.wait_state(task_id, state)
    return task_id


def guard_pid(container_id: str) -> int:
    def found() -> int | None:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                words = (
                    (entry / "cmdline").read_bytes().rstrip(b"\0") if (entry / "cmdline").exists() else b""
                )
                if words == f"container-guard mesos-{container_id}".encode():
                    return int(entry.name)
        return None

    return eventually(found, f"a guard of {container_id}", 5)


def test_killed_while_running(bed: Any, framework: Framework) -> None:
    task_id = start(framework)
    os.kill(bed.executor_pid(task_id), signal.SIGKILL)
    framework.wait_state(task_id, "TASK_FAILED")
    bed.wait_gone(task_id, 10)
    assert "The executor has died" in (bed.sandbox(task_id) / "stderr").read_text()


def test_killed_while_the_agent_is_away(bed: Any, framework: Framework) -> None:
    task_id = start(framework)
    pid = bed.executor_pid(task_id)
    bed.agent.kill9()
    try:
        os.kill(pid, signal.SIGKILL)
        bed.wait_gone(task_id, 10)
    finally:
        bed.agent.recover(bed.master)


def test_killed_at_any_moment(bed: Any, framework: Framework) -> None:
    """From its first instruction to after the start, and above all between creation and start."""
    ids = []
    for step in range(20):
        task = docker_task(cpus=0.01)
        task_id = str(task["task_id"]["value"])
        framework.launch([task])

        def executor(task_id: str = task_id) -> int | None:
            try:
                return int(bed.executor_pid(task_id))
            except (LookupError, StopIteration):
                return None

        pid = eventually(executor, "an executor", 20, 0.001)
        time.sleep(0.02 * step)
        os.kill(pid, signal.SIGKILL)
        ids.append(task_id)
    for task_id in ids:
        bed.wait_gone(task_id, 90)


def test_the_guard_is_out_of_reach_of_the_executors_tree(bed: Any, framework: Framework) -> None:
    task_id = start(framework)
    pid = bed.executor_pid(task_id)
    guard = guard_pid(bed.sandbox(task_id).name)
    assert os.getsid(guard) != os.getsid(pid)
    parent = int((Path(f"/proc/{guard}/stat").read_text().rsplit(")", 1)[1]).split()[1])
    assert parent != pid
    os.kill(guard, signal.SIGTERM)  # what Mesos and systemd send to what is left over
    os.killpg(os.getpgid(pid), signal.SIGKILL)
    bed.wait_gone(task_id, 10)


def test_a_dead_guard_is_replaced(bed: Any, framework: Framework) -> None:
    task_id = start(framework)
    name = bed.sandbox(task_id).name
    first = guard_pid(name)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: guard_pid(name) != first, "another guard", 5)
    os.kill(bed.executor_pid(task_id), signal.SIGKILL)
    bed.wait_gone(task_id, 10)


def test_the_guard_holds_nothing_of_the_executor(bed: Any, framework: Framework) -> None:
    """Above all not its listening socket, by which a recovering agent takes the executor for alive."""
    task_id = start(framework)
    name = bed.sandbox(task_id).name
    for guard in (guard_pid(name),):
        assert len(list(Path(f"/proc/{guard}/fd").iterdir())) == 4
        assert Path(f"/proc/{guard}/cwd").readlink() == Path("/")
    os.kill(guard_pid(name), signal.SIGKILL)
    time.sleep(0.5)
    assert len(list(Path(f"/proc/{guard_pid(name)}/fd").iterdir())) == 4  # the replacement, too


def test_the_guard_follows_the_rotated_stderr(bed: Any, framework: Framework) -> None:
    """Or a removed file would stay on the disk while the task runs, and the guard's words would be lost."""
    task = docker_task(command="yes 'a line' | head -n 5000 >&2; exec sleep 600")
    limits = {"CONTAINER_LOGGER_MAX_STDERR_SIZE": "4KB", "CONTAINER_LOGGER_MAX_FILES": "2"}
    variables = [{"name": name, "value": value} for name, value in limits.items()]
    task["command"]["environment"] = {"variables": variables}
    framework.launch([task])
    task_id = str(task["task_id"]["value"])
    framework.wait_state(task_id, "TASK_RUNNING")
    sandbox = bed.sandbox(task_id)
    eventually((sandbox / "stderr.1").exists, "a rotation")
    guard = guard_pid(sandbox.name)
    eventually(lambda: Path(f"/proc/{guard}/fd/2").readlink() == sandbox / "stderr", "the guard's new stderr")
    os.kill(bed.executor_pid(task_id), signal.SIGKILL)
    bed.wait_gone(task_id, 10)
    assert "The executor has died" in (sandbox / "stderr").read_text()
    assert sorted(path.name for path in sandbox.glob("stderr*")) == ["stderr", "stderr.1"]


def test_nothing_is_left_after_an_end_in_order(bed: Any, framework: Framework) -> None:
    task_id = start(framework)
    framework.kill(task_id)
    framework.wait_state(task_id, "TASK_KILLED")
    bed.wait_gone(task_id, 10)
    assert "The executor has died" not in (bed.sandbox(task_id) / "stderr").read_text()


def test_the_engine_hangs_when_the_executor_is_killed(bed: Any, framework: Framework) -> None:
    task_id = start(framework)
    os.kill(bed.docker.pid, signal.SIGSTOP)
    try:
        os.kill(bed.executor_pid(task_id), signal.SIGKILL)
        time.sleep(1)
    finally:
        os.kill(bed.docker.pid, signal.SIGCONT)
    bed.wait_gone(task_id, 30)


def test_the_engine_is_away_when_the_executor_is_killed(
    bed: Any, framework: Framework, engine_may_go: Any
) -> None:
    with engine_may_go(bed.docker):
        task_id = start(framework)
        pid = bed.executor_pid(task_id)
        bed.docker.stop()
        os.kill(pid, signal.SIGKILL)
        time.sleep(1)
        bed.docker.start()
        bed.wait_gone(task_id, 30)
