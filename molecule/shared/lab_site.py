"""The lab as `make lab` leaves it, and site.yml run on it the way an operator runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab_cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "lab-registry:5000/demo/web:1"
NEXT_IMAGE = "lab-registry:5000/demo/web:2"
COUNT = 2

LAB = Cluster(master="lab-master", slaves=["lab-slave1", "lab-slave2"])


@dataclass(frozen=True)
class Run:
    """One run of site.yml: its exit code, what it wrote, and how long it took."""

    exit_code: int
    output: str
    seconds: float

    @property
    def changed(self) -> int:
        """How many tasks changed something, on all hosts together."""
        return sum(int(count) for count in re.findall(r"changed=(\d+)", self.output))


def deploy(variables: Mapping[str, object] | None = None, *, inventories: Sequence[Path] = ()) -> Run:
    """Run site.yml on the lab with these variables, and these inventories besides the lab's own."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "site.yml"]
    for inventory in (Path("inventory/lab"), *inventories):
        command += ["--inventory", str(inventory)]
    # As JSON they keep their types.
    values = {"scheduler_image": IMAGE, "scheduler_count": COUNT, **(variables or {})}
    command += ["--extra-vars", json.dumps(values)]
    start = time.monotonic()
    run = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Run(run.returncode, run.stdout, time.monotonic() - start)


def as_deployed() -> bool:
    """Tell whether all slaves are there and COUNT containers of IMAGE run."""
    images = [container.image for container in LAB.containers().values()]
    return images == [IMAGE] * COUNT and LAB.converged() and len(LAB.registered_slaves()) == len(LAB.slaves)


class Measure:
    """Keeps times for a table: what took how many seconds."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float]] = []

    def __call__(self, what: str, seconds: float) -> None:
        """Keep one."""
        self.rows.append((what, seconds))
