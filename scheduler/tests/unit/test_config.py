"""Every error names the place, the value and what is allowed."""

from __future__ import annotations

import copy
import json
import os
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.config import Config, ConfigError, Service, load, parse

GOOD: dict[str, Any] = {"master": "m1:5050", "services": [{"name": "web", "image": "demo/web:1"}]}


def changed(path: str, value: Any) -> str:
    """The good configuration as JSON with one value set; the path is like `services.0.count`."""
    wish: Any = copy.deepcopy(GOOD)
    place = wish
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    place[last] = value
    return json.dumps(wish)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value.problems


def test_the_shortest_configuration_is_enough() -> None:
    config = parse(json.dumps(GOOD))
    (web,) = config.services
    assert (web.count, web.cpus, web.mem, web.network) == (1, 0.1, 64, "bridge")
    assert config.framework.failover_timeout_seconds == 604_800
    assert config.state_dir == "/var/lib/mesos-docker-scheduler"


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("services.0.count", -1, "services[0].count: -1 is not allowed; it must be a whole number from 0"),
        (
            "services.0.count",
            "two",
            'services[0].count: "two" is not allowed; it must be a whole number from 0 to 100000',
        ),
        (
            "services.0.count",
            True,
            "services[0].count: true is not allowed; it must be a whole number from 0",
        ),
        ("services.0.count", 1.5, "services[0].count: 1.5 is not allowed; it must be a whole number from 0"),
        (
            "services.0.mem",
            1e25,
            "services[0].mem: 1e+25 is not allowed; it must be a number of MiB from 4 to 1e9",
        ),
        (
            "services.0.cpus",
            0,
            "services[0].cpus: 0 is not allowed; it must be a number of processors from 0.01 to 1e9",
        ),
        (
            "services.0.mem",
            64.0001,
            "services[0].mem: 64.0001 is not allowed;"
            " it must not have more than three decimal places, as Mesos counts in thousandths",
        ),
        (
            "services.0.image",
            "",
            'services[0].image: "" is not allowed;'
            ' it must be the name of a Docker image, such as "nginx:1.27"',
        ),
        (
            "services.0.name",
            "My_Web",
            'services[0].name: "My_Web" is not allowed;'
            " it must be at most 63 small letters, digits and dashes, with no dash at either end",
        ),
        ("services.0.imgae", "x", 'services[0].imgae: is not a known key; did you mean "image"?'),
        (
            "services.0.zzz",
            1,
            "services[0].zzz: is not a known key; known keys are name, image, containerizer, mode, count",
        ),
        ("http.tls", {"cert_file": "/c"}, "http.tls.key_file: is missing; it must be an absolute path"),
        (
            "http.tls",
            {"cert_file": "c.pem", "key_file": "/k"},
            'http.tls.cert_file: "c.pem" is not allowed; it must be an absolute path',
        ),
        ("http.prot", 80, 'http.prot: is not a known key; did you mean "port"?'),
        ("framework", [], "framework: [] is not allowed; it must be a dictionary"),
        ("services", {}, "services: {} is not allowed; it must be a list of services"),
        (
            "services",
            ["x"],
            'services[0]: "x" is not allowed; it must be a dictionary with the keys name, image',
        ),
        ("services.0.args", ["a", 1], "services[0].args[1]: 1 is not allowed; it must be a text"),
        (
            "services.0.env",
            {"PASSWORD": 12345},
            "services[0].env.PASSWORD: the value (not shown, it may hold a secret) is not allowed;"
            " it must be a text",
        ),
        (
            "services.0.ports",
            [{"container_port": 70000}],
            "services[0].ports[0].container_port: 70000 is not allowed;"
            " it must be a whole number from 1 to 65535",
        ),
        (
            "services.0.ports",
            [{}],
            "services[0].ports[0].container_port: is missing; it must be a whole number",
        ),
        (
            "services.0.volumes",
            [{"host_path": "data", "container_path": "/data"}],
            'services[0].volumes[0].host_path: "data" is not allowed; it must be an absolute path',
        ),
        (
            "services.0.health_check",
            {"protocol": "http"},
            'services[0].health_check.port: is missing; a check with protocol "http" needs it',
        ),
        (
            "services.0.health_check",
            {"protocol": "command"},
            'services[0].health_check.command: is missing; a check with protocol "command" needs it',
        ),
        (
            "services.0.update",
            {"max_surge": 0},
            "services[0].update.max_surge: 0 is not allowed while max_unavailable is 0;"
            " one of them must be more, or no instance could ever be replaced",
        ),
        (
            "services.0.backoff",
            {"max_seconds": 0.5},
            "services[0].backoff.max_seconds: 0.5 is not allowed; it must be at least initial_seconds (1)",
        ),
        (
            "services.0.labels",
            {"service": "x"},
            "services[0].labels.service: is not allowed; the scheduler sets it",
        ),
        (
            "services.0.gpus",
            -1,
            "services[0].gpus: -1 is not allowed; it must be a whole number from 0 to 1024",
        ),
        ("services.0.gpus", 0.5, "services[0].gpus: 0.5 is not allowed; it must be a whole number"),
        (
            "services.0.user",
            "",
            'services[0].user: "" is not allowed; it must be a user of the image, such as "www-data"',
        ),
        ("services.0.env", {"A=B": "c"}, "services[0].env.A=B: is not the name of an environment variable"),
        (
            "services.0.env",
            {"image": "b\0"},
            "services[0].env.image: the value (not shown, it may hold a secret) is not allowed;"
            " it must be a text without zero bytes",
        ),
        (
            "services.0.secrets",
            {"1A": "/s"},
            "services[0].secrets.1A: is not the name of an environment variable",
        ),
        (
            "services.0.secrets",
            {"TOKEN": "hunter2"},
            "services[0].secrets.TOKEN: the value (not shown, it may hold a secret) is not allowed;"
            " it must be the absolute path of a file",
        ),
        (
            "services.0.env",
            {"BIG": "x" * 200_000},
            "services[0].env.BIG: 200004 bytes are not allowed; a variable and its name may have 131000",
        ),
        (
            "services.0.env",
            {f"V{number}": "\u00e9" * 60_000 for number in range(9)},
            "services[0].env: 1080027 bytes are not allowed; all variables together may have 1000000",
        ),
        (
            "services.0.secrets",
            {"LD_PRELOAD": "/s"},
            "services[0].secrets.LD_PRELOAD: is not allowed; the programs that start the container read",
        ),
        (
            "services.0.network",
            "overlay",
            'services[0].network: "overlay" is not allowed; it must be "bridge", "host", "none" or "user"',
        ),
        ("services.0.network", "user", 'services[0].network_name: is missing; network "user" needs it'),
        (
            "services.0.network_name",
            "front",
            'services[0].network_name: is not allowed with network "bridge"; it is for "user"',
        ),
        (
            "services.0.volumes",
            [{"container_path": "/data"}],
            "services[0].volumes[0].host_path: is missing; it must be an absolute path without a colon,"
            " or volume must be given",
        ),
        (
            "services.0.volumes",
            [{"container_path": "/data", "host_path": "/h", "volume": "data"}],
            "services[0].volumes[0].volume: is not allowed together with host_path; a volume has one source",
        ),
        (
            "services.0.volumes",
            [{"container_path": "/data", "volume": "/data"}],
            'services[0].volumes[0].volume: "/data" is not allowed; it must be the name of a Docker volume',
        ),
        (
            "services.0.volumes",
            [{"container_path": "/a:b", "volume": "data"}],
            'services[0].volumes[0].container_path: "/a:b" is not allowed;'
            " it must be an absolute path without a colon",
        ),
        (
            "services.0.parameters",
            [{"key": "name", "value": "x"}],
            'services[0].parameters[0].key: "name" is not allowed; Mesos finds its containers by name',
        ),
        (
            "services.0.health_check",
            {"protocol": "tcp", "port": 80, "path": "/up"},
            'services[0].health_check.path: is not allowed with protocol "tcp"; it is for "http"',
        ),
        (
            "services.0.health_check",
            {"protocol": "command", "command": "true", "port": 80},
            'services[0].health_check.port: is not allowed with protocol "command";'
            ' it is for "http" or "tcp"',
        ),
        ("services.0.role", "a b", 'services[0].role: "a b" is not allowed; it must be a Mesos role, such'),
        (
            "services.0.placement",
            "random",
            'services[0].placement: "random" is not allowed; it must be "spread" or "pack"',
        ),
        (
            "services.0.update",
            {"on_failure": "stop"},
            'services[0].update.on_failure: "stop" is not allowed; it must be "pause" or "rollback"',
        ),
        (
            "services.0.update",
            {"max_failures": 0},
            "services[0].update.max_failures: 0 is not allowed; it must be a whole number from 1 to 1000000",
        ),
        ("framework.secret_file", "/s", "framework.principal: is missing; secret_file needs it"),
        ("framework.agent_secret_file", "/s", "framework.principal: is missing; agent_secret_file needs it"),
        ("framework.role", "-x", 'framework.role: "-x" is not allowed; it must be a Mesos role, such as "*"'),
        (
            "master",
            "zk://u:secret@h:2181",
            "master: the value (not shown, it may hold a secret) is not allowed; it must be zk",
        ),
        (
            "log_level",
            "loud",
            'log_level: "loud" is not allowed; it must be "debug", "info", "warning" or "error"',
        ),
    ],
)
def test_says_what_is_wrong(path: str, value: Any, problem: str) -> None:
    (found,) = problems(changed(path, value))
    assert found.startswith(problem)


