"""What an operator runs beside a task, by the messages that its executor takes: on real Mesos and Docker."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import Framework, command_task, docker_task, eventually

Message = dict[str, Any]
pytestmark = pytest.mark.integration

WINDOW = 256 * 1024
KEY = "nobody-guesses-this"


class Beside:
    """Somebody who runs commands beside a task."""

    def __init__(self, framework: Framework, task: Message) -> None:
        self.framework = framework
        self.task_id = str(task["task_id"]["value"])
        data = base64.b64encode(json.dumps({"exec_key": KEY}).encode()).decode()
        self.agent_id = framework.launch([{"data": data, **task}])
        framework.wait_state(self.task_id, "TASK_RUNNING")
        self._ids = map(str, itertools.count(1))
        self._numbers: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)

    def send(self, session: str, kind: str, **body: Any) -> None:
        body = {"number": next(self._numbers[session]), **body}
        message = {"exec": {"key": KEY, "session": session, "type": kind, **body}}
        self.framework.send(self.task_id, self.agent_id, json.dumps(message).encode())

    def start(self, *command: str, **more: Any) -> str:
        session = next(self._ids)
        self.send(session, "START", command=command, **more)
        return session

    def attach(self, **more: Any) -> str:
        session = next(self._ids)
        self.send(session, "ATTACH", **more)
        return session

    def writes(self, session: str, text: bytes) -> None:
        """Wait until the output has it."""
        eventually(lambda: text in self.output(session), f"{text!r} in the output")

    def give(self, session: str, data: bytes, **more: Any) -> None:
        self.send(session, "INPUT", data=base64.b64encode(data).decode(), **more)

    def heard(self, session: str, kind: str) -> list[Message]:
        """What was said of a session so far."""
        said = [
            json.loads(data)["exec"] for who, data in list(self.framework.messages) if who == self.task_id
        ]
        return [one for one in said if one["session"] == session and one["type"] == kind]

    def output(self, session: str, stream: str = "stdout") -> bytes:
        parts = [one for one in self.heard(session, "OUTPUT") if one["stream"] == stream]
        return b"".join(base64.b64decode(one["data"]) for one in parts)

    def end(self, session: str, seconds: float = 20) -> Message:
        said = eventually(lambda: self.heard(session, "ENDED"), f"the end of session {session}", seconds)
        return {key: said[0][key] for key in ("status", "error") if key in said[0]}


@pytest.fixture
def framework(command_bed: Any) -> Iterator[Framework]:
    with Framework(command_bed.master.address) as subscribed:
        yield subscribed
        subscribed.teardown()


@pytest.fixture(params=["command", "docker"])
def beside(request: pytest.FixtureRequest, framework: Framework) -> Beside:
    if request.param == "docker":
        return Beside(framework, docker_task(command="exec sleep 1000"))
    return Beside(framework, command_task("export LATER=1; exec sleep 1000"))


def running(*words: str) -> list[int]:
    """The processes that have these words on their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes().decode(errors="replace").split("\0")[: len(words)] == list(words):
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def test_output_and_status(beside: Beside) -> None:
    session = beside.start("sh", "-c", "echo out; echo err >&2; pwd; exit 3")
    assert beside.end(session) == {"status": 3}
    assert beside.output(session).startswith(b"out\n/")
    assert beside.output(session, "stderr") == b"err\n"
    # A signal's status is that of a shell.
    assert beside.end(beside.start("sh", "-c", "kill -9 $$")) == {"status": 137}


def test_input_and_its_end(beside: Beside) -> None:
    session = beside.start("cat", input=True)
    beside.give(session, b"one\n")
    eventually(lambda: beside.output(session) == b"one\n", "what cat has got")
    beside.give(session, b"two\n")
    beside.send(session, "END_INPUT")
    assert beside.end(session) == {"status": 0}
    assert beside.output(session) == b"one\ntwo\n"
    assert beside.heard(session, "TAKEN")[-1]["bytes"] == 8
    # Without input there is an end of file.
    assert beside.end(beside.start("cat")) == {"status": 0}


