"""Processes of tasks of the Mesos containerizer, as /proc has them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any


def processes(*marks: object) -> list[int]:
    """Processes that have all of these words on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if all(str(mark) in words for mark in marks):
                found.append(int(entry.name))
    return found


def new_mark() -> str:
    """A number of seconds that no other test sleeps."""
    return f"{9000 + time.monotonic_ns() % 10**9 / 10**9:.6f}"


def nothing_left(bed: Any, task_id: str) -> bool:
    """Whether nobody works in the task's sandbox any more."""
    return not [pid for pid in bed.agent.executors() if str(bed.sandbox(task_id)) in cwd_of(pid)]


def parent_of(pid: int) -> int:
    """The process id of a process' parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def cwd_of(pid: int) -> str:
    """Where a process works; "" of one that is gone."""
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""
