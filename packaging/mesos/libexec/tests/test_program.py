"""The program itself: its command line, its environment, and what it was built into."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REQUIRED = {
    "--container": "mesos-1",
    "--docker": "docker",
    "--docker_socket": "/nowhere/docker.sock",
    "--sandbox_directory": "/tmp",
    "--mapped_directory": "/mnt",
    "--launcher_dir": "/tmp",
}


def run(
    executor: Path, *words: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [executor, *words], capture_output=True, text=True, env=environment or {}, timeout=20, check=False
    )


def flags(**replaced: str | None) -> list[str]:
    merged = {**REQUIRED, **{f"--{name}": value for name, value in replaced.items()}}
    return [f"{name}={value}" for name, value in merged.items() if value is not None]


def test_help_and_version(executor: Path) -> None:
    shown = run(executor, "--help")
    assert shown.returncode == 0
    for name in ("container", "docker_socket", "cgroups_enable_cfs", "logging_level"):
        assert name in shown.stdout
    assert run(executor, "--version").stdout == "mesos-docker-executor 1.11.0\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--no-such-flag"], "unknown flag '--no-such-flag'"),
        (["--container"], "'--container' needs a value"),
        (["stray"], "unexpected argument 'stray'"),
        (flags(container=None), "missing required flag '--container'"),
        (flags(docker=None), "missing required flag '--docker'"),
        (flags(docker_socket="docker.sock"), "'--docker_socket': 'docker.sock' must be an absolute path"),
        (flags(stop_timeout="5"), "'--stop_timeout': '5' is not a duration"),
        (flags(task_environment='{"A": 1}'), "'--task_environment': the value of 'A' must be a text"),
        (flags(task_environment="A=1"), "'--task_environment': the value is not JSON"),
        (flags(cgroups_enable_cfs="maybe"), "'--cgroups_enable_cfs': 'maybe' must be true or false"),
        (flags(logging_level="LOUD"), "must be INFO, WARNING or ERROR"),
    ],
)
def test_bad_flags_are_named(executor: Path, words: list[str], says: str) -> None:
    refused = run(executor, *words)
    assert refused.returncode == 1
    assert says in refused.stderr.splitlines()[0]


@pytest.mark.parametrize("name", ["mesos-executor", "mesos-default-executor"])
def test_the_other_executors(executor: Path, name: str) -> None:
    program = executor.parent / name
    assert run(program, "--version").stdout == f"{name} 1.11.0\n"
    assert "--launcher_dir" in run(program, "--help").stdout
    refused = run(program, "--launcher_dir=here")
    assert refused.returncode == 1
    assert "'--launcher_dir': 'here' must be an absolute path" in refused.stderr


@pytest.mark.parametrize("missing", ["MESOS_AGENT_ENDPOINT", "MESOS_FRAMEWORK_ID", "MESOS_DIRECTORY"])
def test_it_wants_an_agent(executor: Path, missing: str) -> None:
    environment = {
        "MESOS_AGENT_ENDPOINT": "127.0.0.1:1",
        "MESOS_FRAMEWORK_ID": "f",
        "MESOS_EXECUTOR_ID": "e",
        "MESOS_DIRECTORY": "/tmp",
    }
    del environment[missing]
    refused = run(executor, *flags(), environment=environment)
    assert refused.returncode == 1
    assert f"the environment has no {missing}" in refused.stderr


def test_without_an_agent_and_a_checkpoint_it_ends(executor: Path) -> None:
    environment = {
        "MESOS_AGENT_ENDPOINT": "127.0.0.1:1",
        "MESOS_FRAMEWORK_ID": "f",
        "MESOS_EXECUTOR_ID": "e",
        "MESOS_DIRECTORY": "/tmp",
    }
    assert run(executor, *flags(), environment=environment).returncode == 0


def test_tls_settings_are_checked(executor: Path) -> None:
    environment = {
        "MESOS_AGENT_ENDPOINT": "127.0.0.1:1",
        "MESOS_FRAMEWORK_ID": "f",
        "MESOS_EXECUTOR_ID": "e",
        "MESOS_DIRECTORY": "/tmp",
        "LIBPROCESS_SSL_ENABLED": "true",
    }
    assert "LIBPROCESS_SSL_KEY_FILE" in run(executor, *flags(), environment=environment).stderr


def output(*words: str | Path) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def newest(executor: Path, prefix: str) -> tuple[int, ...]:
    symbols = subprocess.run(["objdump", "-T", executor], capture_output=True, text=True, check=True).stdout
    return max(
        tuple(map(int, version.split("."))) for version in re.findall(rf"\({prefix}_([0-9.]+)\)", symbols)
    )


def test_it_runs_on_the_oldest_supported_distribution(executor: Path) -> None:
    """Ubuntu 22.04 has glibc 2.35 and libstdc++ with GLIBCXX_3.4.30."""
    assert newest(executor, "GLIBC") <= (2, 35)
    assert newest(executor, "GLIBCXX") <= (3, 4, 30)


def test_it_is_hardened(executor: Path) -> None:
    dynamic = subprocess.run(
        ["readelf", "-hldW", executor], capture_output=True, text=True, check=True
    ).stdout
    assert "DYN (Position-Independent Executable" in dynamic
    assert "GNU_RELRO" in dynamic
    assert "BIND_NOW" in dynamic
    assert "RWE" not in dynamic
