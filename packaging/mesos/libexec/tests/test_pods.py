"""Groups of tasks (pods) on a real agent: each in a container of its own inside of the default executor's."""

from __future__ import annotations

import os
import signal
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import AgentApi, Certificates, Framework, command_task, eventually
from task_processes import cwd_of, new_mark, nothing_left, processes

Message = dict[str, Any]
pytestmark = pytest.mark.integration

QUICK = {"delay_seconds": 0, "interval_seconds": 0.2, "timeout_seconds": 5}
STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"


@dataclass
class Pod:
    """A group of tasks, and the executor that runs it."""

    bed: Any
    framework: Framework
    executor_id: str
    task_ids: list[str]

    def wait(self, state: str, task: int = 0, seconds: float = 30) -> Message:
        """Wait for a state of one of its tasks."""
        return self.framework.wait_state(self.task_ids[task], state, seconds)

    def states(self, task: int = 0) -> list[str]:
        """What the framework was told of one of its tasks."""
        return [update["state"] for update in self.framework.of(self.task_ids[task])]

    def last(self, task: int = 0) -> Message:
        """The latest of that."""
        return self.framework.of(self.task_ids[task])[-1]

    @property
    def sandbox(self) -> Path:
        """The executor's."""
        return Path(self.bed.sandbox(self.executor_id))

    def file(self, name: str, task: int = 0) -> Path:
        """A file in a task's sandbox."""
        return self.sandbox / "tasks" / self.task_ids[task] / name

    def kill(self, task: int = 0, grace_seconds: float | None = None) -> None:
        """Ask for a task's end."""
        self.framework.kill(self.task_ids[task], grace_seconds)

    def wait_gone(self) -> None:
        """Wait until nothing of it works any more."""
        eventually(lambda: nothing_left(self.bed, self.executor_id), "nothing left of the pod")

    @property
    def executor(self) -> int:
        """The process id of its executor."""
        (found,) = [pid for pid in processes("mesos-default-executor") if cwd_of(pid) == str(self.sandbox)]
        return found


def launch(bed: Any, framework: Framework, *tasks: str | Message, executor_id: str | None = None) -> Pod:
    """Launch a group; a text is a shell command."""
    infos = [command_task(task) if isinstance(task, str) else task for task in tasks]
    name = executor_id or f"pod-{uuid.uuid4().hex[:12]}"
    framework.launch_group(infos, name)
    return Pod(bed, framework, name, [info["task_id"]["value"] for info in infos])


def run(bed: Any, framework: Framework, *tasks: str | Message, executor_id: str | None = None) -> Pod:
    pod = launch(bed, framework, *tasks, executor_id=executor_id)
    for task in range(len(tasks)):
        pod.wait("TASK_RUNNING", task)
    return pod


@pytest.fixture
def framework(command_framework: Framework) -> Framework:
    return command_framework


# --- Life


def test_the_tasks_of_a_pod(command_bed: Any, framework: Framework) -> None:
    pod = launch(command_bed, framework, "echo one; echo err >&2", "echo two")
    assert pod.wait("TASK_FINISHED", 0)["message"] == "Command exited with status 0"
    pod.wait("TASK_FINISHED", 1)
    assert pod.states() == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    assert [pod.file("stdout", task).read_text() for task in (0, 1)] == ["one\n", "two\n"]
    assert pod.file("stderr").read_text() == "err\n"
    pod.wait_gone()


def test_a_task_that_finishes_leaves_the_others_alone(command_bed: Any, framework: Framework) -> None:
    pod = launch(command_bed, framework, "true", "sleep 2")
    pod.wait("TASK_FINISHED", 0)
    assert pod.last(1)["state"] == "TASK_RUNNING"
    pod.wait("TASK_FINISHED", 1)
    pod.wait_gone()


def test_a_task_that_fails_takes_its_group_with_it(command_bed: Any, framework: Framework) -> None:
    mark = new_mark()
    pod = launch(command_bed, framework, "sleep 0.5; exit 3", f"sleep {mark}", f"setsid sleep {mark} & wait")
    assert pod.wait("TASK_FAILED", 0)["message"] == "Command exited with status 3"
    for task in (1, 2):
        assert pod.wait("TASK_KILLED", task)["message"] == "Command terminated with signal Terminated"
        assert "TASK_KILLING" in pod.states(task)
    pod.wait_gone()
    assert not processes("sleep", mark)


