from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from mesos_docker_scheduler.observability import journal
from mesos_docker_scheduler.records.store import Event


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def written(monkeypatch: pytest.MonkeyPatch, event: Event, level: str = "info", journald: bool = True) -> str:
    if journald:
        monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    else:
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    stream = io.StringIO()
    journal.set_up(level, stream)
    journal.log_event(event)
    return stream.getvalue()


def test_a_line_has_a_priority_a_message_and_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    event = Event(0, "launch", "demo/web:1 on host-a", "web", "web.1")
    assert written(monkeypatch, event) == '<6>launch service=web task=web.1 text="demo/web:1 on host-a"\n'


@pytest.mark.parametrize(("kind", "priority"), [("running", 6), ("ended", 4), ("waiting", 4), ("store", 3)])
def test_the_priority_fits_the_event(monkeypatch: pytest.MonkeyPatch, kind: str, priority: int) -> None:
    assert written(monkeypatch, Event(0, kind, "x")) == f"<{priority}>{kind} text=x\n"


def test_quotes_and_newlines_can_not_break_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(monkeypatch, Event(0, "ended", 'a\n"b" c=d')) == "<4>ended text=\"a 'b' c=d\"\n"


@pytest.mark.parametrize("journald", [True, False])
def test_nothing_that_is_quoted_begins_an_entry_or_reaches_a_terminal(
    monkeypatch: pytest.MonkeyPatch, journald: bool
) -> None:
    event = Event(0, "ended", "a\u2028<0>b\r<0>c\x85<0>d\x1b[2Je\ud800f\n<0>g")
    text = written(monkeypatch, event, journald=journald)
    assert len(text.splitlines()) == 1
    assert text.isascii() or set(text) - set(map(chr, range(128))) == {"\ufffd"}
    assert "\x1b" not in text


def test_less_than_the_level_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(monkeypatch, Event(0, "running", "x"), level="warning") == ""
    journal.set_level("debug")
    assert logging.getLogger().level == logging.DEBUG


def test_each_line_of_a_traceback_has_its_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    stream = io.StringIO()
    journal.set_up("info", stream)
    try:
        raise ValueError("x")
    except ValueError:
        journal.logger.exception("failed")
    assert all(line.startswith("<3>") for line in stream.getvalue().splitlines())


def test_outside_the_journal_lines_carry_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    line = written(monkeypatch, Event(0, "running", "x"), journald=False)
    assert line.endswith("INFO running text=x\n")
    assert line[:2] == "20"
