"""Whatever arrives at the port, it is answered or its connection is closed, and nobody else notices.

The application and its server are the real ones, on a real socket.
"""

from __future__ import annotations

import http.client
import itertools
import logging
import re
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hand_driven_site import TOKEN, HandDrivenSite
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler import web
from mesos_docker_scheduler.web import protocol
from mesos_docker_scheduler.web.bucket import Bucket
from scheduler_fakes import service

SECRET = "nobody-may-read-this"
SECONDS = 20.0
"""By then each connection is closed, on a busy machine, too: without it half a second would do."""
ARRIVAL_SECONDS = 0.03
MOST_BYTES = 4 * 1024 * 1024
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Journal(logging.Handler):
    """Keeps what is told of errors that nobody expected."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.tracebacks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno > logging.WARNING:
            self.tracebacks.append(logging.Formatter().format(record))


@dataclass
class Place:
    """A served site: which reading needs the token, and what the tests' only instance is called."""

    site: HandDrivenSite
    task_id: str
    journal: Journal = field(default_factory=Journal)

    def revisions(self) -> list[str]:
        """What is asked of the services."""
        return [view.revision for view in self.site.bench.controller.snapshot.services]

    def health(self) -> int:
        deadline = time.monotonic() + SECONDS
        while True:
            asked = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=SECONDS)
            try:
                asked.request("GET", "/healthz")
                return asked.getresponse().status
            except (http.client.HTTPException, OSError):  # it took us too long to ask
                assert time.monotonic() < deadline
            finally:
                asked.close()

    def answers(self, requests: list[list[bytes]]) -> list[bytes]:
        """Send each on a connection of its own, all at the same time; what comes until each is closed."""
        connections = [socket.create_connection(("127.0.0.1", self.site.port), SECONDS) for _ in requests]
        heard = dict.fromkeys(connections, b"")
        for connection, pieces in zip(connections, requests, strict=True):
            connection.setblocking(True)
            for piece in pieces:
                try:
                    connection.sendall(piece)
                except (BrokenPipeError, ConnectionResetError):
                    break
        deadline = time.monotonic() + SECONDS
        open_ones = list(connections)
        while open_ones:
            assert time.monotonic() < deadline, f"neither answered nor closed: {requests}"
            for connection in select.select(open_ones, [], [], 0.5)[0]:
                try:
                    data = connection.recv(1 << 16)
                except ConnectionResetError:
                    data = b""
                heard[connection] += data
                # A stream has no end of its own.
                if not data or b"text/event-stream" in heard[connection]:
                    open_ones.remove(connection)
                    connection.close()
        return list(heard.values())


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Limits that keep a test waiting are short, and those that keep it out are none."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(protocol, "ARRIVAL_SECONDS", ARRIVAL_SECONDS)
        patched.setattr(Bucket, "wait", lambda self, client: 0.0)
        yield


def served(read: Literal["open", "token"]) -> Iterator[Place]:
    services = (service(count=1, env={"A": SECRET}), service(name="db", count=0))
    site = HandDrivenSite(*services, access=web.Access(TOKEN, read, web.Hosts(["mesos.example.org"])))
    site.server._server.config.timeout_keep_alive = 0  # whoever says nothing more is let go at once
    place = Place(site, "")
    logging.getLogger().addHandler(place.journal)
    site.start()
    site.connect()
    place.task_id = site.run("a")[0]
    yield place
    site.stop()
    logging.getLogger().removeHandler(place.journal)


@pytest.fixture(scope="module")
def open_place(quick: None) -> Iterator[Place]:
    yield from served("open")


@pytest.fixture(scope="module")
def closed_place(quick: None) -> Iterator[Place]:
    yield from served("token")


