"""From a TaskInfo to the arguments of `docker create`, case by case."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

Pure = Callable[..., Any]
Message = dict[str, Any]

# What every task without further wishes gets.
ENVIRONMENT = [
    "-e", "MESOS_ALLOCATION_ROLE=*",
    "-e", "MESOS_CONTAINER_NAME=mesos-1",
    "-e", "MESOS_SANDBOX=/mnt/mesos/sandbox",
]  # fmt: skip
SANDBOX = ["-v", "/agent/sandbox:/mnt/mesos/sandbox"]
LABELS = [
    "--label", "mesos.task_id=t",
    "--label", "mesos.framework_id=f",
    "--label", "mesos.executor_id=e",
    "--label", "mesos.agent_id=a",
]  # fmt: skip


def scalar(name: str, value: float) -> Message:
    return {
        "name": name,
        "type": "SCALAR",
        "scalar": {"value": value},
        "allocation_info": {"role": "*"},
    }


def ports(*ranges: tuple[int, int]) -> Message:
    return {"name": "ports", "ranges": {"range": [{"begin": a, "end": b} for a, b in ranges]}}


def task(container: Message | None = None, docker: Message | None = None, **fields: Any) -> Message:
    """A TaskInfo whose container has these fields, and whose container.docker has those."""
    return {
        "task_id": {"value": "t"},
        "agent_id": {"value": "a"},
        "resources": [scalar("cpus", 0.5), scalar("mem", 64)],
        "command": {"shell": False},
        "container": {"type": "DOCKER", "docker": {"image": "web:1", **(docker or {})}, **(container or {})},
        **fields,
    }


def arguments(pure: Pure, message: Message, **context: Any) -> list[str]:
    result: list[str] = pure("arguments", task=message, context=context)["arguments"]
    return result


def notes(pure: Pure, message: Message) -> list[str]:
    result: list[str] = pure("arguments", task=message)["notes"]
    return result


def options(pure: Pure, message: Message, *names: str, **context: Any) -> list[str]:
    """The words of the named options, with their values, in order."""
    found: list[str] = []
    words = arguments(pure, message, **context)
    for index, word in enumerate(words):
        if word in names:
            found += [word, words[index + 1]]
        elif word.split("=")[0] in names:
            found.append(word)
    return found


def refusal(pure: Pure, message: Message, **context: Any) -> str:
    with pytest.raises(Exception, match=r"\S") as caught:
        arguments(pure, message, **context)
    assert type(caught.value).__name__ == "PureError"
    return str(caught.value)


def test_a_plain_task(pure: Pure) -> None:
    assert arguments(pure, task()) == [
        "--cpu-shares", "512", "--memory", "67108864",
        *ENVIRONMENT, *SANDBOX,
        "--net", "host", "--name", "mesos-1", *LABELS, "web:1",
    ]  # fmt: skip


def test_the_example_of_the_original(pure: Pure) -> None:
    """BRIDGE, a port, a volume, environment, parameters and a shell command, as measured of Mesos' own."""
    message = task(
        {"volumes": [{"host_path": "/srv", "container_path": "/data", "mode": "RO"}]},
        {
            "network": "BRIDGE",
            "port_mappings": [{"host_port": 31000, "container_port": 8080, "protocol": "TCP"}],
            "parameters": [{"key": "label", "value": "a=b"}, {"key": "cap-drop", "value": "ALL"}],
        },
        command={"value": "echo hi", "environment": {"variables": [{"name": "FOO", "value": "bar"}]}},
        resources=[scalar("cpus", 0.5), scalar("mem", 64), ports((31000, 31000))],
    )
    assert arguments(pure, message) == [
        "--cpu-shares", "512", "--memory", "67108864",
        "-e", "FOO=bar", *ENVIRONMENT,
        "-v", "/srv:/data:ro", *SANDBOX,
        "--net", "bridge", "-p", "31000:8080/tcp", "--entrypoint", "/bin/sh", "--name", "mesos-1",
        *LABELS, "--label=a=b", "--cap-drop=ALL",
        "web:1", "-c", "echo hi",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cpus", "shares"),
    [(1, "1024"), (0.1, "102"), (0.001, "2"), (2.5, "2560"), (0.3, "307"), (1.001, "1025")],
)
def test_cpu_shares_are_exact(pure: Pure, cpus: float, shares: str) -> None:
    assert options(pure, task(resources=[scalar("cpus", cpus)]), "--cpu-shares") == ["--cpu-shares", shares]


