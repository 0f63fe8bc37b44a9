"""Running a launcher to its end, and looking at what an operator sees of it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mesos_testbed import STAGED_TREE, Master, eventually

PACKAGE = Path(__file__).resolve().parents[1]


def program(name: str) -> Path:
    """Path of a program in the staged tree."""
    return STAGED_TREE / "usr/sbin" / name


def run(
    name: str, *words: str, environment: Mapping[str, str] | None = None, seconds: float = 20
) -> subprocess.CompletedProcess[str]:
    """Run a launcher that is expected to end by itself."""
    return subprocess.run(
        [program(name), *words],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env={**os.environ, **(environment or {})},
    )


def refusal(name: str, *words: str, environment: Mapping[str, str] | None = None) -> str:
    """What a launcher says on stderr when it refuses to start; fails unless that is an ordinary refusal."""
    done = run(name, *words, environment=environment)
    assert done.returncode == 1, done
    assert "*** Aborted" not in done.stderr, done.stderr
    return done.stderr


def leading(master: Master) -> dict[str, Any]:
    """The state of a master, once it leads: its HTTP server answers a moment before it does."""

    def state() -> dict[str, Any] | None:
        answer: dict[str, Any] = master.get("/state")
        return answer if answer.get("elected_time") else None

    return eventually(state, "the master leads")


def flags_of(name: str) -> set[str]:
    """The names of all flags in a launcher's --help."""
    listed = re.findall(r"^  --(?:\[no-\])?(\w+)", run(name, "--help").stdout, re.MULTILINE)
    assert len(listed) > 50
    return set(listed)
