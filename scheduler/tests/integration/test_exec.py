"""Commands that operators run in instances, on real Mesos and Docker."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mesos_testbed import eventually
from operated_scheduler import TOKEN, Operated

pytestmark = pytest.mark.integration


def run(operated: Operated, *words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        operated.words("exec", *words), input=data, capture_output=True, timeout=60, check=False
    )


def running(marker: str) -> list[int]:
    """The processes in whose command line this stands, but for those of the command line itself."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        if marker.encode() in words and b"mesos_docker_scheduler" not in words:
            found.append(int(entry.parent.name))
    return found


def begin(operated: Operated, command: str, *words: str) -> subprocess.Popen[str]:
    """Start it as at a terminal: what runs in the background of a script inherits that SIGINT is ignored."""
    line = ["env", "--default-signal=INT", *operated.words(command, *words)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Person:
    """Somebody at a terminal, who runs a command in an instance."""

    def __init__(self, operated: Operated, *words: str) -> None:
        self.shown = b""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            line = operated.words("exec", *words)
            os.execvpe(line[0], line, {**os.environ, "TERM": "vt100"})  # noqa: S606
        os.set_blocking(self.terminal, False)

    def type(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def sees(self, text: bytes, seconds: float = 20) -> None:
        def seen() -> bool:
            with contextlib.suppress(OSError):  # nothing there, or the end
                self.shown += os.read(self.terminal, 65536)
            return text in self.shown

        eventually(seen, f"{text!r} on the terminal", seconds)

    def status(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def instance(operated: Operated) -> str:
    return str(operated.get("/v1/services/web/instances")["instances"][0]["task_id"])


def test_output_status_and_event(operated: Operated, instance: str) -> None:
    done = run(operated, instance, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 7)
    event = next(line for line in operated.cli("events", "web").splitlines() if "is run in" in line)
    assert (
        f"{instance}  sh -c 'echo out; echo err >&2; exit 7' is run in the instance (site, from 127" in event
    )

    # Options of the command are its own, and need no dashes before it.
    done = run(operated, instance, "echo", "-n", "-t", "--url", "x")
    assert (done.stdout, done.returncode) == (b"-t --url x", 0)


def test_bytes_come_through_whole_in_both_directions(operated: Operated, instance: str) -> None:
    data = os.urandom(300_000)
    done = run(operated, instance, "--", "cat", data=data)
    assert (done.stdout == data, done.stderr, done.returncode) == (True, b"", 0)

    done = run(operated, instance, "--", "busybox", "dd", "if=/dev/zero", "bs=100000", "count=200")
    assert (done.stdout.count(0), done.returncode) == (20_000_000, 0)

    # Who does not read its input does not keep it from ending.
    done = run(operated, instance, "--", "true", data=data)
    assert (done.stdout, done.returncode) == (b"", 0)


def test_what_can_not_be_run_is_told(operated: Operated, instance: str, tmp_path: Path) -> None:
    done = run(operated, instance, "--", "/no/such/program")
    assert done.returncode in (1, 126, 127)
    assert b"/no/such/program" in done.stdout + done.stderr

    assert 'no instance "web.no.such" runs' in operated.cli("exec", "web.no.such", "--", "true", fails=1)
    assert "web has 2 instances; name one: web." in operated.cli("exec", "web", "--", "true", fails=1)
    assert "Missing argument" in operated.cli("exec", "web", fails=2)

    # Who may only look may not.
    token = operated.cli("tokens", "create", "reader", "--role", "read").split()[-1]
    reader = tmp_path / "reader"
    reader.write_text(token)
    words = operated.words("exec", "--token-file", str(reader), instance, "id")
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    assert done.returncode == 3
    assert b"this needs operate" in done.stderr


def test_a_command_ends_with_who_has_started_it(operated: Operated, instance: str) -> None:
    marker = "86421"
    shell = f"sleep {marker} & setsid sleep {marker} & sleep {marker}"
    for end in (signal.SIGINT, signal.SIGKILL):
        caller = begin(operated, "exec", instance, "--", "sh", "-c", shell)
        eventually(lambda: len(running(f"sleep\0{marker}")) == 3, "the command in the container", 20)
        caller.send_signal(end)
        assert caller.wait(20) == (130 if end == signal.SIGINT else -9)
        eventually(lambda: not running(marker), "the command's end", 20)
    assert operated.containers().keys() == operated.converge().keys()


def test_a_command_ends_with_its_instance(operated: Operated, instance: str) -> None:
    caller = begin(operated, "exec", instance, "--", "sleep", "1000")
    eventually(lambda: len(running("sleep\x001000")) >= 3, "the command in the container", 20)
    operated.cli("kill", instance)
    _, errors = caller.communicate(timeout=30)
    assert caller.returncode in (1, 137), errors


@pytest.fixture
def person(operated: Operated, instance: str) -> Iterator[Person]:
    someone = Person(operated, instance, "--", "sh")
    someone.sees(b"# ")
    yield someone
    os.close(someone.terminal)


def test_a_terminal(operated: Operated, person: Person) -> None:
    person.size(33, 111)
    time.sleep(1)
    person.type(b"stty size; echo $TERM; tty\r")
    person.sees(b"33 111\r\nvt100\r\n")
    person.sees(b"/dev/pts/")
    # The keys that end a program end the one there.
    person.type(b"sleep 75319\r")
    eventually(lambda: running("sleep\x0075319"), "it sleeps", 10)
    person.type(b"\x03")
    eventually(lambda: not running("sleep\x0075319"), "the end of its sleep", 10)
    person.type(b"exit 5\r")
    person.sees(b"exit 5")
    assert person.status() == 5


def test_who_attaches_sees_what_it_writes_and_leaves(operated: Operated) -> None:
    operated.change(command="while true; do echo tick; sleep 0.2; done", count=1)
    before = operated.converge(60)
    caller = begin(operated, "attach", "web")
    assert caller.stdout is not None
    assert [caller.stdout.readline() for _ in range(3)] == ["tick\n"] * 3
    caller.send_signal(signal.SIGINT)
    assert caller.wait(20) == 130
    assert operated.containers() == before
    assert "somebody attaches to the instance (site, from 127" in operated.cli("events", "web")
    refused = operated.cli("attach", "web", "--stdin", fails=1)
    assert "the container has no standard input" in refused


def test_the_trail_has_the_commands_start_and_no_more_of_it(operated: Operated, instance: str) -> None:
    run(operated, instance, "--", "cat", data=b"x" * 50_000)
    assert TOKEN not in operated.log()
    trail = [line for line in operated.log().splitlines() if "audit" in line and "/v1/" in line]
    assert sum("/exec" in line for line in trail) == 1, trail
