"""What is deployed in the middle of a fault: services.yml with another count or image, and once more."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from chaos_judge import Wanted
from lab_inventory import Lab
from lab_site import ROOT

COUNTS = (4, 5, 6, 7)
VERSIONS = ("1", "2")  # of the demo image that work


def another_count(wanted: Wanted, pick: int) -> Wanted:
    """Return the same with more or fewer."""
    counts = [count for count in COUNTS if count != wanted.count]
    return replace(wanted, count=counts[pick % len(counts)])


def another_image(wanted: Wanted, _pick: int) -> Wanted:
    """Return the same of the other version."""
    name, _, version = wanted.image.rpartition(":")
    (other,) = (each for each in VERSIONS if each != version)
    return replace(wanted, image=f"{name}:{other}")


DEPLOYMENTS: dict[str, Callable[[Wanted, int], Wanted]] = {
    "deploy-count": another_count,
    "deploy-image": another_image,
}


@dataclass(frozen=True)
class Play:
    """A playbook to run. `added`: a file that adds to the inventory. limit_seconds: it is ended then."""

    playbook: str = "playbooks/services.yml"
    added: Path | None = None
    limit_seconds: float = 300


SERVICES = Play()


class Deployment:
    """A run of a playbook that is under way; in the end `wanted` runs."""

    def __init__(self, lab: Lab, wanted: Wanted, play: Play = SERVICES) -> None:
        variables = {"scheduler_image": wanted.image, "scheduler_count": wanted.count}
        self.playbook = play.playbook
        self._limit_seconds = play.limit_seconds
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the process
        # Control-C does not reach it: `stop` does.
        self._process = subprocess.Popen(
            lab.playbook_command(play.playbook, variables, play.added),
            cwd=ROOT,
            env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def runs(self) -> bool:
        """Tell whether it has not ended."""
        return self._process.poll() is None

    def finish(self) -> tuple[int, str]:
        """Wait until it ends; returns its exit status and the end of what it wrote. It is ended in time."""
        try:
            status = self._process.wait(self._limit_seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            status = self._process.wait()
        with self._output as output:
            output.seek(0)
            return status, output.read()[-3000:]

    def stop(self) -> None:
        """End it, if it has not ended: as an operator's Control-C does."""
        if self.runs():
            os.killpg(self._process.pid, signal.SIGINT)
            self._process.wait(60)


def deploy(lab: Lab, wanted: Wanted, play: Play = SERVICES) -> tuple[int, str]:
    """Run a playbook; returns its exit status and the end of what it wrote."""
    return Deployment(lab, wanted, play).finish()