@pytest.mark.parametrize(
    ("mem", "memory"),
    [(64, 64 << 20), (32, 32 << 20), (1, 32 << 20), (64.5, 129 << 19), (1048576, 1 << 40)],
)
def test_memory_is_exact_with_the_floor_of_mesos(pure: Pure, mem: float, memory: int) -> None:
    assert options(pure, task(resources=[scalar("mem", mem)]), "--memory") == ["--memory", str(memory)]


def test_many_small_resources_add_up_exactly(pure: Pure) -> None:
    tenths = task(resources=[scalar("cpus", 0.1) for _ in range(10)])
    assert options(pure, tenths, "--cpu-shares") == ["--cpu-shares", "1024"]


def test_the_executors_resources_count(pure: Pure) -> None:
    message = task(executor={"resources": [scalar("cpus", 0.5), scalar("mem", 32)]})
    assert options(pure, message, "--cpu-shares", "--memory") == [
        "--cpu-shares", "1024", "--memory", str(96 << 20),
    ]  # fmt: skip


@pytest.mark.parametrize(("cpus", "quota"), [(0.5, "50000"), (1.5, "150000"), (0.001, "1000")])
def test_cfs_quota_when_the_agent_enables_it(pure: Pure, cpus: float, quota: str) -> None:
    message = task(resources=[scalar("cpus", cpus)])
    assert options(pure, message, "--cpu-quota", cgroupsEnableCfs=True) == ["--cpu-quota", quota]
    assert options(pure, message, "--cpu-quota") == []


def test_limits_over_requests(pure: Pure) -> None:
    message = task(limits={"cpus": {"value": 1.5}, "mem": {"value": 128}})
    assert arguments(pure, message, totalMemory=24 << 30)[:10] == [
        "--cpu-shares", "512", "--cpu-quota", "150000",
        "--memory-reservation", "67108864", "--memory", "134217728", "--oom-score-adj", "998",
    ]  # fmt: skip


@pytest.mark.parametrize("infinity", ["Infinity", 1e999])
def test_infinite_limits(pure: Pure, infinity: str | float) -> None:
    message = task(limits={"cpus": {"value": "Infinity"}, "mem": {"value": "Infinity"}})
    words = arguments(pure, message, cgroupsEnableCfs=True, totalMemory=1 << 30)
    assert "--cpu-quota" not in words
    assert "--memory" not in words
    assert words[2:6] == ["--memory-reservation", "67108864", "--oom-score-adj", "938"]


def test_a_limit_equal_to_the_request_is_no_burst(pure: Pure) -> None:
    message = task(limits={"mem": {"value": 64}})
    assert options(pure, message, "--oom-score-adj", totalMemory=1 << 30) == []


def test_environment_is_sorted_and_hooks_win(pure: Pure) -> None:
    variables = [{"name": "B", "value": "2"}, {"name": "A", "value": "x=y z"}, {"name": "E", "type": "VALUE"}]
    message = task(command={"shell": False, "environment": {"variables": variables}})
    assert options(pure, message, "-e", taskEnvironment={"B": "hook", "C": "3"}) == [
        "-e", "A=x=y z", "-e", "B=hook", "-e", "C=3", "-e", "E=", *ENVIRONMENT,
    ]  # fmt: skip


def secret_task(data: bytes | None, *variables: Message) -> Message:
    message = task(command={"shell": False, "environment": {"variables": list(variables)}})
    return message if data is None else {**message, "data": base64.b64encode(data).decode()}


