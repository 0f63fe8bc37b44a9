"""TLS, the agent's unix socket, and what an executor refuses to talk to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mesos_testbed import (
    Agent,
    Certificates,
    Framework,
    Master,
    PrivateDocker,
    docker_task,
    eventually,
    socket_flags,
    token_flags,
)
from mesos_testbed.mesos import Flags, flag_words

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("tls") / "made")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"VERIFY_IPADD": "true"},
        {"VERIFY_IPADD": "true", "HOSTNAME_VALIDATION_SCHEME": "openssl"},
    ],
    ids=["by name", "by address or name", "by address"],
)
def test_a_task_over_tls(tmp_path: Path, executor: Path, tls: Certificates, settings: dict[str, str]) -> None:
    more = {f"LIBPROCESS_SSL_{name}": value for name, value in settings.items()}
    # An agent does not hand its own environment on to executors.
    handed_on = json.dumps({**tls.environment(), **more})
    flags = {"launcher_dir": str(executor.parent), "executor_environment_variables": handed_on}
    with (
        PrivateDocker(tmp_path / "engine") as docker,
        Master(tmp_path / "master", environment=more, tls=tls) as master,
        Agent(tmp_path / "agent", master.address, docker, flags, environment=more, tls=tls) as agent,
        Framework(master.address, tls=tls.context()) as framework,
    ):
        task = docker_task()
        task_id = str(task["task_id"]["value"])
        framework.launch([task])
        framework.wait_state(task_id, "TASK_RUNNING")
        before = docker.containers()[0]["Id"]
        agent.kill9()
        agent.start()
        agent.wait_registered(master)
        assert [container["Id"] for container in docker.containers()] == [before]
        framework.kill(task_id)
        framework.wait_state(task_id, "TASK_KILLED")
        end_tasks(agent, docker)


def test_the_agents_socket(tmp_path: Path, executor: Path) -> None:
    run_one_task(tmp_path, {"launcher_dir": executor.parent, **socket_flags(tmp_path)})


def test_executors_that_must_authenticate(tmp_path: Path, executor: Path) -> None:
    stderr = run_one_task(tmp_path, with_tokens(tmp_path, executor))
    assert "Authorization" not in stderr


def test_an_agent_that_comes_back_with_another_key(tmp_path: Path, executor: Path) -> None:
    flags = with_tokens(tmp_path, executor)
    with running_task(tmp_path, flags) as (agent, framework, task_id):
        Path(str(flags["jwt_secret_key"])).write_text("another secret")
        with going_on(agent):
            agent.restart()
        [access] = Path(str(agent.flags["work_dir"])).glob("meta/slaves/*-S*/**/agent_access.json")
        assert access.stat().st_mode & 0o777 == 0o600, "it holds a token"
        framework.kill(task_id)
        framework.wait_state(task_id, "TASK_KILLED")


def test_an_agent_that_comes_back_closed_and_then_open(tmp_path: Path, executor: Path) -> None:
    closed = token_flags(tmp_path) | socket_flags(tmp_path)
    flags = {"launcher_dir": executor.parent}
    with running_task(tmp_path, flags) as (agent, framework, task_id):
        opened = agent.command
        for command in ([*opened, *flag_words(closed)], opened):
            agent.command = command
            with going_on(agent):
                agent.restart()
        framework.kill(task_id)
        framework.wait_state(task_id, "TASK_KILLED")


def test_an_agent_with_another_key_that_can_not_tell_it(tmp_path: Path, executor: Path) -> None:
    """No executor can prove itself to it: what ran is gone, and Mesos knows it soon."""
    flags = {**with_tokens(tmp_path, executor), "executor_reregistration_timeout": "15secs"}
    with running_task(tmp_path, flags) as (agent, framework, task_id):
        Path(str(flags["jwt_secret_key"])).write_text("another secret")
        [pid] = Path(str(agent.flags["work_dir"])).glob("meta/slaves/*-S*/**/libprocess.pid")
        (pid.parent / "agent_access.json.tmp").mkdir()
        agent.restart()
        framework.wait_state(task_id, "TASK_GONE", 60)
        assert "Can't tell an executor how to reach this agent" in agent.log()


@contextmanager
def going_on(agent: Agent) -> Iterator[None]:
    """See the one executor find the agent again afterwards, and its container run on."""
    [sandbox] = Path(str(agent.flags["work_dir"])).glob("slaves/*/frameworks/*/executors/*/runs/*-*")

    def seen() -> tuple[int, list[str]]:
        log = (sandbox / "stderr").read_text()
        return log.count("Subscribed to agent"), [each["Id"] for each in agent.engine.containers()]

    subscriptions, containers = seen()
    yield
    eventually(lambda: seen() == (subscriptions + 1, containers), "the executor's next subscription")


def with_tokens(folder: Path, executor: Path) -> dict[str, object]:
    """Return the flags of an agent with this executor, which must authenticate."""
    return {"launcher_dir": executor.parent, **token_flags(folder)}


@contextmanager
def running_task(folder: Path, flags: Flags) -> Iterator[tuple[Agent, Framework, str]]:
    """Start a cluster and a task, and see in the end that nothing is left of it."""
    with (
        PrivateDocker(folder / "engine") as docker,
        Master(folder / "master") as master,
        Agent(folder / "agent", master.address, docker, flags) as agent,
        Framework(master.address) as framework,
    ):
        agent.wait_registered(master)
        task = docker_task()
        task_id = str(task["task_id"]["value"])
        framework.launch([task])
        framework.wait_state(task_id, "TASK_RUNNING")
        yield agent, framework, task_id
        end_tasks(agent, docker)


def run_one_task(folder: Path, flags: Flags) -> str:
    """Run a task from start to kill; returns the executor's log."""
    with running_task(folder, flags) as (agent, framework, task_id):
        pid = next(
            pid
            for pid in agent.executors()
            if b"mesos-docker-executor" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        assert b"TOKEN=ey" not in Path(f"/proc/{pid}/environ").read_bytes(), "the token is for nobody else"
        framework.kill(task_id)
        framework.wait_state(task_id, "TASK_KILLED")
        work = Path(str(agent.flags["work_dir"]))
        return next(work.glob(f"slaves/*/frameworks/*/executors/{task_id}/runs/*-*/stderr")).read_text()


def end_tasks(agent: Agent, docker: PrivateDocker) -> None:
    eventually(lambda: not agent.executors() and not docker.containers(all_states=True), "the task's end")
