"""The fetcher by itself: what it puts where, and what it refuses of servers and archives that mean harm."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import subprocess
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Message = dict[str, Any]
Member = tuple[tarfile.TarInfo, bytes] | tuple[str, bytes]


class Files(BaseHTTPRequestHandler):
    """Serves what a test puts into `content`; `asked` counts."""

    content: dict[str, bytes]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        path = self.path.partition("?")[0]
        if path == "/stall":
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"some")
            self.wfile.flush()
            time.sleep(20)
            return
        if path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", path.removeprefix("/to/"))
            self.end_headers()
            return
        body = self.content.get(path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"") + (5 if path == "/short" else 0)))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Served:
    """A server and the fetcher's program, with a sandbox."""

    def __init__(self, program: Path, folder: Path, port: int) -> None:
        self.program = program
        self.sandbox = folder / "sandbox"
        self.sandbox.mkdir()
        self.url = f"http://127.0.0.1:{port}"
        Files.content, Files.asked = {}, []

    def fetch(self, *uris: str | Message, **more: Any) -> subprocess.CompletedProcess[str]:
        """Have all of them fetched; a Message is an item."""
        items = [
            uri if isinstance(uri, dict) else {"action": "BYPASS_CACHE", "uri": {"value": uri}}
            for uri in uris
        ]
        info = {"sandbox_directory": str(self.sandbox), "items": items, **more}
        return subprocess.run(
            [self.program],
            env={"PATH": os.environ["PATH"], "MESOS_FETCHER_INFO": json.dumps(info)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def serve(self, path: str, body: bytes) -> str:
        """Serve this; returns its URI."""
        Files.content[path] = body
        return self.url + path

    def names(self) -> set[str]:
        """All that is in the sandbox."""
        return {str(path.relative_to(self.sandbox)) for path in self.sandbox.rglob("*")}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def served(executor: Path, tmp_path: Path, port: int) -> Served:
    return Served(executor.parent / "mesos-fetcher", tmp_path, port)


def item(value: str, action: str = "BYPASS_CACHE", cache_filename: str = "", **uri: Any) -> Message:
    return {"action": action, "cache_filename": cache_filename, "uri": {"value": value, **uri}}


def tar(*members: Member, mode: str = "w") -> bytes:
    """An archive of these: names or headers, each with its contents."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for head, content in members:
            info = head if isinstance(head, tarfile.TarInfo) else tarfile.TarInfo(head)
            if content:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def entry(name: str, kind: bytes, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


# --- What is got


def test_a_file_from_a_server(served: Served) -> None:
    run = served.fetch(served.serve("/a/file.txt", b"hello"))
    assert run.returncode == 0, run.stderr
    assert (served.sandbox / "file.txt").read_bytes() == b"hello"
    assert (served.sandbox / "file.txt").stat().st_mode & 0o777 == 0o644


def test_a_file_by_another_name_and_executable(served: Served) -> None:
    uri = served.serve("/run", b"#!/bin/sh\n")
    assert served.fetch(item(uri, output_file="bin/here/it", executable=True)).returncode == 0
    assert os.access(served.sandbox / "bin/here/it", os.X_OK)


def test_a_file_of_this_host(served: Served, tmp_path: Path) -> None:
    (tmp_path / "local").write_text("mine")
    assert served.fetch(str(tmp_path / "local")).returncode == 0
    assert served.fetch(f"file://{tmp_path}/local").returncode == 0
    assert served.fetch("local", frameworks_home=str(tmp_path)).returncode == 0
    assert (served.sandbox / "local").read_text() == "mine"
    refused = served.fetch("local")
    assert "a relative path needs the agent's --frameworks_home" in refused.stderr


@pytest.mark.parametrize("path", ["/dev/zero", "/proc", "/no/such/file"])
def test_what_is_no_file_of_this_host(served: Served, path: str) -> None:
    assert served.fetch(path).returncode == 1
    assert served.names() == set()


def test_a_redirect_is_followed_but_not_to_this_host(served: Served) -> None:
    uri = served.serve("/moved", b"hello")
    assert served.fetch(item(f"{served.url}/to/{uri}", output_file="it")).returncode == 0
    assert (served.sandbox / "it").read_bytes() == b"hello"
    assert served.fetch(item(f"{served.url}/to/file:///etc/passwd", output_file="passwd")).returncode == 1
    assert "passwd" not in served.names()


@pytest.mark.parametrize("path", ["/nothing", "/short"])
def test_half_of_a_file_is_none(served: Served, path: str) -> None:
    served.serve("/short", b"half")
    run = served.fetch(served.url + path)
    assert run.returncode == 1
    assert f"Failed to fetch '{served.url}{path}': " in run.stderr
    assert served.names() == set()


def test_a_server_that_stalls_is_left(served: Served) -> None:
    started = time.monotonic()
    run = served.fetch(f"{served.url}/stall", stall_timeout={"nanoseconds": 2 * 10**9})
    assert (run.returncode, served.names()) == (1, set())
    assert time.monotonic() - started < 10


def test_passwords_are_not_told(served: Served) -> None:
    uri = served.serve("/it", b"hello").replace("http://", "http://ann:secret@") + "?token=secret#secret"
    for each in (uri, uri.replace("/it", "/nothing")):
        run = served.fetch(item(each, output_file="it"))
        assert "secret" not in run.stdout + run.stderr
    assert "http://***@127.0.0.1" in run.stderr
    for each in (
        "http://ann:sec/ret@127.0.0.1:1/x",
        "http://ann:sec?ret@127.0.0.1:1/x",
        "http://127.0.0.1:1/x?a@sec&b=ret",
    ):
        run = served.fetch(item(each, output_file="it"))
        assert run.returncode == 1
        assert "sec" not in run.stderr
        assert "ret" not in run.stderr.replace("retr", "")
    long = served.serve("/it.bin", b"hello") + "?signature=secret" + "x" * 300
    run = served.fetch(long)
    assert "File name too long" in run.stderr
    assert "secret" not in run.stderr


def test_a_confidential_uri_is_not_told_at_all(served: Served) -> None:
    uri = served.serve("/hidden", b"hello")
    run = served.fetch({**item(uri, output_file="it"), "confidential": True})
    assert (run.returncode, "Fetched 'it'" in run.stderr, "hidden" in run.stderr) == (0, True, False)
    for each, why in (
        (f"{served.url}/hide", "the server answered with 404"),
        ("http://hidden.invalid/x", "Couldn't resolve host name"),
        (served.url + "/hid\nden", "must be one line"),
        ("/hidden/file", "a confidential URI must begin with"),
        ("hidden://x/y", "a confidential URI must begin with"),
    ):
        run = served.fetch({**item(each, output_file="it"), "confidential": True})
        assert (run.returncode, why in run.stderr, "hid" in run.stderr) == (1, True, False), run.stderr
    run = served.fetch({**item(uri), "confidential": True})
    assert (run.returncode, "hidden" in run.stderr) == (1, False)
    assert "uri.output_file is missing" in run.stderr


def test_a_fetcher_that_is_killed_leaves_nothing(served: Served) -> None:
    uri = {"action": "BYPASS_CACHE", "uri": {"value": f"{served.url}/stall"}}
    info = json.dumps({"sandbox_directory": str(served.sandbox), "items": [uri]})
    with subprocess.Popen([served.program], env={"MESOS_FETCHER_INFO": info}) as process:
        while "/stall" not in Files.asked:
            time.sleep(0.05)
        time.sleep(0.2)
        process.kill()
    assert served.names() == set()


def test_hadoop_where_it_is_not(served: Served) -> None:
    assert "'hdfs' needs Hadoop's client" in served.fetch("hdfs://name/it").stderr


def test_hadoop(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "hadoop"
    program.write_text('#!/bin/sh\necho "$1 $2 $3" > "$4"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert served.fetch("hdfs://name/it").returncode == 0
    assert (served.sandbox / "it").read_text() == "fs -copyToLocal hdfs://name/it\n"


def test_another_user(served: Served, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    os.chown(served.sandbox, 65534, 65534)
    (tmp_path / "private").write_text("root's")
    (tmp_path / "private").chmod(0o600)
    assert served.fetch(served.serve("/it", b"hello"), user="nobody").returncode == 0
    assert (served.sandbox / "it").stat().st_uid == 65534
    assert "Permission denied" in served.fetch(str(tmp_path / "private"), user="nobody").stderr
    assert "no such user on this host: 'nemo'" in served.fetch("/etc/passwd", user="nemo").stderr


def test_the_cache(served: Served, tmp_path: Path) -> None:
    uri, cache = served.serve("/it.tar", tar(("inside", b"hello"))), str(tmp_path / "cache" / "root")
    first = item(uri, "DOWNLOAD_AND_CACHE", "c1-it.tar")
    assert served.fetch(first, cache_directory=cache, user="root").returncode == 0
    again = [
        item(uri, "RETRIEVE_FROM_CACHE", "c1-it.tar"),
        item(uri, "RETRIEVE_FROM_CACHE", "c1-it.tar", extract=False),
    ]
    assert served.fetch(*again, cache_directory=cache).returncode == 0
    assert served.names() == {"inside", "it.tar"}
    assert Files.asked == ["/it.tar"]


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ({"items": [item("")]}, "uri.value is empty"),
        ({"items": [item("http://host/")]}, "must name a file"),
        ({"items": [item("http://host/x/..")]}, "must not have a part '..'"),
        ({"items": [item("/x", output_file="stdout")]}, "is the agent's own file"),
        ({"items": [item("/x", output_file="/etc/x")]}, "must be relative to the sandbox"),
        ({"items": [item("/x", output_file="a/../../x")]}, "must not have a part '..'"),
        ({"items": [item("/x", "COPY")]}, "items.action is 'COPY': must be BYPASS_CACHE"),
        ({"items": [item("/x", "DOWNLOAD_AND_CACHE", "x")]}, "cache_directory is missing"),
        ({"sandbox_directory": "here"}, "sandbox_directory is 'here': must be an absolute path"),
    ],
)
def test_what_can_not_be_done_is_said(served: Served, info: Message, says: str) -> None:
    run = served.fetch(**info) if "items" not in info else served.fetch(*info["items"])
    assert run.returncode == 1
    assert says in run.stderr


# --- Archives


@pytest.mark.parametrize("ends", ["tar", "tar.gz", "tgz", "tar.bz2", "tbz2", "tar.xz", "txz"])
def test_archives_are_unpacked(served: Served, ends: str) -> None:
    kind = {"gz": "w:gz", "gz2": "w:bz2", "z2": "w:bz2", "xz": "w:xz"}.get(ends[-2:], "w")
    program = tarfile.TarInfo("folder/program")
    program.mode = 0o4755
    archive = tar((program, b"hello"), entry("folder/link", tarfile.SYMTYPE, "program"), mode=kind)
    assert served.fetch(served.serve(f"/it.{ends}", archive)).returncode == 0
    assert served.names() == {f"it.{ends}", "folder", "folder/program", "folder/link"}
    assert (served.sandbox / "folder/link").read_bytes() == b"hello"
    assert (served.sandbox / "folder/program").stat().st_mode & 0o7777 == 0o755


def test_other_archives_are_unpacked(served: Served) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("zipped", "hello")
        archive.writestr("zippöd", "hello")
    assert served.fetch(served.serve("/it.zip", out.getvalue())).returncode == 0
    assert served.fetch(served.serve("/bare.txt.gz", gzip.compress(b"hello"))).returncode == 0
    assert served.fetch(served.serve("/empty.gz", gzip.compress(b""))).returncode == 0
    assert served.names() == {"it.zip", "zipped", "zippöd", "bare.txt.gz", "bare.txt", "empty.gz", "empty"}


def test_an_archive_that_is_not_to_be_unpacked(served: Served) -> None:
    uri = served.serve("/it.tar", tar(("inside", b"hello")))
    assert served.fetch(item(uri, extract=False)).returncode == 0
    assert served.names() == {"it.tar"}


def test_a_damaged_archive(served: Served) -> None:
    run = served.fetch(served.serve("/it.tar.gz", gzip.compress(tar(("inside", bytes(9000))))[:60]))
    assert run.returncode == 1
    assert "truncated gzip input" in run.stderr


HOSTILE: dict[str, list[Member]] = {
    "above": [("../outside", b"x")],
    "far above": [("a/../../outside", b"x")],
    "through a link": [entry("link", tarfile.SYMTYPE, ".."), ("link/outside", b"x")],
    "through a link to a folder": [entry("link", tarfile.SYMTYPE, "{outside}"), ("link/file", b"x")],
    "hard link above": [entry("link", tarfile.LNKTYPE, "../victim")],
    "hard link through a link": [
        entry("a", tarfile.SYMTYPE, ".."),
        entry("link", tarfile.LNKTYPE, "a/victim"),
    ],
    "over a link": [entry("link", tarfile.SYMTYPE, "../victim"), ("link", b"changed")],
    "device": [entry("device", tarfile.CHRTYPE)],
    "pipe": [entry("pipe", tarfile.FIFOTYPE)],
    "what the agent writes to": [entry("stdout", tarfile.SYMTYPE, "victim")],
    "what the agent reads": [entry("./stderr", tarfile.SYMTYPE, "../victim")],
    "what it becomes": [("a/..//stdout.1", b"x")],
    "in place of it": [("stdout/file", b"x")],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_is_written_outside(served: Served, tmp_path: Path, name: str) -> None:
    victim, outside = tmp_path / "victim", tmp_path / "elsewhere"
    victim.write_text("untouched")
    outside.mkdir()
    for head, _ in HOSTILE[name]:
        if isinstance(head, tarfile.TarInfo):
            head.linkname = head.linkname.replace("{outside}", str(outside))
    run = served.fetch(served.serve("/it.tar", tar(*HOSTILE[name])))
    assert run.returncode == (0 if name == "over a link" else 1), run.stderr
    assert victim.read_text() == "untouched"
    assert victim.stat().st_nlink == 1
    assert {path.name for path in tmp_path.iterdir()} == {"sandbox", "victim", "elsewhere"}
    assert list(outside.iterdir()) == []


def test_absolute_names_stay_in_the_sandbox(served: Served) -> None:
    assert served.fetch(served.serve("/it.tar", tar(("/etc/here", b"x")))).returncode == 0
    assert served.names() == {"it.tar", "etc", "etc/here"}


def test_an_earlier_archive_lays_no_trap(served: Served, tmp_path: Path) -> None:
    trap = served.serve("/trap.tar", tar(entry("out", tarfile.SYMTYPE, str(tmp_path))))
    run = served.fetch(trap, item(served.serve("/it", b"x"), output_file="out/it"))
    assert run.returncode == 1
    assert "'out' is no folder of the sandbox" in run.stderr
    assert not (tmp_path / "it").exists()


def test_an_archive_that_asks_for_much_memory(served: Served) -> None:
    body = bytearray(lzma.compress(tar(("inside", b"x")), format=lzma.FORMAT_XZ))
    header = slice(12, 12 + (body[12] + 1) * 4 - 4)  # of the first block, without its checksum
    body[16] = 37  # the size of the dictionary: 1.5 GiB
    body[header.stop : header.stop + 4] = zlib.crc32(body[header]).to_bytes(4, "little")
    run = served.fetch(served.serve("/it.tar.xz", bytes(body)))
    assert run.returncode == 1
    assert "memory" in run.stderr.lower()


def test_an_archive_that_is_compressed_twice(served: Served) -> None:
    run = served.fetch(served.serve("/it.tar.gz", gzip.compress(gzip.compress(tar(("inside", b"x"))))))
    assert run.returncode == 1
    assert "compressed more than once" in run.stderr


def test_a_bomb_leaves_the_disk_its_room(served: Served, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=True)
    try:
        served.sandbox = disk / "sandbox"
        served.sandbox.mkdir()
        bomb = gzip.compress(tar(("zeros", bytes(200 << 20))))
        run = served.fetch(served.serve("/bomb.tar.gz", bomb))
        assert run.returncode == 1
        assert "less than 5 % of the disk" in run.stderr
        free = os.statvfs(disk)
        assert free.f_bavail / free.f_blocks > 0.04
    finally:
        subprocess.run(["umount", disk], check=True)


@settings(
    max_examples=int(os.environ.get("EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damaged_archives_do_no_harm(served: Served, tmp_path: Path, data: st.DataObject) -> None:
    members = [
        ("a/b", b"hello" * 100),
        entry("l", tarfile.SYMTYPE, "a"),
        entry("h", tarfile.LNKTYPE, "a/b"),
        ("z", b""),
    ]
    ends = data.draw(st.sampled_from(["tar", "tar.gz", "tar.xz", "zip"]))
    if ends == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("a/b", "hello" * 100)
        body = bytearray(out.getvalue())
    else:
        body = bytearray(tar(*members, mode={"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[ends]))
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    run = served.fetch(served.serve(f"/it.{ends}", bytes(body)))
    assert run.returncode in (0, 1), run.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"sandbox"}