def test_a_message_that_is_lost_on_the_way_ends_the_session(beside: Beside) -> None:
    session = beside.start("cat", input=True)
    beside.give(session, b"late", number=2)
    started = next(beside._ids)
    beside.send(started, "RECEIVED", number=1, bytes=0)
    assert beside.end(session) == {"error": "message 1 of the scheduler is missing: it was lost on the way"}
    assert beside.end(started) == {"error": "message 0 of the scheduler is missing: it was lost on the way"}
    eventually(lambda: not running("cat"), "the end of cat")


def test_messages_that_overtake_one_another(beside: Beside) -> None:
    session = next(beside._ids)
    beside.send(session, "END_INPUT", number=3)
    beside.give(session, b"two\n", number=2)
    beside.give(session, b"one\n", number=1)
    beside.send(session, "START", number=0, command=["cat"], input=True)
    assert beside.end(session) == {"status": 0}
    assert beside.output(session) == b"one\ntwo\n"
    said = [json.loads(data)["exec"] for _, data in beside.framework.messages]
    assert [one["number"] for one in said if one["session"] == session] == list(range(len(said)))
    # What comes a second time, or too late, does nothing.
    beside.send(session, "START", number=0, command=["sleep", "79.1"])
    late = next(beside._ids)
    beside.send(late, "END", number=1)
    beside.send(late, "START", number=0, command=["sleep", "79.1"])
    assert beside.end(beside.start("true")) == {"status": 0}
    assert not running("sleep", "79.1")


def test_input_that_is_not_taken_is_bounded(beside: Beside) -> None:
    session = beside.start("sleep", "77.1", input=True)
    for _ in range(64):  # a pipe takes 64 KB of them, and the engine has one, too
        beside.give(session, b"x" * 16 * 1024)
    assert beside.end(session) == {"error": "the command does not take its input"}
    eventually(lambda: not running("sleep", "77.1"), "its end")


def test_output_that_is_not_acknowledged_waits(beside: Beside) -> None:
    session = beside.start("sh", "-c", "yes | dd bs=1000 count=1000 iflag=fullblock 2>/dev/null || yes")
    eventually(lambda: len(beside.output(session)) == WINDOW, "a window of output")
    time.sleep(0.5)
    assert len(beside.output(session)) == WINDOW
    beside.send(session, "RECEIVED", bytes=WINDOW)
    eventually(lambda: len(beside.output(session)) == 2 * WINDOW, "another one")
    beside.send(session, "END")
    eventually(lambda: not running("yes"), "the end of yes")


def test_a_terminal(beside: Beside) -> None:
    session = beside.start("sh", input=True, terminal={"type": "vt100", "rows": 20, "columns": 70})
    beside.give(session, b"stty size; echo $TERM-\n")
    eventually(lambda: b"20 70" in beside.output(session), "its size")
    eventually(lambda: b"vt100-" in beside.output(session), "its type")
    beside.send(session, "RESIZE", rows=21, columns=71)
    beside.give(session, b"stty size; tty; sleep 78.2\n")
    eventually(lambda: b"21 71" in beside.output(session), "its new size")
    assert b"/dev/pts/" in beside.output(session)
    eventually(lambda: running("sleep", "78.2"), "sleep")
    beside.give(session, b"\x03exit 4\n")
    assert beside.end(session) == {"status": 4}
    assert not running("sleep", "78.2")


def test_all_that_it_has_started_ends_with_it(beside: Beside) -> None:
    session = beside.start("sh", "-c", "sleep 78.3 & setsid sleep 78.3 & wait")
    eventually(lambda: len(running("sleep", "78.3")) == 2, "both")
    beside.send(session, "END")
    eventually(lambda: not running("sleep", "78.3"), "the end of both")
    assert not beside.heard(session, "ENDED")
    assert beside.framework.of(beside.task_id)[-1]["state"] == "TASK_RUNNING"


