"""A driver in a process of its own, as seen from a test."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FRAMEWORK = {"user": "root", "name": "test", "failover_timeout": 604800.0, "checkpoint": True}

_fails = pytest.mark.xfail(strict=True, raises=(AssertionError, TimeoutError, RuntimeError), reason="pymesos")
# Runs a test with pymesos' own driver, where it must fail, and with ours, where it must pass.
both_drivers = pytest.mark.parametrize("kind", [pytest.param("plain", marks=_fails), "ours"])

_PROGRAM = Path(__file__).with_name("driver_program.py")


class DriverProcess:
    """Starts `driver_program.py` with a driver of one kind ("plain" or "ours") and talks to it.

    callbacks: what to do in a callback: "raise", or [method of the driver, arguments...].
    patience: how many seconds to wait for what should happen.
    """

    def __init__(
        self,
        kind: str,
        master: str,
        *,
        callbacks: dict[str, Any] | None = None,
        framework: dict[str, Any] | None = None,
        open_files: int = 0,
        patience: float = 10.0,
        **options: Any,
    ) -> None:
        settings = {
            "master": master,
            "in": callbacks or {},
            "framework": framework or FRAMEWORK,
            "open_files": open_files,
            "options": options,
        }
        self.events: list[dict[str, Any]] = []
        self._patience = patience
        self._ended = False
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), kind, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait(lambda: bool(self.seen("started")), "the program to start", 20.0)

    def __enter__(self) -> DriverProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # of a command that nobody has read
                    pipe.close()

    def do(self, method: str, *arguments: Any, in_background: bool = False, **keywords: Any) -> Any:
        """Call a method (or read a property) of the driver; return its result. TimeoutError when it hangs."""
        command = {"do": method, "arguments": arguments, "keywords": keywords, "in_background": in_background}
        answered = len(self._answers())
        if self._process.stdin is None:
            raise RuntimeError("no pipe")
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise RuntimeError("the process has ended") from error
        self._wait(lambda: len(self._answers()) > answered, f"{method} to return")
        answer = self._answers()[answered]
        if answer["event"] == "raised":
            raise RuntimeError(answer["error"])
        return answer["result"]

    def _answers(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] in ("returned", "raised")]

    def seen(self, name: str) -> list[dict[str, Any]]:
        """Return the events of that name so far."""
        return [event for event in self.events if event["event"] == name]

    def wait_for(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait for the count-th event of that name and return it."""
        self._wait(lambda: len(self.seen(name)) >= count, f"{count} {name}")
        return self.seen(name)[count - 1]

    def _wait(self, condition: Callable[[], bool], what: str, seconds: float | None = None) -> None:
        with self._changed:
            self._changed.wait_for(lambda: condition() or self._ended, seconds or self._patience)
            if not condition():
                got = [event["event"] for event in self.events]
                raise TimeoutError(
                    f"{'the program ended before' if self._ended else 'no time left for'} {what}; {got}"
                )

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def start(kind: str, master: str, **settings: Any) -> DriverProcess:
    """Start a driver. Little time is given to pymesos' to do what it is not going to do."""
    return DriverProcess(kind, master, patience=2.0 if kind == "plain" else 10.0, **settings)
