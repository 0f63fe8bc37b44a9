"""What services may ask of the slaves: nothing, unless it is named; and there is no way around that."""

from __future__ import annotations

import json
import posixpath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mesos_docker_scheduler.config import Allowed, ConfigError, parse
from mesos_docker_scheduler.config.allowed import HARMLESS
from scheduler_fakes import service

NOTHING = Allowed()


def allowed(**fields: Any) -> Allowed:
    return Allowed.model_validate_json(json.dumps(fields))


def mounting(path: str, mode: str = "ro") -> dict[str, Any]:
    return {"volumes": [{"host_path": path, "container_path": "/c", "mode": mode}]}


def with_parameter(key: str, value: str = "x") -> dict[str, Any]:
    return {"parameters": [{"key": key, "value": value}]}


@pytest.mark.parametrize(
    ("asked", "limits", "refusal"),
    [
        (
            {"privileged": True},
            {},
            'privileged: true is not allowed for the service "web"; allowed.privileged is false',
        ),
        (
            {"network": "host"},
            {},
            'network: "host" is not allowed for the service "web"; allowed.host_network is false',
        ),
        (
            mounting("/etc"),
            {},
            'volumes[0].host_path: "/etc" (ro) is not allowed for the service "web";'
            " allowed.host_paths names none",
        ),
        (
            mounting("/srv", "rw"),
            {"host_paths": [{"path": "/srv"}, {"path": "/opt", "mode": "rw", "below": True}]},
            'volumes[0].host_path: "/srv" (rw) is not allowed for the service "web";'
            " allowed.host_paths names /srv (ro), /opt and what is below (rw)",
        ),
        (
            with_parameter("pid", "host"),
            {},
            'parameters[0]: "pid" is not allowed for the service "web"; allowed.parameters names none, and'
            " add-host, cap-drop,",
        ),
        (
            with_parameter("cap-add", "SYS_ADMIN"),
            {"parameters": ["cap-add=NET_ADMIN", "device"]},
            'parameters[0]: "cap-add=SYS_ADMIN" is not allowed for the service "web"; allowed.parameters'
            " names cap-add=NET_ADMIN, device, and add-host",
        ),
        (
            {"user": "root"},
            {"users": ["1000:1000", "web"]},
            'user: "root" is not allowed for the service "web"; allowed.users names 1000:1000, web',
        ),
        (
            {},
            {"users": ["1000"]},
            'user: null is not allowed for the service "web"; allowed.users names 1000',
        ),
        (
            with_parameter("user", "0"),
            {"users": ["1000"]},
            'parameters[0].value: "0" is not allowed for the service "web"; allowed.users names 1000',
        ),
    ],
)
def test_says_what_is_not_allowed_and_what_is(
    asked: dict[str, Any], limits: dict[str, Any], refusal: str
) -> None:
    (said,) = allowed(**limits).refusals(service(**asked))
    assert said.startswith(refusal)


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        ({}, {}),
        ({"volumes": [{"volume": "data", "container_path": "/etc"}]}, {}),
        ({"network": "user", "network_name": "front"}, {}),
        ({"network": "none"}, {}),
        ({"user": "root"}, {}),
        ({"gpus": 1}, {}),
        (with_parameter("cap-drop", "ALL"), {}),
        (with_parameter("security-opt", "no-new-privileges"), {}),
        ({"privileged": True}, {"privileged": True}),
        ({"network": "host"}, {"host_network": True}),
        (mounting("/srv"), {"host_paths": [{"path": "/srv/"}]}),
        (mounting("/srv/./a/..//"), {"host_paths": [{"path": "/srv", "mode": "rw"}]}),
        (mounting("/srv/a", "rw"), {"host_paths": [{"path": "/srv", "mode": "rw", "below": True}]}),
        (mounting("/etc", "rw"), {"host_paths": [{"path": "/", "mode": "rw", "below": True}]}),
        (mounting("/../.."), {"host_paths": [{"path": "/"}]}),
        (with_parameter("cap-add", "NET_ADMIN"), {"parameters": ["cap-add=NET_ADMIN"]}),
        (with_parameter("device", "/dev/fuse"), {"parameters": ["device"]}),
        ({"user": "1000"}, {"users": ["1000"]}),
        (with_parameter("user", "1000"), {"users": ["1000"]}),
    ],
)
def test_allows_what_is_named_and_what_is_harmless(asked: dict[str, Any], limits: dict[str, Any]) -> None:
    assert allowed(**limits).refusals(service(**asked)) == []


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("/data/../etc", {"path": "/data", "below": True}),
        ("/database", {"path": "/data", "below": True}),
        ("/data/..", {"path": "/data", "below": True}),
        ("//etc", {"path": "/data", "below": True}),
        ("/data/x", {"path": "/data"}),
        ("/etc", {"path": "/"}),
        ("/", {"path": "/data", "below": True}),
        ("/Data", {"path": "/data"}),
    ],
)
def test_a_path_is_not_taken_for_another(path: str, entry: dict[str, Any]) -> None:
    assert allowed(host_paths=[entry]).refusals(service(**mounting(path)))


