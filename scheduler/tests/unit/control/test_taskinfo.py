from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from mesos_docker_scheduler.control.taskinfo import TaskInfos
from mesos_docker_scheduler.planning.cluster import Launch
from scheduler_fakes import resources, service

HOST = {"key": "env", "value": "HOST=host-a"}


def info(host_ports: tuple[int, ...] = (), **fields: Any) -> dict[str, Any]:
    return TaskInfos().make("id-1", Launch(service(**fields), "a", "host-a", tuple(resources()), host_ports))


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
                "parameters": [HOST],
                "port_mappings": [],
            },
            "volumes": [],
        },
        "kill_policy": {"grace_period": {"nanoseconds": 5_000_000_000}},
        "labels": {
            "labels": [{"key": "service", "value": "web"}, {"key": "service_version", "value": version}]
        },
        "discovery": {"visibility": "CLUSTER", "name": "web"},
    }


def test_a_shell_command_and_arguments() -> None:
    assert info(command="sleep 1")["command"] == {"shell": True, "value": "sleep 1"}
    assert info(args=["sleep", "1"])["command"] == {"shell": False, "arguments": ["sleep", "1"]}


def test_the_environment() -> None:
    made = info(env={"PATH": "/bin", "SSL_ENABLED": "true"}, parameters=[{"key": "cap-drop", "value": "ALL"}])
    assert made["container"]["docker"]["parameters"] == [
        HOST,
        {"key": "env", "value": "PATH=/bin"},
        {"key": "env", "value": "SSL_ENABLED=true"},
        {"key": "cap-drop", "value": "ALL"},
    ]
    assert "environment" not in made["command"], "the executor would take it for its own"


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


def test_an_instance_and_others_are_told_its_ports() -> None:
    ports = [
        {"name": "http", "container_port": 80},
        {"container_port": 53, "protocol": "udp"},
        {"name": "admin-api", "container_port": 81},
    ]
    made = info((31000, 31001, 31002), ports=ports, env={"PORT1": "mine"}, secrets={"HOST": "/s"})
    variables = [item["value"] for item in made["container"]["docker"]["parameters"]]
    assert variables == [
        "PORT0=31000",
        "PORT_HTTP=31000",
        "PORT2=31002",
        "PORT_ADMIN_API=31002",
        "PORT1=mine",
    ]
    assert made["discovery"]["ports"]["ports"] == [
        {"number": 31000, "protocol": "tcp", "name": "http"},
        {"number": 31001, "protocol": "udp"},
        {"number": 31002, "protocol": "tcp", "name": "admin-api"},
    ]


@pytest.mark.parametrize(("network", "container_port", "looked_at"), [("host", 0, 31000), ("bridge", 80, 80)])
def test_a_health_check_looks_at_a_port_by_its_name(
    network: str, container_port: int, looked_at: int
) -> None:
    made = info(
        (31000,),
        network=network,
        ports=[{"name": "http", "container_port": container_port}],
        health_check={"protocol": "http", "port_name": "http", "path": "/up"},
    )
    assert made["health_check"]["http"] == {"scheme": "http", "port": looked_at, "path": "/up"}


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
    assert docker["parameters"] == [HOST, {"key": "cap-drop", "value": "ALL"}]
    assert docker["privileged"]
    assert docker["force_pull_image"]
    assert made["labels"]["labels"][0] == {"key": "team", "value": "a"}


def test_named_volumes() -> None:
    made = info(volumes=[{"volume": "data", "container_path": "/c"}])["container"]["volumes"]
    source = {"type": "DOCKER_VOLUME", "docker_volume": {"name": "data"}}
    assert made == [{"container_path": "/c", "mode": "RW", "source": source}]


