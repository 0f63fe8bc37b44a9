from __future__ import annotations

import json
import queue
import signal
import time
from pathlib import Path

import pytest
from mesos_docker_scheduler import config, watcher
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.watcher import ConfigWatcher

GOOD = {"master": "m1:5050", "log_level": "info", "services": []}


class Watched:
    """A configuration file and a watcher that looks at it fifty times a second."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.replace(json.dumps(GOOD))
        self.inbox: queue.SimpleQueue[events.AnyEvent] = queue.SimpleQueue()
        self.watcher = ConfigWatcher(path, config.load(path)[0], self.inbox.put)
        self.watcher.start()

    def replace(self, text: str) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.path)

    def read(self) -> events.ConfigRead:
        event = self.inbox.get(timeout=5)
        assert isinstance(event, events.ConfigRead)
        return event


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(watcher, "_POLL_SECONDS", 0.02)
    return Watched(tmp_path / "config.json")


def test_reads_a_file_that_was_replaced(watched: Watched) -> None:
    watched.replace(json.dumps({**GOOD, "log_level": "debug"}))
    event = watched.read()
    assert event.config is not None
    assert event.config.log_level == "debug"
    assert len(event.sha256) == 64


def test_reads_a_secret_that_was_replaced_or_comes_late(watched: Watched) -> None:
    secret = watched.path.with_name("token")
    service = {"name": "web", "image": "i", "secrets": {"TOKEN": str(secret)}}
    watched.replace(json.dumps({**GOOD, "services": [service]}))
    assert "services[0].secrets.TOKEN: " in str(watched.read().error)
    secret.write_text("hunter2")
    first = watched.read().config
    secret.write_text("hunter33")
    second = watched.read().config
    assert first is not None
    assert second is not None
    assert first.services[0].version != second.services[0].version


def test_a_secret_is_read_when_it_has_been_written(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = watched.path.with_name("token")
    secret.write_text("hunter2")
    service = {"name": "web", "image": "i", "secrets": {"TOKEN": str(secret)}}
    watched.replace(json.dumps({**GOOD, "services": [service]}))
    watched.read()
    # A busy machine may keep us from writing for a while.
    monkeypatch.setattr(watcher, "_POLL_SECONDS", 0.5)
    for end in range(1, 12):
        secret.write_text("correct horse battery staple"[:end])
        time.sleep(0.005)
    secret.write_text("correct horse battery staple")
    read = watched.read().config
    assert read is not None
    assert list(read.services[0].secret_values.values()) == ["correct horse battery staple"]
    assert watched.inbox.empty()


def test_a_secret_that_never_rests_keeps_no_other_from_being_read(watched: Watched) -> None:
    restless, other = (watched.path.with_name(name) for name in ("restless", "other"))
    restless.write_text("x")
    other.write_text("old")
    service = {"name": "web", "image": "i", "secrets": {"A": str(restless), "B": str(other)}}
    watched.replace(json.dumps({**GOOD, "services": [service]}))
    watched.read()
    other.write_text("new")
    for _ in range(200):
        restless.write_text("x")
        time.sleep(0.005)
    values: list[str] = []
    while not watched.inbox.empty():
        read = watched.read().config
        values += [] if read is None else read.services[0].secret_values.values()
    assert "new" in values


def test_what_was_written_before_the_first_look_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(GOOD))
    in_use = config.load(path)[0]
    path.write_text(json.dumps({**GOOD, "log_level": "debug"}))
    inbox: queue.SimpleQueue[events.ConfigRead] = queue.SimpleQueue()
    ConfigWatcher(path, in_use, inbox.put).start()
    read = inbox.get(timeout=5).config
    assert read is not None
    assert read.log_level == "debug"


def test_leaves_alone_a_file_that_stays_the_same(watched: Watched) -> None:
    with pytest.raises(queue.Empty):
        watched.inbox.get(timeout=0.2)


def test_reads_at_once_when_asked(watched: Watched) -> None:
    watched.watcher.look_now()
    assert watched.read().config is not None


def test_tells_what_is_wrong_and_when_it_is_right_again(watched: Watched) -> None:
    watched.replace("{")
    assert "not JSON" in (watched.read().error or "")
    watched.path.unlink()
    assert "can't be read" in (watched.read().error or "")
    watched.replace(json.dumps(GOOD))
    assert watched.read().error is None


SECRET = "zk://user:hunter2@m1:5050/mesos"


@pytest.mark.parametrize(
    "text",
    [
        f'{{"master": "{SECRET}", "services": [{{"name": "\\ud800"}}]}}',
        f'{{"master": "{SECRET}", "services": [{{"name": NaN}}]}}',
        f'{{"master": "{SECRET}", "services": [{{"count": {"9" * 5000}}}]}}',
        f'{{"master": "{SECRET}", "services": {"[" * 100_000}',
        f'{{"master": "{SECRET}", "services": {"[" * 900}{"]" * 900}}}',
        f'{{"master": "{SECRET}", "tls": {{"ca_file": "/a\\u0000b"}}, "services": []}}',
        f'{{"master": "{SECRET}", "services": [{{"secrets": {{"A": "/a\\u0000b"}}}}]}}',
        "\ufeff{}",
        "",
    ],
    ids=range(9),
)
def test_no_file_ends_the_watch_or_is_quoted(watched: Watched, text: str) -> None:
    watched.replace(text)
    error = watched.read().error
    assert error
    assert "hunter2" not in error
    watched.replace(json.dumps(GOOD))
    assert watched.read().error is None


def test_any_number_of_signals_is_taken() -> None:
    """A signal may come while another is being handled, on the same thread."""
    asked = ConfigWatcher(Path("/nowhere"), config.parse(json.dumps(GOOD)), lambda event: None)
    before = signal.signal(signal.SIGUSR1, lambda number, frame: asked.look_now())
    try:
        for _ in range(2000):
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert asked._was_asked()
