"""The docker client that the agent calls: what an engine no longer says of an image and Mesos insists on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CLIENT = Path(__file__).parents[1] / "launcher" / "mesos-docker-client"
# As `docker inspect` prints a description.
DESCRIPTION = json.dumps([{"Id": "sha256:0", "Config": {"Entrypoint": None}}], indent=4)
OLD_DESCRIPTION = json.dumps(
    [{"Id": "sha256:0", "ContainerConfig": {"Entrypoint": ["/x"], "Env": ["A=1"]}}], indent=4
)

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Run the client with a docker program that prints this and exits so."""

    def run(*arguments: str, prints: str = "", exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        (tmp_path / "printed").write_text(prints + "\n")
        docker = tmp_path / "docker"
        docker.write_text(f'#!/bin/sh\ncat "{tmp_path}/printed"\necho "called: $*" >&2\nexit {exit_code}\n')
        docker.chmod(0o755)
        command = [str(CLIENT), "-H", "unix:///socket", *arguments]
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def described(answer: subprocess.CompletedProcess[str]) -> Any:
    (description,) = json.loads(answer.stdout)
    return description


def test_an_image_gets_what_mesos_looks_for(call: Call) -> None:
    answer = call("inspect", "demo/web:1", prints=DESCRIPTION)
    assert described(answer) == {
        "ContainerConfig": {"Entrypoint": None, "Env": None},
        "Id": "sha256:0",
        "Config": {"Entrypoint": None},
    }
    assert answer.stderr == "called: -H unix:///socket inspect demo/web:1\n"


def test_what_the_engine_says_itself_wins(call: Call) -> None:
    answer = call("inspect", "demo/web:1", prints=OLD_DESCRIPTION)
    assert described(answer)["ContainerConfig"] == {"Entrypoint": ["/x"], "Env": ["A=1"]}


@pytest.mark.parametrize(
    "command", [["inspect", "--type=container", "mesos-1"], ["pull", "demo/web:1"], ["ps"]]
)
def test_anything_else_is_passed_on(call: Call, command: list[str]) -> None:
    answer = call(*command, prints=DESCRIPTION, exit_code=3)
    assert answer.stdout == DESCRIPTION + "\n"
    assert answer.returncode == 3


def test_a_failure_is_passed_on(call: Call) -> None:
    assert call("inspect", "no/such:image", prints="[]", exit_code=1).returncode == 1
