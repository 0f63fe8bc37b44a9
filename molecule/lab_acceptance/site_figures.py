"""How long `make lab` takes from nothing, and again, and what operators run every day.

    python molecule/lab_acceptance/site_figures.py [INVENTORY]

Removes the lab of INVENTORY (inventory/lab) and makes it from a fresh clone with empty caches: a new .venv,
the Mesos package, an image of its own for the hosts. What this machine has installed stays, so apt's part is
not in it. Prints a table in seconds, of the clock and of this machine's processors for ansible-playbook alone
(the hosts' own work is not in it), and removes that lab and its image.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Timed:
    """One run of ansible-playbook: seconds of the clock, and of the processors for it and its forks."""

    seconds: float
    processor_seconds: float
    changed: int


def ansible_playbook(clone: Path, name: str, inventory: Path, *arguments: str) -> Timed:
    """Run a playbook of a clone that has its .venv; exits with its output when it failed."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run = subprocess.run(
        [clone / ".venv/bin/ansible-playbook", name, f"--inventory={inventory}", *arguments],
        cwd=clone,
        env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != 0:
        sys.exit(run.stdout)
    processor_seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Timed(seconds, processor_seconds, Run(run.returncode, run.stdout, seconds).changed)


def every_day(clone: Path, inventory: Path) -> list[tuple[str, Timed]]:
    """Run on the lab what operators run, and say what each was."""
    slave = group(clone, inventory, "mesos_slaves")[-1]
    count = json.dumps({"scheduler_count": len(group(clone, inventory, "mesos_slaves")) + 1})
    return [
        ("site.yml, nothing to change", ansible_playbook(clone, "site.yml", inventory)),
        (
            "  the same without one of the slaves",
            ansible_playbook(clone, "site.yml", inventory, f"--limit=!{slave}"),
        ),
        (
            "services.yml, another count, until all run",
            ansible_playbook(clone, "playbooks/services.yml", inventory, "--extra-vars", count),
        ),
        ("verify.yml", ansible_playbook(clone, "playbooks/verify.yml", inventory, "--extra-vars", count)),
    ]


def group(clone: Path, inventory: Path, name: str) -> list[str]:
    """Return the hosts of a group."""
    listed = subprocess.run(
        [clone / ".venv/bin/ansible", "--inventory", inventory, name, "--list-hosts"],
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.split()[2:]


def playbooks(run: Run) -> tuple[float, float]:
    """Seconds of the two runs of ansible-playbook: lab_up.yml; site.yml with the summary."""
    # The second tells its seconds after each of its playbooks, from its start.
    hosts, *_, site = PLAYBOOK_TOTAL.findall(run.output)
    return _seconds(hosts), _seconds(site)


def _seconds(clock: tuple[str, str, str]) -> float:
    hours, minutes, seconds = clock
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def row(what: str, seconds: float, changed: int | str = "", processor_seconds: float | None = None) -> None:
    """Print a row of the table."""
    processors = "" if processor_seconds is None else f"{processor_seconds:.1f}"
    print(f"{what:<70}{seconds:>8.1f}{processors:>12}{changed:>9}")


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
        daily = every_day(clone, inventory)
        images = images_of(group(clone, inventory, "all"))
    playbook("playbooks/lab_down.yml", inventory=inventory)
    subprocess.run(["docker", "image", "rm", *images], stdout=subprocess.DEVNULL, check=True)

    print(f"{'':<70}{'seconds':>8}{'processors':>12}{'changed':>9}")
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
    for what, timed in daily:
        row(what, timed.seconds, timed.changed, timed.processor_seconds)


def images_of(hosts: list[str]) -> set[str]:
    """The images that the lab's hosts were made of."""
    inspected = subprocess.run(
        ["docker", "inspect", "--format", "{{.Config.Image}}", *hosts],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(inspected.stdout.split())


if __name__ == "__main__":
    main()
