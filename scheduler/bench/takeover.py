"""How long nobody leads when one of two schedulers goes, and what their election costs ZooKeeper.

    python scheduler/bench/takeover.py [--agents 1000] [--tasks 10000] [--session 6] [--rounds 5]

Two real processes share a state in a ZooKeeper server of its own, from Debian's package, against a scripted
master (quick_master.py). Needs no root.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging/mesos/testbed"))

from figures import Busy, SchedulerProcess, cpu_seconds, machine, table
from mesos_testbed import ZooKeeper
from scripted_cluster import Master, configuration

HEADINGS = ["the leader", "rounds", "subscribed s", "at most", "settled s", "at most", "others' CPUs"]
IDLE_SECONDS = 20.0


class Pair:
    """Two schedulers, of which one leads."""

    def __init__(self, folder: Path, master: Master, tasks: int, shared: dict[str, Any]) -> None:
        self.master = master
        self._tasks = tasks
        self.members = [
            SchedulerProcess(folder / name, {**configuration(master, tasks), "shared_state": shared})
            for name in ("one", "two")
        ]
        for member in self.members:
            member.start()

    @property
    def leader(self) -> SchedulerProcess:
        """The one that leads, once one does and the other has read what it follows."""
        while True:
            with contextlib.suppress(OSError):
                found = [member.status() for member in self.members]
                leads = [one["leads"] for one in found]
                if sorted(leads) == [False, True] and all(map(self._knows_all, found)):
                    return self.members[leads.index(True)]
            time.sleep(0.1)

    def _knows_all(self, status: dict[str, Any]) -> bool:
        return bool(sum(service["in_service"] for service in status["services"]) == self._tasks)

    def goes(self, end: Callable[[SchedulerProcess], object]) -> tuple[float, float]:
        """Have the leader end; returns the seconds until another one has subscribed, and has settled."""
        leader = self.leader
        begun = time.monotonic()
        end(leader)
        while (times := self.master.do("look")["times"]).get("SUBSCRIBE", 0.0) < begun:
            time.sleep(0.005)
        settled = self.master.do("wait for", what="SUPPRESS")["times"]["SUPPRESS"]
        leader.start()
        return times["SUBSCRIBE"] - begun, settled - begun


def row(pair: Pair, what: str, end: Callable[[SchedulerProcess], object], rounds: int) -> list[str]:
    """One row of the table."""
    busy = Busy()
    subscribed, settled = zip(*(pair.goes(end) for _ in range(rounds)), strict=True)
    return [what, str(rounds), *_figures(subscribed), *_figures(settled), f"{busy.others():.1f}"]


def _figures(seconds: Sequence[float]) -> list[str]:
    return [f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--session", type=float, default=6.0, help="seconds, of the session with ZooKeeper")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"takeover: {machine()}")
    print(f"{options.tasks:,} tasks on {options.agents:,} agents, a session of {options.session:g} s\n")
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Master(options.agents, options.tasks) as master,
        ZooKeeper(Path(folder) / "zookeeper") as server,
        contextlib.ExitStack() as ending,
    ):
        shared = {"zookeeper": f"zk://{server.address}/schedulers", "session_seconds": options.session}
        pair = Pair(Path(folder), master, options.tasks, shared)
        for member in pair.members:
            ending.callback(member.stop)
        master.do("wait running", count=options.tasks)
        master.do("wait for", what="SUPPRESS")
        rows = [
            HEADINGS,
            row(pair, "is stopped", SchedulerProcess.stop, options.rounds),
            row(pair, "is killed", SchedulerProcess.kill, options.rounds),
        ]
        print(table(rows))
        before = cpu_seconds(server.pid)
        time.sleep(IDLE_SECONDS)
        idle = 100 * (cpu_seconds(server.pid) - before) / IDLE_SECONDS
        print(f"\nZooKeeper's CPU with both at rest: {idle:.1f} %")


if __name__ == "__main__":
    main()
