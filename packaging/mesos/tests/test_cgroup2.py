"""The agent on a host with cgroup version 2 only: in a mount namespace where nothing else is.

The machine's controllers may belong to version 1, and then no limits can be read back here: vm/ does that.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cgroup2_scenario import (
    AGENT_FLAGS,
    container_of,
    name_of,
    statistics_of,
    survive_the_agents_death,
    tasks,
)
from mesos_programs import PACKAGE, program
from mesos_testbed import STAGED_TREE, Agent, Framework, Master, PrivateDocker

pytestmark = pytest.mark.integration

VERSION_2_ONLY = [
    "unshare",
    "--mount",
    "sh",
    "-ec",
    'umount --recursive /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "$@"',
    "sh",
]


@pytest.fixture(scope="module")
def engine2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateDocker]:
    with PrivateDocker(tmp_path_factory.mktemp("engine2"), wrapper=VERSION_2_ONLY) as docker:
        assert docker.docker("info", "--format", "{{.CgroupVersion}}").strip() == "2"
        yield docker


def refusal(folder: Path, *words: str) -> str:
    command: list[str | Path] = [
        *VERSION_2_ONLY,
        program("mesos-slave"),
        "--master=127.0.0.1:1",
        f"--work_dir={folder}",
        "--port=0",
    ]
    done = subprocess.run(
        [*command, "--ip=127.0.0.1", f"--runtime_dir={folder}/run", *words],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1, done
    return done.stderr


def test_tasks_run_and_outlive_the_agent(folder: Path, engine2: PrivateDocker) -> None:
    flags = {**AGENT_FLAGS, "docker_config": json.dumps({"auths": {}})}
    with Master(folder / "master") as master:
        agent = Agent(folder / "agent", master.address, engine2, flags, wrapper=VERSION_2_ONLY)
        # Mesos' defaults for these two want version 1: they must be adapted where the operator is silent.
        unset = ("--launcher=", "--systemd_enable_support=")
        agent.command = [word for word in agent.command if not word.startswith(unset)]
        with agent, Framework(master.address) as framework:
            agent.wait_registered(master)
            assert agent.get("/flags")["flags"]["launcher"] == "posix"
            first, second = tasks()
            framework.launch([first, second])
            for task in (first, second):
                framework.wait_state(name_of(task), "TASK_RUNNING")
                assert container_of(engine2, task)["Name"].startswith("/mesos-")
                used = statistics_of(agent, task)
                assert 0 < used["cpus_user_time_secs"] + used["cpus_system_time_secs"] < 5
                assert used["processes"] >= 2
            framework.kill(name_of(first))
            framework.wait_state(name_of(first), "TASK_KILLED")
            survive_the_agents_death(agent, master, engine2, framework, second)


@pytest.mark.parametrize("containerizers", ["docker", "mesos", "docker,mesos", "mesos,docker"])
def test_every_list_of_containerizers_works(
    folder: Path, engine2: PrivateDocker, containerizers: str
) -> None:
    with Master(folder / "master") as master:
        flags = {"containerizers": containerizers}
        with Agent(folder / "agent", master.address, engine2, flags, wrapper=VERSION_2_ONLY) as agent:
            agent.wait_registered(master)


def test_mesos_own_way_fails_here(folder: Path, engine2: PrivateDocker) -> None:
    """The reason for all this: once Mesos' own way works, ours can go."""
    source = folder / "stock.cpp"
    source.write_text(STOCK_WAY)
    stock = folder / "stock"
    libraries = STAGED_TREE / "usr/lib/mesos"
    compiler: list[str | Path] = ["g++", "-std=c++17", f"-I{PACKAGE}/launcher", "-o", stock, source]
    linker = ["-Wl,--no-as-needed", "-l:libmesos-python.so.2", "-l:libmesos.so", "-Wl,--disable-new-dtags"]
    folders = [f"-L{libraries}", f"-Wl,-rpath-link,{libraries}", f"-Wl,-rpath,{libraries}"]
    subprocess.run([*compiler, *folders, *linker], check=True)
    version_1 = subprocess.run([stock, engine2.socket], capture_output=True, text=True, check=False)
    assert version_1.stdout == "created\n"
    version_2 = subprocess.run(
        [*VERSION_2_ONLY, stock, engine2.socket], capture_output=True, text=True, check=False
    )
    assert "Failed to find a mounted cgroups hierarchy for the 'cpu' subsystem" in version_2.stdout


STOCK_WAY = r"""
#include <unistd.h>
#include <iostream>
#include "abi/containerizers.hpp"

int main(int, char** argv)
{
  auto* none = new Option<JSON::Object>;
  auto* docker = new Try<process::Owned<Docker>>(Docker::create("docker", argv[1], true, *none));
  std::cout << (docker->isError() ? docker->error() : "created") << std::endl;
  _exit(0);
}
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--launcher=linux"], "--launcher=linux cannot be honoured: it needs cgroup version 1"),
        (["--isolation=cgroups/cpu,cgroups/blkio"], "'cgroups/blkio' needs cgroup version 1"),
        (["--isolation=filesystem/linux"], "'filesystem/linux' needs the linux launcher"),
        (
            ["--isolation=posix/cpu,cgroups/mem"],
            "it needs the controller 'memory' of cgroup version 2, and this",
        ),
        (
            ["--isolation=cgroups/cpu"],
            "--isolation=cgroups/cpu cannot be honoured: it needs the controller 'cpu'",
        ),
        (["--isolation=posix/cpu,gpu/nvidia"], "'gpu/nvidia' needs cgroup version 1"),
        (["--systemd_enable_support"], "--systemd_enable_support=true cannot be honoured"),
        (["--systemd_runtime_directory=/run"], "--systemd_runtime_directory=/run cannot be honoured"),
        (["--agent_subsystems=cpu"], "--agent_subsystems=cpu cannot be honoured: it needs cgroup version 1"),
        (["--cgroups_hierarchy=/cgroup"], "--cgroups_hierarchy=/cgroup cannot be honoured"),
        (["--cgroups_root=/"], "--cgroups_root=/ cannot be honoured: containers need a control group below"),
        (["--nvidia_gpu_devices=0"], "--nvidia_gpu_devices"),
        (
            ["--containerizers=docker,docker"],
            "Duplicate entries found in --containerizers flag 'docker,docker'",
        ),
        (["--containerizers=docker,podman"], "Unknown or unsupported containerizer: podman"),
        (["--containerizers=docker", "--container_logger=x"], "Failed to create container logger: "),
        (
            ["--containerizers=docker", "--docker_socket=x"],
            "Failed to create docker: Invalid Docker socket path",
        ),
        (
            ["--containerizers=docker", "--docker=/nonexistent"],
            "Failed to create docker: Failed to get docker",
        ),
        (
            ["--containerizers=docker", "--docker=OLD"],
            "Failed to create docker: Insufficient version '1.7.1'",
        ),
    ],
)
def test_what_needs_version_1_is_refused(folder: Path, words: list[str], message: str) -> None:
    old = folder / "docker"
    old.write_text("#!/bin/sh\necho 'Docker version 1.7.1, build 786b29d'\n")
    old.chmod(0o755)
    assert message in refusal(folder, *(word.replace("OLD", str(old)) for word in words))
