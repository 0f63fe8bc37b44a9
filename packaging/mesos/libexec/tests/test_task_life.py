"""A task from its launch to its end, on real Mesos with a real Docker Engine."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import Framework, docker_task, eventually

Message = dict[str, Any]
pytestmark = pytest.mark.integration


def launch(framework: Framework, **fields: Any) -> str:
    task = docker_task(**fields)
    framework.launch([task])
    return str(task["task_id"]["value"])


def states(framework: Framework, task_id: str) -> list[str]:
    return [update["state"] for update in framework.of(task_id)]


def bridge(**docker: Any) -> Message:
    return {"type": "DOCKER", "docker": {"image": "demo/web:1", "network": "BRIDGE", **docker}}


def inspected(running: Message) -> Message:
    """The `docker inspect` that comes with TASK_RUNNING."""
    (shown,) = json.loads(base64.b64decode(running["data"]))
    return dict(shown)


def test_running_says_where(bed: Any, framework: Framework) -> None:
    task_id = launch(framework)
    running = framework.wait_state(task_id, "TASK_RUNNING")
    assert states(framework, task_id) == ["TASK_STARTING", "TASK_RUNNING"]
    container = bed.container(task_id)
    shown = inspected(running)
    assert shown["Id"] == container["Id"]
    assert shown["State"]["Running"] is True
    (network,) = running["container_status"]["network_infos"]
    address = network["ip_addresses"][0]["ip_address"]
    assert address == container["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    page = eventually(lambda: urllib.request.urlopen(f"http://{address}/", timeout=2).read(), "the page")
    assert page == b"demo 1\n"


def test_the_container_bears_its_labels(bed: Any, framework: Framework) -> None:
    task_id = launch(framework, labels={"labels": [{"key": "service", "value": "web"}]})
    framework.wait_state(task_id, "TASK_RUNNING")
    container = bed.container(task_id)
    assert container["Name"].startswith("/mesos-")
    labels = container["Config"]["Labels"]
    assert labels["mesos.framework_id"] == framework.id
    assert labels["mesos.executor_id"] == task_id
    assert labels["mesos.agent_id"] == framework.of(task_id)[0]["agent_id"]["value"]
    assert labels["mesos.label.service"] == "web"


@pytest.mark.parametrize(
    ("command", "state", "message"),
    [
        ("exit 0", "TASK_FINISHED", "Container exited with status 0"),
        ("exit 3", "TASK_FAILED", "Container exited with status 3"),
        ("kill -9 $$; sleep 60", "TASK_FAILED", "Container exited with status 137"),
        ("sleep 0.3; exit 1", "TASK_FAILED", "Container exited with status 1"),
    ],
)
def test_ends(bed: Any, framework: Framework, command: str, state: str, message: str) -> None:
    if command.startswith("kill"):
        # A container's first process ignores signals from inside: let a child's death be its own.
        command = "sh -c 'kill -9 $$'; exit $?"
    task_id = launch(framework, command=command)
    end = framework.wait_state(task_id, state)
    assert states(framework, task_id) == ["TASK_STARTING", "TASK_RUNNING", state]
    assert end["message"] == message
    assert "reason" not in end
    bed.wait_gone(task_id)
    assert f"{state}: {message}" in (bed.sandbox(task_id) / "stderr").read_text()


def test_docker_kill_is_reported_at_once(bed: Any, framework: Framework) -> None:
    task_id = launch(framework)
    framework.wait_state(task_id, "TASK_RUNNING")
    before = time.time()
    bed.docker.docker("kill", bed.container(task_id)["Id"])
    end = framework.wait_state(task_id, "TASK_FAILED")
    assert end["message"] == "Container exited with status 137"
    assert end["received"] - before < 2
    bed.wait_gone(task_id)


def test_a_container_removed_by_force_is_reported(bed: Any, framework: Framework) -> None:
    task_id = launch(framework)
    framework.wait_state(task_id, "TASK_RUNNING")
    bed.docker.docker("rm", "--force", bed.container(task_id)["Id"])
    assert framework.wait_state(task_id, "TASK_FAILED")["message"].startswith(
        "Container exited with status 137"
    )
    bed.wait_gone(task_id)


@pytest.mark.parametrize("command", ["tail /dev/zero", "exec tail /dev/zero"], ids=["child", "first process"])
def test_out_of_memory_has_its_own_reason(bed: Any, framework: Framework, command: str) -> None:
    task_id = launch(framework, command=command, mem=32)
    end = framework.wait_state(task_id, "TASK_FAILED", 60)
    assert end["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY"
    assert "out of memory" in end["message"]
    assert end["limitation"]["resources"][0]["name"] == "mem"


def test_all_output_is_in_the_sandbox(bed: Any, framework: Framework) -> None:
    lines = 20000
    command = f"i=0; while [ $i -lt {lines} ]; do echo line $i; i=$((i+1)); done; echo oops >&2"
    task_id = launch(framework, command=command)
    framework.wait_state(task_id, "TASK_FINISHED", 60)
    bed.wait_gone(task_id)
    sandbox = bed.sandbox(task_id)
    assert (sandbox / "stdout").read_text().split("\n")[:-1] == [f"line {i}" for i in range(lines)]
    assert "\noops\n" in (sandbox / "stderr").read_text()


def test_output_without_a_log_driver(bed: Any, framework: Framework) -> None:
    container = bridge(parameters=[{"key": "log-driver", "value": "none"}])
    task_id = launch(framework, command="echo hello", container=container)
    framework.wait_state(task_id, "TASK_FINISHED")
    bed.wait_gone(task_id)
    assert (bed.sandbox(task_id) / "stdout").read_text() == "hello\n"


def test_a_terminal(bed: Any, framework: Framework) -> None:
    container = {**bridge(), "tty_info": {"window_size": {"rows": 7, "columns": 33}}}
    task_id = launch(framework, command="sleep 0.5; test -t 1 && echo terminal", container=container)
    framework.wait_state(task_id, "TASK_RUNNING")
    eventually(lambda: len(states(framework, task_id)) == 3, "the end")
    bed.wait_gone(task_id)
    assert (bed.sandbox(task_id) / "stdout").read_bytes() == b"terminal\r\n"


def test_the_sandbox_and_the_environment_are_inside(bed: Any, framework: Framework) -> None:
    task_id = launch(
        framework,
        command='echo "$MESOS_CONTAINER_NAME" > "$MESOS_SANDBOX/name"; echo "$MESOS_ALLOCATION_ROLE"',
    )
    framework.wait_state(task_id, "TASK_FINISHED")
    bed.wait_gone(task_id)
    sandbox = bed.sandbox(task_id)
    assert (sandbox / "name").read_text() == f"mesos-{sandbox.name}\n"
    assert (sandbox / "stdout").read_text() == "*\n"


def test_limits_reach_the_engine(bed: Any, framework: Framework) -> None:
    task_id = launch(
        framework, cpus=0.5, mem=64, limits={"cpus": {"value": 1.5}, "mem": {"value": "Infinity"}}
    )
    framework.wait_state(task_id, "TASK_RUNNING")
    host = bed.container(task_id)["HostConfig"]
    assert (host["CpuShares"], host["CpuQuota"]) == (512, 150000)
    assert (host["Memory"], host["MemoryReservation"]) == (0, 64 << 20)
    assert host["OomScoreAdj"] > 900


def test_a_refused_option_fails_without_running(bed: Any, framework: Framework) -> None:
    task_id = launch(framework, container=bridge(parameters=[{"key": "no-such-option", "value": "1"}]))
    end = framework.wait_state(task_id, "TASK_FAILED")
    assert states(framework, task_id) == ["TASK_STARTING", "TASK_FAILED"]
    assert end["message"] == "Failed to create the container: unknown flag: --no-such-option"
    assert end["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
    bed.wait_gone(task_id)


def test_a_command_that_does_not_exist_fails_without_running(bed: Any, framework: Framework) -> None:
    task_id = launch(
        framework, **{"command": None}, container=bridge(parameters=[{"key": "entrypoint", "value": "/nope"}])
    )
    end = framework.wait_state(task_id, "TASK_FAILED")
    assert states(framework, task_id) == ["TASK_STARTING", "TASK_FAILED"]
    assert "/nope" in end["message"]
    bed.wait_gone(task_id)


def test_an_impossible_wish_is_named(bed: Any, framework: Framework) -> None:
    container = {**bridge(network="HOST"), "hostname": "web"}
    task_id = launch(framework, container=container)
    end = framework.wait_state(task_id, "TASK_FAILED")
    assert "container.hostname is 'web': not possible with network HOST" in end["message"]
    assert end["reason"] == "REASON_TASK_INVALID"
    bed.wait_gone(task_id)


def test_a_container_that_removes_itself(bed: Any, framework: Framework) -> None:
    task_id = launch(
        framework, command="exit 4", container=bridge(parameters=[{"key": "rm", "value": "true"}])
    )
    end = framework.wait_state(task_id, "TASK_FAILED")
    assert end["message"] == "Container exited with status 4"
    bed.wait_gone(task_id)


def test_a_restart_policy_does_not_outlive_the_task(bed: Any, framework: Framework) -> None:
    task_id = launch(
        framework, command="exit 4", container=bridge(parameters=[{"key": "restart", "value": "always"}])
    )
    running = framework.wait_state(task_id, "TASK_RUNNING")
    assert inspected(running)["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert framework.wait_state(task_id, "TASK_FAILED")["message"] == "Container exited with status 4"
    bed.wait_gone(task_id)


def test_max_completion_time(bed: Any, framework: Framework) -> None:
    task_id = launch(framework, max_completion_time={"nanoseconds": 1_000_000_000})
    end = framework.wait_state(task_id, "TASK_FAILED")
    assert end["reason"] == "REASON_MAX_COMPLETION_TIME_REACHED"
    assert states(framework, task_id) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]
    bed.wait_gone(task_id)


def test_the_hosts_network(bed: Any, framework: Framework) -> None:
    task_id = launch(framework, command="sleep 60", container=bridge(network="HOST"))
    running = framework.wait_state(task_id, "TASK_RUNNING")
    # No address of its own: the agent fills in the host's.
    assert running["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"] == "127.0.0.1"


def test_many_tasks_at_once(bed: Any, framework: Framework) -> None:
    tasks = [docker_task(cpus=0.01) for _ in range(8)]
    framework.launch(tasks)
    for task in tasks:
        framework.wait_state(task["task_id"]["value"], "TASK_RUNNING", 60)
    for task in tasks:
        assert states(framework, task["task_id"]["value"]) == ["TASK_STARTING", "TASK_RUNNING"]


def test_a_container_finds_its_uris(bed: Any, framework: Framework, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "it.tar.gz", "w:gz") as archive:
        inside = tarfile.TarInfo("inside")
        inside.size = len(b"hello\n")
        archive.addfile(inside, io.BytesIO(b"hello\n"))
    task = docker_task(command='cat "$MESOS_SANDBOX/inside"')
    task["command"]["uris"] = [{"value": f"file://{tmp_path}/it.tar.gz"}]
    framework.launch([task])
    task_id = str(task["task_id"]["value"])
    framework.wait_state(task_id, "TASK_FINISHED")
    assert (bed.sandbox(task_id) / "stdout").read_text() == "hello\n"
