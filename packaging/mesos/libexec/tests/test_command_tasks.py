"""Command tasks on a real agent: what they see, how they end, and what is left of them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import Certificates, Framework, command_task, eventually
from task_processes import cwd_of, new_mark, nothing_left, parent_of, processes

Message = dict[str, Any]
pytestmark = pytest.mark.integration

QUICK = {"delay_seconds": 0, "interval_seconds": 0.2, "timeout_seconds": 5}
# Ends its parent, so that nobody knows it but by its command line.
LEAVE_A_DAEMON = "(setsid sleep {mark} >/dev/null 2>&1 &); "


@pytest.fixture
def framework(command_framework: Framework) -> Framework:
    return command_framework


def launch(framework: Framework, value: str = "", **fields: Any) -> str:
    task = command_task(value, **fields)
    framework.launch([task])
    return str(task["task_id"]["value"])


def run(framework: Framework, value: str = "", **fields: Any) -> str:
    task_id = launch(framework, value, **fields)
    framework.wait_state(task_id, "TASK_RUNNING")
    return task_id


def finished(bed: Any, framework: Framework, value: str = "", **fields: Any) -> str:
    """Run it to its end; returns its standard output."""
    task_id = launch(framework, value, **fields)
    framework.wait_state(task_id, "TASK_FINISHED")
    return str((bed.sandbox(task_id) / "stdout").read_text())


def executor_of(bed: Any, task_id: str) -> int:
    """The process id of a task's executor."""
    executors: list[int] = [
        pid
        for pid in bed.agent.executors()
        if cwd_of(pid) == str(bed.sandbox(task_id))
        and Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"mesos-executor")
    ]
    (found,) = executors
    return found


def test_a_shell_command(command_bed: Any, framework: Framework) -> None:
    task_id = launch(framework, "echo out; echo err >&2")
    update = framework.wait_state(task_id, "TASK_FINISHED")
    assert [one["state"] for one in framework.of(task_id)] == [
        "TASK_STARTING",
        "TASK_RUNNING",
        "TASK_FINISHED",
    ]
    assert update["message"] == "Command exited with status 0"
    sandbox = command_bed.sandbox(task_id)
    assert (sandbox / "stdout").read_text() == "out\n"
    assert "err\n" in (sandbox / "stderr").read_text()
    eventually(lambda: nothing_left(command_bed, task_id), "nothing left")


def test_a_program_gets_its_arguments_as_they_are(command_bed: Any, framework: Framework) -> None:
    command = {
        "shell": False,
        "value": "/usr/bin/printf",
        "arguments": ["its name", "%s|", "a b", "$HOME", ""],
    }
    assert finished(command_bed, framework, "", command=command) == "a b|$HOME||"


def test_what_a_command_sees(command_bed: Any, framework: Framework) -> None:
    variables = [{"name": "GREETING", "value": "good 'day'\n"}, {"name": "MESOS_SANDBOX", "value": "mine"}]
    command = {
        "value": 'id -un; pwd; printf %s "$GREETING"; echo "$MESOS_SANDBOX $MESOS_ALLOCATION_ROLE";'
        " ls /proc/self/fd",
        "environment": {"variables": variables},
    }
    out = finished(command_bed, framework, "", command=command).splitlines()
    assert out[0] == "root"
    assert "/runs/" in out[1]
    assert out[2:4] == ["good 'day'", "mine *"]
    assert out[4:] == ["0", "1", "2", "3"], "its own descriptors, and that of the folder which ls reads"


def test_its_variables_do_not_steer_what_makes_it(
    command_bed: Any, framework: Framework, tmp_path: Path
) -> None:
    variables = [
        {"name": "MESOS_CONTAINERIZER_RUNTIME_DIRECTORY", "value": str(tmp_path)},
        {"name": "MESOS_CONTAINERIZER_PIPE_READ", "value": "0"},
        {"name": "MESOS_CONTAINERIZER_PIPE_WRITE", "value": "2"},
    ]
    command = {"value": "echo $MESOS_CONTAINERIZER_PIPE_READ", "environment": {"variables": variables}}
    assert finished(command_bed, framework, command=command) == "0\n"
    assert list(tmp_path.iterdir()) == []


