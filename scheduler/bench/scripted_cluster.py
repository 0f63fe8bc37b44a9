"""How fast the scheduler is with large clusters, against a scripted master that is no bottleneck.

    python scheduler/bench/scripted_cluster.py [--agents 100,1000,10000] [--tasks 1000,10000,100000] [--quick]
        [--stores sqlite,zookeeper]

The scheduler is the real process: configuration file, SQLite file (or a ZooKeeper server of its own, from
Debian's package), driver, log. The master (quick_master.py)
is a process of its own; what it can do alone is in the table. Both need a processor. Needs no root.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging/mesos/testbed"))

from figures import Busy, SchedulerProcess, cpu_seconds, machine, memory, table
from mesos_testbed import ZooKeeper

MASTER = Path(__file__).with_name("quick_master.py")
SERVICES = 10
GATHERING_SECONDS = 1.0  # the scheduler waits so long for the offers of other agents


class Master:
    """The scripted master's process."""

    def __init__(self, agents: int, tasks: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, MASTER, "--agents", str(agents), "--tasks", str(tasks)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._line())

    def __enter__(self) -> Master:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Carry out a command and return its answer."""
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
            self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError("the scripted master ended")
        return line


def configuration(master: Master, tasks: int, services: int = SERVICES) -> dict[str, Any]:
    """Services as people have them: some variables and labels, one port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        "master": f"127.0.0.1:{master.port}",
        "http": {"bind": "127.0.0.1", "port": port},
        "services": [
            {
                "name": f"service-{number}",
                "image": "registry.example:5000/team/web:1.2.3",
                "count": tasks // services,
                "cpus": 0.01,
                "mem": 32,
                "env": {"STAGE": "production", "LOG_LEVEL": "info", "BACKEND": "http://backend.example:8080"},
                "labels": {"team": "web", "tier": "front"},
                "ports": [{"container_port": 8080}],
            }
            for number in range(services)
        ],
    }


def measure(store: str, agents: int, tasks: int, idle_seconds: float) -> list[str]:
    """One row of the table."""
    busy = Busy()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Master(agents, tasks) as master,
        kept_in(store, Path(folder)) as kept,
        SchedulerProcess(Path(folder), {**configuration(master, tasks), **kept}) as scheduler,
    ):
        scheduler.start()
        done = master.do("wait running", count=tasks)
        launching = done["now"] - done["times"]["offers sent"] - GATHERING_SECONDS
        launch_plans = scheduler.metrics()
        _, peak = memory(scheduler.pid)

        updating = master.do("update all")["seconds"]
        time.sleep(2.0)
        resident, _ = memory(scheduler.pid)
        before, cpu = scheduler.metrics(), cpu_seconds(scheduler.pid)
        time.sleep(idle_seconds)
        idle = 100 * (cpu_seconds(scheduler.pid) - cpu) / idle_seconds
        after = scheduler.metrics()

        master.do("drop", implicit=False)
        times = master.do("wait for", what="SUPPRESS")["times"]
        reconciling = times["SUPPRESS"] - times["first RECONCILE"]
        stopping = scheduler.stop()
        master.do("drop", implicit=True)
        begun = scheduler.start()
        restarting = master.do("wait for", what="SUPPRESS")["times"]["SUPPRESS"] - begun
    return [
        store,
        f"{agents:,}",
        f"{tasks:,}",
        f"{launching:.2f}",
        f"{tasks / launching:,.0f}",
        f"{tasks / updating:,.0f}",
        f"{reconciling:.2f}",
        f"{restarting:.2f}",
        f"{stopping:.2f}",
        f"{1000 * planning(launch_plans, {}):,.1f}",
        f"{1000 * planning(after, before):,.1f}",
        f"{resident:,.0f}",
        f"{peak:,.0f}",
        f"{idle:.1f}",
        f"{busy.others():.1f}",
    ]