def reference(name: str, to: str) -> Message:
    return {"name": name, "type": "SECRET", "secret": {"type": "REFERENCE", "reference": {"name": to}}}


def test_secrets_come_by_the_environment_of_docker_not_by_its_arguments(pure: Pure) -> None:
    data = json.dumps({"secrets": {"p": "hunter2\nü", "q": "x" * 1000}}).encode()
    message = secret_task(data, reference("PASSWORD", "p"), {"name": "A", "value": "b"}, reference("Q", "q"))
    made = pure("arguments", task=message)
    assert made["environment"] == {"PASSWORD": "hunter2\nü", "Q": "x" * 1000}
    words = made["arguments"]
    assert [words[at + 1] for at, word in enumerate(words) if word == "-e"] == [
        "A=b", *ENVIRONMENT[1::2], "PASSWORD", "Q",
    ]  # fmt: skip
    assert "hunter2" not in " ".join(words)


def test_hooks_win_over_secrets(pure: Pure) -> None:
    message = secret_task(b'{"secrets": {"p": "hunter2"}}', reference("PASSWORD", "p"))
    made = pure("arguments", task=message, context={"taskEnvironment": {"PASSWORD": "hook"}})
    assert made["environment"] == {}
    assert "PASSWORD=hook" in made["arguments"]


@pytest.mark.parametrize(
    ("data", "variable", "problem"),
    [
        (
            None,
            {"name": "P", "type": "SECRET", "secret": {"type": "VALUE"}},
            "'P' is a secret: must be of type",
        ),
        (None, reference("P", "p"), "task.data: must be the JSON of the task's secrets"),
        (b"hunter2", reference("P", "p"), "task.data: must be the JSON of the task's secrets"),
        (b'{"secrets": ["hunter2"]}', reference("P", "p"), "refers to the secret 'p', which task.data lacks"),
        (b'{"secrets": {"q": "hunter2"}}', reference("P", "p"), "refers to the secret 'p', which task.data"),
    ],
)
def test_secrets_that_are_not_carried(
    pure: Pure, data: bytes | None, variable: Message, problem: str
) -> None:
    told = refusal(pure, secret_task(data, variable))
    assert problem in told
    assert "hunter2" not in told


def test_the_description_of_a_container_has_no_secrets(pure: Pure) -> None:
    inspected = {"Id": "c", "Config": {"Env": ["A=b", "PASSWORD=hunter2", "PASSWORD_FILE=/x"]}}
    shown = pure("withoutSecrets", inspected=inspected, secrets={"PASSWORD": "hunter2"})
    assert shown == {"Id": "c", "Config": {"Env": ["A=b", "PASSWORD=(secret)", "PASSWORD_FILE=/x"]}}
    assert pure("withoutSecrets", inspected={"Id": "c"}, secrets={"PASSWORD": "x"}) == {"Id": "c"}


@pytest.mark.parametrize("bytes_", [b"", b"a", b"ab", b"abc", b"abcd", "ü".encode() * 99])
def test_base64_is_read_again(pure: Pure, bytes_: bytes) -> None:
    assert pure("fromBase64", text=base64.b64encode(bytes_).decode()) == bytes_.decode()