def test_a_network_of_the_operators() -> None:
    made = info((31000,), network="user", network_name="front", ports=[{"container_port": 80}])["container"]
    assert made["docker"]["network"] == "USER"
    assert made["network_infos"] == [{"name": "front"}]
    assert made["docker"]["port_mappings"] == [{"host_port": 31000, "container_port": 80, "protocol": "tcp"}]
    assert info(network="none")["container"]["docker"]["network"] == "NONE"


def test_entrypoint_and_user_are_options_of_docker() -> None:
    made = info(
        entrypoint="/bin/x", user="1000:1000", args=["y"], parameters=[{"key": "cap-drop", "value": "ALL"}]
    )
    assert made["container"]["docker"]["parameters"] == [
        HOST,
        {"key": "entrypoint", "value": "/bin/x"},
        {"key": "user", "value": "1000:1000"},
        {"key": "cap-drop", "value": "ALL"},
    ]
    assert made["command"] == {"shell": False, "arguments": ["y"]}


def test_gpus_are_handed_over_unless_the_operator_does() -> None:
    def parameters(**fields: Any) -> Any:
        return info(gpus=2, **fields)["container"]["docker"]["parameters"]

    assert parameters() == [HOST, {"key": "gpus", "value": "2"}]
    own = [{"key": "device", "value": "/dev/nvidia0"}]
    assert parameters(parameters=own) == [HOST, *own]


def test_secrets_are_given_apart_from_the_environment() -> None:
    wish = service(env={"A": "b"}, secrets={"TOKEN": "/run/token"})
    launch = Launch(wish, "a", "host-a", tuple(resources()), ())
    made = TaskInfos().make("id-1", launch, {"secrets.TOKEN": "hunter2\u00fc"})
    assert made["command"]["environment"]["variables"] == [
        {"name": "TOKEN", "type": "SECRET", "secret": {"type": "REFERENCE", "reference": {"name": "TOKEN"}}},
    ]
    assert json.loads(base64.b64decode(made.pop("data"))) == {"secrets": {"TOKEN": "hunter2\u00fc"}}
    assert "hunter2" not in json.dumps(made)
    assert "/run/token" not in json.dumps(made)


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
    times = {"delay": 1, "grace": 2, "interval": 3, "timeout": 4}
    timed = info(
        health_check={
            "protocol": "tcp",
            "port": 80,
            "max_consecutive_failures": 5,
            **{f"{name}_seconds": value for name, value in times.items()},
        }
    )["health_check"]
    assert timed == {
        "type": "TCP",
        "tcp": {"port": 80},
        "delay_seconds": 1,
        "grace_period_seconds": 2,
        "interval_seconds": 3,
        "timeout_seconds": 4,
        "consecutive_failures": 5,
    }
    never = info(health_check={"protocol": "tcp", "port": 80, "max_consecutive_failures": 0})
    assert never["health_check"]["consecutive_failures"] == 2**32 - 1
    assert info(health_check={"protocol": "tcp", "port": 80})["health_check"]["tcp"] == {"port": 80}
    command = info(health_check={"protocol": "command", "command": "true"})["health_check"]["command"]
    assert command == {"shell": True, "value": "true"}


def test_what_instances_share_is_not_mixed_up() -> None:
    infos = TaskInfos()
    first = service(image="demo/web:1", ports=[{"container_port": 80}])
    second = service(image="demo/web:2", ports=[{"container_port": 80}])
    made = [
        infos.make(task_id, Launch(wanted, "a", "host-a", (), (port,)))
        for task_id, wanted, port in (("1", first, 8001), ("2", first, 8002), ("3", second, 8003))
    ]
    assert [
        (info["task_id"]["value"], docker["image"], docker["port_mappings"][0]["host_port"])
        for info in made
        for docker in [info["container"]["docker"]]
    ] == [("1", "demo/web:1", 8001), ("2", "demo/web:1", 8002), ("3", "demo/web:2", 8003)]


# --- Commands of the Mesos containerizer

MESOS: dict[str, Any] = {"containerizer": "mesos", "network": "host", "user": "ann"}


