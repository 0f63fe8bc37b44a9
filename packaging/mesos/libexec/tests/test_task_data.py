"""What only a task's executor gets to see: secrets and URIs in TaskInfo.data, on real Mesos."""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import Framework, command_task, docker_task, eventually

Message = dict[str, Any]
pytestmark = pytest.mark.integration


class Guarded(BaseHTTPRequestHandler):
    """Gives "hello" for /it to whoever has the password; /stall never ends."""

    password = ""
    stalling = threading.Event()

    def do_GET(self) -> None:
        wanted = base64.b64encode(f"ann:{self.password}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            self.send_error(401)
        elif self.path.startswith("/stall"):
            self.send_response(200)
            self.end_headers()
            self.stalling.set()
            time.sleep(20)
        else:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Where it is, with the password."""
    Guarded.password = uuid.uuid4().hex
    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://ann:{Guarded.password}@127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=["mesos", "docker"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def on(kind: str, request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("command_bed" if kind == "mesos" else "bed")


@pytest.fixture
def framework(on: Any) -> Iterator[Framework]:
    with Framework(on.master.address) as subscribed:
        yield subscribed
        subscribed.teardown()


def task(kind: str, command: str, data: Message | str, **fields: Any) -> Message:
    text = data if isinstance(data, str) else json.dumps(data)
    made = command_task(command) if kind == "mesos" else docker_task(command=command)
    return {**made, "data": base64.b64encode(text.encode()).decode(), **fields}


def launch(framework: Framework, task: Message) -> str:
    framework.launch([task])
    return str(task["task_id"]["value"])


def file_at(uri: str, **fields: Any) -> Message:
    return {"fetch": [{"value": uri, "output_file": "in/it", **fields}]}


def test_a_file_that_needs_a_password(kind: str, on: Any, framework: Framework, server: str) -> None:
    task_id = launch(framework, task(kind, 'cat "$MESOS_SANDBOX/in/it"', file_at(f"{server}/it?token=x")))
    framework.wait_state(task_id, "TASK_FINISHED")
    sandbox = on.sandbox(task_id)
    assert (sandbox / "stdout").read_text().endswith("hello")
    said = (sandbox / "stderr").read_text()
    assert "Fetched 'in/it'" in said
    assert "http" not in said


def test_a_file_that_is_not_given(kind: str, on: Any, framework: Framework, server: str) -> None:
    wrong = server.replace("ann:", "ann:not")
    task_id = launch(framework, task(kind, "true", file_at(f"{wrong}/it")))
    update = framework.wait_state(task_id, "TASK_FAILED")
    assert update["message"] == (
        "The task's files can't be fetched: Failed to fetch 'in/it': the server answered with 401"
    )
    assert update["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
    assert Guarded.password not in (on.sandbox(task_id) / "stderr").read_text()


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("http://us/er:pass@127.0.0.1/x", "Couldn't resolve host name"),
        ("file:///etc/passwd", "a confidential URI must begin with http://, https://, ftp:// or ftps://"),
        (
            "s3a://key:pass@bucket/x",
            "a confidential URI must begin with http://, https://, ftp:// or ftps://",
        ),
    ],
)
def test_nothing_of_the_uri_is_told(kind: str, framework: Framework, uri: str, why: str) -> None:
    told = framework.wait_state(launch(framework, task(kind, "true", file_at(uri))), "TASK_FAILED")["message"]
    assert told == f"The task's files can't be fetched: Failed to fetch 'in/it': {why}"


def test_a_kill_while_files_are_fetched(kind: str, framework: Framework, server: str) -> None:
    Guarded.stalling.clear()
    task_id = launch(framework, task(kind, "true", file_at(f"{server}/stall")))
    assert Guarded.stalling.wait(20)
    framework.kill(task_id)
    framework.wait_state(task_id, "TASK_KILLED", 5)


@pytest.mark.parametrize("data", ["", "its own matter", "[1]", '{"another": 1}'])
def test_data_of_another_sort_is_left_alone(kind: str, framework: Framework, data: str) -> None:
    framework.wait_state(launch(framework, task(kind, "true", data)), "TASK_FINISHED")


@pytest.mark.parametrize("kind", ["mesos"], indirect=True)
def test_a_command_and_its_check_see_its_secrets(on: Any, framework: Framework) -> None:
    check = {"type": "COMMAND", "command": {"value": 'test "$KEY" = "a \'b\'"'}, "interval_seconds": 0.2}
    secrets = {"secrets": {"KEY": "a 'b'", "LD_PRELOAD": "/no/such"}}
    command = 'env | grep -E "^(KEY|LD_)" | sort; sleep 1000'
    task_id = launch(framework, task("mesos", command, secrets, health_check=check))
    framework.wait_state(task_id, "TASK_RUNNING")
    eventually(lambda: framework.of(task_id)[-1].get("healthy"), "healthy")
    assert (on.sandbox(task_id) / "stdout").read_text() == "KEY=a 'b'\nLD_PRELOAD=/no/such\n"


@pytest.mark.parametrize("kind", ["mesos"], indirect=True)
@pytest.mark.parametrize(
    ("secrets", "why"),
    [
        (["hunter2"], "task.data: secrets must be a JSON object of texts"),
        ({"KEY": 17}, "task.data: the secret 'KEY' must be a text"),
    ],
)
def test_secrets_that_are_none(framework: Framework, secrets: Any, why: str) -> None:
    task_id = launch(framework, task("mesos", "true", {"secrets": secrets}))
    assert framework.wait_state(task_id, "TASK_FAILED")["message"] == f"The task can't be run: {why}"


@pytest.mark.parametrize("kind", ["mesos"], indirect=True)
def test_what_a_slave_keeps_of_a_commands_secrets(on: Any, framework: Framework) -> None:
    """One file, which root alone can read and which is gone with the task."""
    secret = uuid.uuid4().hex
    task_id = launch(framework, task("mesos", "sleep 1000", {"secrets": {"KEY": secret}}))
    framework.wait_state(task_id, "TASK_RUNNING")
    shapes = shapes_of(f'{{"secrets": {{"KEY": "{secret}"}}}}'.encode(), secret.encode())
    keeping = holders(on, shapes)
    assert [file.name for file in keeping] == ["config"]
    assert keeping[0].stat().st_mode & 0o077 == 0
    assert keeping[0].is_relative_to(str(on.agent.flags["runtime_dir"]))
    for url in (f"http://{on.master.address}/state", f"http://{on.agent.address}/state"):
        told = urllib.request.urlopen(url, timeout=10).read()
        assert task_id.encode() in told
        assert not any(shape in told for shape in shapes)
    framework.kill(task_id)
    framework.wait_state(task_id, "TASK_KILLED")
    eventually(lambda: not holders(on, shapes), "nothing left")


def shapes_of(*texts: bytes) -> list[bytes]:
    return [shape for text in texts for shape in (text, base64.b64encode(text))]


def holders(on: Any, shapes: list[bytes]) -> list[Path]:
    folder = Path(str(on.agent.flags["work_dir"])).parent
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if any(shape in content for shape in shapes):
                found.append(path)
    return found