def test_a_shell_command_takes_no_args() -> None:
    wish = {"name": "web", "image": "i", "command": "x", "args": ["y"]}
    (problem,) = problems(changed("services", [wish]))
    assert problem.startswith("services[0].args: is not allowed together with command")


def test_ports_must_fit_the_network_and_each_other() -> None:
    def web(**fields: Any) -> str:
        return changed("services", [{"name": "web", "image": "i", **fields}])

    assert problems(web(network="none", ports=[{"container_port": 1}])) == [
        'services[0].ports[0]: is not allowed with network "none"'
    ]
    assert problems(web(network="host", ports=[{"container_port": 1, "host_port": 2}])) == [
        "services[0].ports[0].host_port: 2 is not allowed;"
        ' with network "host" it must be 0 or the container_port, 1'
    ]
    twice = [{"container_port": 1, "host_port": 31000}, {"container_port": 2, "host_port": 31000}]
    said = "services[0].ports: the host's port {}/tcp is given more than once"
    assert problems(web(ports=twice))[0] == said.format(31000)
    assert problems(web(network="host", ports=[{"container_port": 80}] * 2))[0] == said.format(80)
    any_port = [{"container_port": 0}] * 2
    assert service(network="host", ports=any_port).host_ports == (0, 0)


@pytest.mark.parametrize(
    ("constraint", "problem"),
    [
        ({"operator": "UNIQUE"}, 'field: is missing; it must be "hostname", "@region", "@zone" or the name'),
        ({"field": "@rack", "operator": "UNIQUE"}, 'field: "@rack" is not allowed; it must be "hostname"'),
        ({"field": "rack", "operator": "unique"}, 'operator: "unique" is not allowed; it must be "UNIQUE",'),
        (
            {"field": "rack", "operator": "UNIQUE", "value": "a"},
            'value: "a" is not allowed; UNIQUE takes none',
        ),
        (
            {"field": "rack", "operator": "MAX_PER"},
            'value: null is not allowed; with MAX_PER it must be a whole number in quotes, "1" or more',
        ),
        (
            {"field": "rack", "operator": "MAX_PER", "value": "0"},
            'value: "0" is not allowed; with MAX_PER it must be a whole number in quotes, "1" or more',
        ),
        ({"field": "rack", "operator": "MAX_PER", "value": 2}, "value: 2 is not allowed; it must be a text"),
        (
            {"field": "rack", "operator": "GROUP_BY", "value": "many"},
            'value: "many" is not allowed; with GROUP_BY it must be a whole number in quotes, "1" or',
        ),
        (
            {"field": "rack", "operator": "LIKE"},
            "value: is missing; with LIKE it must be a regular expression",
        ),
        (
            {"field": "rack", "operator": "UNLIKE", "value": "a("},
            'value: "a(" is not allowed; with UNLIKE it must be an RE2 regular expression: missing )',
        ),
        ({"field": "rack", "operator": "IS"}, "value: is missing; with IS it must be a text"),
    ],
)
def test_a_constraint_has_what_its_operator_needs(constraint: dict[str, str], problem: str) -> None:
    (found,) = problems(changed("services.0.constraints", [constraint]))
    assert found.startswith(f"services[0].constraints[0].{problem}")


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("UNIQUE", None),
        ("CLUSTER", None),
        ("CLUSTER", "a"),
        ("GROUP_BY", None),
        ("GROUP_BY", "3"),
        ("LIKE", "a|b"),
        ("UNLIKE", "a|b"),
        ("MAX_PER", "2"),
        ("IS", ""),
    ],
)
def test_constraints_that_are_understood(operator: str, value: str | None) -> None:
    (found,) = service(constraints=[{"field": "@zone", "operator": operator, "value": value}]).constraints
    assert (found.field, found.operator, found.value) == ("@zone", operator, value)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"command": "x", "entrypoint": "/bin/y"},
            "entrypoint: is not allowed together with command, which is run by /bin/sh; use args",
        ),
        (
            {"user": "1000", "parameters": [{"key": "user", "value": "0"}]},
            "user: is given a second time by parameters[0]; use one of them",
        ),
        (
            {"ports": [{"container_port": 0}]},
            'ports[0].container_port: 0 is not allowed with network "bridge"; it must be a whole number from',
        ),
        (
            {"ports": [{"name": "a", "container_port": 1}, {"name": "a", "container_port": 2}]},
            'ports: name "a" is given more than once',
        ),
        (
            {"health_check": {"protocol": "tcp", "port_name": "web"}},
            'health_check.port_name: "web" is not allowed; it must be the name of one of the ports',
        ),
        (
            {
                "health_check": {"protocol": "tcp", "port_name": "dns"},
                "ports": [{"name": "dns", "container_port": 53, "protocol": "udp"}],
            },
            'health_check.port_name: "dns" is not allowed; it must be the name of one of the ports',
        ),
        (
            {"health_check": {"protocol": "tcp"}},
            'health_check.port: is missing; a check with protocol "tcp" needs it, or port_name',
        ),
        (
            {"mode": "global", "count": 3},
            'count: 3 is not allowed with mode "global", which has one instance on each slave; leave it out',
        ),
        (
            {"mode": "global", "update": {"max_surge": 2}},
            'update.max_surge: 2 is not allowed with mode "global", which has one instance on each slave;',
        ),
        (
            {"mode": "global", "constraints": [{"field": "rack", "operator": "MAX_PER", "value": "1"}]},
            'constraints[0].operator: "MAX_PER" is not allowed with mode "global", which has one instance on',
        ),
        (
            {"mode": "global", "constraints": [{"field": "rack", "operator": "CLUSTER"}]},
            'constraints[0].operator: "CLUSTER" is not allowed with mode "global"',
        ),
        ({"mode": "global", "rebalance": True}, 'rebalance: true is not allowed with mode "global"'),
        ({"mode": "global", "placement": "pack"}, 'placement: "pack" is not allowed with mode "global"'),
        ({"mode": "daemon"}, 'mode: "daemon" is not allowed; it must be "replicated" or "global"'),
        (
            {"rebalance": True, "placement": "pack"},
            'rebalance: true is not allowed with placement "pack"; it is for "spread"',
        ),
        (
            {"rebalance": True, "update": {"max_surge": 0, "max_unavailable": 1}},
            "rebalance: true is not allowed with update.max_surge 0; another instance starts before one",
        ),
        ({"depends_on": ["web"]}, 'depends_on: "web" is not allowed; it is this service itself'),
        (
            {"depends_on": ["db"]},
            'depends_on: "db" is not allowed; it must be the name of another service of the file',
        ),
        (
            {"preferences": [{"field": "rack", "operator": "UNIQUE", "value": "r1"}]},
            'preferences[0].operator: "UNIQUE" is not allowed; it must be "LIKE", "UNLIKE" or "IS"',
        ),
        (
            {"preferences": [{"field": "rack", "operator": "LIKE", "value": "("}]},
            'preferences[0].value: "(" is not allowed; with LIKE it must be an RE2 regular expression',
        ),
        (
            {"health_check": {"protocol": "tcp", "port_name": "web", "port": 1}},
            "health_check.port_name: is not allowed together with port; use one of them",
        ),
        (
            {"secrets": {"TOKEN": "/s"}, "env": {"TOKEN": "x"}},
            "secrets.TOKEN: is not allowed; env has the same name",
        ),
        (
            {"network": "user", "network_name": "host"},
            'network_name: "host" is not allowed; it must be a network that was made with "docker network',
        ),
    ],
)
def test_fields_of_a_service_must_go_together(fields: dict[str, Any], problem: str) -> None:
    (found,) = problems(changed("services", [{"name": "web", "image": "i", **fields}]))
    assert found.startswith(f"services[0].{problem}")


