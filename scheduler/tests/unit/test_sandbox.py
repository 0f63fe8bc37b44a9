"""Reading what instances have written, from a slave that answers as Mesos' does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from certificates import make_certificates, server_context, tls_settings
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.driver import Credential
from mesos_docker_scheduler.driver.credential import basic_authorization
from mesos_docker_scheduler.sandbox import Part, SandboxError, Sandboxes, part_of

PATH = "/frameworks/F/executors/web.1/runs/latest/stdout"
CONTENT = "first\nsecönd\n".encode() + b"\xff\n"
# A rotated one, and what was before.
ROTATED = "/frameworks/F/executors/web.9/runs/latest/stdout"
FILES = {PATH: CONTENT, ROTATED: b"now\n", f"{ROTATED}.1": b"seen before\nnot yet\n"}


class Slave(BaseHTTPRequestHandler):
    """/files/read of Mesos 1.11 (docs/endpoints/files/read.md): bytes go into the JSON as they are."""

    known: ClassVar[str | None] = None
    shown: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.shown.append(self.headers.get("Authorization"))
        if self.known is not None and self.shown[-1] != self.known:
            self.send_error(401)
            return
        asked = parse_qs(urlsplit(self.path).query)
        content = FILES.get(asked["path"][0])
        if content is None:
            self.send_error(404)
            return
        offset, length = int(asked["offset"][0]), int(asked["length"][0])
        if offset == -1:
            body = b'{"data":"","offset":%d}' % len(content)
        else:
            data = content[offset : offset + length].replace(b"\n", b"\\n")
            body = b'{"data":"%s","offset":%d}' % (data, offset)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def slave() -> Iterator[str]:
    Slave.shown.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Slave) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def read(url: str, task_id: str = "web.1", offset: int | None = None, length: int = 1000) -> Part:
    return asyncio.run(Sandboxes().read(url, "F", task_id, "stdout", offset, length))


@contextmanager
def tls_slave(certificates: Path) -> Iterator[str]:
    """A slave that speaks TLS; its URL is as Mesos' masters say, whatever the slave speaks."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Slave) as server:
        server.socket = server_context(certificates).wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_only_a_slave_that_has_shown_who_it_is_sees_the_credential(slave: str, tmp_path: Path) -> None:
    make_certificates(tmp_path)
    credential = Credential("scheduler", lambda: ["secret"])
    asyncio.run(Sandboxes(None, credential).read(slave, "F", "web.1", "stdout", 0, 1))
    assert Slave.shown == [None]
    with tls_slave(tmp_path) as url:
        reading = Sandboxes(tls_settings(tmp_path), credential).read(url, "F", "web.1", "stdout", 0, 1)
        assert asyncio.run(reading).data == "f"
    assert Slave.shown[1:] == [basic_authorization("scheduler", "secret")]


def test_a_slave_may_know_the_secret_of_before_or_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_certificates(tmp_path)
    secrets = ["old"]
    sandboxes = Sandboxes(tls_settings(tmp_path), Credential("p", lambda: secrets))
    old, new = basic_authorization("p", "old"), basic_authorization("p", "new")
    with tls_slave(tmp_path) as url:
        for known, shown in ((old, [old]), (new, [old, new]), (old, [new, old]), (old, [old])):
            Slave.shown.clear()
            monkeypatch.setattr(Slave, "known", known)
            assert asyncio.run(sandboxes.read(url, "F", "web.1", "stdout", 0, 1)).data == "f"
            assert Slave.shown == shown
            secrets[:] = ["new", "old"]
        monkeypatch.setattr(Slave, "known", "another")
        with pytest.raises(SandboxError, match="HTTP 401"):
            asyncio.run(sandboxes.read(url, "F", "web.1", "stdout", 0, 1))


def test_reads_the_end_or_from_an_offset_on(slave: str) -> None:
    whole = Part("first\nsecönd\n�\n", 0, len(CONTENT))
    assert read(slave, offset=0) == whole
    assert read(slave) == whole
    assert read(slave, offset=6) == Part("secönd\n�\n", 6, len(CONTENT))
    assert read(slave, length=2) == Part("�\n", len(CONTENT) - 2, len(CONTENT))
    assert read(slave, offset=len(CONTENT)) == Part("", len(CONTENT), len(CONTENT))


def test_a_rotation_is_followed(slave: str) -> None:
    """The executor has renamed what was read so far: its rest comes first, then the new file."""
    before = len("seen before\n")
    rest = read(slave, "web.9", offset=before)
    assert rest == Part("not yet\n", before, before + 8)
    assert read(slave, "web.9", offset=rest.end) == Part("now\n", 0, 4)
    assert read(slave, "web.9", offset=4) == Part("", 4, 4)


def test_a_file_that_is_shorter_than_before_begins_anew(slave: str) -> None:
    assert read(slave, offset=1000) == Part("first\nsecönd\n�\n", 0, len(CONTENT))


def test_a_character_is_never_cut_in_two(slave: str) -> None:
    assert read(slave, offset=6, length=5) == Part("sec", 6, 9) or read(slave, offset=6, length=5) == Part(
        "secö", 6, 11
    )
    assert read(slave, offset=6, length=4) == Part("sec", 6, 9)


@given(st.text(max_size=60), st.integers(1, 9))
def test_parts_make_the_whole_again(text: str, length: int) -> None:
    raw, offset, parts = text.encode(), 0, []
    while offset < len(raw):
        part = part_of(raw[offset : offset + max(length, 4)], offset)
        assert part.end > offset
        parts.append(part.data)
        offset = part.end
    assert "".join(parts) == text


def test_what_is_not_there(slave: str) -> None:
    with pytest.raises(SandboxError, match="no such output") as problem:
        read(slave, task_id="web.2")
    assert problem.value.missing


def test_a_slave_that_does_not_answer() -> None:
    with pytest.raises(SandboxError, match="does not answer") as problem:
        read("http://127.0.0.1:1")
    assert not problem.value.missing
