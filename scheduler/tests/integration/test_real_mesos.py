"""The scheduler on real Mesos and Docker: services, updates, faults, the tutorial."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from container_watch import ContainerWatch
from mesos_testbed import eventually
from scheduler_process import PROGRAM, Cluster, Scheduler

pytestmark = pytest.mark.integration


def test_spreads_scales_and_replaces(scheduler: Scheduler) -> None:
    first = scheduler.containers()
    assert {engine for engine, _ in first.values()} == {"dockerd1", "dockerd2"}
    for instance in scheduler.web["instances"]:
        assert re.fullmatch(r"mesos-[0-9a-f-]{36}", instance["container"])

    scheduler.change(count=4)
    four = scheduler.converge()
    assert first.keys() < four.keys()

    scheduler.change(count=1)
    one = scheduler.converge()
    assert one.keys() < four.keys()

    scheduler.change(count=2)
    before = scheduler.converge()
    scheduler.change(image="demo/web:2")
    after = scheduler.converge(60)
    assert not before.keys() & after.keys()


def test_replaces_what_is_killed_or_removed(scheduler: Scheduler, cluster: Cluster) -> None:
    for command in (["kill"], ["rm", "--force"]):
        before = scheduler.containers()
        victim, (name, _) = next(iter(before.items()))
        engine = next(engine for engine in cluster.engines if engine.name == name)
        engine.docker(*command, victim)
        after = scheduler.converge_without(victim)
        assert before.keys() - {victim} < after.keys()


def test_an_executor_killed_leaves_no_container_behind(scheduler: Scheduler, cluster: Cluster) -> None:
    before = scheduler.containers()
    for pid in cluster.agents[0].executors():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    (lost,) = (container for container, (engine, _) in before.items() if engine == "dockerd1")
    after = scheduler.converge_without(lost)
    assert before.keys() - {lost} < after.keys()


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_outlives_its_own_restart(scheduler: Scheduler, cluster: Cluster, end: str) -> None:
    before, framework_id = scheduler.containers(), scheduler.framework_id
    getattr(scheduler, end)()
    scheduler.start()
    scheduler.converge()
    assert scheduler.containers() == before
    assert cluster.frameworks(scheduler.framework_name) == [framework_id]


def test_outlives_the_master(scheduler: Scheduler, cluster: Cluster) -> None:
    before, framework_id = scheduler.containers(), scheduler.framework_id
    cluster.master.kill9()
    eventually(lambda: not scheduler.get("/v1/status")["connected"], "the lost master noticed", 30)
    cluster.master.start()
    cluster.agents[0].wait_registered(cluster.master, 2)
    eventually(lambda: scheduler.get("/v1/status")["connected"], "connected again", 30)
    scheduler.converge()
    assert scheduler.containers() == before
    assert scheduler.framework_id == framework_id
    scheduler.change(count=3)
    assert before.keys() < scheduler.converge().keys()


def test_outlives_the_masters_registry(scheduler: Scheduler, cluster: Cluster) -> None:
    before = scheduler.containers()
    with ContainerWatch(cluster.engines, "web") as watch:
        cluster.master.kill9()
        shutil.rmtree(str(cluster.master.flags["work_dir"]))
        for agent in cluster.agents:
            agent.kill9()
        cluster.master.start()
        eventually(
            lambda: "waits for slaves slave1, slave2 to register" in " ".join(scheduler.web["waiting"]),
            "the empty registry noticed",
            30,
        )
        time.sleep(5)  # in which it could have acted
        for agent in cluster.agents:
            agent.recover(cluster.master)
        assert scheduler.converge(60) == before
        time.sleep(5)
        assert scheduler.containers() == before
        assert watch.counts() == (2, 2)
    assert "lost" not in {event["kind"] for event in scheduler.get("/v1/status")["events"]}


def test_outlives_a_slave(scheduler: Scheduler, cluster: Cluster) -> None:
    before = scheduler.containers()
    cluster.agents[1].kill9()
    cluster.agents[1].recover(cluster.master, 2)
    scheduler.converge()
    assert scheduler.containers() == before


def test_says_within_seconds_what_waits_and_why_and_keeps_the_old_ones(scheduler: Scheduler) -> None:
    before = scheduler.containers()

    scheduler.change(image="demo/missing:1")
    eventually(
        lambda: "pull demo/missing:1" in " ".join(scheduler.web["waiting"]), "the missing image named", 20
    )
    assert scheduler.containers() == before
    assert "pull demo/missing:1" in scheduler.log()

    scheduler.change(image="demo/web:1", mem=999_999)
    eventually(
        lambda: "too little memory" in " ".join(scheduler.web["waiting"]), "the missing memory named", 20
    )
    assert scheduler.containers() == before

    scheduler.change(mem=32, count=-1)
    eventually(lambda: scheduler.get("/v1/status")["config"]["error"], "the bad count refused", 20)
    assert "services[0].count: -1 is not allowed" in scheduler.get("/v1/status")["config"]["error"]
    assert scheduler.containers() == before

    scheduler.change(count=2)
    assert scheduler.converge() == before


def test_takes_what_it_is_given_to_the_container(tmp_path: Path, cluster: Cluster) -> None:
    wish: dict[str, Any] = {
        "count": 1,
        "command": "echo $GREETING > /data/greeting; exec httpd -f -p 80 -h /www",
        "env": {"GREETING": "hello"},
        "volumes": [{"host_path": str(tmp_path), "container_path": "/data", "mode": "rw"}],
        "ports": [{"container_port": 80}],
        "health_check": {"protocol": "tcp", "port": 80, "interval_seconds": 1},
        "labels": {"team": "a"},
        "parameters": [{"key": "hostname", "value": "inside"}],
    }
    with Scheduler(tmp_path, cluster, **wish) as scheduler:
        scheduler.converge()
        (instance,) = scheduler.web["instances"]
        assert instance["healthy"] is True
        assert instance["ports"][0] in range(31000, 32001)
        engine = cluster.engines[0 if instance["hostname"] == "slave1" else 1]
        inspected = json.loads(engine.docker("inspect", instance["container"]))[0]
        assert inspected["Config"]["Hostname"] == "inside"
        assert inspected["Config"]["Labels"]["mesos.label.team"] == "a"
        assert inspected["Config"]["Labels"]["mesos.label.service"] == "web"
        assert inspected["Config"]["Labels"]["mesos.task_id"] == instance["task_id"]
        assert (tmp_path / "greeting").read_text() == "hello\n"


def test_a_container_gets_variables_that_programs_on_the_way_read_themselves(
    tmp_path: Path, cluster: Cluster
) -> None:
    env = {
        "PATH": "/bin:/sbin",
        "LD_PRELOAD": "/nowhere.so",
        "SSL_ENABLED": "true",
        "LIBPROCESS_SSL_ENABLED": "true",
        "LIBPROCESS_IP": "192.0.2.1",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_HOST": "tcp://192.0.2.1:2376",
        "MESOS_DIRECTORY": "/nowhere",
        "MESOS_AGENT_ENDPOINT": "192.0.2.1:5051",
        "HTTPS_PROXY": "http://192.0.2.1:3128",
        "BIG": "x" * 130_000,
        "LINES": "one\ntwo = 'three'",
    }
    with Scheduler(tmp_path, cluster, count=1, env=env) as scheduler:
        scheduler.converge()
        (instance,) = scheduler.web["instances"]
        engine = cluster.engines[0 if instance["hostname"] == "slave1" else 1]
        inspected = json.loads(engine.docker("inspect", instance["container"]))[0]
        assert {f"{name}={value}" for name, value in env.items()} <= set(inspected["Config"]["Env"])


def test_the_tutorials_command_line(tmp_path: Path, cluster: Cluster) -> None:
    state = tmp_path / "state"
    command = [*PROGRAM, cluster.master.address, "demo/web:1", "2", "--mem", "32", "--state-dir", str(state)]

    def run_until_converged() -> str:
        started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert started.stdout is not None
        output = ""
        for line in started.stdout:
            output += line
            if "all 2 wanted instances run" in line:
                break
        started.send_signal(signal.SIGINT)
        output += started.communicate(timeout=20)[0]
        assert started.returncode == 0
        return output

    output = run_until_converged()
    assert "2 instances left running:" in output
    framework_id = re.findall(r"keeps framework (\S+) for 7 days", output)[0]
    containers = cluster.containers(framework_id)
    assert len(containers) == 2

    output = run_until_converged()
    assert f"keeps framework {framework_id}" in output
    assert cluster.containers(framework_id) == containers

    teardown = output.rpartition("Stop them all:")[2].split()[1:]
    subprocess.run([*PROGRAM, *teardown], check=True, timeout=60)
    eventually(lambda: not cluster.containers(framework_id), "all stopped", 30)