def test_another_user(command_bed: Any, framework: Framework) -> None:
    command = {"value": "id -un; touch mine && stat --format=%U mine stdout", "user": "nobody"}
    assert finished(command_bed, framework, "", command=command) == "nobody\nnobody\nnobody\n"


def test_without_its_own_tokens(command_bed: Any, framework: Framework) -> None:
    assert "TOKEN" not in finished(command_bed, framework, "env")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("exit 3", "Command exited with status 3"),
        ("kill -SEGV $$", "Command terminated with signal Segmentation fault"),
        ("/no/such/program", "Command exited with status 127"),
    ],
)
def test_a_command_that_fails(framework: Framework, value: str, message: str) -> None:
    task_id = launch(framework, value)
    assert framework.wait_state(task_id, "TASK_FAILED")["message"] == message


def test_a_program_that_is_not_there(command_bed: Any, framework: Framework) -> None:
    task_id = launch(
        framework, "", command={"shell": False, "value": "/no/such/program", "arguments": ["it"]}
    )
    update = framework.wait_state(task_id, "TASK_FAILED")
    assert update["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
    assert [one["state"] for one in framework.of(task_id)] == ["TASK_STARTING", "TASK_FAILED"]
    said = (command_bed.sandbox(task_id) / "stderr").read_text()
    assert "Failed to execute '/no/such/program': No such file or directory" in said


# --- Kill


def test_a_kill_asks_first(command_bed: Any, framework: Framework) -> None:
    task_id = run(framework, "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done")
    stdout = command_bed.sandbox(task_id) / "stdout"
    eventually(lambda: stdout.read_text() == "ready\n", "the trap")
    framework.kill(task_id)
    assert framework.wait_state(task_id, "TASK_KILLED")["message"] == "Command exited with status 0"
    assert framework.of(task_id)[2]["state"] == "TASK_KILLING"
    assert stdout.read_text() == "ready\nbye\n"


def test_all_of_a_task_get_their_time_to_end(command_bed: Any, framework: Framework) -> None:
    trap = "trap 'sleep 1; touch clean; exit' TERM; touch ready; while :; do sleep 0.1; done"
    task_id = run(framework, f'sh -c "{trap}"; echo the shell has gone on')
    sandbox = command_bed.sandbox(task_id)
    eventually((sandbox / "ready").exists, "the trap")
    framework.kill(task_id, grace_seconds=20)
    framework.wait_state(task_id, "TASK_KILLED")
    assert (sandbox / "clean").exists()


def test_a_task_that_stands_still_hears_the_kill(command_bed: Any, framework: Framework) -> None:
    task_id = run(framework, "trap 'echo bye; exit' TERM; kill -STOP $$; while :; do sleep 0.1; done")
    time.sleep(0.5)
    framework.kill(task_id, grace_seconds=20)
    framework.wait_state(task_id, "TASK_KILLED", 10)
    assert "bye\n" in (command_bed.sandbox(task_id) / "stdout").read_text()


def test_a_process_whose_first_thread_has_ended_is_killed(framework: Framework) -> None:
    threads = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(1000,)).start();"
        " ctypes.CDLL(None).pthread_exit(None)"
    )
    task_id = run(framework, f'exec /usr/bin/python3 -c "{threads}"')
    time.sleep(1)
    framework.kill(task_id, grace_seconds=1)
    framework.wait_state(task_id, "TASK_KILLED", 10)


def test_a_kill_does_not_wait_for_ever(framework: Framework) -> None:
    task_id = run(framework, "trap '' TERM; while :; do sleep 0.1; done")
    time.sleep(0.3)
    started = time.monotonic()
    framework.kill(task_id, grace_seconds=1)
    assert framework.wait_state(task_id, "TASK_KILLED")["message"] == "Command terminated with signal Killed"
    assert 1 <= time.monotonic() - started < 3


