"""The whole product on one host, after a container was killed behind its back."""

from __future__ import annotations

import socket
import urllib.request
from typing import Any

import pytest
from lab_cluster import (
    EXPORTER_PORT,
    MASTER_PORT,
    SCHEDULER_PORT,
    SLAVE_PORT,
    UNITS,
    ZOOKEEPER_PORT,
    Cluster,
    eventually,
)

IMAGE = "127.0.0.1:5000/demo/web:1"
COUNT = 2


@pytest.mark.parametrize("unit", UNITS)
def test_unit_is_enabled_and_running(host: Any, unit: str) -> None:
    service = host.service(unit)
    assert service.is_enabled
    assert service.is_running


@pytest.mark.parametrize("port", [MASTER_PORT, SLAVE_PORT, SCHEDULER_PORT, ZOOKEEPER_PORT])
def test_port_is_open_to_the_network(cluster: Cluster, port: int) -> None:
    socket.create_connection((cluster.address("lab-single"), port), timeout=5).close()


@pytest.mark.parametrize("port", [MASTER_PORT, SLAVE_PORT])
def test_mesos_is_the_official_version(cluster: Cluster, port: int) -> None:
    assert cluster.get("lab-single", port, "/version")["version"] == "1.11.0"


def test_scheduler_is_healthy(cluster: Cluster) -> None:
    assert cluster.get("lab-single", SCHEDULER_PORT, "/healthz")["connected"] is True


def test_the_exporter_reaches_all_that_the_host_runs(cluster: Cluster) -> None:
    url = f"http://{cluster.address('lab-single')}:{EXPORTER_PORT}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        told = answer.read().decode().splitlines()
    assert {"mesos_master_up 1", "mesos_agent_up 1", "zookeeper_up 1", "mesos_agent_registered 1"} <= set(
        told
    )


def test_the_exporters_configuration_is_for_it_alone(host: Any) -> None:
    config = host.file("/etc/mesos-docker-exporter.json")
    assert (config.user, config.group, config.mode) == ("root", "mesos-exporter", 0o640)


def test_count_containers_of_the_image_run(cluster: Cluster) -> None:
    containers = cluster.containers("web").values()
    assert [container.image for container in containers] == [IMAGE] * COUNT


def test_further_services_run_beside_it(cluster: Cluster) -> None:
    containers = cluster.containers("helper").values()
    assert [container.image for container in containers] == [IMAGE.replace(":1", ":2")]
    assert cluster.service("helper")["converged"]


def test_a_service_runs_without_docker(cluster: Cluster) -> None:
    shown = cluster.service("command")
    assert (shown["containerizer"], shown["image"], shown["healthy"]) == ("mesos", None, 1)
    assert shown["converged"]


def test_the_configuration_is_for_the_scheduler_alone(host: Any) -> None:
    config = host.file("/etc/mesos-docker-scheduler/config.json")
    assert (config.user, config.group, config.mode) == ("root", "mesos-scheduler", 0o640)


def test_containers_tell_what_they_belong_to(cluster: Cluster) -> None:
    task_ids = {instance["task_id"] for instance in cluster.service()["instances"]}
    framework = cluster.status()["framework_id"]
    for container in cluster.containers("web").values():
        assert container.labels["mesos.task_id"] in task_ids
        assert container.labels["mesos.label.service"] == "web"
        assert container.labels["mesos.framework_id"] == framework


def test_killed_container_was_replaced(cluster: Cluster, host: Any) -> None:
    killed = host.file("/var/tmp/killed-container").content_string
    eventually(
        f"{COUNT} containers without the killed one",
        lambda: len(running := cluster.containers("web")) == COUNT and killed not in running,
        seconds=30,
    )


def test_scheduler_restart_keeps_framework_and_containers(cluster: Cluster, host: Any) -> None:
    framework, before = cluster.status()["framework_id"], cluster.containers()
    host.run_test("systemctl restart mesos-docker-scheduler")
    eventually("the scheduler is back", cluster.converged, seconds=30)
    assert cluster.status()["framework_id"] == framework
    assert cluster.frameworks() == [framework]
    assert cluster.containers().keys() == before.keys()


def slave_registered(cluster: Cluster) -> bool:
    try:
        return bool(cluster.get("lab-single", SLAVE_PORT, "/metrics/snapshot").get("slave/registered") == 1)
    except OSError:
        return False


def test_slave_restart_keeps_containers(cluster: Cluster, host: Any) -> None:
    before = cluster.containers()
    slave_id = cluster.get("lab-single", SLAVE_PORT, "/state")["id"]
    host.run_test("systemctl restart mesos-slave")
    eventually("the slave is registered again", lambda: slave_registered(cluster), seconds=60)
    assert cluster.get("lab-single", SLAVE_PORT, "/state")["id"] == slave_id
    eventually("the scheduler is content", cluster.converged, seconds=30)
    assert cluster.containers().keys() == before.keys()
