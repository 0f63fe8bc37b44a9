"""Prints what a command task costs and how fast it is, beside a Docker task, in one run on one agent.

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
from typing import Any

from executor_figures import memory, processes_of, started_at
from mesos_testbed import Agent, Framework, cluster, command_task, docker_task, eventually

Task = dict[str, Any]


def parent_of(pid: int) -> int:
    """The process id of a process' parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def command_executors(agent: Agent) -> list[int]:
    """The executors of this agent's command tasks."""
    return [
        pid
        for pid in agent.executors()
        if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"mesos-executor")
    ]


def launch(framework: Framework, task: Task) -> tuple[str, float]:
    """Launch a task; returns its id and the second of its TASK_RUNNING."""
    task_id = str(task["task_id"]["value"])
    framework.launch([task])
    return task_id, float(framework.wait_state(task_id, "TASK_RUNNING", 60)["received"])


def times(
    framework: Framework, make: Callable[[], Task], executors: Callable[[], list[int]], runs: int
) -> tuple[float, float]:
    """Medians of the seconds from an executor's fork to TASK_RUNNING, and from a kill to TASK_KILLED."""
    to_running, to_killed = [], []
    for _ in range(runs):
        task_id, running = launch(framework, make())
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

    def of_docker() -> Task:
        return docker_task(cpus=0.01)

    def of_command() -> Task:
        return command_task("exec sleep 1000", **{"resources": docker_task(cpus=0.01)["resources"]})

    with (
        tempfile.TemporaryDirectory(prefix="command-figures-") as folder,
        cluster(Path(folder)) as (master, agent, docker),
        Framework(master.address) as framework,
    ):
        docker_times = times(framework, of_docker, lambda: processes_of(docker)[0], options.runs)
        command_times = times(framework, of_command, lambda: command_executors(agent), options.runs)
        for _ in range(options.tasks):
            launch(framework, of_docker())
            launch(framework, of_command())
        time.sleep(1)
        executors, guards = processes_of(docker)
        commands = command_executors(agent)
        parents = [parent_of(pid) for pid in commands]
        line = "{:<48} {:>10} {:>10}"
        print(line.format("", "Docker", "command"))
        for name, theirs, ours in (
            (
                "PSS of all that a task needs besides itself, MiB",
                [*executors, *guards],
                [*commands, *parents],
            ),
            ("- executor", executors, commands),
            ("- guard, or parent", guards, parents),
        ):
            figures = [f"{memory(pids, 'Pss') / options.tasks:.2f}" for pids in (theirs, ours)]
            print(line.format(name, *figures))
        for name, each in (
            ("executor's fork to TASK_RUNNING, median, s", 0),
            ("kill to TASK_KILLED, median, s", 1),
        ):
            print(line.format(name, f"{docker_times[each]:.3f}", f"{command_times[each]:.3f}"))
        framework.teardown()
        eventually(lambda: not docker.containers(all_states=True), "all containers are removed", 60)


if __name__ == "__main__":
    main()