def test_a_command_without_an_image() -> None:
    made = info(**MESOS, image=None, command="./it", env={"A": "b"})
    assert made["container"] == {"type": "MESOS", "mesos": {}, "volumes": []}
    variables = [{"name": "HOST", "value": "host-a"}]
    assert made["command"] == {
        "shell": True,
        "value": "./it",
        "user": "ann",
        "environment": {"variables": variables},
    }
    # The agent would give them to the executor, too.
    assert json.loads(base64.b64decode(made["data"])) == {"secrets": {"A": "b"}}


def test_an_image_that_mesos_runs() -> None:
    made = info(**MESOS, volumes=[{"host_path": "/h", "container_path": "/c"}])
    image = {"type": "DOCKER", "docker": {"name": "demo/web:1"}, "cached": True}
    assert made["container"]["mesos"] == {"image": image}
    assert made["container"]["volumes"] == [{"container_path": "/c", "mode": "RW", "host_path": "/h"}]
    assert made["command"]["shell"] is False
    assert "value" not in made["command"], "the image says what it starts"
    assert info(**MESOS, force_pull=True)["container"]["mesos"]["image"]["cached"] is False


def test_a_program_of_an_image_and_its_arguments() -> None:
    command = info(**MESOS, entrypoint="/bin/x", args=["-v"])["command"]
    assert (command["shell"], command["value"], command["arguments"]) == (False, "/bin/x", ["/bin/x", "-v"])
    assert info(**MESOS, args=["-v"])["command"]["arguments"] == ["-v"]


def test_a_commands_ports_are_the_hosts() -> None:
    ports = [{"name": "http", "container_port": 0}]
    made = info((31000,), **MESOS, ports=ports, health_check={"protocol": "http", "port_name": "http"})
    assert made["health_check"]["http"]["port"] == 31000
    told = {one["name"]: one["value"] for one in made["command"]["environment"]["variables"]}
    assert told == {"HOST": "host-a", "PORT0": "31000", "PORT_HTTP": "31000"}


def test_a_commands_variables_go_past_its_executors() -> None:
    wish = service(**MESOS, env={"A": "b", "LD_PRELOAD": "/x", "http_proxy": "p"}, secrets={"KEY": "/k"})
    launch = Launch(wish, "a", "host-a", tuple(resources()), ())
    made = TaskInfos().make("id-1", launch, {"secrets.KEY": "hunter2"})
    assert [one["name"] for one in made["command"]["environment"]["variables"]] == ["HOST"]
    data = json.loads(base64.b64decode(made["data"]))
    assert data == {"secrets": {"A": "b", "KEY": "hunter2", "LD_PRELOAD": "/x", "http_proxy": "p"}}


# --- Files


@pytest.mark.parametrize("fields", [{}, MESOS], ids=["docker", "mesos"])
def test_files_to_fetch(fields: dict[str, Any]) -> None:
    files = [
        "https://host/app.tar.gz",
        {"uri_secret": "/s", "output_file": "bin/app", "executable": True},
        {"uri": "/srv/data", "cache": True, "extract": False, "output_file": "here"},
    ]
    wish = service(**fields, fetch=files)
    launch = Launch(wish, "a", "host-a", tuple(resources()), ())
    secret = "https://ann:hunter2@host/app"
    made = TaskInfos().make("id-1", launch, {"fetch[1].uri_secret": secret})
    usual = {"extract": True, "executable": False, "cache": False}
    assert made["command"]["uris"] == [
        {**usual, "value": "https://host/app.tar.gz"},
        {"value": "/srv/data", "extract": False, "executable": False, "cache": True, "output_file": "here"},
    ]
    data = json.loads(base64.b64decode(made.pop("data")))
    assert data == {"fetch": [{**usual, "executable": True, "value": secret, "output_file": "bin/app"}]}
    assert "hunter2" not in json.dumps(made)
