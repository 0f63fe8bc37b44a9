"""Many histories on all processors, and what happened in them: `make test-simulation HISTORIES=10000`.

Exit status 1 when one does not end well; its seed is printed, and its last lines.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from simulated_mesos.history import History

_FIRST_SEED = int(os.environ.get("SIMULATION_FIRST_SEED", "0"))
_FAILURES_SHOWN = 3


def live(seed: int) -> tuple[str, Counter[str]]:
    """Live through one history; returns how it failed, and what happened how often."""
    history = History(seed)
    failure = ""
    try:
        history.tell()
    except AssertionError as error:
        failure = str(error)
    counts = history.fate.counts
    counts["rounds of the scheduler"] = history.rounds
    counts["simulated seconds"] = round(history.lasted)
    return failure, counts


def main() -> int:
    """Print the figures; returns the exit status."""
    histories = int(os.environ.get("SIMULATION_HISTORIES", "10000"))
    seeds = range(_FIRST_SEED, _FIRST_SEED + histories)
    started = time.monotonic()
    total: Counter[str] = Counter()
    failures: list[str] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for failure, counts in pool.map(live, seeds, chunksize=20):
            total += counts
            failures += [failure] if failure else []
    took = time.monotonic() - started
    for failure in failures[:_FAILURES_SHOWN]:
        print(failure, end="\n\n")
    for failure in failures:
        print(failure.splitlines()[-1][:200])
    days = total.pop("simulated seconds") / 86_400
    print(f"{histories} histories ({days:.1f} simulated days) in {took:.0f} s, {len(failures)} failures")
    for what, count in sorted(total.items(), key=lambda item: -item[1]):
        print(f"{count:>12,}  {what}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
