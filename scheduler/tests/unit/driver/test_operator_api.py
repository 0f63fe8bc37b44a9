"""The operator API over real sockets, against masters that answer as a test says."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from certificates import make_certificates, server_context, tls_settings
from mesos_docker_scheduler.driver.credential import Credential, basic_authorization
from mesos_docker_scheduler.driver.operator_api import OperatorApi, OperatorApiError

Answer = tuple[int, dict[str, str], bytes]


class Master:
    """Answers POST /api/v1 with what `answer` makes of the call and its headers."""

    def __init__(self, answer: Callable[[str, Any], Answer], tls: ssl.SSLContext | None = None) -> None:
        self.calls: list[str] = []
        self.connections: set[Any] = set()
        master = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/api/v1"
                master.calls.append(call["type"])
                master.connections.add(self.client_address)
                status, headers, body = answer(call["type"], self.headers)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - its name
                """Be quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Master:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def good(kind: str, headers: Any) -> Answer:
    return 200, {}, json.dumps({"type": kind, kind.lower(): {"of": kind}}).encode()


@pytest.fixture
def masters() -> Iterator[Callable[..., Master]]:
    with ExitStack() as stack:
        yield lambda answer=good: stack.enter_context(Master(answer))


def test_asks_several_things_over_one_connection(masters: Callable[..., Master]) -> None:
    master = masters()
    answers = OperatorApi(master.address).ask("GET_FRAMEWORKS", "GET_AGENTS")
    assert answers == [{"of": "GET_FRAMEWORKS"}, {"of": "GET_AGENTS"}]
    assert len(master.connections) == 1


def test_follows_to_the_leading_master_and_asks_all_there(masters: Callable[..., Master]) -> None:
    leader = masters()
    follower = masters(lambda kind, headers: (307, {"Location": f"//{leader.address}/api/v1"}, b""))
    assert OperatorApi(follower.address).ask("GET_TASKS", "GET_AGENTS")[1] == {"of": "GET_AGENTS"}
    assert (follower.calls, leader.calls) == (["GET_TASKS"], ["GET_TASKS", "GET_AGENTS"])


def test_masters_that_send_each_other_the_question_are_left(masters: Callable[..., Master]) -> None:
    here: list[Master] = []
    here.append(masters(lambda kind, headers: (307, {"Location": f"//{here[0].address}"}, b"")))
    with pytest.raises(OperatorApiError, match="redirect more than 5 times"):
        OperatorApi(here[0].address).ask("GET_TASKS")


def test_a_master_that_is_away_leaves_the_others(masters: Callable[..., Master]) -> None:
    master = masters()
    assert OperatorApi(f"127.0.0.1:1,{master.address}").ask("GET_TASKS") == [{"of": "GET_TASKS"}]


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ((403, {}, b"no,\nnot you"), 403, r"answers GET_TASKS with HTTP 403: no, not you"),
        ((401, {}, b""), 401, r"answers GET_TASKS with HTTP 401$"),
        ((503, {}, b"Master has not finished recovery"), 503, "HTTP 503: Master has not finished"),
        ((200, {}, b"<html>"), None, "127.0.0.1"),
        ((200, {}, b'{"type": "GET_TASKS"}'), None, "get_tasks"),
        ((200, {}, b"[]"), None, "127.0.0.1"),
        ((307, {"Location": "ftp://elsewhere"}, b""), None, "not HTTP"),
    ],
)
def test_says_what_is_wrong_with_an_answer(
    masters: Callable[..., Master], answer: Answer, status: int | None, words: str
) -> None:
    master = masters(lambda kind, headers: answer)
    with pytest.raises(OperatorApiError, match=words) as failure:
        OperatorApi(master.address).ask("GET_TASKS")
    assert failure.value.status == status


def test_nobody_there_is_told() -> None:
    with pytest.raises(OperatorApiError, match=r"127\.0\.0\.1:1: .*refused"):
        OperatorApi("127.0.0.1:1").ask("GET_TASKS")


def test_a_zookeeper_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesos_docker_scheduler.driver.operator_api._DETECT_SECONDS", 3)
    with pytest.raises(OperatorApiError, match="can't be reached"):
        OperatorApi("zk://127.0.0.1:1/mesos").ask("GET_TASKS")


def test_shows_its_credential(masters: Callable[..., Master]) -> None:
    def guarded(kind: str, headers: Any) -> Answer:
        return good(kind, headers) if headers["Authorization"] == "Basic cDpz" else (401, {}, b"who?")

    master = masters(guarded)
    assert OperatorApi(master.address, credential=Credential("p", lambda: ["s"])).ask("GET_TASKS")
    with pytest.raises(OperatorApiError, match="401: who"):
        OperatorApi(master.address).ask("GET_TASKS")


def test_goes_on_while_its_secret_is_replaced(
    masters: Callable[..., Master],
) -> None:
    known, secrets = ["old"], ["old"]

    def guarded(kind: str, headers: Any) -> Answer:
        return (
            good(kind, headers)
            if headers["Authorization"] == basic_authorization("p", known[-1])
            else (401, {}, b"who?")
        )

    master = masters(guarded)
    api = OperatorApi(master.address, credential=Credential("p", lambda: secrets))
    assert api.ask("GET_TASKS", "GET_AGENTS")
    secrets[:] = ["new", "old"]
    assert api.ask("GET_TASKS", "GET_AGENTS")
    known.append("new")
    assert api.ask("GET_TASKS", "GET_AGENTS")
    known.append("another")
    with pytest.raises(OperatorApiError, match="401: who"):
        api.ask("GET_TASKS")


def test_a_master_that_ends_each_connection_is_asked_over_tls_again(
    masters: Callable[..., Master], tmp_path: Path
) -> None:
    make_certificates(tmp_path)

    def ending(kind: str, headers: Any) -> Answer:
        status, _, body = good(kind, headers)
        return status, {"Connection": "close"}, body

    master = Master(ending, tls=server_context(tmp_path))
    with master:
        api = OperatorApi(
            master.address, credential=Credential("p", lambda: ["s"]), tls=tls_settings(tmp_path)
        )
        assert api.ask("GET_TASKS", "GET_AGENTS") == [{"of": "GET_TASKS"}, {"of": "GET_AGENTS"}]
