from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from mesos_docker_scheduler import sd_notify


@pytest.mark.parametrize("abstract", [False, True])
def test_tells_the_service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    address = f"@{tmp_path}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0", 1))
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        sd_notify.notify("READY=1")
        assert manager.recv(100) == b"READY=1"


def test_is_silent_without_a_service_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    sd_notify.notify("READY=1")


def test_knows_whether_it_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert sd_notify.watchdog_seconds() is None
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert sd_notify.watchdog_seconds() == 30


def test_a_manager_that_does_not_hear_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    sd_notify.notify("WATCHDOG=1")

    def no_descriptor(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socket", no_descriptor)
    sd_notify.notify("WATCHDOG=1")


def test_gives_signs_of_life_a_few_times_in_the_watchdogs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    sent: list[str] = []
    monkeypatch.setenv("WATCHDOG_USEC", "40000000")
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(sd_notify, "notify", sent.append)
    beat = sd_notify.beat()
    for _ in range(40):
        for _ in range(100):
            beat()
        now += 1
    assert sent == ["WATCHDOG=1"] * 4
