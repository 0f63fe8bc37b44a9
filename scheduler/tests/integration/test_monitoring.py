"""The alert rules and the dashboard of monitoring/, with a real Prometheus and the real application."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from memory_store import MemoryStore
from mesos_docker_scheduler import events, web
from mesos_docker_scheduler.driver.call_times import CallTimes
from mesos_docker_scheduler.sandbox import Sandboxes
from prometheus_client.parser import text_string_to_metric_families
from scheduler_fakes import Bench, service

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "monitoring"
ALERTS = MONITORING / "prometheus" / "alerts.yml"
DASHBOARD = MONITORING / "grafana" / "dashboard.json"
TOKEN = "a-token-for-prometheus"
PATIENCE_SECONDS = 60.0
OUR_NAMES = re.compile(r"\b(?:mesos_docker_scheduler|process|python)_[a-z0-9_]+")


class Driver:
    """A driver with calls under way."""

    calls_open = (0, 1)

    def __init__(self) -> None:
        self.call_times = CallTimes()
        self.call_times.note("ACKNOWLEDGE", 0.002)


class Site:
    """The web application over a controller that the test drives; reading it needs the token."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder, service(count=2), store=MemoryStore(), now=time.time())
        controller = self.bench.controller
        metrics = controller._metrics
        metrics.watch_driver(Driver())
        sources = web.Sources(
            snapshot=lambda: controller.snapshot,
            alive_at=time.monotonic,
            log=controller.log,
            metrics=metrics,
            ask=lambda asked: None,
            sandboxes=Sandboxes(None),
        )
        app = web.application(sources, web.Access(TOKEN, "token"))
        self.server = web.WebServer(app, "127.0.0.1", 0)
        self.server.start()
        self.bench.subscribe()
        self.tasks = self.bench.launch("a", "b")
        self.bench.take(after=60)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def metrics(self) -> str:
        request = urllib.request.Request(
            f"http://{self.address}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read().decode())


class Prometheus:
    """A Prometheus that looks five times a second, configured as the example says."""

    def __init__(self, folder: Path, target: str) -> None:
        rules = folder / "alerts.yml"
        # What must last for minutes would make a test last as long.
        rules.write_text(re.sub(r"(?m)^( +for): .*$", r"\1: 1s", ALERTS.read_text()))
        (folder / "token").write_text(TOKEN)
        example = (MONITORING / "prometheus" / "scrape.yml.example").read_text()
        for old, new in (
            (r"scheduler\.example:8090", target),
            (r"(?m)^( +)# (authorization|  type|  credentials_file):", r"\1\2:"),
            (r"/etc/prometheus/mesos-docker-scheduler\.token", str(folder / "token")),
            (r"/etc/prometheus/rules/mesos-docker-scheduler\.yml", str(rules)),
            (r"scrape_interval: 15s", "scrape_interval: 200ms"),
            (r"\A---\n", "global: {evaluation_interval: 200ms}\n"),
        ):
            example, changes = re.subn(old, new, example)
            assert changes, old
        config = folder / "prometheus.yml"
        config.write_text(example)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self._log = folder / "prometheus.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={self._address}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of the HTTP API; None when it does not answer (yet)."""
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        except OSError:
            return None

    def query(self, expression: str) -> list[dict[str, Any]]:
        found = self.ask("query", query=expression)
        return found["result"] if found is not None else []

    def alerts(self) -> dict[str, list[dict[str, Any]]]:
        """The alerts that are pending or fire, by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in (self.ask("alerts") or {"alerts": []})["alerts"]:
            found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found


def wait_for(what: str, condition: Callable[[], Any]) -> Any:
    """What the condition gives once it is true; asked again and again, for no longer than a minute."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < give_up_at, f"in vain: {what}"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def prometheus(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    assert shutil.which("prometheus"), "prometheus is not installed: make prepare"
    made = Prometheus(tmp_path_factory.mktemp("prometheus"), site.address)
    try:
        wait_for("two looks at the scheduler", lambda: made.query("count_over_time(up[1m]) > 1 and up == 1"))
        yield made
    finally:
        made.stop()


def promtool(*arguments: str, given: str | None = None) -> None:
    done = subprocess.run(
        ["promtool", *arguments],
        input=given,
        cwd=ALERTS.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def alert_names() -> list[str]:
    return re.findall(r"(?m)^ +- alert: (\w+)$", ALERTS.read_text())


def dashboard_queries() -> dict[str, list[str]]:
    """The queries by their panel's title, with plain values for Grafana's variables."""
    values = {"$__rate_interval": "1m", "$__interval": "1m", "$instance": ".*", "$service": ".*"}
    dashboard = json.loads(DASHBOARD.read_text())
    queries: dict[str, list[str]] = {}
    shown = [
        *dashboard["panels"],
        *({"title": one["name"], "targets": [one]} for one in dashboard["annotations"]["list"]),
    ]
    for panel in shown:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in values.items():
                expression = expression.replace(name, value)
            assert "$" not in expression, expression
            queries.setdefault(panel["title"], []).append(expression)
    return queries


def test_the_metrics_are_as_prometheus_likes_them(site: Site) -> None:
    promtool("check", "metrics", given=site.metrics())


def test_each_alert_is_well_formed_and_fires_when_it_should() -> None:
    promtool("check", "rules", ALERTS.name)
    promtool("test", "rules", "alerts_test.yml")
    tested = re.findall(r"(?m)^  - name: (\w+)$", (ALERTS.parent / "alerts_test.yml").read_text())
    assert tested == alert_names()


def test_each_alert_names_a_section_that_there_is() -> None:
    headings = re.findall(r"(?m)^#+ (.+)$", (ROOT / "docs" / "operations.md").read_text())
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    named = re.findall(r"(?m)^ +runbook: docs/operations\.md#(\S+)$", ALERTS.read_text())
    assert len(named) == len(alert_names())
    assert set(named) <= anchors


def test_rules_and_dashboard_name_nothing_that_is_not_there(site: Site) -> None:
    families = list(text_string_to_metric_families(site.metrics()))
    known = {sample.name for family in families for sample in family.samples}
    known |= {family.name for family in families}
    known |= {f"{family.name}_total" for family in families if family.type == "counter"}
    expressions = [query for queries in dashboard_queries().values() for query in queries]
    named = set(OUR_NAMES.findall(" ".join([ALERTS.read_text(), *expressions])))
    assert len(named) > 40
    assert named <= known


def test_each_panel_has_its_place_and_says_what_it_shows() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    for panel in panels:
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"


def test_a_real_prometheus_loads_the_rules_and_answers_the_dashboard(prometheus: Prometheus) -> None:
    (group,) = wait_for("the rules", lambda: prometheus.ask("rules"))["groups"]
    assert [rule["name"] for rule in group["rules"]] == alert_names()

    def judged() -> bool:
        (now,) = prometheus.ask("rules")["groups"]
        assert not [rule.get("lastError") for rule in now["rules"] if rule.get("lastError")]
        return all(rule["health"] == "ok" for rule in now["rules"])

    wait_for("all rules to be evaluated", judged)
    empty = [title for title, queries in dashboard_queries().items() if not prometheus.query(queries[0])]
    # What has not happened: nothing waits, fails or was refused here.
    assert set(empty) <= {
        "Why instances wait",
        "Not as wanted, or overridden",
        "Failures in a row",
        "Failed calls",
        "Configuration applied",
    }
    # The controller's clock is the test's, and it goes round only when it is told to.
    assert set(prometheus.alerts()) <= {"MesosDockerSchedulerLoopStuck"}


def test_a_killed_slave_raises_an_alert(site: Site, prometheus: Prometheus) -> None:
    assert "MesosDockerInstancesLost" not in prometheus.alerts()
    site.bench.take(events.AgentLost("a"))
    site.bench.tell(site.tasks[0], "UNREACHABLE", "a", reason="REASON_AGENT_REMOVED")
    site.bench.take(after=1)
    (alert,) = wait_for("the alert", lambda: prometheus.alerts().get("MesosDockerInstancesLost"))
    assert alert["labels"]["service"] == "web"
    assert alert["state"] in ("pending", "firing")
    assert "lost with their slave" in alert["annotations"]["summary"]
    # One of two is left, and there is nowhere to start another.
    wait_for("the service to be told of", lambda: "MesosDockerServiceNotAsWanted" in prometheus.alerts())
    assert "MesosDockerServiceNoneInService" not in prometheus.alerts()


def test_a_scheduler_that_is_gone_raises_an_alert(site: Site, prometheus: Prometheus) -> None:
    site.server.stop()
    wait_for("the alert", lambda: "MesosDockerSchedulerDown" in prometheus.alerts())
