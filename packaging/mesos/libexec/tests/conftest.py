"""What the executor's tests share: the built programs, and one running cluster that uses them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import (
    STAGED_TREE,
    Agent,
    Certificates,
    Framework,
    Master,
    PrivateDocker,
    cluster,
    eventually,
    socket_flags,
    token_flags,
)

BUILD = Path(os.environ.get("EXECUTOR_BUILD", Path(__file__).resolve().parents[1] / "build"))
Pure = Callable[..., Any]


class PureError(Exception):
    """What a pure part of the executor refused, in its own words."""


@pytest.fixture(scope="session")
def executor() -> Path:
    """The built program."""
    program = BUILD / "mesos-docker-executor"
    assert program.exists(), f"{program} is missing: make -C {BUILD.parent}"
    return program


@pytest.fixture(scope="session")
def pure() -> Iterator[Pure]:
    """Calls a pure part through build/pure (tests/pure.cpp); raises PureError when that refuses."""
    program = BUILD / "pure"
    assert program.exists(), f"{program} is missing: make -C {BUILD.parent} build/pure"
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def call(name: str, **request: Any) -> Any:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps({"call": name, **request}).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            assert line, f"build/pure crashed at {name} {request}"
            answer = json.loads(line)
            if "error" in answer:
                raise PureError(answer["error"])
            return answer["result"]

        yield call
        process.stdin.close()


@dataclass
class Bed:
    """A master, and an agent with a Docker Engine of its own that runs the executor under test."""

    master: Master
    agent: Agent
    docker: PrivateDocker

    def sandbox(self, task_id: str) -> Path:
        """The folder of a task's (only) run."""
        pattern = f"slaves/*/frameworks/*/executors/{task_id}/runs/*-*"
        return next(path for path in Path(str(self.agent.flags["work_dir"])).glob(pattern))

    def container(self, task_id: str) -> dict[str, Any] | None:
        """`docker inspect` of a task's container, running or not."""
        for container in self.docker.containers(all_states=True):
            if container["Config"]["Labels"].get("mesos.task_id") == task_id:
                return container
        return None

    def executor_pid(self, task_id: str) -> int:
        """The process id of a task's executor (not of its guard)."""
        name = self.sandbox(task_id).name
        for pid in self.agent.executors():
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"mesos-docker-executor") and f"--container=mesos-{name}".encode() in words:
                return pid
        raise LookupError(f"no executor of {task_id}")

    def wait_gone(self, task_id: str, seconds: float = 15) -> None:
        """Wait until nothing of a task is left: container, executor, guard."""
        name = self.sandbox(task_id).name

        def gone() -> bool:
            return self.container(task_id) is None and not processes_of(name)

        eventually(gone, f"nothing left of {task_id}", seconds)


def processes_of(container_id: str) -> list[int]:
    """Process ids whose command line names the container: its executor and its guard."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"mesos-{container_id}".encode() in words and (b"executor" in words or b"guard" in words):
            found.append(int(entry.name))
    return found


def end_tasks(agent: Agent, docker: PrivateDocker) -> None:
    """Kill the executors while their engine is there, so that no guard waits for it to come back."""
    for pid in agent.executors():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually(
        lambda: not docker.containers(all_states=True) and not guards_of(agent), "the guards' work", 60
    )


def guards_of(agent: Agent) -> list[int]:
    """Process ids of the guards that log into this agent's sandboxes."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            is_guard = (entry / "cmdline").read_bytes().startswith(b"container-guard ")
            if is_guard and str((entry / "fd/2").readlink()).startswith(str(agent.flags["work_dir"])):
                found.append(int(entry.name))
    return found


@contextlib.contextmanager
def live_restore(docker: PrivateDocker) -> Iterator[None]:
    """Let containers run on while their engine is away."""
    docker.command.append("--live-restore")
    docker.restart()
    try:
        yield
    finally:
        docker.command.remove("--live-restore")
        docker.stop()
        # An engine with live-restore keeps its folder mounted for the next one.
        subprocess.run(["umount", "--recursive", docker.folder / "docker"], capture_output=True, check=False)
        docker.start()


@pytest.fixture(scope="session")
def engine_may_go() -> Callable[[PrivateDocker], contextlib.AbstractContextManager[None]]:
    """The context in which containers survive their engine's restart."""
    return live_restore


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory, executor: Path) -> Iterator[Bed]:
    """The cluster that most tests share; tests that hurt it make one of their own."""
    folder = tmp_path_factory.mktemp("bed")
    with cluster(folder, agent_flags={"launcher_dir": str(executor.parent)}) as (master, agent, docker):
        yield Bed(master, agent, docker)
        end_tasks(agent, docker)


