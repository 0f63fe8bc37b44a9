"""The agent dies, is restarted, or never comes back."""

from __future__ import annotations

import time
from typing import Any

import pytest
from mesos_testbed import Framework, docker_task, eventually

pytestmark = pytest.mark.integration


def ids(docker: Any) -> set[str]:
    return {container["Id"] for container in docker.containers()}


def launch(framework: Framework, count: int, **fields: Any) -> list[str]:
    tasks = [docker_task(cpus=0.01, **fields) for _ in range(count)]
    framework.launch(tasks)
    names = [str(task["task_id"]["value"]) for task in tasks]
    for name in names:
        framework.wait_state(name, "TASK_RUNNING", 60)
    return names


@pytest.mark.parametrize("own_bed", [{"executor_reregistration_timeout": "2secs"}], indirect=True)
def test_ten_containers_survive_the_agents_kill_with_the_default_timeout(own_bed: Any) -> None:
    master, agent, docker = own_bed.master, own_bed.agent, own_bed.docker
    with Framework(master.address) as framework:
        names = launch(framework, 10)
        before = ids(docker)
        assert len(before) == 10
        for pause in (0, 3):
            agent.kill9()
            time.sleep(pause)
            agent.start()
            agent.wait_registered(master)
            time.sleep(1)
            assert ids(docker) == before
        for name in names:
            assert [update["state"] for update in framework.of(name)] == ["TASK_STARTING", "TASK_RUNNING"]
        # And they are still the agent's: it can kill them.
        for name in names:
            framework.kill(name)
        for name in names:
            framework.wait_state(name, "TASK_KILLED", 30)
        eventually(lambda: not docker.containers(all_states=True), "all containers gone")


def test_an_ordinary_restart(own_bed: Any) -> None:
    master, agent, docker = own_bed.master, own_bed.agent, own_bed.docker
    with Framework(master.address) as framework:
        (name,) = launch(framework, 1)
        before = ids(docker)
        agent.restart()
        agent.wait_registered(master)
        assert ids(docker) == before
        framework.kill(name)
        framework.wait_state(name, "TASK_KILLED")


def test_what_happened_meanwhile_is_delivered(own_bed: Any) -> None:
    master, agent, docker = own_bed.master, own_bed.agent, own_bed.docker
    with Framework(master.address) as framework:
        (name,) = launch(framework, 1, command="while [ ! -e /tmp/go ]; do sleep 0.1; done; exit 6")
        agent.kill9()
        docker.docker("exec", next(iter(ids(docker))), "/bin/sh", "-c", "echo > /tmp/go")
        eventually(lambda: not docker.containers(), "the end")
        agent.start()
        end = framework.wait_state(name, "TASK_FAILED", 60)
        assert end["message"] == "Container exited with status 6"
        eventually(lambda: not docker.containers(all_states=True), "all containers gone")


@pytest.mark.parametrize("own_bed", [{"recovery_timeout": "3secs"}], indirect=True)
def test_an_agent_that_never_comes_back(own_bed: Any) -> None:
    master, agent, docker = own_bed.master, own_bed.agent, own_bed.docker
    with Framework(master.address) as framework:
        launch(framework, 1)
        agent.kill9()
        time.sleep(1.5)
        assert len(ids(docker)) == 1
        eventually(lambda: not docker.containers(all_states=True), "the container is stopped and removed", 15)
        eventually(lambda: not agent.executors(), "the executor has ended", 10)


def test_without_checkpointing_the_executor_goes_with_its_agent(own_bed: Any) -> None:
    master, agent, docker = own_bed.master, own_bed.agent, own_bed.docker
    with Framework(master.address, {"checkpoint": False}) as framework:
        launch(framework, 1)
        agent.kill9()
        eventually(lambda: not docker.containers(all_states=True), "the container is stopped and removed", 15)
        eventually(lambda: not agent.executors(), "the executor has ended", 10)


def test_an_agent_that_is_told_to_end_its_executors(own_bed: Any) -> None:
    """`--recover=cleanup` answers a subscription with SHUTDOWN."""
    master, agent, docker = own_bed.master, own_bed.agent, own_bed.docker
    with Framework(master.address) as framework:
        launch(framework, 1)
        agent.kill9()
        agent.command.append("--recover=cleanup")
        agent.spawn()
        assert agent.wait(60) == 0
        eventually(lambda: not docker.containers(all_states=True), "the container is stopped and removed", 15)


def test_the_engine_restarts(own_bed: Any) -> None:
    """Without live-restore the engine stops its containers: that is the task's end, and it is reported."""
    master, docker = own_bed.master, own_bed.docker
    with Framework(master.address) as framework:
        (name,) = launch(framework, 1, command="trap 'exit 9' TERM; while true; do sleep 60 & wait $!; done")
        docker.restart()
        end = framework.wait_state(name, "TASK_FAILED", 30)
        assert end["message"].startswith("Container exited with status 9")
        eventually(lambda: not docker.containers(all_states=True), "the container is removed", 15)


def test_live_restore(own_bed: Any, engine_may_go: Any) -> None:
    """With live-restore the container goes on without its engine; its output and its end are not lost."""
    docker = own_bed.docker
    with engine_may_go(docker), Framework(own_bed.master.address) as framework:
        command = "while [ ! -e /tmp/go ]; do sleep 0.1; done; echo done; exit 7"
        (name,) = launch(framework, 1, command=command)
        before = ids(docker)
        docker.restart()
        assert ids(docker) == before
        time.sleep(2)
        docker.docker("exec", next(iter(before)), "/bin/sh", "-c", "echo > /tmp/go")
        assert framework.wait_state(name, "TASK_FAILED", 30)["message"] == "Container exited with status 7"
        stdout = own_bed.sandbox(name) / "stdout"
        eventually(lambda: stdout.read_text() == "done\n", "the output")
