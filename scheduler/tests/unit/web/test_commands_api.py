"""What can be changed: each verb does what it says, once it is durable, or says why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mesos_docker_scheduler import web
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.operations import NotLeadingError
from mesos_docker_scheduler.observability.snapshot import Leader
from mesos_docker_scheduler.records.store import Change, StoreError
from mesos_docker_scheduler.web import commands, models
from mesos_docker_scheduler.web.bucket import Bucket
from scheduler_fakes import configuration, service
from site_fake import TOKEN, Site
from starlette.testclient import TestClient


def test_scaling_is_shown_beside_what_is_configured(site: Site) -> None:
    answer = site.post("/v1/services/web/scale", {"count": 3})
    assert answer.status_code == 200
    models.ServiceSummary.model_validate_json(answer.text)
    web = answer.json()
    assert (web["wanted"], web["configured"]) == (3, 2)
    assert web["scaled_since"] is not None
    assert answer.headers["etag"] == f'"{web["revision"]}"'
    (event,) = [event for event in site.bench.events if event.kind == "operator"]
    assert event.text == "scaled from 2 to 3; the configuration says 2 (site, from testclient)"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"count": -1}, "count: -1 is not allowed"),
        ({"count": 100_001}, "count: 100001 is not allowed"),
        ({"count": "two"}, 'count: "two" is not allowed'),
        ({"count": 1.5}, "count: 1.5 is not allowed"),
        ({"cuont": 1}, "cuont: is not a known key"),
        ({}, "count: is missing"),
        ([1], "the body must be one JSON object"),
        (None, "the body"),
    ],
)
def test_a_wrong_wish_is_named(site: Site, body: object, words: str) -> None:
    answer = site.post("/v1/services/web/scale", body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert site.view()["wanted"] == 2


def test_a_body_that_is_no_json_is_named(site: Site) -> None:
    headers = {"If-Match": "*", "Content-Type": "application/json"}
    answer = site.client.post("/v1/services/web/scale", content=b"{", headers=headers)
    assert answer.status_code == 400
    assert "not JSON" in answer.json()["error"]


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")])
def test_a_body_of_any_depth_is_named(
    site: Site, begin: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bucket, "wait", lambda self, client: 0.0)
    headers = {"If-Match": "*", "Content-Type": "application/json"}
    for depth in range(900, 1000):  # a little less deep can be read, but not written
        content = f'{{"count": {begin * depth}1{end * depth}}}'
        answer = site.client.post("/v1/services/web/scale", content=content, headers=headers)
        assert answer.status_code == 400


def test_two_writers_can_not_overwrite_each_other_unseen(site: Site) -> None:
    seen = site.view()["revision"]
    assert site.post("/v1/services/web/scale", {"count": 3}, **{"If-Match": f'"{seen}"'}).status_code == 200
    late = site.post("/v1/services/web/scale", {"count": 9}, **{"If-Match": f'"{seen}"'})
    assert late.status_code == 412
    assert f"not {seen}; look again" in late.json()["error"]
    assert site.view()["wanted"] == 3


def test_who_has_not_looked_has_to_say_so(site: Site) -> None:
    answer = site.client.post("/v1/services/web/scale", json={"count": 3})
    assert answer.status_code == 428
    assert "If-Match" in answer.json()["error"]


def test_a_service_that_is_not_there(site: Site) -> None:
    for verb in ("restart", "pause", "resume", "rollback", "reset", "reset-backoff"):
        answer = site.post(f"/v1/services/wep/{verb}")
        assert answer.status_code == 404
        assert "wep" in answer.json()["error"]


def test_what_makes_no_sense_is_refused_with_a_reason(site: Site) -> None:
    for verb, words in (
        ("pause", "there is nothing to pause"),
        ("resume", "there is nothing to resume"),
        ("rollback", "no version of web before this one"),
        ("reset-backoff", "there is no back-off to reset"),
    ):
        answer = site.post(f"/v1/services/web/{verb}")
        assert answer.status_code == 409
        assert words in answer.json()["error"]
    assert site.post("/v1/services/web/reset").status_code == 200


def test_an_instance_is_killed_and_replaced(site: Site) -> None:
    first = site.view()["instances"][0]
    assert site.client.post(f"/v1/instances/{first['task_id']}/kill").status_code == 202
    assert [call[1] for call in site.bench.driver.take("kill")] == [first["task_id"]]
    site.bench.tell(first["task_id"], "KILLED", first["agent_id"])
    (second,) = site.bench.launch("a")
    assert second != first["task_id"]
    answer = site.client.post("/v1/instances/nothing/kill")
    assert (answer.status_code, answer.json()) == (404, {"error": 'no instance "nothing" runs'})


def test_an_update_is_paused_resumed_and_rolled_back(site: Site) -> None:
    bench = site.bench
    newer = configuration(service(count=2, image="demo/web:2"))
    bench.take(events.ConfigRead(newer, "sha2"), after=1)
    assert site.view()["update"]["from_image"] == "demo/web:1"
    paused = site.post("/v1/services/web/pause").json()["update"]
    assert (paused["state"], paused["by_operator"]) == ("paused", True)
    assert site.post("/v1/services/web/resume").json()["update"]["state"] == "rolling"
    back = site.post("/v1/services/web/rollback").json()["update"]
    assert (back["state"], back["from_image"], back["by_operator"]) == ("rolled back", "demo/web:1", True)
    assert site.view()["converged"], "what the operator asked for runs"


def test_is_answered_only_when_it_is_durable(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, change: Change) -> None:
        raise StoreError("state.sqlite: can't be written: disk full")

    monkeypatch.setattr(commands, "_PATIENCE_SECONDS", 0.1)
    with monkeypatch.context() as broken:
        broken.setattr(type(site.bench.store), "commit", full)
        first = site.post("/v1/services/web/scale", {"count": 3})
        assert first.status_code == 503
        assert "not known yet" in first.json()["error"]
        second = site.post("/v1/services/web/scale", {"count": 4})
        assert second.status_code == 503
        assert "disk full" in second.json()["error"]
    assert site.view()["wanted"] == 3


@pytest.mark.parametrize(
    ("leader", "status", "location"),
    [
        (Leader("b", "https://b:8090"), 307, "https://b:8090/v1/services/web/scale"),
        (Leader("b", None), 503, None),
        (None, 503, None),
    ],
)
def test_a_scheduler_that_follows_sends_to_the_leader_who_wants_to_change_something(
    leader: Leader | None, status: int, location: str | None
) -> None:
    site = Site()

    def put(event: events.AnyEvent) -> None:
        assert isinstance(event, events.Command)
        event.reply(NotLeadingError(leader))

    sources = replace(site.sources, put=put)
    client = TestClient(
        web.application(sources, web.Access(TOKEN)),
        "http://localhost",
        headers={"Authorization": f"Bearer {TOKEN}", "If-Match": "*"},
        follow_redirects=False,
    )
    answer = client.post("/v1/services/web/scale", json={"count": 3})
    assert (answer.status_code, answer.headers.get("location")) == (status, location)
    assert "this scheduler does not lead" in answer.json()["error"]
