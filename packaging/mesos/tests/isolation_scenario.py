"""What the isolators of control groups must do for commands, played with real daemons.

The same scenes are played on any machine (test_isolation.py) and, with limits of version 2, in a virtual
machine that was booted with it (vm/).
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgroup2_scenario import name_of, statistics_of, wait_registered
from mesos_testbed import Agent, Framework, Master, command_task, eventually

Message = dict[str, Any]
MEBIBYTE = 1 << 20
# What Mesos adds to a command's own for its executor.
EXECUTOR_CPUS, EXECUTOR_MEM = 0.1, 32

AGENT_FLAGS: Mapping[str, str | int | bool] = {
    "containerizers": "mesos",
    "isolation": "cgroups/cpu,cgroups/mem,cgroups/pids",
}


def resources(cpus: float, mem: float) -> list[Message]:
    """The resources of a task."""
    return [
        {"name": name, "type": "SCALAR", "scalar": {"value": value}}
        for name, value in (("cpus", cpus), ("mem", mem))
    ]


@dataclass
class Stage:
    """A cluster with one agent, whose containers are in the control groups of `root`."""

    master: Master
    agent: Agent
    framework: Framework
    root: Path
    members: str = "leaf/cgroup.procs"
    patience: float = 30

    def run(self, value: str, state: str = "TASK_RUNNING", **fields: Any) -> Message:
        """Launch a command and wait for a state of it."""
        task = command_task(value, **fields)
        self.framework.launch([task], self.patience)
        self.framework.wait_state(name_of(task), state, self.patience)
        return task

    def sandbox(self, task: Message) -> Path:
        """The folder of a task's container."""
        pattern = f"slaves/*/frameworks/*/executors/{name_of(task)}/runs/*-*"
        [run] = Path(str(self.agent.flags["work_dir"])).glob(pattern)
        return run

    def cgroup(self, task: Message) -> Path:
        """The control group of a task's container."""
        return self.root / self.sandbox(task).name

    def limits(self, task: Message, *files: str) -> list[str]:
        """What the kernel enforces."""
        return [(self.cgroup(task) / file).read_text().strip() for file in files]

    def kill(self, task: Message) -> None:
        """End a task; nothing of its container may be left."""
        cgroup = self.cgroup(task)
        self.framework.kill(name_of(task))
        self.framework.wait_state(name_of(task), "TASK_KILLED", self.patience)
        self.wait_gone(cgroup)

    def wait_gone(self, cgroup: Path) -> None:
        """Wait until a container's control group is removed."""
        eventually(lambda: not cgroup.exists(), f"{cgroup} is gone", self.patience)


def version_2_limits(stage: Stage) -> None:
    """Requests and limits are in the files of version 2."""
    files = ("cpu.weight", "cpu.max", "memory.max", "memory.low", "memory.oom.group")
    task = stage.run("sleep 1000", resources=resources(0.5, 64))
    memory = str((64 + EXECUTOR_MEM) * MEBIBYTE)
    found = stage.limits(task, *files)
    assert found == ["24", "max 100000", memory, memory, "1"], found
    assert (stage.root / "memory.low").read_text().strip() == memory

    limited = stage.run(
        "sleep 1000",
        resources=resources(0.5, 64),
        limits={"cpus": {"value": 1.5}, "mem": {"value": 128}},
    )
    found = stage.limits(limited, *files)
    assert found == ["24", "160000 100000", str(160 * MEBIBYTE), memory, "1"], found
    stage.kill(limited)

    used = statistics_of(stage.agent, task)
    assert used["mem_limit_bytes"] == int(memory), used
    assert 0 < used["mem_total_bytes"] < int(memory), used
    assert used["cpus_user_time_secs"] + used["cpus_system_time_secs"] > 0, used
    assert used["processes"] >= 3, used
    stage.kill(task)