def test_names_of_common_secrets_are_free() -> None:
    names = ["LDAP_PASSWORD", "GOOGLE_API_KEY", "POSTGRES_PASSWORD", "PATHS", "db_password"]
    assert list(service(secrets=dict.fromkeys(names, "/s")).secrets) == names


def test_services_must_have_different_names() -> None:
    same = {"name": "web", "image": "i"}
    assert problems(changed("services", [same, same])) == ['services[1].name: "web" is used more than once']


def test_says_everything_that_is_wrong_at_once() -> None:
    text = json.dumps({"services": [{"image": "i", "count": -1}], "htpp": {}})
    assert [problem.split(":")[0] for problem in problems(text)] == [
        "master",
        "services[0].name",
        "services[0].count",
        "htpp",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"master": \n "x",}', "line 2, column "),
        ("[]", "the file must hold one JSON object ({...})"),
        ('{"master": "a:1", "master": "b:1"}', 'key "master" is given more than once in the same object'),
    ],
)
def test_says_where_it_is_not_json(text: str, problem: str) -> None:
    assert problems(text)[0].startswith(problem)


def test_says_that_a_file_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.json: can't be read: No such file"):
        load(tmp_path / "missing.json")
    (tmp_path / "latin").write_bytes(b'{"master": "\xff"}')
    with pytest.raises(ConfigError, match=r"is not UTF-8 at byte 12"):
        load(tmp_path / "latin")


