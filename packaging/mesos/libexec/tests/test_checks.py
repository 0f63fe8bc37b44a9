"""What checks ask for, and what their results mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Pure = Callable[..., Any]
TCP = {"type": "TCP", "tcp": {"port": 80}}


def health_task(**fields: Any) -> dict[str, Any]:
    return {"health_check": {**TCP, **fields}}


def test_a_shell_command(pure: Pure) -> None:
    command = {"value": "test -f /ok", "environment": {"variables": [{"name": "A", "value": "1"}]}}
    spec = pure("check", task={"health_check": {"type": "COMMAND", "command": command}}, health=True)
    assert (spec["program"], spec["arguments"]) == ("/bin/sh", ["-c", "test -f /ok"])
    assert spec["environment"] == ["A=1"]


def test_an_executable_and_the_nested_command_of_a_check(pure: Pure) -> None:
    command = {"shell": False, "value": "/bin/true", "arguments": ["a"]}
    spec = pure("check", task={"check": {"type": "COMMAND", "command": {"command": command}}})
    assert (spec["program"], spec["arguments"]) == ("/bin/true", ["a"])


@pytest.mark.parametrize(
    ("http", "url"),
    [
        ({"port": 80}, "http://127.0.0.1:80"),
        ({"port": 8080, "path": "/health?a=b"}, "http://127.0.0.1:8080/health?a=b"),
        ({"port": 443, "scheme": "https", "path": "/"}, "https://127.0.0.1:443/"),
        ({"port": 80, "protocol": "IPv6"}, "http://[::1]:80"),
    ],
)
def test_urls(pure: Pure, http: dict[str, Any], url: str) -> None:
    assert pure("check", task={"health_check": {"type": "HTTP", "http": http}}, health=True)["url"] == url


def test_the_defaults_of_mesos(pure: Pure) -> None:
    spec = pure("check", task=health_task(), health=True)
    assert (spec["delay"], spec["interval"], spec["timeout"]) == (15, 10, 20)


def test_a_task_without_checks(pure: Pure) -> None:
    assert pure("check", task={}) is None
    assert pure("check", task={}, health=True) is None


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ({}, "type is ''"),
        ({"type": "UNKNOWN"}, "must be COMMAND, HTTP or TCP"),
        ({"type": "COMMAND"}, "value is missing"),
        ({"type": "HTTP", "http": {"port": 80, "scheme": "gopher"}}, "must be http or https"),
        ({"type": "HTTP", "http": {"port": 80, "path": "x"}}, "must begin with a slash"),
        ({"type": "HTTP"}, "must be 1 to 65535"),
        ({"type": "TCP", "tcp": {"port": 65536}}, "must be 1 to 65535"),
        ({**TCP, "delay_seconds": -1}, "must not be negative"),
        ({**TCP, "consecutive_failures": 2**32}, "consecutive_failures is too large"),
        ({**TCP, "interval_seconds": "often"}, "interval_seconds must be a number"),
    ],
)
def test_what_is_refused(pure: Pure, check: dict[str, Any], says: str) -> None:
    with pytest.raises(Exception, match=says):
        pure("check", task={"health_check": check}, health=True)


GOOD = {"healthy": True, "kill": False}
BAD = {"healthy": False, "kill": False}
LAST = {"healthy": False, "kill": True}


@pytest.mark.parametrize(
    ("fields", "results", "verdicts"),
    [
        # The first success is news, further ones are not.
        ({}, [(1, 1), (2, 1)], [GOOD, None]),
        # Failures in the grace period are ignored until the first success.
        ({"grace_period_seconds": 5}, [(1, 0), (5, 0), (6, 0)], [None, None, BAD]),
        ({"grace_period_seconds": 5}, [(1, 1), (2, 0)], [GOOD, BAD]),
        ({"grace_period_seconds": 0}, [(0, 0)], [BAD]),
        # Every failure is news, the third in a row kills.
        ({"grace_period_seconds": 0}, [(1, 0), (2, 0), (3, 0)], [BAD, BAD, LAST]),
        # A success in between starts the count anew, and is news.
        (
            {"grace_period_seconds": 0, "consecutive_failures": 2},
            [(1, 0), (2, 1), (3, 0), (4, 0)],
            [BAD, GOOD, BAD, LAST],
        ),
        # None in a row is too many.
        ({"grace_period_seconds": 0, "consecutive_failures": 0}, [(1, 1), (2, 0), (3, 0)], [GOOD, BAD, BAD]),
        # No result (a timeout) is a failure.
        ({"grace_period_seconds": 0, "consecutive_failures": 1}, [(1, None)], [LAST]),
    ],
)
def test_health(pure: Pure, fields: dict[str, Any], results: list[Any], verdicts: list[Any]) -> None:
    assert pure("health", task=health_task(**fields), results=results) == verdicts


@pytest.mark.parametrize(
    ("value", "healthy"), [(200, True), (302, True), (399, True), (199, False), (400, False), (503, False)]
)
def test_http_statuses(pure: Pure, value: int, healthy: bool) -> None:
    check = {"type": "HTTP", "http": {"port": 80}, "grace_period_seconds": 0}
    assert pure("health", task={"health_check": check}, results=[(1, value)])[0]["healthy"] is healthy


@pytest.mark.parametrize(
    ("check", "result", "status"),
    [
        (
            {"type": "COMMAND", "command": {"command": {"value": "x"}}},
            3,
            {"type": "COMMAND", "command": {"exit_code": 3}},
        ),
        ({"type": "HTTP", "http": {"port": 1}}, 404, {"type": "HTTP", "http": {"status_code": 404}}),
        (TCP, 1, {"type": "TCP", "tcp": {"succeeded": True}}),
        (TCP, 0, {"type": "TCP", "tcp": {"succeeded": False}}),
        (TCP, None, {"type": "TCP", "tcp": {}}),
    ],
)
def test_check_status(pure: Pure, check: dict[str, Any], result: int | None, status: dict[str, Any]) -> None:
    more = {} if result is None else {"result": result}
    assert pure("check", task={"check": check}, **more)["status"] == status