@contextlib.contextmanager
def kept_in(store: str, folder: Path) -> Iterator[dict[str, Any]]:
    """What the configuration says of the store, which is there meanwhile."""
    if store == "sqlite":
        yield {}
        return
    with ZooKeeper(folder / "zookeeper") as server:
        yield {"shared_state": {"zookeeper": f"zk://{server.address}/schedulers/bench"}}


HEADINGS = [
    "store",
    "agents",
    "tasks",
    "launching s",
    "launches/s",
    "updates/s",
    "reconcile s",
    "restart s",
    "stop s",
    "plan ms, launching",
    "plan ms, idle",
    "memory MiB",
    "peak MiB",
    "idle CPU %",
    "others' CPUs",
]


def planning(after: dict[str, float], before: dict[str, float]) -> float:
    """The mean seconds of a plan between two looks at the metrics."""
    total, count = (
        after[f"plan_seconds_{what}"] - before.get(f"plan_seconds_{what}", 0) for what in ("sum", "count")
    )
    return total / count if count else 0.0


def master_alone(agents: int, tasks: int) -> tuple[float, float]:
    """Launches and acknowledgements per second of the master, driven with requests written beforehand."""
    each = max(1, tasks // agents)
    filler = "x" * 1000  # what else stands in a TaskInfo
    accepts = []
    for first in range(0, tasks, each):
        infos = [
            {"name": filler, "task_id": {"value": f"service-0.0123456789.{number:016x}"}}
            for number in range(first, min(first + each, tasks))
        ]
        infos[0]["agent_id"] = {"value": f"agent{first}"}
        operation = {"type": "LAUNCH", "launch": {"task_infos": infos}}
        accepts.append(_request({"type": "ACCEPT", "accept": {"operations": [operation]}}))
    ids = {key: {"value": "x" * 36} for key in ("agent_id", "task_id")}
    acknowledgements = [_request({"type": "ACKNOWLEDGE", "acknowledge": {**ids, "uuid": "x" * 24}})] * tasks
    with Master(agents, tasks) as master, _sink(master, _request({"type": "SUBSCRIBE"})):
        begun = time.monotonic()
        with _sink(master, b"".join(accepts)):
            # The answer comes once the commands before it, and so the calls, have been worked through.
            while master.do("look")["tasks"] < tasks:
                time.sleep(0.01)
        launching = time.monotonic() - begun
        begun = time.monotonic()
        with _sink(master, b"".join(acknowledgements)):
            master.do("wait running", count=tasks)
        acknowledging = time.monotonic() - begun
    return tasks / launching, tasks / acknowledging


def _request(call: dict[str, Any]) -> bytes:
    body = json.dumps(call, separators=(",", ":")).encode()
    head = f"POST /api/v1/scheduler HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextlib.contextmanager
def _sink(master: Master, requests: bytes) -> Iterator[None]:
    """Send requests and read on in the background, whatever comes."""
    with socket.create_connection(("127.0.0.1", master.port)) as connection:

        def read() -> None:
            with contextlib.suppress(OSError):
                while connection.recv(1 << 20):
                    pass

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        connection.sendall(requests)
        yield
        connection.shutdown(socket.SHUT_RDWR)
        reader.join()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--agents", help="default: 100,1000,10000")
    parser.add_argument("--tasks", help="default: 1000,10000,100000")
    parser.add_argument("--stores", default="sqlite", help="where the state is kept; default: sqlite")
    parser.add_argument("--quick", action="store_true", help="one small cluster, less than a minute")
    options = parser.parse_args()
    agent_counts = options.agents or ("100" if options.quick else "100,1000,10000")
    task_counts = options.tasks or ("1000,10000" if options.quick else "1000,10000,100000")
    print(f"scripted master: {machine()}")
    rates = master_alone(1000, 10_000)
    print("the master alone: {:,.0f} launches/s, {:,.0f} acknowledged updates/s\n".format(*rates))
    rows = [HEADINGS]
    sizes = itertools.product(map(int, agent_counts.split(",")), map(int, task_counts.split(",")))
    for (agents, tasks), store in itertools.product(sizes, options.stores.split(",")):
        rows.append(measure(store, agents, tasks, 3.0 if options.quick else 10.0))
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