@pytest.mark.parametrize(
    "master",
    [
        "m1:5050",
        "m1:5050,m2:5050",
        "[::1]:5050",
        "http://m1:5050",
        "https://m1:5050/",
        "zk://u:p@z1:2181,z2:2181/mesos",
    ],
)
def test_masters_that_are_understood(master: str) -> None:
    assert parse(changed("master", master)).master == master


@pytest.mark.parametrize(
    "master", ["m1", "m1:", "http://m1", "zk://z1:2181", "zk://z1:2181/", "m1:5050,", "ftp://m1:21"]
)
def test_masters_that_are_not(master: str) -> None:
    assert problems(changed("master", master))[0].startswith("master: ")


def service(**fields: Any) -> Service:
    """A service that may have what these tests ask for."""
    allowed = {"host_network": True, "privileged": True, "host_paths": [{"path": "/h"}]}
    wish = {**GOOD, "allowed": allowed, "services": [{"name": "web", "image": "i", **fields}]}
    return parse(json.dumps(wish)).services[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"count": 9},
        {"kill_grace_seconds": 9},
        {"shutdown_delay_seconds": 9},
        {"force_pull": True},
        {"placement": "pack"},
        {"update": {"on_failure": "rollback"}},
        {"cpus": 0.1},
    ],
    ids=str,
)
def test_the_version_stays_when_an_instance_would_be_the_same(fields: dict[str, Any]) -> None:
    assert service(**fields).version == service().version


