from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mesos_docker_scheduler import web
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.web import models
from scheduler_fakes import offer_message, service
from site_fake import Site
from starlette.testclient import TestClient


@pytest.fixture
def site() -> Site:
    return Site()


def test_the_status_has_the_promised_shape(site: Site) -> None:
    ids = site.run()
    status = site.get("/v1/status").json()
    assert (status["framework_id"], status["connected"], status["master"]) == ("framework-1", True, "m1:5050")
    (web,) = status["services"]
    promised = ("name", "image", "wanted", "running", "staging", "waiting", "converged", "configured")
    assert {key: web[key] for key in promised} == {
        "name": "web",
        "image": "demo/web:1",
        "wanted": 2,
        "running": 2,
        "staging": 0,
        "waiting": [],
        "converged": True,
        "configured": 2,
    }
    assert {instance["task_id"] for instance in web["instances"]} == set(ids)
    assert web["instances"][0]["state"] == "TASK_RUNNING"
    brief = site.get("/v1/status?instances=false").json()
    assert "instances" not in brief["services"][0]


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/healthz", models.Health),
        ("/v1/status", models.Status),
        ("/v1/status?instances=false", models.Status),
        ("/v1/services", models.Services),
        ("/v1/services/web", models.Service),
        ("/v1/services/web/instances", models.Instances),
        ("/v1/instances", models.Instances),
        ("/v1/agents", models.Agents),
        ("/v1/events", models.Events),
        ("/v1/explain", models.Explanations),
        ("/v1/explain/web", models.Explanation),
    ],
)
@pytest.mark.parametrize("running", [True, False])
def test_answers_are_as_they_are_described(site: Site, path: str, model: Any, running: bool) -> None:
    if running:
        first, _ = site.run()
        site.bench.tell(first, "FAILED", message="exit status 1")
    answer = site.get(path)
    assert answer.status_code == 200
    assert set(model.model_validate_json(answer.text).model_dump()) == set(answer.json())


def test_explains_what_is_missing_of_each_service_and_of_one(site: Site) -> None:
    site.bench.subscribe()
    site.bench.offer("a", mem=32)
    assert list(site.get("/v1/explain").json()["services"]) == ["web"]
    web = site.get("/v1/explain/web").json()
    assert (web["name"], web["wanted"], web["running"], web["converged"]) == ("web", 2, 0, False)
    (reason,) = web["reasons"]
    assert (reason["kind"], reason["instances"], reason["until"]) == ("resources", 2, None)
    assert reason["agents"] == {"mem": 1}
    assert reason["text"] in site.get("/v1/status").json()["services"][0]["waiting"]


def test_a_service_that_is_not_there_names_those_that_are(site: Site) -> None:
    for path in ("/v1/explain/wep", "/v1/services/wep", "/v1/services/wep/instances"):
        answer = site.get(path)
        assert answer.status_code == 404
        assert answer.json() == {"error": 'service "wep" is not in the configuration; its services: web'}


def test_nothing_is_converged_while_nobody_confirms_it(site: Site) -> None:
    site.run()
    site.bench.take(events.Disconnected())
    status = site.get("/v1/status").json()
    assert not status["connected"]
    assert not status["services"][0]["converged"]


def test_instances_have_what_a_load_balancer_needs() -> None:
    site = Site(service(count=1, ports=[{"container_port": 80}]))
    site.bench.subscribe()
    site.bench.offer("a")
    (info,) = site.bench.launched()
    where = {"network_infos": [{"ip_addresses": [{"ip_address": "172.17.0.2"}]}]}
    site.bench.tell(info["task_id"]["value"], "RUNNING", container_status=where)
    (one,) = site.get("/v1/instances").json()["instances"]
    assert (one["service"], one["hostname"], one["address"]) == ("web", "host-a", "172.17.0.2")
    assert one["ports"] == [31000]
    assert one["in_service"]


def test_agents_say_where_they_are_and_what_runs_there(site: Site) -> None:
    site.bench.subscribe()
    url = {"scheme": "http", "address": {"hostname": "host-a", "ip": "10.0.0.5", "port": 5051}}
    site.bench.take(events.Offers((offer_message("a", more={"url": url}),)))
    site.bench.take(after=1)
    for info in site.bench.launched():
        site.bench.tell(info["task_id"]["value"], "RUNNING")
    (agent,) = site.get("/v1/agents").json()["agents"]
    assert (agent["hostname"], agent["url"], agent["instances"]) == ("host-a", "http://10.0.0.5:5051", 2)


def test_events_are_listed_from_the_latest_or_from_an_id_on(site: Site) -> None:
    site.run()
    events = site.get("/v1/events").json()["events"]
    assert [event["kind"] for event in events][:3] == ["connected", "launch", "launch"]
    ids = [event["id"] for event in events]
    assert ids == sorted(set(ids))
    after = site.get(f"/v1/events?after={ids[0]}&limit=2").json()["events"]
    assert [event["id"] for event in after] == ids[1:3]
    (last,) = site.get("/v1/events?limit=1").json()["events"]
    assert last["id"] == ids[-1]
    assert {event["service"] for event in site.get("/v1/events?service=web").json()["events"]} == {"web"}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", "query parameter limit: "),
        ("limit=x", 'query parameter limit: "x" is not allowed'),
        ("after=-1", "query parameter after: "),
    ],
)
def test_wrong_parameters_are_named(site: Site, query: str, words: str) -> None:
    answer = site.get(f"/v1/events?{query}")
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_healthz_says_that_the_loop_lives(site: Site) -> None:
    answer = site.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "connected": False, "problem": None})
    site.bench.subscribe()
    assert site.get("/healthz").json()["connected"]


def test_healthz_fails_when_the_loop_is_stuck(site: Site) -> None:
    site.alive_at -= 100
    answer = site.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "stuck")


def test_metrics_are_prometheus_text(site: Site) -> None:
    first, _ = site.run()
    site.bench.tell(first, "FAILED")
    text = site.get("/metrics").text
    for line in (
        "mesos_docker_scheduler_connected 1.0",
        'mesos_docker_scheduler_instances_wanted{service="web"} 2.0',
        'mesos_docker_scheduler_instances{service="web",state="running"} 1.0',
        'mesos_docker_scheduler_launches_total{service="web"} 2.0',
        'mesos_docker_scheduler_service_converged{service="web"} 0.0',
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize("path", ["/", "/services/web", "/healthz", "/metrics", "/v1/status", "/v1/nothing"])
def test_every_answer_keeps_browsers_safe(site: Site, path: str) -> None:
    headers = site.get(path).headers
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


def test_what_is_not_there_is_told_as_json(site: Site) -> None:
    answer = site.get("/v1/nothing")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})
    assert site.client.put("/v1/services").status_code == 405


@pytest.mark.parametrize(
    "path", ["services", "services/web", "services/web/instances", "instances", "explain", "explain/web"]
)
def test_what_is_not_known_is_no_empty_list(path: str) -> None:
    site = Site()
    unknown = replace(
        site.bench.controller.snapshot, known=False, problem="nothing was read yet", services=()
    )
    app = web.application(replace(site.sources, snapshot=lambda: unknown), web.Access())
    answer = TestClient(app, "http://localhost").get(f"/v1/{path}")
    assert (answer.status_code, answer.json()) == (
        503,
        {"error": "it is not known what runs: nothing was read yet"},
    )
