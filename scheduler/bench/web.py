"""What the page, the API and the metrics cost with many services, and how quickly they answer.

    python scheduler/bench/web.py [--services 1000] [--tasks 10000] [--watchers 10]

The scheduler is the real process on a scripted master (quick_master.py). "loop" is the mean time of one of
the controller's rounds while every task tells something once, and so every service changes.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from figures import SchedulerProcess, cpu_seconds, machine, table
from scripted_cluster import Master, configuration

AGENTS = 1000
IDLE_SECONDS = 10.0
PATHS = (
    "/",
    "/v1/services",
    "/v1/services/service-0",
    "/v1/instances",
    "/v1/status",
    "/v1/agents",
    "/v1/explain",
    "/v1/events?limit=100",
    "/metrics",
)


def ask(port: int, path: str, times: int = 20) -> list[str]:
    """One row: how long it takes until an answer is here, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    seconds, size = [], 0
    for _ in range(times):
        begun = time.monotonic()
        connection.request("GET", path)
        answer = connection.getresponse()
        size = len(answer.read())
        seconds.append(time.monotonic() - begun)
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path}: HTTP {answer.status}")
    connection.close()
    median, worst = statistics.median(seconds), max(seconds)
    return [path, f"{size / 1024:,.0f}", f"{1000 * median:,.1f}", f"{1000 * worst:,.1f}"]


def drain(answer: http.client.HTTPResponse) -> None:
    """Read until the connection is closed."""
    with suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
        while answer.read1(1 << 16):
            pass


@contextmanager
def watchers(port: int, number: int) -> Iterator[None]:
    """So many pages that are open, reading what comes."""
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(number)]
    for connection in connections:
        connection.request("GET", "/v1/watch")
        threading.Thread(target=drain, args=(connection.getresponse(),), daemon=True).start()
    yield
    for connection in connections:
        connection.close()


def load(scheduler: SchedulerProcess, master: Master) -> list[str]:
    """Idle processor time in percent, the loop's mean in milliseconds, and updates a second, of all tasks."""
    cpu = cpu_seconds(scheduler.pid)
    time.sleep(IDLE_SECONDS)
    idle = 100 * (cpu_seconds(scheduler.pid) - cpu) / IDLE_SECONDS
    before = scheduler.metrics()
    begun = time.monotonic()
    seconds = master.do("update all")["seconds"]
    time.sleep(max(0.0, 2.0 - (time.monotonic() - begun)))
    after = scheduler.metrics()
    total, rounds = (
        after[f"loop_seconds_{what}"] - before[f"loop_seconds_{what}"] for what in ("sum", "count")
    )
    return [f"{idle:.1f}", f"{1000 * total / rounds:.1f}", f"{seconds:.2f}"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--watchers", type=int, default=10)
    options = parser.parse_args()
    print(f"{options.services:,} services, {options.tasks:,} instances, {AGENTS:,} agents: {machine()}\n")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Master(AGENTS, options.tasks) as master:
        config = configuration(master, options.tasks, options.services)
        port = config["http"]["port"]
        with SchedulerProcess(Path(folder), config) as scheduler:
            scheduler.start()
            master.do("wait running", count=options.tasks)
            time.sleep(5.0)  # until all updates have proved themselves
            rows = [["path", "KiB", "median ms", "worst ms"], *(ask(port, path) for path in PATHS)]
            alone = load(scheduler, master)
            with watchers(port, options.watchers):
                watched = load(scheduler, master)
    print(table(rows))
    print()
    headings = ["open pages", "idle CPU %", "loop ms", f"{options.tasks:,} updates s"]
    print(table([headings, ["0", *alone], [f"{options.watchers}", *watched]]))


if __name__ == "__main__":
    main()