@pytest.mark.parametrize(
    "fields",
    [
        {"image": "j"},
        {"cpus": 0.2},
        {"gpus": 1},
        {"env": {"A": "b"}},
        {"network": "host"},
        {"labels": {"a": "b"}},
        {"entrypoint": "/bin/x"},
        {"user": "1000"},
        {"secrets": {"TOKEN": "/s"}},
        {"role": "web"},
        {"fetch": ["https://host/file"]},
        {"containerizer": "mesos", "network": "host", "user": "ann"},
    ],
    ids=str,
)
def test_the_version_changes_with_what_an_instance_is_made_of(fields: dict[str, Any]) -> None:
    assert service(**fields).version != service().version


@pytest.mark.parametrize(
    ("own", "field"),
    [
        ({"framework": {"principal": "p", "secret_file": "/etc/s"}}, "framework.secret_file"),
        ({"framework": {"principal": "p", "agent_secret_file": "/etc/s"}}, "framework.agent_secret_file"),
        ({"tls": {"key_file": "/etc/s"}}, "tls.key_file"),
        ({"http": {"token_file": "/etc/./s"}}, "http.token_file"),
    ],
)
def test_a_service_is_not_given_the_schedulers_own_secrets(own: dict[str, Any], field: str) -> None:
    web = {"name": "web", "image": "i", "secrets": {"TOKEN": "/etc//x/../s"}}
    assert problems(json.dumps({**GOOD, **own, "services": [web]})) == [
        f"services[0].secrets.TOKEN: /etc//x/../s is not allowed; it is the scheduler's own {field}"
    ]
    web["secrets"] = {"TOKEN": "/etc/s2"}
    assert parse(json.dumps({**GOOD, **own, "services": [web]}))


def test_versions_keep_their_names() -> None:
    """A new scheduler must not replace what an old one has started: this name is for ever."""
    assert service(cpus=0.25, env={"A": "b"}, ports=[{"container_port": 80}]).version == "9f7adc638e"
    rich = service(
        args=["a"],
        network="host",
        volumes=[{"host_path": "/h", "container_path": "/c", "mode": "ro"}],
        parameters=[{"key": "cap-drop", "value": "ALL"}],
        labels={"team": "a"},
        health_check={"protocol": "http", "port": 80, "path": "/up"},
    )
    assert rich.version == "07fc6c0953"


def test_a_version_is_read_again_as_it_was_written_down() -> None:
    old = service(secrets={"TOKEN": "/s"}).with_secrets({"TOKEN": "x"}, "x")
    assert old.version != service(secrets={"TOKEN": "/s"}).version
    again = Service.recorded(old.model_dump_json(), old.version)
    assert (again.version, again.secrets) == (old.version, {"TOKEN": "/s"})
    anew = Service.recorded(service(ports=[{"container_port": 80}]).model_dump_json(), "other")
    assert (anew.version, anew.ports[0].container_port) == ("other", 80)


