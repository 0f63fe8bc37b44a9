"""The isolators of the Mesos containerizer: cgroup version 1, which this machine has, and version 2.

Version 2 is a private view, and the controllers are version 1's: the limits themselves are seen in vm/.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from cgroup2_scenario import statistics_of, wait_registered
from isolation_scenario import (
    AGENT_FLAGS,
    MEBIBYTE,
    Message,
    Stage,
    memory_is_limited,
    nobody_gets_away,
    nothing_is_left,
    resources,
    survives_its_agent,
)
from mesos_testbed import Agent, Framework, Master, PrivateDocker
from test_cgroup2 import VERSION_2_ONLY

pytestmark = pytest.mark.integration

HIERARCHIES = Path("/sys/fs/cgroup")
PRIVATE_MOUNTS = ["unshare", "--mount", "--propagation", "private"]
LINUX: Mapping[str, object] = {**AGENT_FLAGS, "launcher": "linux"}


@contextmanager
def stage(
    folder: Path, root: Path, flags: Mapping[str, object], wrapper: list[str], members: str
) -> Iterator[Stage]:
    """One agent of the Mesos containerizer alone."""
    engine = PrivateDocker(folder / "engine")  # never started
    with Master(folder / "master") as master:
        agent = Agent(folder / "agent", master.address, engine, flags, wrapper=wrapper)
        with agent, Framework(master.address) as framework:
            wait_registered(agent, master, 30)
            yield Stage(master, agent, framework, root, members)
            framework.teardown()


@pytest.fixture
def cgroups_root() -> Iterator[str]:
    """A name that no other agent has; nothing of it is left in the end."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    for cgroup in HIERARCHIES.glob(f"*/{name}"):
        if not cgroup.parent.is_symlink():
            cgroup.rmdir()


@pytest.fixture
def version_1(folder: Path, cgroups_root: str) -> Iterator[Stage]:
    flags = {**LINUX, "cgroups_root": cgroups_root, "cgroups_enable_cfs": True}
    root = HIERARCHIES / "freezer" / cgroups_root
    with stage(folder, root, flags, PRIVATE_MOUNTS, "cgroup.procs") as played:
        yield played


def test_version_1(version_1: Stage) -> None:
    task = version_1.run("sleep 1000", resources=resources(0.5, 64))
    memory = str(96 * MEBIBYTE)
    assert of_hierarchy(version_1, task, "memory", "memory.limit_in_bytes") == memory
    assert of_hierarchy(version_1, task, "memory", "memory.soft_limit_in_bytes") == memory
    assert of_hierarchy(version_1, task, "cpu", "cpu.shares") == "614"
    assert of_hierarchy(version_1, task, "cpu", "cpu.cfs_quota_us") == "60000"
    # The command, too, and not its parent alone.
    members = set(of_hierarchy(version_1, task, "memory", "cgroup.procs").split())
    assert members == set(of_hierarchy(version_1, task, "freezer", "cgroup.procs").split())
    assert statistics_of(version_1.agent, task)["mem_total_bytes"] > 0
    version_1.kill(task)
    memory_is_limited(version_1)
    nobody_gets_away(version_1)
    survives_its_agent(version_1)
    nothing_is_left(version_1)


def of_hierarchy(played: Stage, task: Message, hierarchy: str, file: str) -> str:
    """A file of a container's control group in one of the hierarchies of version 1."""
    cgroup = HIERARCHIES / hierarchy / played.cgroup(task).relative_to(HIERARCHIES / "freezer")
    return (cgroup / file).read_text().strip()


def test_version_2_without_its_controllers(folder: Path, cgroups_root: str) -> None:
    flags = {**AGENT_FLAGS, "isolation": "cgroups/all", "cgroups_root": cgroups_root, "launcher": "posix"}
    # The private view's groups are also in the machine's.
    root = HIERARCHIES / "unified" / cgroups_root
    with stage(folder, root, flags, VERSION_2_ONLY, "leaf/cgroup.procs") as played:
        nobody_gets_away(played)
        survives_its_agent(played)
        nothing_is_left(played)