@pytest.mark.parametrize("text", ["a", "abc", "ab c", "a===", "====", "ab==cdef"])
def test_what_is_no_base64(pure: Pure, text: str) -> None:
    with pytest.raises(Exception, match="not base64"):
        pure("fromBase64", text=text)


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({"host_path": "/srv", "container_path": "/data", "mode": "RW"}, ["-v", "/srv:/data:rw"]),
        (
            {"host_path": "/srv", "container_path": "data", "mode": "RW"},
            ["-v", "/srv:/mnt/mesos/sandbox/data:rw"],
        ),
        (
            {"host_path": "logs", "container_path": "/log", "mode": "RO"},
            ["-v", "/agent/sandbox/logs:/log:ro"],
        ),
        (
            {
                "container_path": "/data",
                "mode": "RW",
                "source": {"type": "DOCKER_VOLUME", "docker_volume": {"name": "v"}},
            },
            ["-v", "v:/data:rw"],
        ),
        (
            {
                "container_path": "/data",
                "mode": "RW",
                "source": {"type": "DOCKER_VOLUME", "docker_volume": {"name": "v", "driver": "nfs"}},
            },
            ["-v", "v:/data:rw", "--volume-driver=nfs"],
        ),
        (
            {
                "container_path": "/data",
                "mode": "RO",
                "source": {
                    "type": "DOCKER_VOLUME",
                    "docker_volume": {
                        "name": "v",
                        "driver": "nfs",
                        "driver_options": {"parameter": [{"key": "o", "value": "addr=h,rw"}]},
                    },
                },
            },
            [
                "--mount",
                'type=volume,"source=v","target=/data",readonly,"volume-driver=nfs","volume-opt=o=addr=h,rw"',
            ],
        ),
        (
            {
                "container_path": "/data",
                "mode": "RW",
                "source": {
                    "type": "HOST_PATH",
                    "host_path": {"path": "/srv", "mount_propagation": {"mode": "BIDIRECTIONAL"}},
                },
            },
            ["-v", "/srv:/data:rw,rshared"],
        ),
        (
            {
                "container_path": "/data",
                "mode": "RO",
                "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "cache"}},
            },
            ["-v", "/agent/sandbox/cache:/data:ro"],
        ),
    ],
)
def test_volumes(pure: Pure, volume: Message, words: list[str]) -> None:
    found = options(pure, task({"volumes": [volume]}), "-v", "--mount", "--volume-driver")
    assert [word for word in found if word not in (SANDBOX[1],)] != found  # the sandbox is always there
    index = found.index(SANDBOX[1]) - 1
    assert found[:index] + found[index + 2 :] == words


