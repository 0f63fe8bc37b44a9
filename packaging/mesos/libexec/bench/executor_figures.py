"""Prints what a Docker task costs and how fast it is, beside the figures of Mesos' own executor.

Ours is measured here and now, on a real master and agent with a Docker Engine of their own (as root; see
packaging/mesos/testbed), and so is a bare `docker run`, which tells how busy the machine is. It is measured
in an open cluster, and in one that is secured as the roles do it: TLS between master and agent, and
executors that show the agent a token, over its socket.

The columns for others are what the genuine C++ 1.11.0 executor and a Python one with a docker client each
gave on an idle machine of two cores; they are for comparison, not measured again.

    python packaging/mesos/libexec/bench/executor_figures.py [--runs 10] [--containers 10]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))

from mesos_testbed import (
    Agent,
    Certificates,
    Framework,
    PrivateDocker,
    cluster,
    docker_task,
    eventually,
    socket_flags,
    token_flags,
)

EXECUTOR = Path(__file__).resolve().parents[1] / "build"
IDLE_SECONDS = 20.0


@dataclass
class Row:
    """What it is, ours in one cluster, theirs, and what ours must not exceed (None: no bound)."""

    name: str
    unit: str
    ours: float
    original: str
    python: str
    bound: float | None = None


def memory(pids: Sequence[int], field: str) -> float:
    """The sum of a field (`Rss`, `Pss`) of smaps_rollup over processes, in MiB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{field}:"):
                total += int(line.split()[1])
    return total / 1024


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time that processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def started_at(pid: int) -> float:
    """When a process was forked, in seconds since the epoch (the kernel counts in hundredths)."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def processes_of(docker: PrivateDocker) -> tuple[list[int], list[int]]:
    """The executors and the guards of the containers that run in this engine."""
    names = [container["Name"].lstrip("/") for container in docker.containers()]
    executors, guards = [], []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        except OSError:
            continue
        if words[0].endswith("mesos-docker-executor") and any(
            f"--container={name}" in words for name in names
        ):
            executors.append(int(entry.name))
        elif words[0] in [f"container-guard {name}" for name in names]:
            guards.append(int(entry.name))
    return executors, guards


def run_one(framework: Framework) -> str:
    """Launch a task and wait until it runs."""
    task = docker_task(cpus=0.01)
    task_id = str(task["task_id"]["value"])
    framework.launch([task])
    framework.wait_state(task_id, "TASK_RUNNING", 60)
    return task_id


def start_and_kill(framework: Framework, docker: PrivateDocker) -> tuple[float, float]:
    """Seconds from an executor's fork to TASK_RUNNING, and from `docker kill` to TASK_FAILED."""
    task_id = run_one(framework)
    running = framework.wait_state(task_id, "TASK_RUNNING")["received"]
    ((executor,), _) = processes_of(docker)
    fork_to_running = running - started_at(executor)
    time.sleep(0.5)
    (container,) = docker.containers()
    before = time.time()
    docker.docker("kill", container["Id"])
    kill_to_update = framework.wait_state(task_id, "TASK_FAILED")["received"] - before
    eventually(lambda: not docker.containers(all_states=True), "the container is removed")
    return fork_to_running, kill_to_update


def bare_run(docker: PrivateDocker) -> float:
    """Seconds that `docker run --detach` takes on the same engine."""
    before = time.time()
    container = docker.docker("run", "--detach", "demo/web:1").strip()
    taken = time.time() - before
    docker.docker("rm", "--force", container)
    return taken


def surviving(agent: Agent, docker: PrivateDocker) -> int:
    """How many containers outlive a kill -9 of their agent with Mesos' default timeout (2 s)."""
    before = {container["Id"] for container in docker.containers()}
    agent.kill9()
    agent.start()
    time.sleep(5)
    return len(before & {container["Id"] for container in docker.containers()})


