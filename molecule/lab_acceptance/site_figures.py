"""How long site.yml takes on new hosts, and again.

    python molecule/lab_acceptance/site_figures.py

Removes the lab, makes its hosts anew and deploys twice. Prints a table in seconds.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from lab_site import ROOT, Run, deploy

PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")


def hosts(verb: str) -> float:
    """Run `lab_up.yml` or `lab_down.yml`; returns its seconds."""
    start = time.monotonic()
    subprocess.run(
        [PLAYBOOK, "--inventory", "inventory/lab", f"playbooks/lab_{verb}.yml"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - start


def successful(run: Run) -> Run:
    """The run itself; exits with its output when it failed."""
    if run.exit_code != 0:
        sys.exit(run.output)
    return run


def main() -> None:
    """Measure and print."""
    hosts("down")
    made = hosts("up")
    first, again = successful(deploy()), successful(deploy())
    print(f"{'':<34}{'seconds':>8}{'changed':>9}")
    print(f"{'four hosts made (lab_up.yml)':<34}{made:>8.1f}")
    print(f"{'site.yml on new hosts':<34}{first.seconds:>8.1f}{first.changed:>9}")
    print(f"{'site.yml again':<34}{again.seconds:>8.1f}{again.changed:>9}")


if __name__ == "__main__":
    main()