# Secrets


def with_secret(folder: Path, content: bytes | None, **fields: Any) -> Path:
    """A configuration whose service has the secret TOKEN; returns its path."""
    secret = folder / "token"
    secret.unlink(missing_ok=True)
    if content is not None:
        secret.write_bytes(content)
    path = folder / "config.json"
    path.write_text(
        changed("services", [{"name": "web", "image": "i", "secrets": {"TOKEN": str(secret)}, **fields}])
    )
    return path


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "can't be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"a\0b", "holds a zero byte, which no environment variable can"),
        (b"a" * 65_537, "is longer than 65536 bytes"),
    ],
)
def test_a_secret_that_can_not_be_used(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = with_secret(tmp_path, content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.problems == [f"services[0].secrets.TOKEN: {tmp_path}/token {problem}"]
    # At its start the scheduler must look after the other services all the same.
    assert load(path, without_secrets=True)[0].services[0].name == "web"


def test_a_secret_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    path = with_secret(tmp_path, None)
    os.mkfifo(tmp_path / "token")
    with pytest.raises(ConfigError, match="token is no regular file"):
        load(path)
    (tmp_path / "token").unlink()
    (tmp_path / "token").mkdir()
    with pytest.raises(ConfigError, match=r"token (is no regular file|can.t be read: Is a directory)"):
        load(path)


def test_another_content_of_a_secret_is_another_version(tmp_path: Path) -> None:
    def version(content: bytes, **fields: Any) -> str:
        return load(with_secret(tmp_path, content, **fields))[0].services[0].version

    assert version(b"hunter2") == version(b"hunter2\n")
    assert version(b"hunter2") != version(b"hunter3")
    assert version(b"hunter2", name="a") != version(b"hunter2", name="b")


def test_no_error_shows_what_a_secret_holds(tmp_path: Path) -> None:
    secret = b"hunter2\xff"
    with pytest.raises(ConfigError) as caught:
        load(with_secret(tmp_path, secret))
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in shown
    assert "hunter2" not in repr(load(with_secret(tmp_path, b"hunter2")))


def test_names_settings_that_need_a_restart() -> None:
    old, new = parse(json.dumps(GOOD)), parse(changed("state_dir", "/elsewhere"))
    assert old.restart_needed(new) == ["state_dir"]
    assert old.restart_needed(parse(changed("services.0.count", 7))) == []


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({**GOOD, "a\nb\x1b[2J": 1}),
        json.dumps({**GOOD, "a" * 60_000: 1}),
        '{"a\\nb": 1, "a\\nb": 2}',
        '{"\\ud800": 1, "\\ud800": 2}',
        f'{{"{"a" * 30_000}": 1, "{"a" * 30_000}": 2}}',
        changed("services.0.labels", {"a\nb": 1}),
        changed("services.0.constraints", [{"field": "a", "operator": "LIKE", "value": "(" * 60_000}]),
        changed("services.0.health_check", {"protocol": "tcp", "port_name": "a\n" * 20_000}),
    ],
    ids=range(8),
)
def test_whatever_is_quoted_a_problem_is_one_short_line(text: str) -> None:
    (problem,) = problems(text)
    assert problem.isprintable()
    assert len(problem) <= 1000


def test_only_the_first_problems_are_told() -> None:
    found = problems(json.dumps({**GOOD, **{f"a{number}": 1 for number in range(5000)}}))
    assert len(found) == 101
    assert found[-1] == "... and 4900 more problems"


def test_what_stands_inside_a_misplaced_list_or_dictionary_is_not_shown() -> None:
    web = {"name": "web", "image": "i", "env": {"PASSWORD": "hunter2"}}
    assert problems(changed("services", web)) == [
        "services: {...} is not allowed; it must be a list of services"
    ]
    (problem,) = problems(changed("state_dir", [web]))
    assert problem == "state_dir: [...] is not allowed; it must be an absolute path"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("state_dir", "zk://user:hunter2@z1:2181/mesos"),
        ("state_dir", f"zk://user:{'hunter2' * 20}@z1:2181/mesos"),
        ("services.0.health_check", {"protocol": "tcp", "port_name": "zk://user:hunter2@z1:2181/mesos"}),
    ],
)
def test_a_password_that_stands_in_a_wrong_place_is_not_shown(path: str, value: object) -> None:
    (problem,) = problems(changed(path, value))
    assert "zk://...@z1" in problem or problem.startswith('state_dir: "zk://...')
    assert "hunter2" not in problem


