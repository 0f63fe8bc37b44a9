"""A daemon started for a test: its life, its log, and waiting for what it should do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from typing_extensions import Self

T = TypeVar("T")


class DaemonError(Exception):
    """A daemon did not do what the test waits for; the message ends with the tail of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(probe: Callable[[], T | None], what: str, seconds: float = 30.0, pause: float = 0.05) -> T:
    """Call `probe` until its answer is true and return that answer.

    OSErrors count as "not yet". Raises TimeoutError, which names `what` and the last answer, after `seconds`.
    """
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            answer = probe()
            if answer:
                return answer
            last = answer
        except OSError as error:
            last = error
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}; last answer: {last!r}")
        time.sleep(pause)


class Daemon:
    """One process with a log file; a context manager that starts and stops it.

    `wrapper` is put before the command line (`unshare -m ...`, `nsenter ...`).
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.command = [str(word) for word in (*wrapper, *command)]
        self.folder = folder
        self.environment = dict(environment or {})
        self.log_path = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def answers(self) -> bool:
        """Say whether the daemon does its work; the subclass knows how to ask."""
        return True

    @property
    def pid(self) -> int:
        """The running process' id; DaemonError when there is none."""
        if self._process is None:
            raise DaemonError(f"{self.name} was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """Everything the daemon wrote so far, over all its starts."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self, wait_seconds: float = 60.0) -> Self:
        """Start the process and wait until it answers."""
        self.spawn()

        def answered() -> bool:
            if not self.running:
                raise self._failure("ended instead of starting")
            return self.answers()

        try:
            eventually(answered, f"{self.name} answers", wait_seconds)
        except (TimeoutError, DaemonError) as error:
            failure = self._failure(str(error)) if isinstance(error, TimeoutError) else error
            self.close()
            raise failure from error
        return self

    def spawn(self) -> None:
        """Start the process without waiting for anything."""
        if self.running:
            raise DaemonError(f"{self.name} runs already")
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                cwd=self.folder,
                start_new_session=True,
            )

    def wait(self, seconds: float = 30.0) -> int:
        """Wait for the process to end by itself and return its exit status."""
        if self._process is None:
            raise DaemonError(f"{self.name} was not started")
        return self._process.wait(seconds)

    def stop(self, seconds: float = 20.0) -> None:
        """SIGTERM, then SIGKILL if the process does not end within `seconds`."""
        if self._process is None or not self.running:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill9()

    def kill9(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)

    def restart(self) -> None:
        """Stop in order and start again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop and clear away what outlives the process; subclasses add to it."""
        self.stop()

    def __enter__(self) -> Self:
        if not self.running:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _failure(self, what: str) -> DaemonError:
        return DaemonError(f"{self.name} {what}\n--- end of {self.log_path}\n{self.log()[-4000:]}")
