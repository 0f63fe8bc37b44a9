"""Containers inside of a task's, sessions and terminals, through the agent's operator API."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import AgentApi, Certificates, Framework, RefusedError, command_task, eventually
from task_processes import new_mark, nothing_left, processes

Message = dict[str, Any]
pytestmark = pytest.mark.integration

TERMINAL = {"container": {"type": "MESOS", "tty_info": {"window_size": {"rows": 30, "columns": 100}}}}


@pytest.fixture
def api(command_bed: Any) -> AgentApi:
    return AgentApi(command_bed.agent.address)


def run(framework: Framework, value: str, **fields: Any) -> str:
    task = command_task(value, **fields)
    task_id = str(task["task_id"]["value"])
    framework.launch([task])
    framework.wait_state(task_id, "TASK_RUNNING")
    return task_id


@pytest.fixture
def task_id(command_framework: Framework) -> str:
    """A task that does nothing."""
    return run(command_framework, "exec sleep 1000")


@pytest.fixture
def container(api: AgentApi, task_id: str) -> Message:
    """Its container."""
    return api.container_of(task_id)


def sockets() -> set[str]:
    """The sockets of all switchboards."""
    return {path.name for path in Path("/tmp").glob("mesos-io-switchboard-*")}


# --- Nested containers


def test_a_nested_container(command_bed: Any, api: AgentApi, task_id: str, container: Message) -> None:
    nested = api.launch(container, "echo out; echo err >&2; exit 5")
    assert api.wait(nested) == {"exit_status": 5 << 8}
    sandbox = command_bed.sandbox(task_id) / "containers" / nested["value"]
    assert (sandbox / "stdout").read_text() == "out\n"
    assert (sandbox / "stderr").read_text() == "err\n"
    api.call("REMOVE_NESTED_CONTAINER", {"container_id": nested})
    assert not sandbox.exists()


@pytest.mark.parametrize("sent", ["SIGTERM", "SIGKILL"])
def test_a_signal_for_a_nested_container(api: AgentApi, container: Message, sent: str) -> None:
    nested = api.launch(container, "exec sleep 1000")
    number = int(signal.Signals[sent])
    time.sleep(0.3)  # for the sleep to be there
    api.call("KILL_NESTED_CONTAINER", {"container_id": nested, "signal": number})
    assert api.wait(nested)["exit_status"] == number


def test_nested_containers_end_with_their_task(
    command_framework: Framework, api: AgentApi, task_id: str, container: Message
) -> None:
    mark = new_mark()
    api.launch(container, f"setsid sleep {mark} & exec sleep {mark}")
    eventually(lambda: len(processes("sleep", mark)) == 2, "the nested container's processes")
    command_framework.kill(task_id)
    command_framework.wait_state(task_id, "TASK_KILLED")
    eventually(lambda: not processes("sleep", mark), "no process left")


# --- Sessions


def test_a_session(api: AgentApi, container: Message) -> None:
    session, output = api.session(container, "cat; echo that was all >&2; exit 3")
    entered = api.input(session)
    entered.write("one line\n")
    output.wait("one line\n")
    entered.write("")
    assert entered.close() == 200
    assert output.wait_end() == "one line\n"
    assert output.text["STDERR"] == "that was all\n"
    assert api.wait(session) == {"exit_status": 3 << 8}


def test_all_that_a_session_writes_arrives(api: AgentApi, container: Message) -> None:
    _, output = api.session(container, "seq 200000")
    assert output.wait_end(60) == "".join(f"{number}\n" for number in range(1, 200001))


def test_a_session_runs_where_its_task_does(command_framework: Framework, api: AgentApi) -> None:
    command = {"value": "echo $$ > number; exec sleep 1000", "user": "nobody"}
    task_id = run(command_framework, "", command=command)
    _, output = api.session(api.container_of(task_id), "id -un; cat number; echo $MESOS_EXECUTOR_ID")
    who, number, executor_id = output.wait_end().split()
    assert (who, executor_id) == ("nobody", task_id)
    assert Path(f"/proc/{number}").exists()


def test_a_session_ends_when_nobody_listens_any_more(api: AgentApi, container: Message) -> None:
    before, mark = sockets(), new_mark()
    _, output = api.session(container, f"echo here; exec sleep {mark}")
    output.wait("here")
    assert processes("sleep", mark)
    output.close()
    eventually(lambda: not processes("sleep", mark), "the session's end")
    eventually(lambda: sockets() <= before, "no socket left")


# --- Terminals


def test_a_session_with_a_terminal(api: AgentApi, container: Message) -> None:
    session, output = api.session(container, "tty; read line; stty size; echo got $line", **TERMINAL)
    output.wait("/dev/pts/")
    entered = api.input(session)
    entered.resize(33, 111)
    entered.write("a line\n")
    said = output.wait_end()
    assert "a line\r\n33 111\r\ngot a line\r\n" in said
    assert api.wait(session) == {"exit_status": 0}


def test_the_keys_of_a_terminal_are_for_the_task(
    command_bed: Any, command_framework: Framework, api: AgentApi
) -> None:
    value = "trap 'echo interrupted' INT; echo ready; while :; do read line && echo got $line; done"
    task_id = run(command_framework, value, **TERMINAL)
    container = api.container_of(task_id)
    stdout = command_bed.sandbox(task_id) / "stdout"
    eventually(lambda: "ready" in stdout.read_text(), "the trap")
    for word in ("one", "two"):  # whoever goes away may come back
        output, entered = api.output(container), api.input(container)
        entered.write(f"{word}\n")
        output.wait(f"got {word}")
        entered.write("\x03")
        output.wait("interrupted")
        output.close()
        assert entered.close() == 200
    assert "got one" in stdout.read_text()
    command_framework.kill(task_id)
    command_framework.wait_state(task_id, "TASK_KILLED")
    eventually(lambda: nothing_left(command_bed, task_id), "nothing left")


def test_job_control_in_a_terminal(command_framework: Framework, api: AgentApi) -> None:
    command = {"shell": False, "value": "/bin/bash", "arguments": ["bash", "--norc", "-i"]}
    task_id = run(command_framework, "", command=command, **TERMINAL)
    container = api.container_of(task_id)
    output, entered = api.output(container), api.input(container)
    entered.write("sleep 1000\n")
    output.wait("sleep 1000")
    time.sleep(0.3)
    entered.write("\x1a")
    output.wait("Stopped")
    time.sleep(0.3)  # for the prompt
    entered.write("fg\n")
    eventually(lambda: output.text["STDOUT"].count("sleep 1000") == 2, "it goes on")
    time.sleep(0.3)
    entered.write("\x03")
    output.wait("^C")
    entered.write("exit 4\n")
    assert command_framework.wait_state(task_id, "TASK_FAILED")["message"] == "Command exited with status 4"
    assert "no job control" not in output.text["STDOUT"]


def test_attaching_needs_a_terminal_or_a_session(api: AgentApi, container: Message) -> None:
    with pytest.raises(RefusedError, match="I/O switchboard server was disabled for this container"):
        api.output(container)


# --- The agent


def test_a_terminal_outlives_its_agent(own_command_bed: Any) -> None:
    bed = own_command_bed
    with Framework(bed.master.address) as framework:
        api = AgentApi(bed.agent.address)
        task_id = run(framework, "while read line; do echo got $line; done", **TERMINAL)
        container = api.container_of(task_id)
        bed.agent.kill9()
        bed.agent.recover(bed.master)
        output, entered = api.output(container), api.input(container)
        entered.write("something\n")
        output.wait("got something")
        framework.kill(task_id)
        framework.wait_state(task_id, "TASK_KILLED")
        framework.teardown()


def test_on_a_secured_cluster(secured_command_bed: Any, certificates: Certificates) -> None:
    bed = secured_command_bed
    with Framework(bed.master.address, tls=certificates.context()) as framework:
        api = AgentApi(bed.agent.address, certificates.context())
        task_id = run(framework, "sleep 1000")
        session, output = api.session(api.container_of(task_id), "read line; echo got $line")
        entered = api.input(session)
        entered.write("something\n")
        assert output.wait_end() == "got something\n"
        framework.teardown()
