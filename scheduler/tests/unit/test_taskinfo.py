from __future__ import annotations

from typing import Any

from mesos_docker_scheduler.cluster import Launch
from mesos_docker_scheduler.taskinfo import task_info
from scheduler_fakes import resources, service


def info(host_ports: tuple[int, ...] = (), **fields: Any) -> dict[str, Any]:
    return task_info("id-1", Launch(service(**fields), "a", "host-a", tuple(resources()), host_ports))


def test_the_shortest_service() -> None:
    made = info()
    version = service().version
    assert made == {
        "name": "web",
        "task_id": {"value": "id-1"},
        "agent_id": {"value": "a"},
        "resources": resources(),
        "command": {"shell": False},
        "container": {
            "type": "DOCKER",
            "docker": {
                "image": "demo/web:1",
                "network": "BRIDGE",
                "privileged": False,
                "force_pull_image": False,
                "parameters": [],
                "port_mappings": [],
            },
            "volumes": [],
        },
        "kill_policy": {"grace_period": {"nanoseconds": 5_000_000_000}},
        "labels": {
            "labels": [{"key": "service", "value": "web"}, {"key": "service_version", "value": version}]
        },
    }


def test_a_shell_command_and_arguments() -> None:
    assert info(command="sleep 1")["command"] == {"shell": True, "value": "sleep 1"}
    assert info(args=["sleep", "1"])["command"] == {"shell": False, "arguments": ["sleep", "1"]}


def test_the_environment() -> None:
    assert info(env={"A": "b"})["command"]["environment"] == {
        "variables": [{"name": "A", "type": "VALUE", "value": "b"}]
    }


def test_ports_are_mapped_on_a_bridge_only() -> None:
    ports = [{"container_port": 80}, {"container_port": 53, "protocol": "udp"}]
    assert info((31000, 31001), ports=ports)["container"]["docker"]["port_mappings"] == [
        {"host_port": 31000, "container_port": 80, "protocol": "tcp"},
        {"host_port": 31001, "container_port": 53, "protocol": "udp"},
    ]
    assert (
        "port_mappings"
        not in info((80,), ports=[{"container_port": 80}], network="host")["container"]["docker"]
    )


def test_volumes_parameters_labels_and_rights() -> None:
    made = info(
        volumes=[{"host_path": "/h", "container_path": "/c", "mode": "ro"}],
        parameters=[{"key": "cap-drop", "value": "ALL"}],
        labels={"team": "a"},
        privileged=True,
        force_pull=True,
    )
    assert made["container"]["volumes"] == [{"host_path": "/h", "container_path": "/c", "mode": "RO"}]
    docker = made["container"]["docker"]
    assert docker["parameters"] == [{"key": "cap-drop", "value": "ALL"}]
    assert docker["privileged"]
    assert docker["force_pull_image"]
    assert made["labels"]["labels"][0] == {"key": "team", "value": "a"}


def test_health_checks() -> None:
    http = info(health_check={"protocol": "http", "port": 80, "path": "/up", "interval_seconds": 2})[
        "health_check"
    ]
    assert http == {
        "type": "HTTP",
        "http": {"scheme": "http", "port": 80, "path": "/up"},
        "delay_seconds": 0,
        "grace_period_seconds": 10,
        "interval_seconds": 2,
        "timeout_seconds": 20,
        "consecutive_failures": 3,
    }
    assert info(health_check={"protocol": "tcp", "port": 80})["health_check"]["tcp"] == {"port": 80}
    command = info(health_check={"protocol": "command", "command": "true"})["health_check"]["command"]
    assert command == {"shell": True, "value": "true"}


def test_entry_point_and_user_are_options_of_docker_run() -> None:
    made = info(entrypoint="/bin/app", user="65534:65534", parameters=[{"key": "cap-drop", "value": "ALL"}])
    assert made["container"]["docker"]["parameters"] == [
        {"key": "entrypoint", "value": "/bin/app"},
        {"key": "user", "value": "65534:65534"},
        {"key": "cap-drop", "value": "ALL"},
    ]


def test_a_named_volume_is_docker_s_own() -> None:
    made = info(volumes=[{"volume": "data", "container_path": "/data", "mode": "ro"}])
    assert made["container"]["volumes"] == [
        {
            "container_path": "/data",
            "mode": "RO",
            "source": {"type": "DOCKER_VOLUME", "docker_volume": {"name": "data"}},
        }
    ]


def test_a_network_of_the_operator_s_own_is_named_and_has_ports() -> None:
    made = info((31000,), network="user", network_name="backend", ports=[{"container_port": 80}])
    assert made["container"]["docker"]["network"] == "USER"
    assert made["container"]["network_infos"] == [{"name": "backend"}]
    assert made["container"]["docker"]["port_mappings"] == [
        {"host_port": 31000, "container_port": 80, "protocol": "tcp"}
    ]
