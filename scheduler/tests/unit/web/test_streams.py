"""What comes by itself, over a real connection."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Generator, Iterator
from typing import Any

import httpx2
import pytest
from hand_driven_site import HandDrivenSite
from mesos_docker_scheduler import web
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.web import streams
from scheduler_fakes import Bench, service
from site_fake import Site

Message = dict[str, Any]


def run(bench: Bench) -> None:
    """Subscribe, and have all run that is wanted."""
    bench.subscribe("framework-1")
    bench.launch("a", "b")
    bench.take(after=10)


@pytest.fixture
def site() -> Iterator[HandDrivenSite]:
    made = HandDrivenSite(service(count=2), service(name="db", count=0))
    made.start()
    yield made
    made.stop()


def messages(url: str, **headers: str) -> Generator[tuple[str, str, Message], None, None]:
    """(type, id, data) of each message of a stream."""
    with httpx2.stream("GET", url, headers=headers, timeout=20, trust_env=False) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind = number = ""
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "id":
                number = value
            elif name == "data":
                yield kind, number, json.loads(value)
                kind = number = ""


def test_events_come_as_they_happen(site: HandDrivenSite) -> None:
    stream = messages(f"{site.url}/v1/events/stream?after=0")
    site.do(lambda bench: bench.subscribe("framework-1"))
    kind, number, event = next(stream)
    assert (kind, event["kind"], event["id"]) == ("", "connected", int(number))
    stream.close()


def test_a_reader_goes_on_where_it_left_off(site: HandDrivenSite) -> None:
    site.do(run)
    first = site.bench.controller.log.after(0, 1)[0].id
    stream = messages(f"{site.url}/v1/events/stream", **{"Last-Event-ID": str(first)})
    assert [next(stream)[2]["id"] for _ in range(2)] == [first + 1, first + 2]
    stream.close()


def test_a_reader_of_a_state_that_is_no_more_gets_all(site: HandDrivenSite) -> None:
    site.do(run)
    stream = messages(f"{site.url}/v1/events/stream", **{"Last-Event-ID": "999999"})
    assert next(stream)[2]["id"] == site.bench.controller.log.after(0, 1)[0].id
    stream.close()


@pytest.mark.parametrize("value", ["x", "-1", "9" * 30])
def test_an_odd_id_is_refused(site: HandDrivenSite, value: str) -> None:
    headers = {"Last-Event-ID": value}
    answer = httpx2.get(f"{site.url}/v1/events/stream", headers=headers, trust_env=False)
    assert answer.status_code == 400
    assert "last-event-id" in answer.json()["error"].lower()


def test_the_watch_sends_everything_once_and_then_what_changes(site: HandDrivenSite) -> None:
    site.do(run)
    stream = (message for message in messages(f"{site.url}/v1/watch") if message[0] == "state")
    state = next(stream)[2]
    assert (state["full"], state["connected"], state["master"]) == (True, True, "m1:5050")
    assert [one["name"] for one in state["services"]] == ["web", "db"]
    one = site.view().instances[0]
    site.do(lambda bench: bench.tell(one.task_id, "FAILED", one.agent_id))
    state = next(stream)[2]
    assert not state["full"]
    assert [one["name"] for one in state["services"]] == ["web"]
    site.do(lambda bench: bench.take(events.Disconnected()))
    while state["connected"]:
        state = next(stream)[2]


def test_too_many_streams_are_refused(site: HandDrivenSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_MOST_STREAMS", 1)
    site.do(run)
    first = messages(f"{site.url}/v1/watch")
    next(first)
    assert httpx2.get(f"{site.url}/v1/watch", trust_env=False).status_code == 503
    first.close()


def test_open_streams_end_with_the_server(site: HandDrivenSite, caplog: pytest.LogCaptureFixture) -> None:
    site.do(run)
    watched, heard = messages(f"{site.url}/v1/watch"), messages(f"{site.url}/v1/events/stream?after=0")
    next(watched)
    next(heard)
    site.shut()
    assert not site.server.is_alive()
    assert list(heard) is not None
    assert list(watched) is not None
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_serves_on_a_thread_of_its_own_and_ends() -> None:
    with web.listen("127.0.0.1", 0) as listener:
        for _ in range(2):  # one after the other at the same address
            server = web.WebServer(Site().app, listener)
            server.start()
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=10) as answer:
                assert answer.status == 200
            server.stop()
            assert not server.is_alive()


def test_an_address_in_use_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        web.listen("127.0.0.1", taken.getsockname()[1])
