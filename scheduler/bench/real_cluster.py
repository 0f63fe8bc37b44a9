"""How fast many tasks come to run on a real master with real agents: our scheduler beside the tutorial's.

    python scheduler/bench/real_cluster.py [--tasks 1000] [--agents 10] [--quick]

Master and agents are Mesos 1.11's. The executor is a stub that reports RUNNING at once and starts nothing,
and the agents' docker client one that knows every image (stub_executor.cpp): what is left is what master,
agents and scheduler cost. The tutorial's scheduler of 2014 is its algorithm on plain pymesos: one task for
each offer, and what it does not use declined with refuse_seconds 1. Needs root, g++ and the staged Mesos
tree (`make -C packaging/mesos`).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging/mesos/testbed"))

from figures import SchedulerProcess, cpu_seconds, machine, table
from mesos_docker_scheduler.driver.pymesos_base import MesosSchedulerDriver, Scheduler
from mesos_testbed import Agent, Master, PrivateDocker, eventually, free_port

STUB = Path(__file__).with_name("stub_executor.cpp")
CPUS, MEM = 0.01, 4
BASELINE_SECONDS = 120.0  # long enough to know its rate


@dataclass
class Result:
    """How many tasks ran after how long, and the CPU seconds that it took."""

    name: str
    tasks: int
    seconds: float
    scheduler: float
    master: float
    agents: float

    @property
    def rate(self) -> float:
        """Tasks per second."""
        return self.tasks / self.seconds

    def row(self, baseline: Result) -> list[str]:
        """One line of the table."""
        costs = (f"{1000 * cost / self.tasks:.2f}" for cost in (self.scheduler, self.master, self.agents))
        times = f"{self.rate / baseline.rate:.1f}"
        return [self.name, f"{self.tasks:,}", f"{self.seconds:.1f}", f"{self.rate:,.1f}", times, *costs]


HEADINGS = [
    "scheduler",
    "tasks run",
    "seconds",
    "tasks/s",
    "times the tutorial's",
    "its CPU ms a task",
    "master's",
    "agents' and executors'",
]


@contextmanager
def cluster(folder: Path, agents: int, tasks: int) -> Iterator[tuple[Master, list[Agent]]]:
    """A master, and agents with room for `tasks` in all and a fifth more."""
    programs = folder / "programs"
    programs.mkdir(parents=True)
    subprocess.run(["g++", "-O2", "-static", "-o", programs / "mesos-docker-executor", STUB], check=True)
    shutil.copy(programs / "mesos-docker-executor", programs / "mesos-docker-client")
    each = -(-tasks * 12 // (agents * 10))
    flags = {
        "launcher_dir": programs,
        "containerizers": "docker",
        "resources": f"cpus:{each * CPUS:.2f};mem:{each * MEM};disk:10000;ports:[31000-32000]",
    }
    # Nothing asks for the engine: the agents' docker client is the stub.
    no_engine = cast(PrivateDocker, SimpleNamespace(socket=folder / "docker.sock"))
    with ExitStack() as stack:
        master = stack.enter_context(Master(folder / "master"))
        own = [
            stack.enter_context(
                Agent(
                    folder / f"agent{number}", master.address, no_engine, {**flags, "hostname": f"h{number}"}
                )
            )
            for number in range(agents)
        ]
        own[-1].wait_registered(master, agents)
        yield master, own


def tree_seconds(pids: list[int]) -> float:
    """CPU seconds of processes, of their children that have ended, and of those that live."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        pid, parent = int(stat.parent.name), int(fields[1])
        if pid in pids:
            total += sum(map(int, fields[11:15])) / 100
        elif parent in pids:
            total += sum(map(int, fields[11:13])) / 100
    return total


def wait_running(master: Master, tasks: int, seconds: float) -> tuple[int, float]:
    """Wait until so many tasks run, or for so long; returns how many do and when that was."""
    deadline = time.monotonic() + seconds
    while True:
        running = int(master.get("/metrics/snapshot")["master/tasks_running"])
        if running >= tasks or time.monotonic() > deadline:
            return running, time.monotonic()
        time.sleep(0.1)


def measure(name: str, agents: int, tasks: int, seconds: float, start: Callable[..., Any]) -> Result:
    """Run one scheduler on a cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        master, own = stack.enter_context(cluster(folder, agents, tasks))
        pids = [agent.pid for agent in own]
        master_before, agents_before = cpu_seconds(master.pid), tree_seconds(pids)
        begun = time.monotonic()
        cpu = start(stack, folder / "scheduler", master, tasks)
        running, now = wait_running(master, tasks, seconds)
        return Result(
            name,
            running,
            now - begun,
            cpu(),
            cpu_seconds(master.pid) - master_before,
            tree_seconds(pids) - agents_before,
        )


def start_ours(stack: ExitStack, folder: Path, master: Master, tasks: int) -> Callable[[], float]:
    """Our scheduler as its unit runs it, with one service; returns what tells its CPU seconds."""
    service = {"name": "bench", "image": "stub:1", "count": tasks, "cpus": CPUS, "mem": MEM}
    config = {
        "master": master.address,
        "http": {"bind": "127.0.0.1", "port": free_port()},
        "allowed": {"host_network": True},
        "services": [{**service, "network": "host"}],
    }
    process = stack.enter_context(SchedulerProcess(folder, config))
    process.start()
    return lambda: cpu_seconds(process.pid)


class Tutorial(Scheduler):
    """What the tutorial did: one task for each offer, the rest declined for a second."""

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks
        self.launched = 0

    def resourceOffers(self, driver: Any, offers: list[Any]) -> None:
        """Launch one task on each offer until there are enough."""
        for offer in offers:
            if self.launched >= self.tasks:
                driver.declineOffer(offer["id"], {"refuse_seconds": 1})
                continue
            self.launched += 1
            driver.launchTasks(offer["id"], [self._task(offer)], {"refuse_seconds": 1})

    def _task(self, offer: Any) -> dict[str, Any]:
        amounts = {"cpus": CPUS, "mem": MEM}
        return {
            "task_id": {"value": str(self.launched)},
            "name": f"task {self.launched}",
            "agent_id": offer["agent_id"],
            "resources": [
                {"name": name, "type": "SCALAR", "scalar": {"value": amount}}
                for name, amount in amounts.items()
            ],
            "command": {"shell": False},
            "container": {"type": "DOCKER", "docker": {"image": "stub:1", "network": "HOST"}},
        }


def start_tutorial(stack: ExitStack, folder: Path, master: Master, tasks: int) -> Callable[[], float]:
    """The tutorial's scheduler, in this process; returns what tells its CPU seconds."""
    framework = {"user": "root", "name": "tutorial", "checkpoint": True}
    before = time.process_time()
    driver = MesosSchedulerDriver(Tutorial(tasks), framework, master.address)
    driver.start()
    stack.callback(driver.join)
    stack.callback(driver.stop)
    eventually(lambda: driver.connected, "the tutorial's scheduler is connected")
    return lambda: time.process_time() - before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tasks", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--agents", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="100 tasks on 2 agents, less than a minute")
    options = parser.parse_args()
    tasks, agents = (100, 2) if options.quick else (options.tasks, options.agents)
    seconds = 15.0 if options.quick else BASELINE_SECONDS
    print(f"real master, {agents} real agents, stub executor: {machine()}\n")
    ours = measure("ours", agents, tasks, 300.0, start_ours)
    tutorial = measure("the tutorial's", agents, tasks, seconds, start_tutorial)
    print(table([HEADINGS, ours.row(tutorial), tutorial.row(tutorial)]))


if __name__ == "__main__":
    main()