ROUTES = [
    "/", "/healthz", "/metrics", "/static/page.html", "/static/", "/services/web", "/v1/openapi.json",
    "/v1/status", "/v1/services", "/v1/services/web", "/v1/services/web/instances", "/v1/instances",
    "/v1/agents", "/v1/events", "/v1/explain", "/v1/explain/web", "/v1/history", "/v1/definitions",
    "/v1/events/stream", "/v1/watch", "/v1/instances/TASK/log", "/v1/instances/TASK/kill",
    "/v1/services/web/scale", "/v1/services/web/reset", "/v1/services/web/restart", "/v1/services/web/pause",
    "/v1/services/web/resume", "/v1/services/web/rollback", "/v1/services/web/reset-backoff", "*",
    "http://localhost/v1/status", "//v1/status", "x",
]  # fmt: skip
ODD = [
    "", "/", "//", ".", "..", "%", "%2", "%00", "%0A", "%2F", "%2e%2e", "%FF", "%ED%A0%80", "%C2%85", ";",
    "#", "?", "\xff", "\u00e9", " ", "\t", "\\", "|", "<", "{name}", "a" * 300, "a" * 70_000, "..%2f" * 9,
    "@", ":",
]  # fmt: skip
QUERIES = [
    "instances=", "after=", "limit=", "service=", "file=", "offset=", "length=", "", "a", "&=&",
    "after=1&after=",
]  # fmt: skip
NUMBERS = [
    "0", "1", "-1", "2", "9" * 400, "9" * 5000, "1e400", "nan", "inf", "1.5", "0x1", "\xb2", "true", "",
    "%00", "web", "%D9%A3",
]  # fmt: skip
METHODS = [
    "GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "QUERY", "get", "PRI",
    "G\0T",
]  # fmt: skip
NAMES = [
    "Host", "Origin", "Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade",
    "Expect", "Range", "If-Range", "If-None-Match", "If-Modified-Since", "If-Match", "Last-Event-ID",
    "Sec-Fetch-Site", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Cookie", "Accept", "Accept-Encoding",
    "X", "", "A B", "\xff", "Authorization", "X-Forwarded-For", "X-HTTP-Method-Override", "Forwarded",
    "HTTP2-Settings", "TE", "Trailer",
]  # fmt: skip
ODD_VALUES = [
    "", " ", "*", '"', 'W/"x"', "\xff", "\u00e9", "x" * 9000, "a, b", "a\tb", "0", "-1", "9" * 30, "+1",
    "1_0", "bytes=0-1", "bytes=-1", "bytes=5-1", "bytes=a-b", "bytes=0-0,1-1,2-", f"bytes={'0-1,' * 500}",
    f"bytes={'9' * 5000}-", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 99 Foo 99999 99:99:99", "chunked", "gzip",
    "close", "keep-alive", "Upgrade", "websocket", "h2c", "100-continue", "same-origin", "cross-site", "null",
    "application/json; charset=x", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain",
    "application/vnd.a+json", "application/json;charset*=utf-16''%00", ";", "/", "=?utf-8?b?AA?=",
    "localhost", "evil.example", "[::1", "[::1]:80", "a:b:c", "127.0.0.1:99999999", "@", "http://localhost",
]  # fmt: skip
VALUES = st.sampled_from(ODD_VALUES) | st.text(st.characters(max_codepoint=255), max_size=4)
# Python reads JSON that is nested a little deeper than what it can write.
DEEP = st.builds(
    lambda depth, key, ends: f'{{"{key}": {ends[0] * depth}1{ends[1] * depth}}}',
    st.integers(940, 990),
    st.sampled_from(["count", "scale"]),
    st.sampled_from([("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")]),
)
ODD_BODIES = [
    '{"count": 1}', '{"count": 1.0}', '{"count": 1e400}', '{"count": NaN}', '{"count": null}',
    '{"count": "1"}', f'{{"count": {"9" * 5000}}}', '{"count": 1, "count": 2}', '{"count": -0}',
    '{"count": true}', "{}", "[]", '{"\\ud800": 1}', '{"\\u0000": 1}', '{"a\\nb": 1}',
    f'{{"{"k" * 16_000}": 1}}', '{"scale": "\\ud800"}', '{"scale": true}', '{"scale": 1}', '"\\ud800"',
    "null", "1", "", "{", "\xef\xbb\xbf{}", "\0", "\xff", "a=b", "[" * 16_000,
    f'{{"count": {"[" * 8000}{"]" * 8000}}}', "x" * 20_000,
]  # fmt: skip
BODIES = (st.sampled_from(ODD_BODIES) | DEEP).map(lambda text: text.encode("latin-1")) | st.binary(max_size=8)


# What is there, and asked for as it should be: the rest of the request may be odd.
CHANGES = [path for path in ROUTES if path.startswith("/v1/services/web/") or path.endswith("/kill")]
UPGRADE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]


@st.composite
def targets(draw: st.DrawFn) -> str:
    """A path of ours, spelled in some way, and what may follow it."""
    path = draw(st.sampled_from(ROUTES))
    match draw(st.sampled_from(["", "", "", "end", "within", "encoded"])):
        case "end":
            path += draw(st.sampled_from(ODD))
        case "within":
            place = draw(st.integers(0, len(path)))
            path = path[:place] + draw(st.sampled_from(ODD)) + path[place:]
        case "encoded":
            place = draw(st.integers(0, len(path) - 1))
            path = f"{path[:place]}%{ord(path[place]):02x}{path[place + 1 :]}"
    if draw(st.booleans()):
        path += f"?{draw(st.sampled_from(QUERIES))}{draw(st.sampled_from(NUMBERS))}"
    return path


