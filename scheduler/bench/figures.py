"""What the benchmarks share: the scheduler as a process, what it costs, and tables."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class SchedulerProcess:
    """The scheduler as its unit runs it, with its log in `folder`; a context manager that ends it."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "scheduler.log"
        self._path = folder / "config.json"
        self._port = config["http"]["port"]
        self._path.write_text(json.dumps({**config, "state_dir": str(folder / "state")}))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; returns the monotonic time of the start."""
        command = [sys.executable, "-m", "mesos_docker_scheduler", "run", "--config", str(self._path)]
        with self.log.open("ab") as log:
            begun = time.monotonic()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "JOURNAL_STREAM": "0:0"},
            )
        return begun

    @property
    def pid(self) -> int:
        """The process' id; RuntimeError with its last words when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"the scheduler does not run: {self.log.read_text()[-2000:]}")
        return self._process.pid

    def stop(self) -> float:
        """End it with SIGTERM; returns the seconds that took."""
        begun = time.monotonic()
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
        return time.monotonic() - begun

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> SchedulerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def metrics(self) -> dict[str, float]:
        """What /metrics says, by name and labels."""
        lines = self._get("/metrics").decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name.removeprefix("mesos_docker_scheduler_"): float(value) for name, value in pairs}

    def status(self) -> dict[str, Any]:
        """What /v1/status says, without the instances."""
        said: dict[str, Any] = json.loads(self._get("/v1/status?instances=false"))
        return said

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=60) as answer:
            return bytes(answer.read())


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> tuple[float, float]:
    """Resident memory in MiB, now and at most."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    found = {words[0]: int(words[1]) / 1024 for words in lines if words[0] in ("VmRSS:", "VmHWM:")}
    return found["VmRSS:"], found["VmHWM:"]


class Busy:
    """How busy the machine is with other things, in processors, between two looks."""

    def __init__(self) -> None:
        self._at, self._all, self._own = self._look()

    @staticmethod
    def _look() -> tuple[float, float, float]:
        user, nice, system = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:4])
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        return time.monotonic(), (user + nice + system) / os.sysconf("SC_CLK_TCK"), own

    def others(self) -> float:
        """Processors that others than this process and its ended children used since the last look."""
        before, all_before, own_before = self._at, self._all, self._own
        self._at, self._all, self._own = self._look()
        return max(0.0, (self._all - all_before - self._own + own_before) / (self._at - before))


def machine() -> str:
    """One line about where this runs."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown processor",
    )
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} x {model}, Python {version}, load {os.getloadavg()[0]:.1f} at the start"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns in line: the first to the left, numbers to the right; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
