"""How large the sandbox's stdout and stderr may become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Pure = Callable[..., Any]
DEFAULTS = {"stdoutSize": 10 << 20, "stderrSize": 10 << 20, "files": 3}


def test_the_defaults_are_those_of_dockers_logs(pure: Pure) -> None:
    assert pure("outputLimits", variables={}) == DEFAULTS


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096B", 4096),
        ("4KB", 4096),
        ("64kb", 64 << 10),
        ("200MB", 200 << 20),
        ("3Gb", 3 << 30),
        ("1TB", 1 << 40),
        ("0", 0),
        ("0MB", 0),
    ],
)
def test_sizes_are_written_as_mesos_writes_them(pure: Pure, text: str, size: int) -> None:
    given = {"CONTAINER_LOGGER_MAX_STDOUT_SIZE": text}
    assert pure("outputLimits", variables=given) == {**DEFAULTS, "stdoutSize": size}
    given = {"CONTAINER_LOGGER_MAX_STDERR_SIZE": text}
    assert pure("outputLimits", variables=given) == {**DEFAULTS, "stderrSize": size}


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_files(pure: Pure, count: int) -> None:
    given = {"CONTAINER_LOGGER_MAX_FILES": str(count)}
    assert pure("outputLimits", variables=given) == {**DEFAULTS, "files": count}


def refusal(pure: Pure, name: str, value: str) -> str:
    with pytest.raises(Exception, match=r"\S") as caught:
        pure("outputLimits", variables={name: value})
    assert type(caught.value).__name__ == "PureError"
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "MB",
        "10 MB",
        "1.5MB",
        "-1MB",
        "+1MB",
        "10m",
        "10MiB",
        "4095B",
        "3KB",
        "17000000TB",
        "9" * 30,
    ],
)
@pytest.mark.parametrize("stream", ["STDOUT", "STDERR"])
def test_other_sizes_are_named(pure: Pure, text: str, stream: str) -> None:
    name = f"CONTAINER_LOGGER_MAX_{stream}_SIZE"
    allowed = "must be a size from 4KB on, such as 10MB, or 0 for no limit"
    assert refusal(pure, name, text) == f"the environment variable {name} is '{text}': {allowed}"


@pytest.mark.parametrize("text", ["", "0", "-1", "1001", "3.0", "three", " 3", "9" * 30])
def test_other_numbers_of_files_are_named(pure: Pure, text: str) -> None:
    name = "CONTAINER_LOGGER_MAX_FILES"
    allowed = "must be a number from 1 to 1000"
    assert refusal(pure, name, text) == f"the environment variable {name} is '{text}': {allowed}"


def test_what_would_have_no_effect_is_named(pure: Pure) -> None:
    assert refusal(pure, "CONTAINER_LOGGER_LOGROTATE_STDOUT_OPTIONS", "rotate 5") == (
        "the environment variable CONTAINER_LOGGER_LOGROTATE_STDOUT_OPTIONS has no effect here: there are "
        "CONTAINER_LOGGER_MAX_STDOUT_SIZE, CONTAINER_LOGGER_MAX_STDERR_SIZE and CONTAINER_LOGGER_MAX_FILES"
    )