def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    right = b"%x" % len(body)
    size = draw(st.sampled_from([right, right + b";a=b", b"0", b"-1", b"g", b"f" * 17, b"ffffffff"]))
    end = draw(st.sampled_from([b"", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0\r\n" + b"X: y\r\n" * 3000]))
    return size + b"\r\n" + body + b"\r\n" + end


@st.composite
def requests(draw: st.DrawFn, *, with_token: bool) -> bytes:
    """One request, mostly one that is understood as such."""
    apt = draw(st.booleans())
    changing = draw(st.booleans())
    method, target = ("POST", draw(st.sampled_from(CHANGES))) if changing else ("GET", draw(targets()))
    if not apt:
        method, target = draw(st.sampled_from(METHODS)), draw(targets())
    odd_versions = ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.1 ", "", "http/1.1"]
    version = "HTTP/1.1" if apt else draw(st.sampled_from(["HTTP/1.1"] * 8 + odd_versions))
    hosts = ["localhost"] if apt else ["127.0.0.1", "mesos.example.org", "evil.example", ""]
    headers = [("Host", draw(st.sampled_from(hosts))), ("If-Match", "*")]
    headers += UPGRADE if draw(st.integers(0, 15)) == 0 else []
    headers += [("Authorization", f"Bearer {TOKEN}")] if with_token else []
    headers += draw(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=3))
    body = b""
    if changing:
        body = draw(BODIES)
        headers.append(("Content-Type", "application/json"))
        if draw(st.integers(0, 3)):
            headers.append(("Content-Length", str(len(body) + draw(st.sampled_from([0, 0, 0, 0, 1, -1])))))
        else:
            headers.append(("Transfer-Encoding", "chunked"))
            body = chunked(draw, body)
    line_end = "\r\n" if apt else draw(st.sampled_from(["\r\n"] * 8 + ["\n", "\r", "\r\r\n"]))
    head = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return line_end.join(head).encode("latin-1", "replace") + body


@st.composite
def conversations(draw: st.DrawFn, *, with_token: bool) -> list[bytes]:
    """What is sent on one connection: requests one after the other, whole or damaged, cut anywhere."""
    data = b"".join(draw(st.lists(requests(with_token=with_token), min_size=1, max_size=3)))
    match draw(st.sampled_from(["", "", "", "", "cut", "bytes", "before"])):
        case "cut":
            data = data[: draw(st.integers(0, len(data)))]
        case "bytes":
            place = draw(st.integers(0, len(data)))
            data = data[:place] + draw(st.binary(min_size=1, max_size=4)) + data[place + 1 :]
        case "before":
            odd = [b"\r\n", b"\0", b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
            data = draw(st.sampled_from(odd)) + data
    cuts = sorted({draw(st.integers(0, len(data))) for _ in range(draw(st.integers(0, 2)))})
    return [data[start:end] for start, end in itertools.pairwise([0, *cuts, len(data)])]


def several(*, with_token: bool) -> st.SearchStrategy[list[list[bytes]]]:
    return st.lists(conversations(with_token=with_token), min_size=1, max_size=6)


def ask(place: Place, sent: list[list[bytes]]) -> list[bytes]:
    """Send, and see that it costs nobody anything."""
    task_id = place.task_id.encode()
    heard = place.answers([[piece.replace(b"TASK", task_id) for piece in pieces] for pieces in sent])
    tracebacks, place.journal.tracebacks = place.journal.tracebacks, []
    assert tracebacks == []
    assert place.health() == 200
    for pieces, answer in zip(sent, heard, strict=True):
        assert len(answer) <= MOST_BYTES
        statuses = {int(status) for status in STATUS.findall(answer)}
        documented = {502} if b"/log" in b"".join(pieces) else set()  # where the slave is is not known here
        assert {status for status in statuses if status >= 500} <= documented
    return heard


@given(sent=several(with_token=True))
def test_no_request_costs_more_than_itself(open_place: Place, sent: list[list[bytes]]) -> None:
    ask(open_place, sent)


@given(closed=st.booleans(), sent=several(with_token=False))
def test_nothing_is_changed_or_shown_to_who_lacks_the_token(
    open_place: Place, closed_place: Place, closed: bool, sent: list[list[bytes]]
) -> None:
    place = closed_place if closed else open_place
    before = place.revisions()
    for answer in ask(place, sent):
        assert SECRET.encode() not in answer
        assert not (closed and b"demo/web" in answer)
    assert place.revisions() == before