def measure(
    folder: Path, runs: int, containers: int, tls: Certificates | None, flags: Mapping[str, object]
) -> list[Row]:
    """Start a cluster, measure, and stop it."""
    folder.mkdir()
    context = None if tls is None else tls.context()
    with (
        cluster(folder, agent_flags={"launcher_dir": EXECUTOR, **flags}, tls=tls) as (master, agent, docker),
        Framework(master.address, tls=context) as framework,
    ):
        bare, to_running, to_update = [], [], []
        for _ in range(runs):
            bare.append(bare_run(docker))
            started, ended = start_and_kill(framework, docker)
            to_running.append(started)
            to_update.append(ended)
        for _ in range(containers):
            run_one(framework)
        executors, guards = processes_of(docker)
        if (len(executors), len(guards)) != (containers, containers):
            raise RuntimeError(
                f"{containers} containers have {len(executors)} executors, {len(guards)} guards"
            )
        time.sleep(1)
        used = cpu_seconds([*executors, *guards])
        time.sleep(IDLE_SECONDS)
        used = cpu_seconds([*executors, *guards]) - used
        pss = memory([*executors, *guards], "Pss") / containers
        median = statistics.median
        rows = [
            Row("PSS of all that a container needs", "MiB", pss, "8.0 + client 7.0", "10.8 + client 7.0", 12),
            Row("- executor", "MiB", memory(executors, "Pss") / containers, "8.0", "10.8"),
            Row("- guard", "MiB", memory(guards, "Pss") / containers, "none", "none"),
            Row("RSS of the executor", "MiB", memory(executors, "Rss") / containers, "62.8", "20.0"),
            Row("fork to TASK_RUNNING, median", "s", median(to_running), "0.762", "0.470", 0.45),
            Row("- a bare docker run --detach, median", "s", median(bare), "", ""),
            Row("docker kill to TASK_FAILED, median", "s", median(to_update), "0.257", "0.144", 0.15),
            Row(
                "idle CPU of an executor and its guard",
                "%",
                100 * used / IDLE_SECONDS / containers,
                "0.20",
                "0.03",
            ),
        ]
        alive = surviving(agent, docker)
        rows.append(
            Row(f"containers of {containers} that outlive their agent", "", alive, "5 of 5", "2 of 5")
        )
        framework.teardown()
        eventually(lambda: not docker.containers(all_states=True), "all containers are removed", 60)
    if alive != containers:
        raise RuntimeError(f"{containers - alive} containers died with their agent")
    return rows


def main() -> int:
    """Measure and print; exit status 1 when a bound is not kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10, help="tasks started and killed one after the other")
    parser.add_argument("--containers", type=int, default=10, help="containers that run at once")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="executor-figures-") as name:
        folder = Path(name)
        tables = {
            "open": measure(folder / "open", options.runs, options.containers, None, {}),
            "secured": measure(
                folder / "secured",
                options.runs,
                options.containers,
                Certificates.make(folder / "tls"),
                {**token_flags(folder), **socket_flags(folder)},
            ),
        }
    if options.json:
        figures = {kind: {row.name: row.ours for row in rows} for kind, rows in tables.items()}
        print(json.dumps(figures, indent=2))
    else:
        line = "{:<42} {:>10} {:>10} {:>8} {:>18} {:>18}"
        print(line.format("", *tables, "at most", "original C++", "a Python one"))
        for rows in zip(*tables.values(), strict=True):
            ours = [f"{row.ours:.3g} {row.unit}".strip() for row in rows]
            bound = "" if rows[0].bound is None else f"{rows[0].bound:g}"
            print(line.format(rows[0].name, *ours, bound, rows[0].original, rows[0].python))
    exceeded = [
        f"{row.name} ({kind})"
        for kind, rows in tables.items()
        for row in rows
        if row.bound is not None and row.ours > row.bound
    ]
    for name in exceeded:
        print(f"exceeds its bound: {name}", file=sys.stderr)
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
