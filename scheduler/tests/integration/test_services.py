"""Services with all that a configuration can say, on real Mesos and Docker: what is declared is what runs."""

from __future__ import annotations

import contextlib
import json
import urllib.request
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import PrivateDocker, eventually
from scheduler_process import Cluster, Scheduler
from secret_hunt import Processes, fetch, files, shows, told_by

Message = dict[str, Any]
pytestmark = pytest.mark.integration

NETWORK, VOLUME = "test-network", "test-volume"
# Both engines share this machine's ports: all instances go to one of them.
HERE = [{"field": "hostname", "operator": "IS", "value": "slave1"}]


def services(folder: Path) -> list[Message]:
    """One service for each network, with different health checks, ports and volumes."""
    shared = {"image": "demo/web:1", "mem": 32, "constraints": HERE, "kill_grace_seconds": 1}
    return [
        {
            **shared,
            "name": "web",
            "count": 1,
            "entrypoint": "/bin/busybox",
            "args": ["httpd", "-f", "-p", "8080", "-h", "/www"],
            "user": "1000:1000",
            "env": {"GREETING": "hello = world"},
            "secrets": {"TOKEN": str(folder / "token")},
            "labels": {"team": "a"},
            "ports": [
                {"container_port": 8080, "host_port": 31901},
                {"container_port": 53, "protocol": "udp"},
            ],
            "volumes": [
                {"host_path": str(folder), "container_path": "/given", "mode": "ro"},
                {"volume": VOLUME, "container_path": "/kept"},
            ],
            "parameters": [{"key": "cap-drop", "value": "ALL"}, {"key": "hostname", "value": "inside"}],
            "health_check": {"protocol": "http", "port": 8080, "interval_seconds": 1},
            # Two of them can't have the same port.
            "update": {"max_surge": 0, "max_unavailable": 1},
        },
        {
            **shared,
            "name": "hosted",
            "network": "host",
            "command": "exec httpd -f -p 31902 -h /www",
            "ports": [{"container_port": 31902}],
            "health_check": {"protocol": "tcp", "port": 31902, "interval_seconds": 1},
        },
        {
            **shared,
            "name": "lonely",
            "network": "none",
            "health_check": {"protocol": "command", "command": "test -d /www", "interval_seconds": 1},
        },
        {
            **shared,
            "name": "named",
            "network": "user",
            "network_name": NETWORK,
            "ports": [{"container_port": 80}],
            "health_check": {"protocol": "http", "port": 80, "interval_seconds": 1},
        },
    ]


@pytest.fixture(scope="module")
def engine(cluster: Cluster) -> Iterator[PrivateDocker]:
    """The engine that runs them, with a network of its own."""
    engine = cluster.engines[0]
    engine.docker("network", "create", "--subnet", "172.31.120.0/24", NETWORK)
    yield engine
    # The framework has ended; the last container may still be on its way out of the network.
    eventually(
        lambda: not engine.docker("ps", "--quiet", f"--filter=network={NETWORK}"), "nothing uses it", 60
    )
    engine.docker("network", "rm", NETWORK)


@pytest.fixture
def secret(tmp_path: Path) -> str:
    made = f"secret {uuid.uuid4().hex}\nand a second line"
    (tmp_path / "token").write_text(made)
    return made


@pytest.fixture
def scheduler(tmp_path: Path, cluster: Cluster, secret: str) -> Iterator[Scheduler]:
    scheduler = Scheduler(tmp_path, cluster)
    scheduler.wish["services"] = services(tmp_path)
    scheduler.change()
    with scheduler:
        yield scheduler


def converged(scheduler: Scheduler) -> dict[str, Message]:
    """Wait until all services are as wanted, and return the one instance of each."""

    def missing() -> list[str]:
        found = scheduler.get("/v1/status")["services"]
        return [f"{service['name']}: {service['waiting']}" for service in found if not service["converged"]]

    with contextlib.suppress(TimeoutError):
        eventually(lambda: not missing(), "all services", 60)
    assert missing() == []
    return {service["name"]: service["instances"][0] for service in scheduler.get("/v1/status")["services"]}


def page(port: int) -> bytes | None:
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer,
    ):
        return bytes(answer.read())
    return None