@pytest.mark.parametrize(
    "option",
    [
        "cap-add", "cgroup-parent", "cgroupns", "cidfile", "device", "device-cgroup-rule", "env", "env-file",
        "gpus", "group-add", "ipc", "label", "label-file", "link", "log-driver", "log-opt", "memory", "mount",
        "net", "network", "oom-score-adj", "pid", "privileged", "publish", "publish-all", "restart",
        "runtime", "security-opt", "storage-opt", "sysctl", "ulimit", "userns", "uts", "volume",
        "volume-driver", "volumes-from", "what-docker-learns-next-year",
    ],
)  # fmt: skip
def test_options_that_reach_beyond_the_container_must_be_named(option: str) -> None:
    asked = service(**with_parameter(option))
    assert NOTHING.refusals(asked)
    assert not allowed(parameters=[option]).refusals(asked)


def test_what_an_option_is_given_is_not_shown() -> None:
    (said,) = NOTHING.refusals(service(**with_parameter("log-opt", "token=hunter2")))
    assert "hunter2" not in said


def test_all_that_is_refused_is_said_at_once() -> None:
    one = {"name": "a", "image": "a", "privileged": True, "network": "host"}
    two = {"name": "b", "image": "b", **with_parameter("mount", "type=bind,src=/,dst=/host")}
    with pytest.raises(ConfigError) as caught:
        parse(json.dumps({"master": "m:5050", "services": [one, two]}))
    assert [problem.partition(" is not")[0] for problem in caught.value.problems] == [
        "services[0].privileged: true",
        'services[0].network: "host"',
        'services[1].parameters[0]: "mount"',
    ]


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"privilegd": True}, 'allowed.privilegd: is not a known key; did you mean "privileged"?'),
        ({"host_paths": ["/srv"]}, "must be a dictionary with the keys path, mode, below"),
        (
            {"host_paths": [{"path": "srv"}]},
            'allowed.host_paths[0].path: "srv" is not allowed; it must',
        ),
        ({"parameters": ["--device"]}, 'allowed.parameters[0]: "--device" is not allowed; it must be'),
        ({"users": [""]}, 'allowed.users[0]: "" is not allowed; it must be'),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(limits: dict[str, Any], problem: str) -> None:
    wish = {"master": "m:5050", "allowed": limits, "services": []}
    with pytest.raises(ConfigError) as caught:
        parse(json.dumps(wish))
    assert problem in str(caught.value)


# Generated: whatever is asked for, these hold.

segments = st.lists(st.sampled_from(["a", "b", "ab", "..", ".", ""]), max_size=6)
paths = segments.map(lambda parts: "/" + "/".join(parts))


@given(asked=paths, entry=paths, below=st.booleans())
@example(asked="//a/../b", entry="/b", below=False)
def test_only_the_path_itself_or_what_is_below_is_covered(asked: str, entry: str, below: bool) -> None:
    limits = allowed(host_paths=[{"path": entry, "below": below}])
    # Two slashes at the beginning are one to Docker, though not to POSIX.
    real, own = (posixpath.normpath("/" + path.lstrip("/")) for path in (asked, entry))
    inside = real == own or (below and posixpath.commonpath([real, own]) == own)
    assert (limits.refusals(service(**mounting(asked))) == []) == inside


@given(asked=paths, entries=st.lists(paths, max_size=3))
def test_nothing_is_written_to_that_may_only_be_read(asked: str, entries: list[str]) -> None:
    limits = allowed(host_paths=[{"path": entry, "mode": "ro", "below": True} for entry in entries])
    assert limits.refusals(service(**mounting(asked, "rw")))


@given(
    key=st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True),
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    named=st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,12}(=[a-zA-Z=]{0,4})?", fullmatch=True), max_size=3),
)
def test_an_option_is_allowed_by_its_whole_name_or_with_its_whole_value(
    key: str, value: str, named: list[str]
) -> None:
    if key in HARMLESS | {"security-opt", "name"}:
        return
    refused = bool(allowed(parameters=named).refusals(service(**with_parameter(key, value))))
    assert refused == (key not in named and f"{key}={value}" not in named)