def test_a_relative_host_path_names_a_volume_when_there_is_a_driver(pure: Pure) -> None:
    volume = {"host_path": "data", "container_path": "/data", "mode": "RW"}
    message = task({"volumes": [volume]}, {"volume_driver": "rexray"})
    assert options(pure, message, "-v", "--volume-driver") == [
        "-v", "data:/data:rw", *SANDBOX, "--volume-driver=rexray",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("container", "docker", "fields", "says"),
    [
        ({"volumes": [{"host_path": "a", "container_path": "b", "mode": "RW"}]}, {}, {}, "are relative"),
        ({"volumes": [{"container_path": "/b", "mode": "RW"}]}, {}, {}, "neither host_path nor source"),
        (
            {"volumes": [{"host_path": "/a", "container_path": "/b", "mode": "WO"}]},
            {},
            {},
            "must be RW or RO",
        ),
        ({"volumes": [{"host_path": "/a:b", "container_path": "/b", "mode": "RW"}]}, {}, {}, "colon"),
        (
            {"volumes": [{"container_path": "/b", "mode": "RO", "source": {"type": "SECRET"}}]},
            {},
            {},
            "volume.source.type is 'SECRET'",
        ),
        (
            {
                "volumes": [
                    {
                        "container_path": f"/{driver}",
                        "mode": "RW",
                        "source": {"type": "DOCKER_VOLUME", "docker_volume": {"name": "v", "driver": driver}},
                    }
                    for driver in ("a", "b")
                ]
            },
            {},
            {},
            "one volume driver only",
        ),
        ({"hostname": "h"}, {}, {}, "not possible with network HOST"),
        ({"mesos": {}}, {}, {}, "container.mesos"),
        ({}, {"network": "USER"}, {}, "needs exactly one"),
        ({"network_infos": [{}]}, {"network": "USER"}, {}, "network_infos.name is missing"),
        ({}, {"network": "PIGEON"}, {}, "must be HOST, BRIDGE, NONE or USER"),
        ({"network_infos": [{"port_mappings": [{"host_port": 1}]}]}, {}, {}, "network_infos.port_mappings"),
        (
            {"network_infos": [{"ip_addresses": [{"ip_address": "10.0.0.9"}]}]},
            {"network": "BRIDGE"},
            {},
            "with network USER only",
        ),
        ({}, {"port_mappings": [{"host_port": 1, "container_port": 1}]}, {}, "only with network BRIDGE"),
        (
            {},
            {"network": "BRIDGE", "port_mappings": [{"host_port": 31005, "container_port": 80}]},
            {"resources": [ports((31000, 31004))]},
            "31005 is not among the task's ports",
        ),
        ({"rlimit_info": {"rlimits": [{"type": "RLMT_AS"}]}}, {}, {}, "no limit for 'RLMT_AS'"),
        ({"rlimit_info": {"rlimits": [{"type": "RLMT_CPU", "soft": 1}]}}, {}, {}, "both soft and hard"),
        ({"linux_info": {"effective_capabilities": {}}}, {}, {}, "cap-add and cap-drop"),
        ({"linux_info": {"share_cgroups": False}}, {}, {}, "share_cgroups"),
        ({"linux_info": {"seccomp": {"profile_name": "p"}}}, {}, {}, "security-opt"),
        ({}, {"parameters": [{"key": "name", "value": "web"}]}, {}, "'name' is not free"),
        ({}, {"image": ""}, {}, "image is empty"),
        ({}, {"image": "--privileged"}, {}, "not the name of an image"),
        ({}, {}, {"command": {"shell": True}}, "command.value is missing"),
        ({}, {}, {"resources": [scalar("gpus", 1)]}, "'gpus'"),
        ({}, {}, {"limits": {"mem": {"value": "lots"}}}, "must be a number or Infinity"),
        ({}, {"privileged": "yes"}, {}, "privileged must be true or false"),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    pure: Pure, container: Message, docker: Message, fields: Message, says: str
) -> None:
    assert says in refusal(pure, task(container, docker, **fields))


def test_a_task_without_a_docker_container_is_refused(pure: Pure) -> None:
    assert "container.docker is missing" in refusal(pure, {"task_id": {"value": "t"}})


@pytest.mark.parametrize(
    ("docker", "container", "words"),
    [
        ({}, {}, ["--net", "host"]),
        ({"network": "BRIDGE"}, {"hostname": "web"}, ["--net", "bridge", "--hostname", "web"]),
        ({"network": "NONE"}, {}, ["--net", "none"]),
        ({"network": "USER"}, {"network_infos": [{"name": "blue"}]}, ["--net", "blue"]),
        (
            {"network": "USER"},
            {"network_infos": [{"name": "blue", "ip_addresses": [{"ip_address": "10.0.0.9"}]}]},
            ["--net", "blue", "--ip", "10.0.0.9"],
        ),
        (
            {"network": "USER"},
            {"network_infos": [{"name": "blue", "ip_addresses": [{"ip_address": "fd00::9"}]}]},
            ["--net", "blue", "--ip6", "fd00::9"],
        ),
    ],
)
def test_networks(pure: Pure, docker: Message, container: Message, words: list[str]) -> None:
    assert options(pure, task(container, docker), "--net", "--hostname", "--ip", "--ip6") == words


def test_ports_of_a_user_network(pure: Pure) -> None:
    message = task(
        {"network_infos": [{"name": "blue"}]},
        {
            "network": "USER",
            "port_mappings": [
                {"host_port": 31000, "container_port": 53, "protocol": "UDP"},
                {"host_port": 31002, "container_port": 80},
            ],
        },
        resources=[ports((31000, 31000), (31002, 31003))],
    )
    assert options(pure, message, "-p") == ["-p", "31000:53/udp", "-p", "31002:80"]


DNS = {
    "docker": [
        {
            "network_mode": "BRIDGE",
            "dns": {"nameservers": ["8.8.8.8"], "search": ["x.y"], "options": ["a:3"]},
        },
        {"network_mode": "USER", "dns": {"nameservers": ["1.1.1.1"]}},
        {"network_mode": "USER", "network_name": "blue", "dns": {"nameservers": ["2.2.2.2"]}},
    ]
}


@pytest.mark.parametrize(
    ("docker", "container", "words"),
    [
        ({"network": "BRIDGE"}, {}, ["--dns", "8.8.8.8", "--dns-search", "x.y", "--dns-opt", "a:3"]),
        ({"network": "HOST"}, {}, []),
        ({"network": "USER"}, {"network_infos": [{"name": "blue"}]}, ["--dns", "2.2.2.2"]),
        ({"network": "USER"}, {"network_infos": [{"name": "red"}]}, ["--dns", "1.1.1.1"]),
        (
            {"network": "BRIDGE", "parameters": [{"key": "dns", "value": "9.9.9.9"}]},
            {},
            ["--dns=9.9.9.9"],
        ),
    ],
)
def test_default_dns(pure: Pure, docker: Message, container: Message, words: list[str]) -> None:
    message = task(container, docker)
    assert options(pure, message, "--dns", "--dns-search", "--dns-opt", defaultContainerDns=DNS) == words


@pytest.mark.parametrize(
    ("container", "words"),
    [
        (
            {"rlimit_info": {"rlimits": [{"type": "RLMT_NOFILE", "soft": 10, "hard": 20}]}},
            ["--ulimit", "nofile=10:20"],
        ),
        ({"rlimit_info": {"rlimits": [{"type": "RLMT_CORE"}]}}, ["--ulimit", "core=-1:-1"]),
        ({"tty_info": {}}, ["--tty"]),
        ({"linux_info": {"shm_size": 64, "ipc_mode": "PRIVATE"}}, ["--ipc=private", "--shm-size=64m"]),
        ({"linux_info": {"ipc_mode": "SHARE_PARENT"}}, ["--ipc=host"]),
        ({"linux_info": {"share_pid_namespace": True}}, ["--pid=host"]),
        ({"linux_info": {"seccomp": {"unconfined": True}}}, ["--security-opt=seccomp=unconfined"]),
    ],
)
def test_further_wishes(pure: Pure, container: Message, words: list[str]) -> None:
    names = {word.split("=")[0] for word in words if word.startswith("--")}
    assert options(pure, task(container), *names)[: len(words)] == words


def test_privileged(pure: Pure) -> None:
    assert arguments(pure, task(docker={"privileged": True}))[0] == "--privileged"


def test_labels_of_the_task(pure: Pure) -> None:
    message = task(labels={"labels": [{"key": "service", "value": "web"}, {"key": "flag"}]})
    assert options(pure, message, "--label") == [
        *LABELS, "--label", "mesos.label.service=web", "--label", "mesos.label.flag=",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "tail"),
    [
        ({"shell": False}, ["web:1"]),
        ({"shell": False, "value": "sleep", "arguments": ["1", "-x"]}, ["web:1", "sleep", "1", "-x"]),
        ({"shell": False, "arguments": ["--flag"]}, ["web:1", "--flag"]),
        ({"value": "a && b"}, ["web:1", "-c", "a && b"]),
    ],
)
def test_commands(pure: Pure, command: Message, tail: list[str]) -> None:
    words = arguments(pure, task(command=command))
    assert words[words.index("web:1") :] == tail
    assert ("--entrypoint" in words) == command.get("shell", True)


def test_what_mesos_documents_as_without_effect_is_said(pure: Pure) -> None:
    assert "its image's user" in notes(pure, task(command={"shell": False, "user": "nobody"}))[0]
    assert "no effect" in notes(pure, task(command={"value": "true", "arguments": ["x"]}))[0]
    assert notes(pure, task()) == []


def test_gpus_that_a_parameter_hands_over(pure: Pure) -> None:
    message = task(docker={"parameters": [{"key": "gpus", "value": "1"}]}, resources=[scalar("gpus", 1)])
    assert "--gpus=1" in arguments(pure, message)