def memory_is_limited(stage: Stage) -> None:
    """A container that is out of memory ends as a whole, and the framework is told why."""
    task = stage.run("sleep 1000 & tail /dev/zero", "TASK_FAILED", resources=resources(0.1, 32))
    update = stage.framework.wait_state(name_of(task), "TASK_FAILED")
    assert update["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY", update
    assert "Memory limit exceeded: Requested: 64MB Maximum Used: 64MB" in update["message"], update
    assert update["limitation"]["resources"][0]["name"] == "mem", update
    stage.wait_gone(stage.cgroup(task))


def nobody_gets_away(stage: Stage) -> None:
    """All that a command has started ends with it, whoever its parent is now."""
    task = stage.run("(setsid sh -c 'sleep 1000 & sleep 1000' &) ; sleep 1000")
    # Mesos' parent, the executor, two shells and three that sleep.
    wait_members(stage, stage.cgroup(task), 7)
    stage.kill(task)


def wait_members(stage: Stage, cgroup: Path, count: int) -> None:
    """Wait until so many processes have started."""
    members = cgroup / stage.members
    eventually(lambda: len(members.read_text().split()) >= count, f"{count} in {cgroup}", stage.patience)


def nested_containers(stage: Stage) -> tuple[Message, Path]:
    """Their groups are below their parent's, also after the agent's death.

    Returns the task that is the parent, and the group of one that does not share its limits.
    """
    task = stage.run("sleep 1000")
    parent = stage.sandbox(task).name
    nested = {name: stage.cgroup(task) / "mesos" / name for name in ("shared", "own")}
    own = {
        "container": {"type": "MESOS", "linux_info": {"share_cgroups": False}},
        "resources": resources(0.5, 48),
        "limits": {"cpus": {"value": 1.0}},
    }
    for name, more in (("shared", {}), ("own", own)):
        identity = {"value": name, "parent": {"value": parent}}
        command = {"value": "(setsid sleep 1000 &); sleep 1000"}
        call(stage, "LAUNCH_CONTAINER", container_id=identity, command=command, **more)
        wait_members(stage, nested[name], 4)  # Mesos' parent, a shell and two that sleep
    stage.agent.kill9()
    restart(stage)
    identity = {"value": "shared", "parent": {"value": parent}}
    call(stage, "KILL_CONTAINER", container_id=identity, signal=9)
    stage.wait_gone(nested["shared"])
    return task, nested["own"]


def version_2_limits_of_nested_containers(stage: Stage) -> None:
    """One that wants limits of its own has them, and its parent keeps its."""
    task, own = nested_containers(stage)
    files = ("cpu.weight", "cpu.max", "memory.max", "memory.oom.group")
    found = [(own / file).read_text().strip() for file in files]
    assert found == ["20", "100000 100000", str(48 * MEBIBYTE), "1"], found
    [memory] = stage.limits(task, "memory.max")
    assert memory == str((32 + EXECUTOR_MEM) * MEBIBYTE)
    stage.kill(task)


def call(stage: Stage, kind: str, **content: object) -> None:
    """Make a call of the agent's API."""
    request = urllib.request.Request(
        f"http://{stage.agent.address}/api/v1",
        json.dumps({"type": kind, kind.lower(): content}).encode(),
        {"Content-Type": "application/json", "Accept": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=stage.patience):
        pass


def survives_its_agent(stage: Stage) -> None:
    """An agent that is killed finds its containers again, and removes what nobody knows."""
    task = stage.run("sleep 1000")
    stage.agent.kill9()
    orphan = stage.root / "orphan"
    (orphan / stage.members).parent.mkdir(parents=True)
    with subprocess.Popen(["sleep", "1000"]) as lost:
        try:
            (orphan / stage.members).write_text(str(lost.pid))
            restart(stage)
            lost.wait(stage.patience)
        finally:
            lost.kill()
    stage.wait_gone(orphan)
    stage.kill(task)


def memory_that_was_not_limited_stays_so(stage: Stage) -> None:
    """A container that began without a limit of memory gets none from a later agent, which says so."""
    kill_and_isolate_by(stage, "cgroups/cpu")
    task = stage.run("sleep 1000")
    kill_and_isolate_by(stage, str(stage.agent.flags["isolation"]))
    assert f"{stage.sandbox(task).name} gets no limit of memory" in stage.agent.log()
    assert stage.limits(task, "memory.max") == ["max"]
    stage.kill(task)


def kill_and_isolate_by(stage: Stage, isolation: str) -> None:
    """Kill the agent, and start it again with these isolators."""
    stage.agent.kill9()
    command = [word for word in stage.agent.command if not word.startswith("--isolation=")]
    stage.agent.command = [*command, f"--isolation={isolation}"]
    restart(stage)


def lack_of_memory_is_told_later(stage: Stage) -> None:
    """A container that was out of memory while there was no agent: the next one tells the framework."""
    task = stage.run("while ! test -e eat; do sleep 0.1; done; tail /dev/zero")
    stage.agent.kill9()
    (stage.sandbox(task) / "eat").touch()
    events = stage.cgroup(task) / "cgroup.events"
    eventually(lambda: "populated 0" in events.read_text(), "the container has ended", stage.patience)
    restart(stage)
    update = stage.framework.wait_state(name_of(task), "TASK_FAILED", stage.patience)
    assert update["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY", update
    stage.wait_gone(stage.cgroup(task))


def restart(stage: Stage) -> None:
    """Start an agent that has died."""
    stage.agent.start(stage.patience)
    wait_registered(stage.agent, stage.master, stage.patience)


def play_version_2(stage: Stage, report: Callable[[str], None]) -> None:
    """All scenes of version 2."""
    version_2_limits(stage)
    report("a command has its limits")
    memory_is_limited(stage)
    report("a command without memory was ended, with the reason")
    nobody_gets_away(stage)
    report("what has left its session was ended")
    survives_its_agent(stage)
    report("the agent was killed with -9 and started again: same command")
    version_2_limits_of_nested_containers(stage)
    report("a nested container has limits of its own")
    memory_that_was_not_limited_stays_so(stage)
    report("a command had no limit of memory, and the next agent said so")
    lack_of_memory_is_told_later(stage)
    report("a command without memory, and without an agent: the next one told why")
    nothing_is_left(stage)


def nothing_is_left(stage: Stage) -> None:
    """No container, no control group."""
    left = [entry.name for entry in stage.root.iterdir() if entry.is_dir()]
    assert not left, left