@pytest.fixture
def own_bed(tmp_path: Path, executor: Path, request: pytest.FixtureRequest) -> Iterator[Bed]:
    """A cluster that the test may hurt; its (indirect) parameter is the agent's flags."""
    flags = {"launcher_dir": str(executor.parent), **getattr(request, "param", {})}
    with cluster(tmp_path, agent_flags=flags) as (master, agent, docker):
        yield Bed(master, agent, docker)
        end_tasks(agent, docker)


def open_to_all(folder: Path) -> Path:
    """Let a task's user go into a folder of pytest's."""
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def mesos_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs under test, and the staged ones that they need."""
    folder = open_to_all(tmp_path_factory.mktemp("libexec"))
    for program in (STAGED_TREE / "usr/libexec/mesos").iterdir():
        built = BUILD / program.name
        (folder / program.name).symlink_to(built if built.exists() else program)
    return folder


@pytest.fixture(scope="session")
def command_bed(tmp_path_factory: pytest.TempPathFactory, mesos_programs: Path) -> Iterator[Bed]:
    """A cluster for tasks of the Mesos containerizer."""
    folder = open_to_all(tmp_path_factory.mktemp("command_bed"))
    flags = {
        "launcher_dir": str(mesos_programs),
        "isolation": "posix/cpu,posix/mem,posix/rlimits,volume/sandbox_path",
    }
    with cluster(folder, agent_flags=flags) as (master, agent, docker):
        yield Bed(master, agent, docker)


@pytest.fixture
def command_framework(command_bed: Bed) -> Iterator[Framework]:
    """A framework of the test's own on that cluster; it ends with the test, and its tasks too."""
    with Framework(command_bed.master.address) as subscribed:
        yield subscribed
        subscribed.teardown()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Those of a secured cluster."""
    return Certificates.make(tmp_path_factory.mktemp("certificates") / "tls")


@pytest.fixture
def secured_command_bed(tmp_path: Path, mesos_programs: Path, certificates: Certificates) -> Iterator[Bed]:
    """A cluster with TLS, whose executors show a token over its socket."""
    folder = open_to_all(tmp_path) / "bed"
    flags = {"launcher_dir": str(mesos_programs), **token_flags(tmp_path), **socket_flags(tmp_path)}
    with cluster(folder, agent_flags=flags, tls=certificates) as (master, agent, docker):
        yield Bed(master, agent, docker)


@pytest.fixture
def strict_command_bed(tmp_path: Path, mesos_programs: Path, certificates: Certificates) -> Iterator[Bed]:
    """The same, where nobody is let in without a password or a token, or allowed more than to run tasks."""
    folder = open_to_all(tmp_path) / "bed"
    credentials = tmp_path / "credentials"
    credentials.write_text(json.dumps({"credentials": [{"principal": "operator", "secret": "password"}]}))
    credentials.chmod(0o600)
    anyone = {"type": "ANY"}
    acls = {
        "permissive": False,
        "run_tasks": [{"principals": anyone, "users": anyone}],
        "get_endpoints": [{"principals": anyone, "paths": anyone}],
    }
    flags = {
        "launcher_dir": str(mesos_programs),
        **token_flags(tmp_path),
        **socket_flags(tmp_path),
        "authenticate_http_readwrite": True,
        "http_authenticators": "basic,jwt",
        "http_credentials": f"file://{credentials}",
        "acls": json.dumps(acls),
    }
    with cluster(folder, agent_flags=flags, tls=certificates) as (master, agent, docker):
        yield Bed(master, agent, docker)


@pytest.fixture
def own_command_bed(tmp_path: Path, mesos_programs: Path) -> Iterator[Bed]:
    """The same, for a test that hurts it."""
    with cluster(tmp_path, agent_flags={"launcher_dir": str(mesos_programs)}) as (master, agent, docker):
        yield Bed(master, agent, docker)


@pytest.fixture
def framework(bed: Bed) -> Iterator[Framework]:
    """A framework of the test's own on the shared cluster; it ends with the test, and its tasks too."""
    with Framework(bed.master.address) as subscribed:
        yield subscribed
        subscribed.teardown()
