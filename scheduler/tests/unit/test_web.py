from __future__ import annotations

import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from mesos_docker_scheduler import events
from mesos_docker_scheduler.metrics import Metrics
from mesos_docker_scheduler.web import WebServer, application
from scheduler_fakes import Bench, service
from starlette.testclient import TestClient


class Site:
    """The web application over a controller that is driven by hand."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder, service(count=2))
        self.alive_at = time.monotonic()
        controller = self.bench.controller
        self.client = TestClient(
            application(lambda: controller.snapshot, lambda: self.alive_at, controller._metrics)
        )

    def get(self, path: str) -> Any:
        self.bench.take(after=1)
        return self.client.get(path)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_status_has_the_promised_shape(site: Site) -> None:
    site.bench.subscribe("framework-1")
    ids = site.bench.launch("a", "b")
    status = site.get("/v1/status").json()
    assert (status["framework_id"], status["connected"], status["master"]) == ("framework-1", True, "m1:5050")
    assert status["config"].keys() >= {"sha256", "applied_at", "error"}
    (web,) = status["services"]
    assert {
        key: web[key] for key in ("name", "image", "wanted", "running", "staging", "waiting", "converged")
    } == {
        "name": "web",
        "image": "demo/web:1",
        "wanted": 2,
        "running": 2,
        "staging": 0,
        "waiting": [],
        "converged": True,
    }
    assert {instance["task_id"] for instance in web["instances"]} == set(ids)
    assert web["instances"][0].keys() >= {"agent_id", "hostname", "container", "state", "image", "since"}
    assert web["instances"][0]["state"] == "TASK_RUNNING"


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


def test_explains_nothing_where_nothing_is_missing(site: Site) -> None:
    site.bench.subscribe()
    site.bench.launch("a", "b")
    assert site.get("/v1/explain/web").json()["reasons"] == []


def test_explaining_a_service_that_is_not_there_names_those_that_are(site: Site) -> None:
    answer = site.get("/v1/explain/wep")
    assert answer.status_code == 404
    assert answer.json() == {"error": 'service "wep" is not in the configuration; its services: web'}


def test_nothing_is_converged_while_nobody_confirms_it(site: Site) -> None:
    site.bench.subscribe()
    site.bench.launch("a", "b")
    site.bench.take(events.Disconnected())
    status = site.get("/v1/status").json()
    assert not status["connected"]
    assert not status["services"][0]["converged"]


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
    site.bench.subscribe()
    first, _ = site.bench.launch("a", "b")
    site.bench.tell(first, "FAILED")
    text = site.get("/metrics").text
    for line in (
        "mesos_docker_scheduler_connected 1.0",
        'mesos_docker_scheduler_instances_wanted{service="web"} 2.0',
        'mesos_docker_scheduler_instances{service="web",state="running"} 1.0',
        'mesos_docker_scheduler_launches_total{service="web"} 2.0',
        'mesos_docker_scheduler_failures_total{fault="service",service="web"} 1.0',
        'mesos_docker_scheduler_service_converged{service="web"} 0.0',
    ):
        assert line in text.splitlines()


def test_the_page_shows_what_runs(site: Site) -> None:
    site.bench.subscribe("framework-1")
    first, _ = site.bench.launch("a", "b")
    page = site.get("/").text
    for words in ("connected to m1:5050", "framework-1", "2 of 2 running", first, "host-a", "demo/web:1"):
        assert words in page


def test_the_page_says_what_waits_and_why(site: Site) -> None:
    site.bench.subscribe()
    page = site.get("/").text
    assert "0 of 2 running" in page
    assert "Mesos has offered none so far" in page


def test_the_page_says_what_is_wrong(site: Site) -> None:
    page = site.get("/").text
    assert "not connected to a master" in page
    site.bench.take(events.ConfigRead(None, "", "services[0].count: -1 is not allowed"))
    assert "services[0].count: -1 is not allowed" in site.get("/").text


def test_what_a_task_says_can_not_become_part_of_the_page(site: Site) -> None:
    site.bench.subscribe()
    first, _ = site.bench.launch("a", "b")
    site.bench.tell(first, "FAILED", message="<script>alert(1)</script>")
    answer = site.get("/")
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_page_needs_nothing_from_elsewhere(site: Site) -> None:
    page = site.get("/").text
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/metrics", "/v1/status", "/v1/explain", "/v1/explain/web"]
)
def test_nothing_can_be_changed_here(site: Site, path: str) -> None:
    assert site.client.post(path).status_code == 405
    assert site.client.get(path).headers["cache-control"] == "no-store"


def test_serves_on_a_thread_of_its_own_and_ends(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service())
    app = application(lambda: bench.controller.snapshot, time.monotonic, Metrics())
    server = WebServer(app, "127.0.0.1", 0)
    server.start()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=10) as answer:
        assert answer.status == 200
    server.stop()
    assert not server.is_alive()


def test_an_address_in_use_is_an_error_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service())
    app = application(lambda: bench.controller.snapshot, time.monotonic, Metrics())
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        WebServer(app, "127.0.0.1", taken.getsockname()[1])