def test_who_does_not_have_the_tasks_key_runs_nothing(beside: Beside) -> None:
    for key in ({"key": "wrong"}, {"key": KEY[:-1]}, {"key": ""}, {}):
        message = {"exec": {"session": "s", "type": "START", "command": ["sleep", "78.7"], **key}}
        beside.framework.send(beside.task_id, beside.agent_id, json.dumps(message).encode())
    assert beside.end(beside.start("true")) == {"status": 0}
    assert not running("sleep", "78.7")
    assert not beside.heard("s", "STARTED")


def test_without_a_key_nothing_is_run(framework: Framework) -> None:
    beside = Beside(framework, command_task("exec sleep 1000", data=""))
    beside.framework.messages.clear()
    session = beside.start("sleep", "78.8")
    time.sleep(1)
    assert not running("sleep", "78.8")
    assert not beside.heard(session, "STARTED")


def test_the_end_of_input_on_a_terminal(beside: Beside) -> None:
    for text, shown in ((b"one\n", b"one"), (b"two", b"two")):
        terminal = {"type": "dumb", "rows": 24, "columns": 80}
        session = beside.start("cat", input=True, terminal=terminal)
        beside.give(session, text)
        beside.send(session, "END_INPUT")
        assert beside.end(session) == {"status": 0}
        assert shown in beside.output(session)


def test_a_shell_beside_it_does_not_hold_up_the_tasks_end(framework: Framework) -> None:
    policy = {"grace_period": {"nanoseconds": 20 * 10**9}}
    beside = Beside(framework, command_task("exec sleep 1000", kill_policy=policy))
    session = beside.start("sh", "-c", "trap '' TERM HUP INT; sleep 78.9")
    eventually(lambda: running("sleep", "78.9"), "the shell")
    begun = time.monotonic()
    framework.kill(beside.task_id)
    framework.wait_state(beside.task_id, "TASK_KILLED")
    assert time.monotonic() - begun < 10
    assert beside.end(session) == {"error": "the task has ended"}


def test_it_ends_with_the_task(beside: Beside) -> None:
    session = beside.start("sleep", "78.4")
    eventually(lambda: running("sleep", "78.4"), "the command")
    beside.framework.kill(beside.task_id)
    beside.framework.wait_state(beside.task_id, "TASK_KILLED")
    assert beside.end(session) in ({"error": "the task has ended"}, {"status": 137}, {"status": 143})
    eventually(lambda: not running("sleep", "78.4"), "the end of the command", 10)


def test_a_program_that_is_not_there(beside: Beside) -> None:
    session = beside.start("/no/such/program")
    last = beside.end(session)
    assert last.get("status", 127) in (126, 127)
    assert b"/no/such/program" in beside.output(session) + beside.output(session, "stderr")


def test_what_is_refused(beside: Beside) -> None:
    for body, problem in (
        ({}, "exec.command is missing"),
        ({"command": [1]}, "exec.command: 1 is not allowed; it must be a text"),
        (
            {"command": ["id"], "terminal": {"rows": 0}},
            "exec.terminal.rows: 0 is not allowed; it must be 1 to 10000",
        ),
    ):
        session = next(beside._ids)
        beside.send(session, "START", **body)
        assert beside.end(session) == {"error": problem}
    for raw in (b"", b"hello", b"{}", b'{"exec": 7}', b'{"exec": {"type": "START"}}', b"\xff\xfe"):
        beside.framework.send(beside.task_id, beside.agent_id, raw)
    sessions = [beside.start("sleep", "78.5") for _ in range(9)]
    assert beside.end(sessions[8]) == {"error": "8 commands run beside the task already"}
    for session in sessions[:8]:
        beside.send(session, "END")
    eventually(lambda: not running("sleep", "78.5"), "their end")
    assert beside.end(beside.start("true")) == {"status": 0}


