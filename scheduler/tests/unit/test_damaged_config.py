"""Files that are no configuration, or only almost: each is taken, or told of in a few short lines."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.config import Config, ConfigError, Service, load
from mesos_docker_scheduler.wording import printable

PASSWORD = "hunter2"
SECONDS = 2.0
"""Of processor time, for what may have 64 KiB."""
LONGEST = 60_000
OF_THE_WHOLE = (
    "the file must hold one JSON object",
    "objects and lists stand in each other too deeply",
    "a number has more digits than are allowed",
    'key "',
    "... and ",
)
"""How problems begin that are of no one place."""

WHOLE: dict[str, Any] = {
    "master": f"zk://user:{PASSWORD}@z1:2181,z2:2181/mesos",
    "framework": {"name": "f", "role": "web", "principal": "p", "secret_file": "/nowhere/secret"},
    "tls": {"ca_file": "/nowhere/ca.pem", "verify": True},
    "http": {"port": 8090, "read": "open", "allowed_hosts": ["mesos.example.org"]},
    "state_dir": "/nowhere/state",
    "log_level": "info",
    "allowed": {"host_network": True, "host_commands": True},
    "services": [
        {
            "name": "web",
            "image": "registry:5000/demo/web:1@sha256:" + "0a" * 32,
            "count": 2,
            "cpus": 0.5,
            "mem": 64,
            "gpus": 1,
            "args": ["-v", "x"],
            "entrypoint": "/bin/x",
            "user": "www-data",
            "env": {"A": "b"},
            "ports": [{"name": "http", "container_port": 80, "host_port": 31000, "protocol": "tcp"}],
            "volumes": [{"host_path": "/h", "container_path": "/c", "mode": "ro"}],
            "parameters": [{"key": "cap-drop", "value": "ALL"}],
            "labels": {"team": "a"},
            "role": "web/a",
            "constraints": [
                {"field": "rack", "operator": "LIKE", "value": "r[0-9]+"},
                {"field": "@zone", "operator": "GROUP_BY", "value": "3"},
            ],
            "health_check": {"protocol": "http", "port_name": "http", "path": "/up"},
            "update": {"max_surge": "25%", "max_unavailable": 1, "max_failures": 2},
            "backoff": {"initial_seconds": 1, "factor": 2, "max_seconds": 60},
        },
        {"name": "db", "image": "db", "network": "user", "network_name": "front", "placement": "pack"},
        {
            "name": "tool",
            "containerizer": "mesos",
            "network": "host",
            "user": "ann",
            "command": "./tool",
            "fetch": ["https://host/a", {"uri": "ftp://host/b", "cache": True, "output_file": "b/c"}],
        },
    ],
}
ODD_CHARACTERS = st.sampled_from(
    ["\n", "\t", "\0", "\x1b", "\u2028", "\u202e", "\ufeff", "\u00e9", "=", "(", "a"]
)
# What texts are made of: a pattern may go through one of these again and again.
PARTS = st.sampled_from(
    ["a", "a:1,", "a.", "a/", "-", "(", "((a{9}){9}){9}", "a:b@", "_", " ", "\\", "zk://", "\u00e9"]
)
LONG_TEXTS = st.builds(
    lambda head, part, share, tail: head + part * int(share * LONGEST / len(part.encode())) + tail,
    st.sampled_from(["", "/", "zk://", "http://", "m:1"]),
    PARTS,
    st.sampled_from([0.0, 0.01, 1.0]),
    st.sampled_from(["", "!", "\n"]),
)
TEXTS = st.one_of(st.text(max_size=5), st.text(ODD_CHARACTERS, max_size=5), LONG_TEXTS)
NUMBERS = st.one_of(
    st.integers(-1, 100_000),
    st.sampled_from([2**31, 2**63, 2**64, 10**30, -(2**64), 10**400, 1e300, -1e300, 1e-300, 0.0001]),
    st.floats(),
)
# As they stand in the file: what JSON does not know, or what Python and pydantic may read differently.
RAW = [
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "-0", "01", "1.", ".5", "+1", "9" * 5000,
    '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\x"', '"\n"', '"\x01"', "'x'", "{]", "nil", "True", "",
    "[" * 60_000, "[" * 150 + "]" * 150, '{"a":' * 300 + "1" + "}" * 300, '{"a": 1, "a": 2}',
]  # fmt: skip
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    TEXTS,
    st.sampled_from(range(len(RAW))).map("@raw{}@".format),
    st.builds(list),
    st.builds(dict),
)


def places(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place, by the keys and indices that lead there."""
    for key, inner in part.items() if isinstance(part, dict) else enumerate(part):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


