"""What an agent must do on a host with cgroup version 2 only, played with real daemons.

The same scenes are played in a private view of version 2 on any machine (test_cgroup2.py) and in a virtual
machine that was booted with version 2 (vm/).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mesos_testbed import Agent, Framework, Master, PrivateDocker, docker_task, eventually

AGENT_FLAGS: Mapping[str, str | int | bool] = {
    "containerizers": "mesos,docker",
    "executor_reregistration_timeout": "15secs",
}

# cpus and MiB of the two tasks, and what version 2 makes of them: Docker's 1024 shares a cpu become a weight.
TASKS = [(0.5, 64), (1.0, 128)]
LIMITS = [
    {"memory.max": str(64 << 20), "cpu.weight": "20"},
    {"memory.max": str(128 << 20), "cpu.weight": "39"},
]


def tasks() -> list[dict[str, Any]]:
    """The two tasks."""
    return [docker_task(cpus=cpus, mem=mem) for cpus, mem in TASKS]


def name_of(task: Mapping[str, Any]) -> str:
    """A task's id."""
    return str(task["task_id"]["value"])


def container_of(engine: PrivateDocker, task: Mapping[str, Any]) -> dict[str, Any]:
    """`docker inspect` of a task's container, found by the label that the executor sets."""
    label = name_of(task)
    [container] = [
        container
        for container in engine.containers()
        if container["Config"]["Labels"].get("mesos.task_id") == label
    ]
    return container


def limits_of(container: Mapping[str, Any]) -> dict[str, str]:
    """What the kernel enforces: the files of the container's cgroup."""
    membership = Path(f"/proc/{container['State']['Pid']}/cgroup").read_text().strip()
    assert membership.startswith("0::/"), f"more than version 2: {membership}"
    cgroup = Path("/sys/fs/cgroup") / membership.removeprefix("0::/")
    return {name: (cgroup / name).read_text().strip() for name in ("memory.max", "cpu.weight")}


def statistics_of(agent: Agent, task: Mapping[str, Any]) -> dict[str, float]:
    """What `/monitor/statistics` says that a task's container uses; empty where it does not know."""
    shown = agent.get("/monitor/statistics")
    return next((entry["statistics"] for entry in shown if entry["executor_id"] == name_of(task)), {})


def survive_the_agents_death(
    agent: Agent,
    master: Master,
    engine: PrivateDocker,
    framework: Framework,
    task: Mapping[str, Any],
    patience: float = 60,
) -> None:
    """Kill the agent with -9 and start it again: `task` has the same container, and still obeys.

    Nothing may take longer than `patience` seconds.
    """
    before = container_of(engine, task)["Id"]
    agent.kill9()
    agent.start(patience)
    wait_registered(agent, master, patience)
    eventually(lambda: recovered(agent, task), "the task is recovered", patience, 0.5)
    after = container_of(engine, task)["Id"]
    assert before == after, "the container was replaced"
    framework.kill(name_of(task))
    framework.wait_state(name_of(task), "TASK_KILLED", patience)


def wait_registered(agent: Agent, master: Master, patience: float) -> None:
    """Wait until the agent is known to its master, asking sparingly, for an emulated machine is slow."""

    def registered() -> bool:
        assert agent.running, "the agent ended"
        return bool(master.agents())

    eventually(registered, "the agent is registered", patience, 0.5)


def recovered(agent: Agent, task: Mapping[str, Any]) -> bool:
    """Whether the agent knows the task as running."""
    state = agent.get("/state")
    running = [
        known
        for framework in state["frameworks"]
        for executor in framework["executors"]
        for known in executor["tasks"]
        if known["id"] == name_of(task) and known["state"] == "TASK_RUNNING"
    ]
    return bool(running)
