"""Runs inside the virtual machine, as root, with the package installed; its last line is a verdict."""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path

from cgroup2_scenario import (
    AGENT_FLAGS,
    LIMITS,
    container_of,
    limits_of,
    name_of,
    statistics_of,
    survive_the_agents_death,
    tasks,
    wait_registered,
)
from isolation_scenario import AGENT_FLAGS as ISOLATION
from isolation_scenario import Stage, play_version_2
from mesos_testbed import Agent, Framework, Master, PrivateDocker

FOLDER = Path("/var/lib/mesos-test")
STARTED = time.monotonic()
PATIENCE = 240.0  # seconds: nothing here has hardware of its own


def report(what: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {what}", flush=True)


def play() -> None:
    """The whole test; raises at the first thing that is not as it must be."""
    hierarchies = [
        line.split()[2] for line in Path("/proc/mounts").read_text().splitlines() if "cgroup" in line
    ]
    assert hierarchies == ["cgroup2"], hierarchies
    report("cgroup hierarchies: version 2 only")

    engine = PrivateDocker(FOLDER / "engine")
    master = Master(FOLDER / "master")
    with engine.start(PATIENCE), master.start(PATIENCE):
        report(
            f"docker {engine.docker('version', '--format', '{{.Server.Version}}').strip()} and the master run"
        )
        agent = Agent(FOLDER / "agent", master.address, engine, AGENT_FLAGS)
        with agent.start(PATIENCE), Framework(master.address) as framework:
            wait_registered(agent, master, PATIENCE)
            report("the agent registered")
            first, second = tasks()
            framework.launch([first, second], PATIENCE)
            for task, limits in zip((first, second), LIMITS, strict=True):
                framework.wait_state(name_of(task), "TASK_RUNNING", PATIENCE)
                found = limits_of(container_of(engine, task))
                assert found == limits, f"{found} instead of {limits}"
                used = statistics_of(agent, task)
                assert used["mem_limit_bytes"] == int(limits["memory.max"]), used
                assert 0 < used["mem_rss_bytes"] < used["mem_limit_bytes"], used
                report(f"a task runs with {found} and uses {used['mem_rss_bytes']:.0f} bytes")
            framework.kill(name_of(first))
            framework.wait_state(name_of(first), "TASK_KILLED", PATIENCE)
            report("a task was killed")
            survive_the_agents_death(agent, master, engine, framework, second, PATIENCE)
            report("the agent was killed with -9 and started again: same container")
            framework.teardown()  # or it would be offered what the next one waits for
        play_commands(engine, master)


def play_commands(engine: PrivateDocker, master: Master) -> None:
    """Commands, with an agent of their own."""
    agent = Agent(FOLDER / "commands", master.address, engine, {**AGENT_FLAGS, **ISOLATION})
    with agent.start(PATIENCE), Framework(master.address) as framework:
        wait_registered(agent, master, PATIENCE)
        play_version_2(
            Stage(master, agent, framework, Path("/sys/fs/cgroup/mesos"), patience=PATIENCE), report
        )


def main() -> int:
    """Play, and say how it went."""
    try:
        play()
    except BaseException:  # whatever it is, the host must see it and the machine must end
        traceback.print_exc(file=sys.stdout)
        for log in FOLDER.glob("**/mesos-*.log"):
            print(f"--- end of {log}\n{log.read_text()[-4000:]}")
        print("VERDICT: FAILED", flush=True)
        return 1
    print("VERDICT: PASSED", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