@st.composite
def damaged_trees(draw: st.DrawFn) -> Any:
    """A configuration with one to three of its parts missing, misplaced, or something else."""
    tree: Any = copy.deepcopy(WHOLE)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        path = draw(st.sampled_from([*places(tree)] or [()]))
        if not path:
            return tree
        holder, last = at(tree, path[:-1]), path[-1]
        match draw(
            st.sampled_from(["value", "value", "missing", "elsewhere", "within", "key", "many", "twice"])
        ):
            case "value":
                is_number = isinstance(holder[last], int | float)
                holder[last] = draw(NUMBERS if is_number and draw(st.booleans()) else VALUES)
            case "missing":
                del holder[last]
            case "elsewhere":
                holder[last] = copy.deepcopy(at(tree, draw(st.sampled_from([*places(tree)]))))
            case "within":
                holder[last] = draw(
                    st.sampled_from([[holder[last]], {"a": holder[last]}, {"name": holder[last]}])
                )
            case "key" if isinstance(holder, dict):
                holder[draw(TEXTS)] = draw(VALUES | st.just(holder[last]))
            case "many" if isinstance(holder, dict):
                holder |= {f"{draw(PARTS)}{number}": 1 for number in range(draw(st.sampled_from([3, 5000])))}
            case "many":
                holder *= draw(st.sampled_from([2, 30]))
            case "twice" if isinstance(holder, dict):
                holder[f"@key{last}"] = draw(VALUES)
    return tree


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    """What stands in the file."""
    tree = draw(damaged_trees())
    text = json.dumps(tree, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    for number, raw in enumerate(RAW):
        text = text.replace(f'"@raw{number}@"', raw)
    data = text.replace('"@key', '"').encode(errors="surrogatepass")
    match draw(st.sampled_from(["", "", "", "", "cut", "byte", "encoding", "around"])):
        case "cut":
            data = data[: draw(st.integers(0, len(data)))]
        case "byte":
            place = draw(st.integers(0, max(0, len(data) - 1)))
            data = data[:place] + draw(st.binary(max_size=2)) + data[place + 1 :]
        case "encoding":
            encoding = draw(st.sampled_from(["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig"]))
            data = text.encode(encoding, errors="replace")
        case "around":
            data = draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\0", b" ", b"[", b"// \n"])) + data
            data += draw(st.sampled_from([b"", b"\0", b"}", b"{}", b"\xff", b"\x1a"]))
    return data[: 64 * 1024]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "config.json"


def read(path: Path) -> tuple[Config | None, list[str]]:
    try:
        return load(path)[0], []
    except ConfigError as error:
        return None, error.problems


@given(data=damaged_files())
def test_any_file_is_taken_or_told_of_in_a_few_short_lines(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    began = time.thread_time()
    config, problems = read(path)
    assert time.thread_time() - began < SECONDS
    assert (config is None) == bool(problems)
    assert len(problems) <= 101
    for problem in problems:
        assert problem == printable(problem, LONGEST)
        assert not {"\n", "\t"} & set(problem)
        assert len(problem) <= 1000
        assert PASSWORD not in problem
        assert ": " in problem or problem.startswith(OF_THE_WHOLE)
    for service in config.services if config is not None else ():
        # What is taken is written down, and shown.
        assert Service.recorded(service.model_dump_json(), service.version) == service
        orjson.dumps(service.model_dump(mode="json"))
