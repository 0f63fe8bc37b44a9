"""Prints what a command task and a pod of one cost and how fast they are, beside a Docker task, in one run.

The agent is a real one with a Docker Engine of its own (as root; see packaging/mesos/testbed).

    python packaging/mesos/libexec/bench/command_figures.py [--runs 10] [--tasks 10]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from executor_figures import memory, processes_of, started_at
from mesos_testbed import Agent, Framework, cluster, command_task, docker_task, eventually


def parent_of(pid: int) -> int:
    """The process id of a process' parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def executors_of(agent: Agent, program: str) -> list[int]:
    """The executors of this agent that are this program."""
    return [
        pid
        for pid in agent.executors()
        if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(program.encode())
    ]


def launch(framework: Framework, kind: str) -> tuple[str, float]:
    """Launch a task; returns its id and the second of its TASK_RUNNING."""
    resources = {"resources": docker_task(cpus=0.01)["resources"]}
    task = docker_task(cpus=0.01) if kind == "Docker" else command_task("exec sleep 1000", **resources)
    task_id = str(task["task_id"]["value"])
    if kind == "pod":
        framework.launch_group([task], f"pod-{task_id}")
    else:
        framework.launch([task])
    return task_id, float(framework.wait_state(task_id, "TASK_RUNNING", 60)["received"])


def times(
    framework: Framework, kind: str, executors: Callable[[], list[int]], runs: int
) -> tuple[float, float]:
    """Medians of the seconds from an executor's fork to TASK_RUNNING, and from a kill to TASK_KILLED."""
    to_running, to_killed = [], []
    for _ in range(runs):
        task_id, running = launch(framework, kind)
        (executor,) = executors()
        to_running.append(running - started_at(executor))
        time.sleep(0.3)
        before = time.time()
        framework.kill(task_id)
        to_killed.append(framework.wait_state(task_id, "TASK_KILLED")["received"] - before)
        eventually(lambda: not executors(), "the executor's end", 60)
    return statistics.median(to_running), statistics.median(to_killed)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10, help="tasks started and killed one after the other")
    parser.add_argument("--tasks", type=int, default=10, help="tasks of each kind that run at once")
    options = parser.parse_args()

    with (
        tempfile.TemporaryDirectory(prefix="command-figures-") as folder,
        cluster(Path(folder)) as (master, agent, docker),
        Framework(master.address) as framework,
    ):
        executors: dict[str, Callable[[], list[int]]] = {
            "Docker": lambda: processes_of(docker)[0],
            "command": lambda: executors_of(agent, "mesos-executor"),
            "pod": lambda: executors_of(agent, "mesos-default-executor"),
        }
        measured = {kind: times(framework, kind, find, options.runs) for kind, find in executors.items()}
        for _ in range(options.tasks):
            for kind in executors:
                launch(framework, kind)
        time.sleep(1)
        running = {kind: find() for kind, find in executors.items()}
        # A pod's executor has a parent, and so has its task.
        parents = {parent_of(pid) for pid in executors_of(agent, "sleep")} - {*running["command"]}
        beside = {
            "Docker": processes_of(docker)[1],
            "command": [parent_of(pid) for pid in running["command"]],
            "pod": [*(parent_of(pid) for pid in running["pod"]), *parents],
        }
        rows: dict[str, dict[str, list[int]]] = {
            "PSS of all that a task needs besides itself, MiB": {
                kind: [*running[kind], *beside[kind]] for kind in executors
            },
            "- executor": running,
            "- guard, or parents": beside,
        }
        line = "{:<48}" + " {:>10}" * len(executors)
        print(line.format("", *executors))
        for name, pids in rows.items():
            figures = [f"{memory(pids[kind], 'Pss') / options.tasks:.2f}" for kind in executors]
            print(line.format(name, *figures))
        for name, each in (
            ("executor's fork to TASK_RUNNING, median, s", 0),
            ("kill to TASK_KILLED, median, s", 1),
        ):
            print(line.format(name, *(f"{measured[kind][each]:.3f}" for kind in executors)))
        framework.teardown()
        eventually(lambda: not docker.containers(all_states=True), "all containers are removed", 60)


if __name__ == "__main__":
    main()
