"""How long `make lab` takes from nothing, and again, and what of it takes how long.

    python molecule/lab_acceptance/site_figures.py [INVENTORY]

Removes the lab of INVENTORY (inventory/lab) and makes it from a fresh clone with empty caches: a new .venv,
the Mesos package, an image of its own for the hosts. What this machine has installed stays, so apt's part is
not in it. Prints a table in seconds, and removes that lab and its image.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from lab_site import ROOT, Run, playbook

STEP = re.compile(r"^== (.+): done in (\d+) s$", re.MULTILINE)  # control_node/step.sh
PLAYBOOK_TOTAL = re.compile(r"TASKS RECAP \**\n.*?\) +(\d+):(\d+):([\d.]+) \*", re.MULTILINE)
HOST_IMAGE = re.compile(r"^Build the images of the hosts.*? -+ ([\d.]+)s$", re.MULTILINE)


def make_lab(clone: Path, inventory: Path, caches: Path) -> Run:
    """Run `make lab` in a clone; exits with its output when it failed."""
    start = time.monotonic()
    run = subprocess.run(
        ["make", "lab", f"LAB={inventory}"],
        cwd=clone,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1", "XDG_CACHE_HOME": str(caches)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        sys.exit(run.stdout)
    return Run(run.returncode, run.stdout, time.monotonic() - start)


def playbooks(run: Run) -> tuple[float, float]:
    """Seconds of the two runs of ansible-playbook: lab_up.yml; site.yml with the summary."""
    # The second tells its seconds after each of its playbooks, from its start.
    hosts, *_, site = PLAYBOOK_TOTAL.findall(run.output)
    return _seconds(hosts), _seconds(site)


def _seconds(clock: tuple[str, str, str]) -> float:
    hours, minutes, seconds = clock
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def row(what: str, seconds: float, changed: int | str = "") -> None:
    """Print a row of the table."""
    print(f"{what:<70}{seconds:>8.1f}{changed:>9}")


def main() -> None:
    """Measure and print."""
    inventory = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "inventory" / "lab").resolve()
    playbook("playbooks/lab_down.yml", inventory=inventory)
    with tempfile.TemporaryDirectory() as scratch:
        clone, caches = Path(scratch, "clone"), Path(scratch, "caches")
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        # Another recipe, so another image.
        with (clone / "molecule" / "shared" / "images" / "host.sh").open("a", encoding="utf-8") as recipe:
            recipe.write(f"# {time.time()}\n")
        first = make_lab(clone, inventory, caches)
        again = make_lab(clone, inventory, caches)
    images = images_of(inventory)
    playbook("playbooks/lab_down.yml", inventory=inventory)
    subprocess.run(["docker", "image", "rm", *images], stdout=subprocess.DEVNULL, check=True)

    print(f"{'':<70}{'seconds':>8}{'changed':>9}")
    for title, seconds in STEP.findall(first.output):
        row(f"  {title}", float(seconds))
    hosts, site = playbooks(first)
    row("  lab_up.yml: the hosts", hosts)
    row("    of it their image", float(HOST_IMAGE.findall(first.output)[0]))
    row("  site.yml on new hosts, and the summary", site)
    row("make lab from nothing (some steps side by side)", first.seconds, first.changed)
    hosts, site = playbooks(again)
    row("  lab_up.yml", hosts)
    row("  site.yml, and the summary", site)
    row("make lab again", again.seconds, again.changed)


def images_of(inventory: Path) -> set[str]:
    """The images that the lab's hosts were made of."""
    graph = subprocess.run(
        [Path(sys.executable).with_name("ansible"), "--inventory", inventory, "all", "--list-hosts"],
        capture_output=True,
        text=True,
        check=True,
    )
    hosts = graph.stdout.split()[2:]
    inspected = subprocess.run(
        ["docker", "inspect", "--format", "{{.Config.Image}}", *hosts],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(inspected.stdout.split())


if __name__ == "__main__":
    main()
