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

from lab_cluster import Cluster, SecurityFolder

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "lab-registry:5000/demo/web:1"
NEXT_IMAGE = "lab-registry:5000/demo/web:2"
UNREACHABLE = 4  # how ansible-playbook ends when a host could not be reached and the rest is well
BROKEN_IMAGE = "lab-registry:5000/demo/web:3"  # ends at once
COUNT = 2

INVENTORY = ROOT / "inventory" / "lab"
LAB = Cluster(master="lab-master", slaves=["lab-slave1", "lab-slave2"], security=SecurityFolder.of(INVENTORY))


@dataclass(frozen=True)
class Run:
    """One run of site.yml: its exit code, what it wrote, and how long it took."""

    exit_code: int
    output: str
    seconds: float

    @property
    def words(self) -> str:
        """What it wrote, in one line: Ansible breaks long ones."""
        return " ".join(self.output.split())

    @property
    def changed(self) -> int:
        """How many tasks changed something, on all hosts together."""
        return sum(int(count) for count in re.findall(r"changed=(\d+)", self.output))


# The web service for updates, drains and lost state. It has a health check, and is ready after a second.
WEB_COUNT = 3
WEB_UPDATE = {"min_ready_seconds": 1, "max_failures": 2}
WEB: dict[str, object] = {
    "scheduler_count": WEB_COUNT,
    "scheduler_env": {"DEMO_READY_SECONDS": "1"},
    "scheduler_health_check": {
        "protocol": "http",
        "port": 80,
        "path": "/health",
        "interval_seconds": 0.5,
        "timeout_seconds": 2,
        "grace_seconds": 5,
    },
    "scheduler_update": WEB_UPDATE,
}


def program(name: str) -> str:
    """Return a program of Ansible's that stands beside this Python."""
    return str(Path(sys.executable).with_name(name))


def playbook(name: str, *arguments: str, inventory: Path = INVENTORY) -> Run:
    """Run a playbook on a lab."""
    command = [program("ansible-playbook"), name, f"--inventory={inventory}"]
    start = time.monotonic()
    run = subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Run(run.returncode, run.stdout, time.monotonic() - start)


def deploy(variables: Mapping[str, object] | None = None, *, inventories: Sequence[Path] = ()) -> Run:
    """Run site.yml on the lab with these variables, and these inventories besides the lab's own."""
    # As JSON they keep their types.
    values = {"scheduler_image": IMAGE, "scheduler_count": COUNT, **(variables or {})}
    more = [f"--inventory={inventory}" for inventory in inventories]
    return playbook("site.yml", *more, "--extra-vars", json.dumps(values))


def deploy_web(variables: Mapping[str, object] | None = None) -> Run:
    """Run site.yml where the scheduler is, with the web service's variables and these."""
    values = {"scheduler_image": IMAGE, **WEB, **(variables or {})}
    return playbook("site.yml", "--limit=schedulers", "--extra-vars", json.dumps(values))


def runs(image: str, count: int) -> bool:
    """Tell whether all slaves are there and `count` containers of the image run, and nothing else."""
    images = [container.image for container in LAB.containers().values()]
    return images == [image] * count and LAB.converged() and len(LAB.registered_slaves()) == len(LAB.slaves)


def as_deployed() -> bool:
    """Tell whether all slaves are there and COUNT containers of IMAGE run."""
    return runs(IMAGE, COUNT)


class Measure:
    """Keeps figures for a table: what took how many seconds, or what else is to be said of it."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def __call__(self, what: str, figure: float | object) -> None:
        """Keep one: seconds, or anything that has a text."""
        self.rows.append((what, f"{figure:7.1f} s" if isinstance(figure, float) else f"  {figure}"))