@pytest.mark.parametrize("end", ["exit", "kill", "executor", "parent"])
def test_nothing_that_a_task_has_started_outlives_it(
    command_bed: Any, framework: Framework, end: str
) -> None:
    mark = new_mark()
    leave = LEAVE_A_DAEMON.format(mark=mark)
    task_id = run(framework, leave + ("sleep 0.3" if end == "exit" else "sleep 1000"))
    eventually(lambda: processes("sleep", mark), "the daemon") if end != "exit" else None
    if end == "kill":
        framework.kill(task_id)
        framework.wait_state(task_id, "TASK_KILLED")
    elif end == "exit":
        framework.wait_state(task_id, "TASK_FINISHED")
    else:
        executor = executor_of(command_bed, task_id)
        os.kill(executor if end == "executor" else parent_of(executor), signal.SIGKILL)
        framework.wait_state(task_id, "TASK_FAILED")
    eventually(lambda: not processes("sleep", mark), "no daemon left")
    eventually(lambda: nothing_left(command_bed, task_id), "nothing left")


def test_a_task_that_takes_too_long(framework: Framework) -> None:
    task_id = launch(framework, "sleep 1000", max_completion_time={"nanoseconds": 10**9})
    update = framework.wait_state(task_id, "TASK_FAILED")
    assert update["reason"] == "REASON_MAX_COMPLETION_TIME_REACHED"


# --- Checks


@pytest.mark.parametrize(
    "check",
    [
        {"type": "HTTP", "http": {"port": 31999, "path": "/"}},
        {"type": "TCP", "tcp": {"port": 31999}},
        {"type": "COMMAND", "command": {"value": 'test -e www/index.html && test "$MINE" = yes'}},
        {"type": "COMMAND", "command": {"shell": False, "value": "/bin/ls", "arguments": ["ls", "www"]}},
    ],
    ids=["http", "tcp", "shell", "program"],
)
def test_a_healthy_task(framework: Framework, check: Message) -> None:
    value = "mkdir www; echo hello > www/index.html; exec busybox httpd -f -p 127.0.0.1:31999 -h www"
    environment = {"variables": [{"name": "MINE", "value": "yes"}]}
    task_id = run(
        framework,
        "",
        command={"value": value, "environment": environment},
        health_check={**QUICK, "grace_period_seconds": 10, **check},
    )
    eventually(lambda: framework.of(task_id)[-1].get("healthy"), "healthy")
    framework.kill(task_id)
    framework.wait_state(task_id, "TASK_KILLED")


def test_an_unhealthy_task_is_killed(command_bed: Any, framework: Framework) -> None:
    check = {"type": "COMMAND", "command": {"value": "echo not well; exit 1"}}
    health = {**QUICK, "grace_period_seconds": 0, "consecutive_failures": 2, **check}
    task_id = run(framework, "sleep 1000", health_check=health)
    assert framework.wait_state(task_id, "TASK_KILLED")["healthy"] is False
    assert "not well\n" in (command_bed.sandbox(task_id) / "stderr").read_text()


def test_a_check_that_hangs_is_ended_with_all_that_it_has_started(framework: Framework) -> None:
    mark = new_mark()
    check = {"type": "COMMAND", "command": {"command": {"value": f"sleep {mark} & sleep {mark}"}}}
    task_id = run(
        framework, "sleep 1000", check={**QUICK, "timeout_seconds": 1, "interval_seconds": 60, **check}
    )
    eventually(lambda: len(processes("sleep", mark)) == 2, "the check")
    eventually(lambda: not processes("sleep", mark), "the end of the check")
    assert framework.of(task_id)[-1]["state"] == "TASK_RUNNING"
    framework.kill(task_id)
    framework.wait_state(task_id, "TASK_KILLED")


def test_what_a_check_leaves_behind_does_not_add_up(framework: Framework) -> None:
    mark = new_mark()
    check = {"type": "COMMAND", "command": {"command": {"value": f"sleep {mark} & exit 7"}}}
    task_id = run(framework, "sleep 1000", check={**QUICK, **check})
    eventually(lambda: exit_code(framework, task_id) == 7, "the exit code")
    time.sleep(1)
    assert len(processes("sleep", mark)) <= 1
    framework.kill(task_id)
    framework.wait_state(task_id, "TASK_KILLED")


def exit_code(framework: Framework, task_id: str) -> int | None:
    """What the check of a task has ended with, as the framework was told."""
    code: int | None = framework.of(task_id)[-1].get("check_status", {}).get("command", {}).get("exit_code")
    return code