def test_no_address_of_masters_takes_long_to_be_refused() -> None:
    began = time.thread_time()
    problems(changed("master", f"zk://{'a:1,' * 16_000}"))
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    ("field", "most"), [("max_surge", 100_000), ("max_unavailable", 100_000), ("max_failures", 1_000_000)]
)
def test_a_whole_number_that_not_everybody_can_read_is_refused(field: str, most: int) -> None:
    assert service(update={field: most}).update
    for number in (most + 1, 2**64, 10**400):
        (problem,) = problems(changed("services.0.update", {field: number}))
        assert problem.startswith(f"services[0].update.{field}: 1")
        assert f"to {most}" in problem


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
fields = st.sampled_from(sorted(Service.model_fields))


@given(field=fields, value=values)
def test_any_value_is_either_taken_or_explained(field: str, value: Any) -> None:
    text = changed(f"services.0.{field}", value)
    try:
        found, explained = parse(text), []
    except ConfigError as error:
        found, explained = None, error.problems
    assert isinstance(found, Config) != bool(explained)
    assert all(problem.startswith(f"services[0].{field}") for problem in explained)


@pytest.mark.parametrize(
    "master",
    [
        "h:99999",
        "h:0",
        "h:5050,h:99999",
        "http://h:70000",
        "zk://h:0/mesos",
        "zk://user:secret@h:99999/mesos",
    ],
)
def test_impossible_ports_of_masters_are_refused(master: str) -> None:
    (problem,) = problems(changed("master", master))
    assert problem.startswith(
        "master: the value (not shown, it may hold a secret) is not allowed; it must have"
    )
    assert "secret@" not in problem


def test_credentials_of_zookeeper_need_a_password() -> None:
    (problem,) = problems(changed("master", "zk://user:@h:2181/mesos"))
    assert "must be zk://[user:password@]host:port" in problem


@pytest.mark.parametrize(
    "image",
    [
        "nginx",
        "nginx:1.27",
        "library/nginx",
        "lab-registry:5000/demo/web:1",
        "localhost/web",
        "Registry.Example.org:443/a/b__c/d-e.f:V1.0-rc_1",
        "[2001:db8::1]:5000/web",
        f"web@sha256:{'0a' * 32}",
        f"demo/web:1@sha256:{'0a' * 32}",
        f"sha256:{'0a' * 32}",
        "0123456789ab",
    ],
)
def test_images_that_docker_takes(image: str) -> None:
    assert parse(changed("services.0.image", image)).services[0].image == image


@pytest.mark.parametrize(
    "image",
    [
        *("", "MyRepo/App", "nginx:", "https://registry/x", "-v", "a b", "a//b", "/a", "a/", "a:b:c", "_a"),
        *("a@sha256:12", "a..b", "a:-b", "a\n", "a\0b", f"a:{'b' * 129}", "\u00e4"),
    ],
)
def test_images_that_docker_refuses(image: str) -> None:
    (problem,) = problems(changed("services.0.image", image))
    assert problem.startswith("services[0].image: ")
    assert "is not allowed; it must be the name of a Docker image" in problem


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (
            "volumes",
            [{"host_path": "/a", "container_path": "/data"}, {"volume": "vol", "container_path": "/data/"}],
            'services[0].volumes[1].container_path: "/data" is used more than once',
        ),
        (
            "health_check",
            {"protocol": "tcp", "port": 80, "interval_seconds": 0},
            "services[0].health_check.interval_seconds: 0 is not allowed; it must be a number of seconds, ",
        ),
        ("labels", {"a": "b\0"}, "services[0].labels.a: must not hold a zero byte"),
        ("labels", {"a\0": "b"}, "services[0].labels: must not hold a zero byte"),
        ("args", ["a", "b\0"], "services[0].args[1]: must not hold a zero byte"),
        ("command", "a\0", "services[0].command: must not hold a zero byte"),
        ("entrypoint", "a\0", "services[0].entrypoint: must not hold a zero byte"),
        ("user", "a\0", "services[0].user: must not hold a zero byte"),
        (
            "parameters",
            [{"key": "hostname", "value": "\0"}],
            "services[0].parameters[0].value: must not hold a zero byte",
        ),
    ],
)
def test_what_docker_would_refuse_is_refused_before(field: str, value: Any, words: str) -> None:
    (problem,) = problems(changed(f"services.0.{field}", value))
    assert problem.startswith(words)


def test_nothing_can_be_reached_without_a_network() -> None:
    text = changed("services.0.network", "none")
    wish = json.loads(text)
    wish["services"][0]["health_check"] = {"protocol": "http", "port": 80}
    (problem,) = problems(json.dumps(wish))
    assert problem.startswith('services[0].health_check.protocol: "http" is not allowed with network "none"')


