"""Many services on a lab that is up, and a deployment a minute: how fast all is, and what the daemons hold.

    python molecule/load/load.py --inventory inventory/lab-ha --services 20 --count 8 --minutes 60

Each minute one service gets another image and another one another count, a container is killed, every
instance is asked, and all daemons are looked at. Prints a table, a line for each minute, and in the end the
medians of its first and last quarter: what grows or becomes slower shows there. Exits with 1 when a
deployment, a request or a replacement has failed.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from lab_inventory import CommandError, Lab
from load_figures import Figure, Measuring
from load_services import Services

MINUTE = 60.0
# What can go wrong while somebody is asked: nobody leads, a command on a host fails, an answer breaks off.
TROUBLE = (OSError, CommandError, LookupError, HTTPException, ValueError)
Minute = Sequence[Figure]


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description="Many services on a lab, and a deployment a minute.")
    parser.add_argument("--inventory", type=Path, required=True, help="the lab's inventory, a folder")
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--count", type=int, default=8, help="instances of each service")
    parser.add_argument("--minutes", type=int, default=60)
    return parser.parse_args()


def head(minute: Minute) -> str:
    """Return the table's first line."""
    return "  ".join(["minute", *(figure.column for figure in minute)])


def row(name: str, minute: Minute) -> str:
    """Return a line of the table."""
    figures = (
        f"{figure.value:>{len(figure.column)}.{0 if figure.value >= 100 else 1}f}" for figure in minute
    )
    return "  ".join([f"{name:>6}", *figures])


def medians(minutes: Sequence[Minute]) -> Minute:
    """Return the median of each column."""
    return [
        Figure(column[0].column, statistics.median(figure.value for figure in column))
        for column in zip(*minutes, strict=True)
    ]


def summary(minutes: Sequence[Minute], failures: Sequence[str]) -> str:
    """Return the last lines: the medians of the first and the last quarter, and what has failed."""
    quarter = max(1, len(minutes) // 4)
    parts = {"first": minutes[:quarter], "last": minutes[-quarter:]}
    rows = [row(name, medians(part)) for name, part in parts.items() if part]
    return "\n".join([*rows, f"{len(failures)} failures", *failures])


def main() -> int:
    """Go through the minutes; returns the exit status."""
    chosen = arguments()
    lab = Lab(chosen.inventory.resolve())
    measuring = Measuring(lab, Services(lab.image, chosen.services, chosen.count))
    print(f"from nothing: {measuring.deploy():.1f} s", flush=True)
    minutes: list[Minute] = []
    start = time.monotonic()
    try:
        for number in itertools.count():
            begun = time.monotonic()
            if begun >= start + chosen.minutes * MINUTE:
                break
            try:
                minutes.append(list(measuring.minute(number)))
            except TROUBLE as error:
                measuring.failures.append(f"minute {(begun - start) / MINUTE:.0f}: {error!r}")
            else:
                if len(minutes) == 1:
                    print(head(minutes[0]))
                print(row(f"{(begun - start) / MINUTE:.0f}", minutes[-1]), flush=True)
            # A slow machine takes longer than a minute.
            time.sleep(max(0.0, begun + MINUTE - time.monotonic()))
    finally:
        print(summary(minutes, measuring.failures))
    return 1 if measuring.failures else 0


if __name__ == "__main__":
    sys.exit(main())