def test_what_a_task_sees(command_bed: Any, framework: Framework) -> None:
    variables = [{"name": "GREETING", "value": "good 'day'\n"}]
    command = {
        "value": 'id -un; pwd; printf %s "$GREETING"; echo "$MESOS_CONTAINER_IP $MESOS_ALLOCATION_ROLE";'
        " ulimit -n; env | grep -c TOKEN; touch mine",
        "environment": {"variables": variables},
        "user": "nobody",
    }
    limits = {"rlimits": [{"type": "RLMT_NOFILE", "hard": 99, "soft": 99}]}
    container = {"type": "MESOS", "rlimit_info": limits}
    pod = launch(command_bed, framework, command_task(command=command, container=container))
    pod.wait("TASK_FINISHED")
    user, folder, *rest = pod.file("stdout").read_text().splitlines()
    assert (user, folder) == ("nobody", str(pod.file("").resolve()))
    assert rest == ["good 'day'", "127.0.0.1 *", "99", "0"]


def test_tasks_share_files_through_their_executors_sandbox(command_bed: Any, framework: Framework) -> None:
    def shared(path: str) -> Message:
        source = {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "shared"}}
        return {"type": "MESOS", "volumes": [{"mode": "RW", "container_path": path, "source": source}]}

    pod = launch(
        command_bed,
        framework,
        command_task("echo hello > out/file", container=shared("out")),
        command_task("until cat in/file; do sleep 0.1; done", container=shared("in")),
    )
    pod.wait("TASK_FINISHED", 1)
    assert pod.file("stdout", 1).read_text() == "hello\n"


def test_a_second_group_in_the_same_executor(command_bed: Any, framework: Framework) -> None:
    first = run(command_bed, framework, "sleep 1000")
    second = run(command_bed, framework, "sleep 1000", "sleep 1; exit 1", executor_id=first.executor_id)
    second.wait("TASK_KILLED", 0)
    assert first.last()["state"] == "TASK_RUNNING", "it is of another group"
    assert first.executor == second.executor
    first.kill()
    first.wait("TASK_KILLED")
    first.wait_gone()


