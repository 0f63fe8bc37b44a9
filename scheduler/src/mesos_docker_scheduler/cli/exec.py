"""Runs a command in an instance, or shows the instance itself."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from typing import Any

import click

from mesos_docker_scheduler.cli import api
from mesos_docker_scheduler.cli.api import Api, NoAnswerError
from mesos_docker_scheduler.cli.options import Given, target_options
from mesos_docker_scheduler.exec_sessions import STOPPED
from mesos_docker_scheduler.exits import OK, REFUSED, ExitError

_PART_BYTES = 8 * 1024
_PAUSE_SECONDS = 0.2
_INTERRUPTED = 130
_LEAVE = b"\x10\x11"  # Ctrl-P Ctrl-Q, as Docker has it


def _without_dashes(
    ctx: click.Context, parameter: click.Parameter, words: tuple[str, ...]
) -> tuple[str, ...]:
    """Options come before the instance: what is after it is the command's, dashes or not."""
    command = words[1:] if words[:1] == ("--",) else words
    if not command:
        raise click.MissingParameter(ctx=ctx, param=parameter)
    return command


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("name", metavar="SERVICE|INSTANCE", shell_complete=api.complete_service)
@click.argument(
    "command", metavar="[--] COMMAND [ARGUMENT]...", nargs=-1, required=True, callback=_without_dashes
)
@click.option(
    "--tty/--no-tty",
    "-t/-T",
    default=None,
    help="Give it a terminal, or none. Without either: if this has one.",
)
@click.option("--stdin/--no-stdin", "-i/-n", default=True, show_default=True, help="Hand on what this reads.")
@target_options
def execute(name: str, command: tuple[str, ...], tty: bool | None, stdin: bool, given: Given) -> int:
    """Run a command in an instance, as its user; of a service, in its only one.

    The exit status is the command's, as a shell tells it.
    """
    terminal = (sys.stdin.isatty() and sys.stdout.isatty() and stdin) if tty is None else tty
    return _take_part(given, name, "exec", {"command": list(command)}, stdin=stdin, terminal=terminal)


@click.command()
@click.argument("name", metavar="SERVICE|INSTANCE", shell_complete=api.complete_service)
@click.option("--tty", "-t", is_flag=True, help="Send it each key, for one with a terminal.")
@click.option("--stdin", "-i", is_flag=True, help="Hand on what this reads, to one that takes input.")
@target_options
def attach(name: str, tty: bool, stdin: bool, given: Given) -> int:
    """Show what an instance writes from now on, until it ends; of a service, its only one.

    Ctrl-C leaves it; with --tty, Ctrl-P Ctrl-Q. It goes on.
    """
    return _take_part(given, name, "attach", {}, stdin=stdin, terminal=tty)


def _take_part(
    given: Given, name: str, verb: str, body: dict[str, Any], *, stdin: bool, terminal: bool
) -> int:
    found = Api.at(given)
    body["input"] = stdin
    if terminal:
        body["terminal"] = {"type": os.environ.get("TERM") or "dumb", **_size()}
    session = found.post(f"/v1/instances/{_instance(found, name)}/{verb}", body)["session"]
    remote = _Session(found, session, _LEAVE if verb == "attach" and terminal else None)
    # Nobody gets the keys of a terminal of which nothing is read.
    with _raw_terminal() if terminal and stdin and sys.stdin.isatty() else contextlib.nullcontext():
        if terminal:
            signal.signal(signal.SIGWINCH, lambda *_: remote.resize())
        if stdin:
            threading.Thread(target=remote.hand_on_input, name="input", daemon=True).start()
        try:
            return remote.show_output()
        except KeyboardInterrupt:
            remote.stop()
            return _INTERRUPTED


def _instance(found: Api, name: str) -> str:
    if "." in name:
        return name
    running = found.instances(name, "TASK_RUNNING")
    if len(running) == 1:
        return running[0]
    if not running:
        raise ExitError(REFUSED, f"{name} has no instance that runs")
    raise ExitError(REFUSED, f"{name} has {len(running)} instances; name one: {', '.join(sorted(running))}")


class _Session:
    """A command that runs, by the id of its session. `leave`: the keys that end it here."""

    def __init__(self, found: Api, session: str, leave: bytes | None = None) -> None:
        self._found = found
        self._leave = leave
        self._left = False
        self._problem: str | None = None
        self._path = f"/v1/exec/{session}"
        self._offset = 0

    def show_output(self) -> int:
        """Write what it writes, until it ends; returns its status."""
        streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
        for part in self._found.stream(f"{self._path}/output"):
            if "status" in part:
                return int(part["status"])
            if "error" in part and self._left:
                return OK
            if "error" in part:
                ours = self._problem if part["error"] == STOPPED else None
                raise ExitError(REFUSED, ours or part["error"])
            stream = streams[part["stream"]]
            stream.write(base64.b64decode(part["data"]))
            stream.flush()
        raise ExitError(REFUSED, "the scheduler has ended the connection, and the command with it")

    def hand_on_input(self) -> None:
        """Send what is read from stdin, until it ends. What is wrong with the session, its output tells."""
        try:
            self._hand_on()
        except (ExitError, OSError) as error:
            self._problem = f"the input could not be handed on: {error}"
            self.stop()

    def _hand_on(self) -> None:
        typed = b""
        while data := os.read(sys.stdin.fileno(), _PART_BYTES):
            typed = (typed + data)[-len(_LEAVE) :]
            if self._leave is not None and typed == self._leave:
                self._left = True
                self.stop()
                return
            self._give(data, last=False)
        self._give(b"", last=True)

    def _give(self, data: bytes, *, last: bool) -> None:
        body = {"offset": self._offset, "data": base64.b64encode(data).decode(), "last": last}
        # A busy scheduler wants a pause; a command that does not read its input may do so later.
        while True:
            try:
                self._found.post(f"{self._path}/input", body)
                break
            except NoAnswerError as error:
                if error.status != REFUSED:
                    raise
                time.sleep(_PAUSE_SECONDS)
        self._offset += len(data)

    def resize(self) -> None:
        """Tell of the terminal's size."""
        with contextlib.suppress(ExitError):
            self._found.post(f"{self._path}/resize", _size())

    def stop(self) -> None:
        """End it."""
        with contextlib.suppress(ExitError):
            self._found.post(f"{self._path}/stop")


def _size() -> dict[str, int]:
    size = shutil.get_terminal_size()
    return {"rows": max(1, size.lines), "columns": max(1, size.columns)}


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Have each key go to the command, also those that would end this program."""
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
