"""What one client can take of the server, over real sockets."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from mesos_docker_scheduler import web
from mesos_docker_scheduler.web import protocol, streams
from site_fake import Site

HALF = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: "


@pytest.fixture
def server() -> Iterator[web.WebServer]:
    with web.listen("127.0.0.1", 0) as listener:
        made = web.WebServer(Site().app, listener)
        made.start()
        yield made
        made.stop()


def connect(server: web.WebServer, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10, source_address=(source, 0))


def health(server: web.WebServer, source: str) -> int:
    asked = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10, source_address=(source, 0))
    try:
        asked.request("GET", "/healthz")
        return asked.getresponse().status
    finally:
        asked.close()


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True


def test_a_client_that_opens_connections_without_end_keeps_out_nobody_else(server: web.WebServer) -> None:
    with ExitStack() as stack:
        opened = []
        for _ in range(protocol.MOST_CONNECTIONS + 5):
            opened.append(stack.enter_context(connect(server)))
            opened[-1].sendall(HALF)
        assert health(server, "127.0.0.2") == 200
        assert is_closed(opened[-1])
        for one in opened:
            one.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert health(server, "127.0.0.1") == 200
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail("its own connections were counted for ever")


@pytest.mark.parametrize("again", [False, True], ids=["at first", "after an answer"])
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HALF,
        b"\r\n",
        b"POST /v1/services/web/scale HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "an empty line", "half a body"],
)
def test_what_does_not_arrive_is_not_waited_for(
    server: web.WebServer, sent: bytes, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "ARRIVAL_SECONDS", 0.3)
    with connect(server) as connection:
        if again:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in connection.recv(1000)
        connection.sendall(sent)
        began = time.monotonic()
        while not is_closed(connection):
            pass
        assert 0.1 < time.monotonic() - began < 8  # uvicorn waits 5 s for another request


def test_a_head_without_an_end_is_not_kept(server: web.WebServer) -> None:
    with connect(server) as connection:
        try:
            connection.sendall(HALF + b"x" * (4 * protocol.MOST_HEAD_BYTES))
        except (BrokenPipeError, ConnectionResetError):
            return
        assert is_closed(connection)


def test_what_waits_for_its_turn_ends_nothing(server: web.WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ARRIVAL_SECONDS", 0.2)
    with connect(server) as connection:
        stream = b"GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection.sendall(
            stream + b"POST /v1/services/web/scale HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
        )
        time.sleep(0.6)
        assert b"200 OK" in connection.recv(1000)
        connection.settimeout(0.3)
        with suppress(TimeoutError):
            while True:
                assert connection.recv(1000), "the stream was ended"


def test_an_answer_may_take_long(server: web.WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ARRIVAL_SECONDS", 0.2)
    with connect(server) as connection:
        connection.sendall(b"GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.6)
        assert b"200 OK" in connection.recv(1000)
        connection.settimeout(0.3)
        heard = b""
        with suppress(TimeoutError):
            while True:
                heard = connection.recv(1000)
                assert heard, "the stream was ended"


def test_an_upgrade_to_websockets_is_a_request_like_any_other(server: web.WebServer) -> None:
    with connect(server) as connection:
        connection.sendall(
            b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_one_client_can_not_take_all_streams(server: web.WebServer) -> None:
    ask = b"GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(streams.MOST_STREAMS_OF_ONE_CLIENT):
            one = stack.enter_context(connect(server))
            one.sendall(ask)
            assert b"200 OK" in one.recv(1000)
        one = stack.enter_context(connect(server))
        one.sendall(ask)
        assert b"429 " in one.recv(1000)
        other = stack.enter_context(connect(server, "127.0.0.2"))
        other.sendall(ask)
        assert b"200 OK" in other.recv(1000)