def test_a_task_that_can_not_be_launched(command_bed: Any, framework: Framework) -> None:
    uris = [{"value": "file:///no/such/file"}]
    pod = launch(command_bed, framework, command_task(command={"value": "true", "uris": uris}), "sleep 1000")
    assert pod.wait("TASK_FAILED", 0)["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
    assert pod.states(0) == ["TASK_STARTING", "TASK_FAILED"]
    pod.wait("TASK_KILLED", 1)
    pod.wait_gone()


def test_a_task_that_can_not_be_honoured(command_bed: Any, framework: Framework) -> None:
    secret = {"type": "VALUE", "value": {"data": "c2VjcmV0"}}
    environment = {"variables": [{"name": "KEY", "type": "SECRET", "secret": secret}]}
    check = {
        **QUICK,
        "type": "COMMAND",
        "command": {"command": {"value": "true", "environment": environment}},
    }
    pod = launch(command_bed, framework, "sleep 1000", command_task("sleep 1000", check=check))
    update = pod.wait("TASK_FAILED", 1)
    assert update["reason"] == "REASON_TASK_INVALID"
    assert "check.command.environment variable 'KEY' is a secret" in update["message"]
    pod.wait("TASK_KILLED", 0)
    pod.wait_gone()


def test_a_task_that_takes_too_long(command_bed: Any, framework: Framework) -> None:
    pod = launch(
        command_bed, framework, command_task("sleep 1000", max_completion_time={"nanoseconds": 10**9})
    )
    assert pod.wait("TASK_FAILED")["reason"] == "REASON_MAX_COMPLETION_TIME_REACHED"
    assert "TASK_KILLING" not in pod.states()


# --- Kill


def test_a_kill_asks_first_and_ends_the_group(command_bed: Any, framework: Framework) -> None:
    polite = "trap 'echo bye; exit 0' TERM; touch ready; while :; do sleep 0.1; done"
    pod = run(command_bed, framework, polite, "sleep 1000")
    eventually(lambda: pod.file("ready").exists(), "the trap")
    pod.kill(grace_seconds=20)
    assert pod.wait("TASK_KILLED", 0)["message"] == "Command exited with status 0"
    assert pod.states()[2] == "TASK_KILLING"
    assert pod.file("stdout").read_text() == "bye\n"
    pod.wait("TASK_KILLED", 1)
    pod.wait_gone()


def test_a_kill_does_not_wait_for_ever(command_bed: Any, framework: Framework) -> None:
    policy = {"grace_period": {"nanoseconds": 10**9}}
    pod = run(command_bed, framework, command_task(STUBBORN, kill_policy=policy))
    time.sleep(0.3)
    started = time.monotonic()
    pod.kill()
    assert pod.wait("TASK_KILLED")["message"] == "Command terminated with signal Killed"
    assert 1 <= time.monotonic() - started < 3


def test_a_kill_of_one_that_is_being_launched(command_bed: Any, framework: Framework) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uris = [{"value": f"http://127.0.0.1:{silent.getsockname()[1]}/file"}]
        pod = launch(
            command_bed, framework, command_task(command={"value": "true", "uris": uris}), "sleep 1000"
        )
        pod.wait("TASK_RUNNING", 1)
        pod.kill(0)
        assert pod.wait("TASK_KILLED", 0)["message"] == "Command was not started"
    assert "TASK_RUNNING" not in pod.states(0)
    pod.wait("TASK_KILLED", 1)
    pod.wait_gone()


# --- Checks


@pytest.mark.parametrize(
    "check",
    [
        {"type": "HTTP", "http": {"port": 31998, "path": "/"}},
        {"type": "TCP", "tcp": {"port": 31998}},
        {"type": "COMMAND", "command": {"value": 'test "$MINE" = yes && test "$OF_CHECK" = "a b"'}},
        {"type": "COMMAND", "command": {"shell": False, "value": "/bin/true", "arguments": ["true"]}},
    ],
    ids=["http", "tcp", "shell", "program"],
)
def test_a_healthy_task(command_bed: Any, framework: Framework, check: Message) -> None:
    value = "mkdir www; echo hello > www/index.html; exec busybox httpd -f -p 127.0.0.1:31998 -h www"
    environment = {"variables": [{"name": "MINE", "value": "yes"}]}
    if "command" in check:
        of_check = {"variables": [{"name": "OF_CHECK", "value": "a b"}]}
        check = {**check, "command": {**check["command"], "environment": of_check}}
    task = command_task(
        command={"value": value, "environment": environment},
        health_check={**QUICK, "grace_period_seconds": 10, **check},
    )
    pod = run(command_bed, framework, task)
    eventually(lambda: pod.last().get("healthy"), "healthy")
    pod.kill()
    pod.wait("TASK_KILLED")


def test_an_unhealthy_task_ends_its_group(command_bed: Any, framework: Framework) -> None:
    check = {"type": "COMMAND", "command": {"value": "echo not well; exit 1"}}
    health = {**QUICK, "grace_period_seconds": 0, "consecutive_failures": 2, **check}
    pod = run(command_bed, framework, command_task("sleep 1000", health_check=health), "sleep 1000")
    assert pod.wait("TASK_KILLED", 0)["healthy"] is False
    pod.wait("TASK_KILLED", 1)
    assert "not well\n" in (pod.sandbox / "stderr").read_text()


def test_what_checks_leave_behind_does_not_add_up(command_bed: Any, framework: Framework) -> None:
    mark = new_mark()
    check = {"type": "COMMAND", "command": {"command": {"value": f"setsid sleep {mark} & exit 7"}}}
    pod = run(command_bed, framework, command_task("sleep 1000", check={**QUICK, **check}))
    eventually(lambda: exit_code(pod) == 7, "the exit code")
    time.sleep(1)
    assert len(processes("sleep", mark)) <= 1
    assert len(list(pod.file("containers").iterdir())) <= 2
    pod.kill()
    pod.wait("TASK_KILLED")


def exit_code(pod: Pod) -> int | None:
    """What the check of a task has ended with, as the framework was told."""
    code: int | None = pod.last().get("check_status", {}).get("command", {}).get("exit_code")
    return code


def test_a_check_that_hangs_is_ended(command_bed: Any, framework: Framework) -> None:
    mark = new_mark()
    check = {"type": "COMMAND", "command": {"command": {"value": f"sleep {mark} & sleep {mark}"}}}
    of_task = {**QUICK, "timeout_seconds": 1, "interval_seconds": 60, **check}
    pod = run(command_bed, framework, command_task("sleep 1000", check=of_task))
    eventually(lambda: len(processes("sleep", mark)) == 2, "the check")
    eventually(lambda: not processes("sleep", mark), "the end of the check")
    eventually(lambda: not list(pod.file("containers").iterdir()), "its container removed")
    assert pod.last()["state"] == "TASK_RUNNING"
    pod.kill()
    pod.wait("TASK_KILLED")


# --- Death


def test_nothing_outlives_the_executor(command_bed: Any, framework: Framework) -> None:
    mark = new_mark()
    pod = run(command_bed, framework, f"setsid sleep {mark} & exec sleep {mark}", f"sleep {mark}")
    eventually(lambda: len(processes("sleep", mark)) == 3, "the processes")
    os.kill(pod.executor, signal.SIGKILL)
    for task in (0, 1):
        pod.wait("TASK_FAILED", task)
    pod.wait_gone()
    eventually(lambda: not processes("sleep", mark), "no process left")


def test_a_framework_that_ends(command_bed: Any) -> None:
    mark = new_mark()
    with Framework(command_bed.master.address) as framework:
        pod = run(command_bed, framework, f"sleep {mark}", f"{STUBBORN} # {mark}")
        framework.teardown()
        pod.wait_gone()
    assert not processes("sleep", mark)


def test_a_pod_runs_on_without_its_agent(own_command_bed: Any) -> None:
    bed = own_command_bed
    health = {
        **QUICK,
        "type": "COMMAND",
        "command": {"value": "true"},
        "consecutive_failures": 1,
        "grace_period_seconds": 0,
    }
    with Framework(bed.master.address) as framework:
        pod = run(bed, framework, command_task("sleep 1000", health_check=health), "sleep 2")
        eventually(lambda: pod.last().get("healthy"), "healthy")
        bed.agent.kill9()
        time.sleep(3)
        bed.agent.recover(bed.master)
        assert pod.wait("TASK_FINISHED", 1)["message"] == "Command exited with status 0"
        time.sleep(1)
        assert pod.last()["state"] == "TASK_RUNNING"
        assert "TASK_KILLING" not in pod.states()
        again = run(bed, framework, "sleep 1000", executor_id=pod.executor_id)
        pod.kill()
        pod.wait("TASK_KILLED")
        again.kill()
        again.wait("TASK_KILLED")
        pod.wait_gone()
        framework.teardown()


def test_an_agent_that_dies_while_it_launches_a_task(own_command_bed: Any) -> None:
    bed = own_command_bed
    with Framework(bed.master.address) as framework, socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        uris = [{"value": f"http://127.0.0.1:{silent.getsockname()[1]}/file"}]
        first = run(bed, framework, "sleep 1000")
        second = launch(
            bed,
            framework,
            command_task(command={"value": "true", "uris": uris}),
            executor_id=first.executor_id,
        )
        silent.accept()
        bed.agent.kill9()
        bed.agent.recover(bed.master)
        second.wait("TASK_FAILED")
        assert "TASK_RUNNING" not in second.states()
        assert first.last()["state"] == "TASK_RUNNING", "it is of another group"
        first.kill()
        first.wait("TASK_KILLED")
        framework.teardown()


def test_on_a_secured_cluster(strict_command_bed: Any, certificates: Certificates) -> None:
    bed = strict_command_bed
    info = {"user": "nobody"}
    with Framework(bed.master.address, info, tls=certificates.context()) as framework:
        check = {**QUICK, "type": "COMMAND", "command": {"command": {"value": "exit 7"}}}
        pod = run(bed, framework, command_task("id -un; sleep 1000", check=check), "sleep 1000")
        eventually(lambda: exit_code(pod) == 7, "the exit code")
        assert pod.file("stdout").read_text() == "nobody\n"
        bed.agent.kill9()
        Path(str(bed.agent.flags["jwt_secret_key"])).write_text("another key")
        bed.agent.recover(bed.master)
        time.sleep(3)
        assert pod.last()["state"] == "TASK_RUNNING"
        pod.kill()
        pod.wait("TASK_KILLED", 0)
        pod.wait("TASK_KILLED", 1)
        framework.teardown()


# --- Terminals


def test_a_terminal_of_a_task_in_a_pod(command_bed: Any, framework: Framework) -> None:
    container = {"type": "MESOS", "tty_info": {}}
    pod = run(command_bed, framework, command_task("tty; read line; echo got $line", container=container))
    api = AgentApi(command_bed.agent.address)
    nested = pod.last()["container_status"]["container_id"]
    output, entered = api.output(nested), api.input(nested)
    entered.write("something\n")
    output.wait("got something")
    pod.wait("TASK_FINISHED")