@pytest.mark.parametrize(
    ("key", "meant"),
    [("instances", "count"), ("replicas", "count"), ("memory", "mem"), ("healthChecks", "health_check")],
)
def test_words_of_other_schedulers_are_understood(key: str, meant: str) -> None:
    (problem,) = problems(changed(f"services.0.{key}", 3))
    assert problem == f'services[0].{key}: is not a known key; did you mean "{meant}"?'


def test_the_number_of_instances_has_a_bound() -> None:
    assert parse(changed("services.0.count", 100_000)).services[0].count == 100_000
    for count in (100_001, 10**30):
        (problem,) = problems(changed("services.0.count", count))
        assert "is not allowed; it must be a whole number from 0 to 100000" in problem


@pytest.mark.parametrize(
    ("surge", "unavailable", "count", "more", "fewer"),
    [
        (1, 0, 3, 1, 0),
        ("25%", "25%", 10, 3, 2),
        ("25%", "25%", 1, 1, 0),
        ("0%", "10%", 3, 0, 1),  # as in Kubernetes: one of them must be, or nothing could ever be replaced
        ("100%", 0, 5, 5, 0),
        (0, 2, 5, 0, 2),
        ("50%", 0, 0, 0, 0),
    ],
)
def test_an_updates_limits_may_be_shares(
    surge: int | str, unavailable: int | str, count: int, more: int, fewer: int
) -> None:
    update = service(update={"max_surge": surge, "max_unavailable": unavailable}).update
    assert (update.surge(count), update.unavailable(count)) == (more, fewer)


@pytest.mark.parametrize("value", [-1, 1.5, True, "", "25", "101%", "-1%", "2 %", None, [], 10**30])
def test_what_is_no_share_is_refused(value: object) -> None:
    (found,) = problems(changed("services.0.update", {"max_surge": value}))
    assert found == (
        f"services[0].update.max_surge: {json.dumps(value)} is not allowed; it must be a whole number from 0"
        ' to 100000, or a share of count such as "25%"'
    )
    assert problems(changed("services.0.update", {"max_surge": "0%", "max_unavailable": 0}))


# Several schedulers


@pytest.mark.parametrize(
    "zookeeper",
    ["zk://z1:2181/schedulers", "zk://z1:2181,[::1]:65535/schedulers/web", "zk://z1:2181/a/b/c"],
)
def test_a_shared_state_is_understood(zookeeper: str) -> None:
    shared = parse(changed("shared_state", {"zookeeper": zookeeper})).shared_state
    assert shared is not None
    assert (shared.zookeeper, shared.session_seconds, shared.url) == (zookeeper, 6.0, None)


@pytest.mark.parametrize(
    ("shared", "problem"),
    [
        (
            {"zookeeper": "user:password@z1:2181"},
            "shared_state.zookeeper: the value (not shown, it may hold a secret) is not allowed; it must be"
            " zk://host:port[,host:port...]/path",
        ),
        (
            {"zookeeper": "zk://user:password@z1:2181/a"},
            "shared_state.zookeeper: the value (not shown, it may hold a secret) is not allowed; it must be"
            " zk://host:port[,host:port...]/path",
        ),
        (
            {"zookeeper": "zk://z1:2181,z2:65536/a"},
            "shared_state.zookeeper: the value (not shown, it may hold a secret) is not allowed; it must have"
            " ports from 1 to 65535, not 65536",
        ),
        (
            {"zookeeper": "zk://z1:2181/a", "user": "web"},
            "shared_state.user and password_file must be given both, or neither",
        ),
        (
            {"zookeeper": "zk://z1:2181/a", "user": "we:b", "password_file": "/p"},
            'shared_state.user: "we:b" is not allowed; it must be a text without colons and spaces, or null'
            " to let everybody",
        ),
        (
            {"zookeeper": "zk://z1:2181/a", "session_seconds": 1},
            "shared_state.session_seconds: 1 is not allowed; it must be a number of seconds from 2 to 60",
        ),
        (
            {"zookeeper": "zk://z1:2181/a", "url": "https://a/b"},
            'shared_state.url: "https://a/b" is not allowed; it must be an http(s) URL without a path,'
            " or null",
        ),
        (
            {},
            "shared_state.zookeeper: is missing; it must be the servers' addresses, with the path below which"
            " it is kept",
        ),
    ],
)
def test_a_shared_state_that_is_wrong_is_named(shared: dict[str, Any], problem: str) -> None:
    assert problems(changed("shared_state", shared)) == [problem]
    assert "user:password" not in problem