@pytest.mark.parametrize("kind", ["command", "docker"])
def test_who_attaches_sees_what_the_task_writes(command_bed: Any, framework: Framework, kind: str) -> None:
    shell = "while true; do echo tick; echo tock >&2; sleep 0.2; done"
    beside = Beside(framework, command_task(shell) if kind == "command" else docker_task(command=shell))
    session = beside.attach()
    eventually(lambda: beside.output(session).count(b"tick\n") > 2, "ticks")
    assert beside.output(session, "stderr").count(b"tock\n") > 1
    # The sandbox has it, too, and nothing of the executor's own lines is shown.
    assert "tick" in (command_bed.sandbox(beside.task_id) / "stdout").read_text()
    assert b"executor]" not in beside.output(session, "stderr")
    assert "no standard input" in beside.end(beside.attach(input=True))["error"]
    framework.kill(beside.task_id)
    assert beside.end(session) == {"error": "the task has ended"}


@pytest.mark.parametrize("times", [1, 2])
def test_a_container_with_a_terminal_is_attached_to_and_left(framework: Framework, times: int) -> None:
    docker: Message = {"image": "demo/web:1", "network": "NONE"}
    docker["parameters"] = [{"key": "interactive", "value": "true"}, {"key": "tty", "value": "true"}]
    container = {"type": "DOCKER", "docker": docker}
    beside = Beside(framework, docker_task(command="exec sh", container=container))
    terminal = {"type": "vt100", "rows": 22, "columns": 77}
    for _ in range(times):
        session = beside.attach(input=True, terminal=terminal)
        beside.give(session, b"stty size; echo $((6 * 7))\n")
        beside.writes(session, b"\n42\r\n")
        assert b"22 77" in beside.output(session)
        # Who leaves does not end its input.
        beside.send(session, "END")
    time.sleep(1)
    assert framework.of(beside.task_id)[-1]["state"] == "TASK_RUNNING"


def test_who_is_too_slow_costs_the_task_nothing(command_bed: Any, framework: Framework) -> None:
    beside = Beside(framework, command_task("sleep 2; head -c 2000000 /dev/zero; sleep 1000"))
    session = beside.attach()
    assert "writes faster than can be shown" in beside.end(session)["error"]
    assert len(beside.output(session)) == WINDOW
    stdout = command_bed.sandbox(beside.task_id) / "stdout"
    eventually(lambda: stdout.stat().st_size == 2_000_000, "all of it in the sandbox")


def test_it_runs_as_the_task_does(command_bed: Any, framework: Framework) -> None:
    command = {
        "value": "exec sleep 1000",
        "user": "nobody",
        "environment": {"variables": [{"name": "COLOUR", "value": "green"}]},
    }
    beside = Beside(framework, command_task(command=command))
    session = beside.start("sh", "-c", "id -un; echo $COLOUR; pwd; readlink /proc/self/exe > mine")
    assert beside.end(session) == {"status": 0}
    sandbox = command_bed.sandbox(beside.task_id)
    assert beside.output(session).decode().split() == ["nobody", "green", str(sandbox)]
    assert (sandbox / "mine").owner() == "nobody"


def test_an_agents_restart_costs_no_command(own_command_bed: Any) -> None:
    with Framework(own_command_bed.master.address) as framework:
        beside = Beside(framework, command_task("exec sleep 1000"))
        session = beside.start("cat", input=True)
        eventually(lambda: beside.heard(session, "STARTED"), "its start")
        own_command_bed.agent.kill9()
        own_command_bed.agent.recover(own_command_bed.master)
        own_command_bed.agent.wait_registered(own_command_bed.master)

        def answered() -> bool:
            beside.send(session, "RECEIVED", bytes=0)
            time.sleep(0.2)
            return len(beside.heard(session, "TAKEN")) > 0

        eventually(answered, "the executor behind the new agent")
        beside.give(session, b"still here")
        eventually(lambda: beside.output(session) == b"still here", "what cat has got")


def test_nobody_is_there_any_more(beside: Beside) -> None:
    session = beside.start("sleep", "78.6")
    assert beside.end(session, 45) == {"error": "nothing was heard of the scheduler for 30 s"}
    eventually(lambda: not running("sleep", "78.6"), "the end of the command", 10)
