"""Commands in instances, as the API takes them."""

from __future__ import annotations

import base64
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from mesos_docker_scheduler import web
from site_fake import Site


class Terminal(Site):
    """A site with an instance, and the executor's side."""

    def __init__(self) -> None:
        super().__init__()
        self.task = self.run()[0]
        self.numbers: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)

    def start(self, **body: Any) -> Any:
        return self.post(f"/v1/instances/{self.task}/exec", {"command": ["id"], **body})

    def say(self, session: str, kind: str, **body: Any) -> None:
        number = next(self.numbers[session])
        message = {"exec": {"session": session, "number": number, "type": kind, **body}}
        self.sources.execs.heard(self.task, json.dumps(message).encode())

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(data)["exec"] for _, _, data in self.messages]


@pytest.fixture
def site() -> Terminal:
    return Terminal()


def test_a_command_is_on_record_and_its_output_can_be_read(site: Terminal) -> None:
    answer = site.start(command=["sh", "-c", "ls 'a b'"])
    assert answer.status_code == 201
    session = answer.json()["session"]
    assert site.messages[0][:2] == (site.task, "a")
    assert site.sent[0]["command"] == ["sh", "-c", "ls 'a b'"]
    event = next(event for event in site.bench.events if event.kind == "operator")
    assert (event.task_id, event.service) == (site.task, "web")
    assert event.text == "sh -c 'ls '\"'\"'a b'\"'\"'' is run in the instance (site, from testclient)"

    site.say(session, "OUTPUT", offset=0, stream="stderr", data=base64.b64encode(b"oops").decode())
    site.say(session, "ENDED", status=2, offset=4)
    lines = [
        line for line in site.client.get(f"/v1/exec/{session}/output").text.splitlines() if line[:1] == "d"
    ]
    assert lines == ['data: {"stream":"stderr","data":"b29wcw=="}', 'data: {"status":2}']
    assert site.client.get(f"/v1/exec/{session}/output").status_code == 404


def test_attaching(site: Terminal) -> None:
    path = f"/v1/instances/{site.task}/attach"
    assert site.client.post(path).status_code == 201
    terminal = {"type": "xterm", "rows": 24, "columns": 80}
    assert site.post(path, {"input": True, "terminal": terminal}).status_code == 201
    assert site.post(path, {"command": ["id"]}).status_code == 400
    assert [(one["type"], one["input"], one["terminal"]) for one in site.sent] == [
        ("ATTACH", False, None),
        ("ATTACH", True, terminal),
    ]
    assert "command" not in site.sent[0]
    texts = [event.text for event in site.bench.events if event.kind == "operator"]
    assert texts == ["somebody attaches to the instance (site, from testclient)"] * 2


def test_input_and_size(site: Terminal) -> None:
    session = site.start(input=True, terminal={"type": "xterm", "rows": 24, "columns": 80}).json()["session"]
    path = f"/v1/exec/{session}"
    assert site.post(f"{path}/input", {"offset": 0, "data": "aGk="}).status_code == 200
    assert site.post(f"{path}/input", {"offset": 0, "data": "aGk="}).status_code == 200, "asked again"
    assert site.post(f"{path}/input", {"offset": 1, "data": "aGk="}).status_code == 409
    assert site.post(f"{path}/input", {"offset": 2, "data": "?"}).json()["error"].startswith("data: ")
    assert site.post(f"{path}/resize", {"rows": 0, "columns": 80}).status_code == 400
    assert site.post(f"{path}/resize", {"rows": 30, "columns": 80}).status_code == 200
    assert site.post(f"{path}/stop").status_code == 200
    assert [one["type"] for one in site.sent] == ["START", "INPUT", "RESIZE", "END"]


def test_what_is_refused(site: Terminal) -> None:
    for body, field in (
        ({"command": []}, "command"),
        ({"command": ["a\0"]}, "command"),
        ({"command": "ls"}, "command"),
        ({"terminal": {"type": "a b", "rows": 1, "columns": 1}}, "terminal.type"),
        ({"terminal": {"type": "a", "rows": 10**6, "columns": 1}}, "terminal.rows"),
        ({"user": "root"}, "user"),
    ):
        answer = site.start(**body)
        assert answer.status_code == 400
        assert field in answer.json()["error"]
    assert site.post("/v1/instances/web.no.such/exec", {"command": ["id"]}).status_code == 404
    site.bench.take(after=1)
    site.post(f"/v1/instances/{site.task}/kill")
    assert "is being stopped" in site.start().json()["error"]
    assert site.messages == []


def test_who_may_only_look_may_not_and_sessions_are_their_owners(site: Terminal) -> None:
    other = site.post("/v1/tokens/other/create", {"role": "operate"}).json()["token"]
    reader = site.post("/v1/tokens/reader/create", {"role": "read"}).json()["token"]
    path = f"/v1/instances/{site.task}/exec"
    assert site.stranger.post(path, json={"command": ["id"]}).status_code == 401
    as_reader = {"Authorization": f"Bearer {reader}"}
    assert site.stranger.post(path, json={"command": ["id"]}, headers=as_reader).status_code == 403
    session = site.start().json()["session"]
    for headers, status in (({}, 401), (as_reader, 403), ({"Authorization": f"Bearer {other}"}, 404)):
        for client in (site.stranger,):
            assert client.get(f"/v1/exec/{session}/output", headers=headers).status_code == status
            answer = client.post(f"/v1/exec/{session}/stop", headers=headers)
            assert answer.status_code == status


def test_without_a_token_nothing_can_be_run() -> None:
    site = Site(access=web.Access(None))
    task = site.run()[0]
    answer = site.stranger.post(f"/v1/instances/{task}/exec", json={"command": ["id"]})
    assert answer.status_code == 403
    assert site.messages == []
