"""Every error names the place, the value and what is allowed."""

from __future__ import annotations

import copy
import json
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
            "services[0].zzz: is not a known key; known keys are name, image, count, cpus, mem",
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
            " one of them must be 1 or more, or no instance could ever be replaced",
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
        ("framework.secret_file", "/s", "framework.principal: is missing; secret_file needs it"),
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
    assert problems(web(ports=twice))[0] == "services[0].ports: host_port 31000/tcp is given more than once"


def test_services_must_have_different_names() -> None:
    same = {"name": "web", "image": "i"}
    assert problems(changed("services", [same, same])) == ['services[1].name: "web" is used more than once']


def test_says_everything_that_is_wrong_at_once() -> None:
    text = json.dumps({"services": [{"name": "web", "count": -1}], "htpp": {}})
    assert [problem.split(":")[0] for problem in problems(text)] == [
        "master",
        "services[0].image",
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
    return parse(changed("services", [{"name": "web", "image": "i", **fields}])).services[0]


@pytest.mark.parametrize(
    "fields", [{"count": 9}, {"kill_grace_seconds": 9}, {"force_pull": True}, {"cpus": 0.1}], ids=str
)
def test_the_version_stays_when_an_instance_would_be_the_same(fields: dict[str, Any]) -> None:
    assert service(**fields).version == service().version


@pytest.mark.parametrize(
    "fields",
    [{"image": "j"}, {"cpus": 0.2}, {"env": {"A": "b"}}, {"network": "host"}, {"labels": {"a": "b"}}],
    ids=str,
)
def test_the_version_changes_with_what_an_instance_is_made_of(fields: dict[str, Any]) -> None:
    assert service(**fields).version != service().version


def test_versions_keep_their_names() -> None:
    """A new scheduler must not replace what an old one has started: this name is for ever."""
    assert service(cpus=0.25, env={"A": "b"}, ports=[{"container_port": 80}]).version == "9f7adc638e"


def test_names_settings_that_need_a_restart() -> None:
    old, new = parse(json.dumps(GOOD)), parse(changed("state_dir", "/elsewhere"))
    assert old.restart_needed(new) == ["state_dir"]
    assert old.restart_needed(parse(changed("services.0.count", 7))) == []


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
