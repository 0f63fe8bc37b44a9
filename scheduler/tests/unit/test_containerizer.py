"""Services that Mesos' own containerizer runs, and files that are fetched: what may be asked for, or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.config import ConfigError, load, parse

MESOS: dict[str, Any] = {"containerizer": "mesos", "network": "host", "user": "ann"}
EVERYTHING: dict[str, Any] = {"host_commands": True, "host_network": True, "privileged": True}
A_FILE = 'it must be the name of a file below the sandbox, such as "bin/app"'
SECRET = "the value (not shown, it may hold a secret) is not allowed"


def config(allowed: dict[str, Any] | None = None, **fields: Any) -> str:
    wish = {"name": "web", **fields}
    return json.dumps({"master": "m:1", "allowed": allowed or EVERYTHING, "services": [wish]})


def problems(allowed: dict[str, Any] | None = None, **fields: Any) -> list[str]:
    """What is wrong, less where that is."""
    with pytest.raises(ConfigError) as caught:
        parse(config(allowed, **fields))
    return [problem.removeprefix("services[0].") for problem in caught.value.problems]


def test_a_command_and_an_image() -> None:
    assert parse(config(**MESOS, command="x")).services[0].made_of == "a command"
    image = config(**MESOS, image="demo/web:1")
    assert parse(image).services[0].made_of == "demo/web:1"


def test_an_image_may_hold_what_makes_it_root() -> None:
    (found,) = problems({"host_network": True}, **MESOS, image="demo/web:1")
    assert found.startswith(
        'image: "demo/web:1" is not allowed for the service "web"; with containerizer "mesos"'
    )
    assert found.endswith("allowed.privileged is false")


@pytest.mark.parametrize("user", ["mesos", "mesos-exporter", "mesos-scheduler", "zookeeper"])
def test_the_users_of_the_clusters_daemons_are_theirs(user: str) -> None:
    (found,) = problems(**{**MESOS, "user": user}, command="x")
    assert found.endswith("it must not be that of a daemon of the cluster")


def test_secrets_that_are_too_large(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("x" * 60_000)
    secrets = {"A": str(tmp_path / "a"), "B": str(tmp_path / "b")}
    path = tmp_path / "config.json"
    path.write_text(config(**MESOS, command="x", secrets=secrets))
    with pytest.raises(ConfigError, match=r"secrets: 120.* bytes with env and the command are not allowed"):
        load(path)


def test_docker_needs_an_image() -> None:
    (problem,) = problems(command="x")
    assert problem.startswith(
        'image: is missing; it must be the name of a Docker image, such as "nginx:1.27"'
    )


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"network": "bridge"},
            'network: "bridge" is not allowed {for}; it must be "host", the only network',
        ),
        (
            {"network": "user", "network_name": "front"},
            'network: "user" is not allowed {for}; it must be "host", the only network',
        ),
        (
            {"parameters": [{"key": "init", "value": "true"}, {"key": "dns", "value": "x"}]},
            'parameters: "init, dns" is not allowed {for}; it must be left out: these are options of',
        ),
        ({"privileged": True}, "privileged: true is not allowed {for}; it must be false: what the user may"),
        ({"gpus": 1}, "gpus: 1 is not allowed {for}; it must be 0: nothing would hand them over"),
        (
            {"volumes": [{"volume": "data", "container_path": "/c"}]},
            'volumes[0].volume: "data" is not allowed {for}; it must be a folder of the host: host_path',
        ),
        ({"user": None}, "user: is missing {for}; it must be the name of a user of the slaves"),
        ({"user": "0:0"}, 'user: "0:0" is not allowed {for}; it must be the name of a user of the slaves'),
        ({"user": "0"}, 'user: "0" is not allowed {for}; it must be the name of a user of the slaves'),
        (
            {"env": {"A": "\n" * 60_000}},
            "env: 120020 bytes with the command is not allowed {for}; it must be",
        ),
        ({"command": None}, "command: is missing {for}; without an image it must be a shell command"),
        (
            {"command": None, "args": ["x"]},
            "args: [...] is not allowed {for}; without an image it must be left out",
        ),
        (
            {"command": None, "entrypoint": "/x"},
            'entrypoint: "/x" is not allowed {for}; without an image it must be left out',
        ),
        ({"force_pull": True}, "force_pull: true is not allowed {for}; without an image it must be false"),
        (
            {"command": None, "image": "i", "entrypoint": ""},
            'entrypoint: "" is not allowed {for}; it must be a program inside the image, or null',
        ),
        (
            {"volumes": [{"host_path": "/srv/shop", "container_path": "/etc"}]},
            "volumes: [...] is not allowed {for}; without an image it must be left out",
        ),
        (
            {"image": "i", "volumes": [{"host_path": "/srv/shop", "container_path": "/../../etc/x"}]},
            'volumes[0].container_path: "/../../etc/x" is not allowed {for}; it must have no part ..',
        ),
    ],
)
def test_what_mesos_does_not_honour(fields: dict[str, Any], problem: str) -> None:
    (found,) = problems(**{**MESOS, "command": "x", **fields})
    assert found.startswith(problem.replace("{for}", 'for the service "web" with containerizer "mesos"'))


@pytest.mark.parametrize(
    ("fields", "allowed", "problem"),
    [
        (
            {"user": "root"},
            {**EVERYTHING, "privileged": False},
            'user: "root" is not allowed for the service "web"; with containerizer "mesos" it is root on the'
            " slave; allowed.privileged is false",
        ),
        (
            {},
            {"host_network": True},
            'image: none is not allowed for the service "web"; allowed.host_commands is false',
        ),
        (
            {},
            {"host_commands": True},
            'network: "host" is not allowed for the service "web"; allowed.host_',
        ),
        (
            {},
            {**EVERYTHING, "users": ["bob"]},
            'user: "ann" is not allowed for the service "web"; allowed.u',
        ),
        (
            {"fetch": ["/srv/file"]},
            EVERYTHING,
            'fetch[0].uri: "/srv/file" is not allowed for the service "web"; allowed.host_paths names none',
        ),
        (
            {"fetch": ["file://localhost/srv/x?/../../etc/shadow"]},
            {**EVERYTHING, "host_paths": [{"path": "/srv", "below": True}, {"path": "/srv/x"}]},
            'fetch[0].uri: "file://localhost/srv/x?/../../etc/shadow" is not allowed for the service "web";',
        ),
    ],
)
def test_what_has_to_be_allowed(fields: dict[str, Any], allowed: dict[str, Any], problem: str) -> None:
    (found,) = problems(allowed, **{**MESOS, "command": "x", **fields})
    assert found.startswith(problem)


def test_a_file_of_the_slave_that_is_allowed() -> None:
    paths = [{"path": "/srv", "below": True}]
    files = ["/srv/a", "file:///srv/b", "file://localhost/srv/c"]
    parse(config({**EVERYTHING, "host_paths": paths}, image="i", fetch=files))


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("https://ann:hunter2@host/x", f"fetch[0].uri: {SECRET}; it must be a URI, such as"),
        ("https://ann:hunt/er2@host/x", f"fetch[0].uri: {SECRET}; it must be a URI, such as"),
        ("https://host/x?token=hunter2", f"fetch[0].uri: {SECRET}; it must be a URI, such as"),
        ("https://host/x#hunter2", f"fetch[0].uri: {SECRET}; it must be a URI, such as"),
        ("host/x", f"fetch[0].uri: {SECRET}; it must be a URI, such as"),
        ("file://etc/x", f"fetch[0].uri: {SECRET}; it must be a URI, such as"),
        ("HTTPS://host/x", f"fetch[0].uri: {SECRET}; it must be a URI, such as"),
        (5, f"fetch[0]: {SECRET}; it must be a dictionary with the keys uri, uri_secret, extract, exec"),
        ({}, "fetch[0].uri: is missing; it must be a URI, such as"),
        ({"uri": "https://h/x", "url": "y"}, 'fetch[0].url: is not a known key; did you mean "uri"?'),
        (
            {"uri": "https://h/x", "uri_secret": "/s"},
            "fetch[0].uri_secret: is not allowed together with uri; a file has one source",
        ),
        (
            {"uri_secret": "s", "output_file": "x"},
            f"fetch[0].uri_secret: {SECRET}; it must be an absolute",
        ),
        ({"uri_secret": "/s"}, f"fetch[0].output_file: is missing; with uri_secret {A_FILE}"),
        (
            {"uri_secret": "/s", "output_file": "x", "cache": True},
            "fetch[0].cache: true is not allowed with uri_secret; the slave finds files in its cache",
        ),
        (
            "https://host/",
            "fetch[0].output_file: is missing; as the URI ends with no name for",
        ),
        (
            "https://host/stdout",
            "fetch[0].output_file: is missing; as the URI ends with no name for",
        ),
        (
            {"uri": "https://h/x", "output_file": "../x"},
            f'fetch[0].output_file: "../x" is not allowed; {A_FILE}',
        ),
        (
            {"uri": "https://h/x", "output_file": "stderr.1"},
            f'fetch[0].output_file: "stderr.1" is not allowed; {A_FILE}',
        ),
        ({"uri": "https://h/x", "output_file": "/x"}, f'fetch[0].output_file: "/x" is not allowed; {A_FILE}'),
    ],
)
@pytest.mark.parametrize("fields", [{"image": "i"}, {**MESOS, "command": "x"}], ids=["docker", "mesos"])
def test_files_that_can_not_be_fetched(fields: dict[str, Any], file: Any, problem: str) -> None:
    (found,) = problems(**fields, fetch=[file])
    assert found.startswith(problem)
    assert "hunt" not in found


def test_a_text_in_place_of_the_list_is_not_shown() -> None:
    (found,) = problems(image="i", fetch="https://host/x?token=hunter2")
    assert found == f"fetch: {SECRET}; it must be a list of URIs, or of files to fetch"


def test_files_have_names_of_their_own() -> None:
    (found,) = problems(image="i", fetch=["https://a/x", "https://b/x"])
    assert found == 'fetch[1].output_file: "x" is used more than once; it must be of its own'


@given(password=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1))
def test_no_password_stays_in_a_uri(password: str) -> None:
    shown = "; ".join(problems(image="i", fetch=[f"https://ann:{password}@host/x"]))
    assert f":{password}@" not in shown


# --- Secret URIs


def with_uri(folder: Path, content: str) -> Path:
    (folder / "uri").write_text(content)
    path = folder / "config.json"
    path.write_text(config(image="i", fetch=[{"uri_secret": f"{folder}/uri", "output_file": "x"}]))
    return path


def test_a_secret_uri_takes_part_in_the_version(tmp_path: Path) -> None:
    versions = {load(with_uri(tmp_path, f"https://ann:{n}@h/x\n"))[0].services[0].version for n in range(2)}
    assert len(versions) == 2


@pytest.mark.parametrize("content", ["s3a://key:hunter2@b/x", "/etc/hunter2", "https://h/x\nhunter2", "x"])
def test_a_secret_that_holds_no_uri(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(with_uri(tmp_path, content))
    assert caught.value.problems == [
        f"services[0].fetch[0].uri_secret: {tmp_path}/uri does not hold an http, https, ftp or ftps URI"
    ]


def test_the_schedulers_own_secrets_are_no_uris() -> None:
    text = json.loads(config(image="i", fetch=[{"uri_secret": "/etc/t", "output_file": "x"}]))
    with pytest.raises(ConfigError, match=r"fetch\[0\]\.uri_secret: /etc/t is not allowed; it is the sched"):
        parse(json.dumps({**text, "http": {"token_file": "/etc/t"}}))