def test_everything_declared_is_what_docker_runs(
    scheduler: Scheduler, engine: PrivateDocker, tmp_path: Path, secret: str
) -> None:
    instances = converged(scheduler)
    assert all(instance["healthy"] is True for instance in instances.values())
    names = [instance["container"] for instance in instances.values()]
    shown = dict(zip(instances, json.loads(engine.docker("inspect", *names)), strict=True))

    web = shown["web"]
    assert web["Config"]["Entrypoint"] == ["/bin/busybox"]
    assert web["Config"]["Cmd"] == ["httpd", "-f", "-p", "8080", "-h", "/www"]
    assert web["Config"]["User"] == "1000:1000"
    assert {"GREETING=hello = world", f"TOKEN={secret}"} <= set(web["Config"]["Env"])
    assert web["Config"]["Labels"]["mesos.label.team"] == "a"
    assert web["Config"]["Hostname"] == "inside"
    assert web["HostConfig"]["CapDrop"] == ["ALL"]
    assert web["HostConfig"]["NetworkMode"] == "bridge"
    bindings = web["HostConfig"]["PortBindings"]
    assert [one["HostPort"] for one in bindings["8080/tcp"]] == ["31901"]
    assert [one["HostPort"] for one in bindings["53/udp"]] == [str(instances["web"]["ports"][1])]
    assert instances["web"]["ports"][1] in range(31000, 32001)
    mounts = {mount["Destination"]: mount for mount in web["Mounts"]}
    assert (mounts["/given"]["Source"], mounts["/given"]["RW"]) == (str(tmp_path), False)
    assert (mounts["/kept"]["Type"], mounts["/kept"]["Name"]) == ("volume", VOLUME)
    assert mounts["/kept"]["RW"] is True

    assert shown["hosted"]["HostConfig"]["NetworkMode"] == "host"
    assert shown["hosted"]["Config"]["Cmd"] == ["-c", "exec httpd -f -p 31902 -h /www"]
    assert shown["lonely"]["HostConfig"]["NetworkMode"] == "none"
    assert list(shown["named"]["NetworkSettings"]["Networks"]) == [NETWORK]
    for port in (31901, 31902, instances["named"]["ports"][0]):
        # It runs, but those without a health check may not listen yet.
        assert eventually(partial(page, port), f"an answer at {port}", 30) == b"demo 1\n"


def test_a_secret_is_seen_in_its_container_alone(
    tmp_path: Path, cluster: Cluster, secret: str, engine: PrivateDocker
) -> None:
    scheduler = Scheduler(tmp_path, cluster)
    scheduler.wish["services"] = services(tmp_path)[:1]
    scheduler.change()
    with Processes(secret, b"TOKEN") as processes, scheduler:
        (instance,) = converged(scheduler).values()
        everywhere = {
            **{f"scheduler {path}": fetch(f"http://127.0.0.1:{scheduler.port}{path}") for path in PAGES},
            **files(tmp_path, "config.json", "state", "scheduler.log"),
            **told_by(cluster, "master"),
            **told_by(cluster, "agent"),
        }
        agent = cluster.agents[0]
        everywhere |= files(Path(str(agent.flags["work_dir"])), ".")
        everywhere |= {daemon.name: daemon.log_path.read_bytes() for daemon in (cluster.master, agent)}
        environment = json.loads(engine.docker("inspect", instance["container"]))[0]["Config"]["Env"]
    assert f"TOKEN={secret}" in environment
    # The haystacks are the right ones: what is no secret is found in them.
    assert b"hello = world" in everywhere["scheduler.log"] + everywhere["agent GET_EXECUTORS"]
    assert instance["task_id"].encode() in everywhere["master GET_TASKS"]
    assert [place for place, content in everywhere.items() if shows(content, secret)] == []
    assert processes.seen_words
    assert processes.seen_secret == []


def test_a_new_secret_replaces_the_instance(
    scheduler: Scheduler, engine: PrivateDocker, tmp_path: Path
) -> None:
    before = converged(scheduler)
    new = tmp_path / "token.new"
    new.write_text("another\n")
    new.replace(tmp_path / "token")

    eventually(lambda: scheduler.web["version"] != before["web"]["version"], "the new secret noticed", 30)
    after = converged(scheduler)
    environment = json.loads(engine.docker("inspect", after["web"]["container"]))[0]["Config"]["Env"]
    assert "TOKEN=another" in environment
    assert after["hosted"]["task_id"] == before["hosted"]["task_id"]


PAGES = ("/v1/status", "/v1/instances", "/v1/events?limit=1000", "/v1/explain", "/metrics", "/healthz")