def test_a_checks_result_is_told(framework: Framework) -> None:
    check = {"type": "COMMAND", "command": {"command": {"value": "exit 7"}}}
    task_id = run(framework, "sleep 1000", check={**QUICK, **check})

    eventually(lambda: exit_code(framework, task_id) == 7, "the exit code")
    framework.kill(task_id)


# --- Output


def test_output_is_rotated(command_bed: Any, framework: Framework) -> None:
    variables = [
        {"name": "CONTAINER_LOGGER_MAX_STDOUT_SIZE", "value": "64KB"},
        {"name": "CONTAINER_LOGGER_MAX_FILES", "value": "3"},
    ]
    command = {"value": "seq 100000; echo the end", "environment": {"variables": variables}}
    task_id = launch(framework, "", command=command)
    framework.wait_state(task_id, "TASK_FINISHED")
    sandbox = command_bed.sandbox(task_id)
    files = [sandbox / "stdout", sandbox / "stdout.1", sandbox / "stdout.2"]
    assert all(file.stat().st_size <= 64 << 10 for file in files)
    assert not (sandbox / "stdout.3").exists()
    lines = "".join(file.read_text() for file in reversed(files)).splitlines()
    assert lines[-2:] == ["100000", "the end"]
    assert lines[:-1] == [str(number) for number in range(int(lines[0]), 100001)]


# --- The agent


def test_a_task_runs_on_without_its_agent(own_command_bed: Any) -> None:
    bed = own_command_bed
    with Framework(bed.master.address) as framework:
        stays, ends = run(framework, "sleep 1000"), run(framework, "sleep 2")
        bed.agent.kill9()
        time.sleep(3)
        bed.agent.recover(bed.master)
        assert framework.wait_state(ends, "TASK_FINISHED")["message"] == "Command exited with status 0"
        assert framework.of(stays)[-1]["state"] == "TASK_RUNNING"
        framework.kill(stays)
        framework.wait_state(stays, "TASK_KILLED")
        framework.teardown()


def test_another_key_for_executors_costs_no_task(
    secured_command_bed: Any, certificates: Certificates
) -> None:
    bed = secured_command_bed
    with Framework(bed.master.address, tls=certificates.context()) as framework:
        command = {"value": "sleep 1000", "user": "nobody"}
        task_id = run(framework, command=command)
        bed.agent.kill9()
        Path(str(bed.agent.flags["jwt_secret_key"])).write_text("another key")
        bed.agent.recover(bed.master)
        time.sleep(3)
        assert framework.of(task_id)[-1]["state"] == "TASK_RUNNING"
        framework.kill(task_id)
        framework.wait_state(task_id, "TASK_KILLED")
        framework.teardown()


# --- URIs


def uri_of(folder: Path, name: str, content: str, **uri: Any) -> Message:
    (folder / name).write_text(content)
    (folder / name).chmod(0o644)
    return {"value": f"file://{folder}/{name}", **uri}


def test_a_task_with_uris(command_bed: Any, framework: Framework, tmp_path: Path) -> None:
    uris = [
        uri_of(tmp_path, "program", "#!/bin/sh\necho hello from $0\n", executable=True),
        uri_of(tmp_path, "data", "some data\n", output_file="in/here", cache=True),
    ]
    for _ in range(2):  # the second time it is in the cache
        command = {"value": "./program; cat in/here", "uris": uris}
        assert finished(command_bed, framework, command=command) == "hello from ./program\nsome data\n"


def test_a_task_whose_uri_is_not_there(framework: Framework) -> None:
    task_id = launch(framework, command={"value": "true", "uris": [{"value": "file:///no/such/file"}]})
    assert framework.wait_state(task_id, "TASK_FAILED")["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
    assert [one["state"] for one in framework.of(task_id)] == ["TASK_FAILED"]


# --- A secured cluster


def test_a_user_without_the_hosts_key(secured_command_bed: Any, certificates: Certificates) -> None:
    bed = secured_command_bed
    with Framework(bed.master.address, tls=certificates.context()) as framework:
        command = {"value": "id -un; env | grep TOKEN || true", "user": "nobody"}
        assert finished(bed, framework, command=command) == "nobody\n"
        framework.teardown()
