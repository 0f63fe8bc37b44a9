"""What the agent is told to launch for a task of a group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Pure = Callable[..., Any]
Message = dict[str, Any]

CONTAINER = {"value": "nested", "parent": {"value": "of-the-executor"}}
CPUS = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}, "allocation_info": {"role": "web"}}
ADDED = [
    {"name": "MESOS_CONTAINER_IP", "value": "192.0.2.1"},
    {"name": "MESOS_ALLOCATION_ROLE", "value": "web"},
]


def launch_of(pure: Pure, **task: Any) -> Message:
    result: Message = pure(
        "launchOf",
        task={"task_id": {"value": "t"}, "resources": [CPUS], **task},
        container=CONTAINER,
        address="192.0.2.1",
    )
    return result


def disk(path: str, mode: str) -> Message:
    volume = {"mode": mode, "container_path": path}
    return {"name": "disk", "type": "SCALAR", "scalar": {"value": 1}, "disk": {"volume": volume}}


def volume_of(path: str, mode: str) -> Message:
    source = {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": path}}
    return {"mode": mode, "container_path": path, "source": source}


def test_a_task_as_it_is(pure: Pure) -> None:
    command = {"value": "true", "environment": {"variables": [{"name": "MINE", "value": "1"}]}, "uris": []}
    container = {"type": "MESOS", "tty_info": {}}
    limits = {"mem": {"value": "Infinity"}}
    assert launch_of(pure, command=command, container=container, limits=limits, labels={"labels": []}) == {
        "container_id": CONTAINER,
        "command": {
            **command,
            "environment": {"variables": [{"name": "MINE", "value": "1"}, *ADDED]},
        },
        "container": container,
        "resources": [CPUS],
        "limits": limits,
    }


def test_a_task_whose_image_says_what_to_run(pure: Pure) -> None:
    container = {"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": "busybox"}}}}
    launch = launch_of(pure, container=container)
    assert launch["command"] == {"environment": {"variables": ADDED}}


def test_the_volumes_of_its_disks_are_those_of_its_executor(pure: Pure) -> None:
    resources = [CPUS, disk("data", "RW"), disk("more", "RO")]
    launch = launch_of(pure, command={"value": "true"}, resources=resources)
    assert launch["container"] == {
        "type": "MESOS",
        "volumes": [volume_of("data", "RW"), volume_of("more", "RO")],
    }


def test_they_come_to_the_volumes_that_it_has(pure: Pure) -> None:
    own = {"mode": "RO", "container_path": "host", "host_path": "/srv"}
    container = {"type": "MESOS", "volumes": [own]}
    launch = launch_of(pure, container=container, resources=[CPUS, disk("data", "RW")])
    assert launch["container"]["volumes"] == [own, volume_of("data", "RW")]
