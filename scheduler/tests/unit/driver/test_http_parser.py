"""Our http-parser distribution: that pymesos finds in it what it calls."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect

import pytest
from driver_process import DriverProcess
from http_parser.http import HttpParser
from pymesos import process
from scripted_master import Answer, ScriptedMaster

HEAD = b"HTTP/1.1 200 OK\r\nMesos-Stream-Id: s1\r\nTransfer-Encoding: chunked\r\n\r\n"
RESPONSE = HEAD + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"


def test_pip_finds_what_pymesos_requires() -> None:
    [requirement] = [line for line in importlib.metadata.requires("pymesos") or [] if "http" in line]
    assert requirement == "http-parser"
    assert importlib.metadata.version("http-parser")


def test_every_method_that_pymesos_calls_is_there() -> None:
    called = {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(process)))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "_parser"
    }
    # It asks for errno and errstr only of a parser that has an errno, the original's Python version.
    assert called - {"errno", "errstr"} <= set(dir(HttpParser))
    assert not hasattr(HttpParser(), "errno")
    assert len(called) > 8


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_chunked_response_in_pieces(size: int) -> None:
    parser, body = HttpParser(), b""
    for start in range(0, len(RESPONSE), size):
        piece = RESPONSE[start : start + size]
        assert parser.execute(piece, len(piece)) == len(piece)
        if parser.is_partial_body():
            body += parser.recv_body()
    assert parser.is_message_complete()
    assert parser.is_chunked()
    assert parser.get_status_code() == 200
    assert parser.get_headers()["Mesos-Stream-Id"] == "s1"
    assert body == b"hello!"


def test_before_the_headers_are_complete() -> None:
    parser = HttpParser()
    parser.execute(RESPONSE[:30], 30)
    assert (parser.is_headers_complete(), parser.get_status_code(), parser.is_chunked()) == (False, 0, False)


def test_a_body_of_known_length() -> None:
    parser = HttpParser()
    data = Answer(503, body="No leader").encode()
    assert parser.execute(data, len(data)) == len(data)
    assert (parser.get_status_code(), parser.is_chunked(), parser.recv_body()) == (503, False, b"No leader")
    assert parser.recv_body() == b""


def test_what_is_not_http_is_not_taken() -> None:
    parser = HttpParser()
    assert parser.get_errno() == 0
    assert parser.execute(b"SSH-2.0\r\n", 9) == 0
    assert parser.get_errno() == 1
    assert parser.execute(RESPONSE, len(RESPONSE)) == 0


def test_pymesos_works_with_it() -> None:
    with ScriptedMaster() as master, DriverProcess("plain", master.address) as driver:
        driver.wait_for("registered")
        master.send({"type": "RESCIND", "rescind": {"offer_id": {"value": "o1"}}})
        assert driver.wait_for("offerRescinded")["arguments"] == [{"value": "o1"}]
