"""The alert rules and the dashboard of monitoring/, with a real Prometheus, scheduler and Mesos."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import Daemon, eventually, free_port
from prometheus_client.parser import text_string_to_metric_families
from scheduler_process import Cluster, Scheduler

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "monitoring"
ALERTS = MONITORING / "prometheus" / "alerts.yml"
DASHBOARD = MONITORING / "grafana" / "dashboard.json"
TOKEN = "a-token-for-prometheus"
PATIENCE_SECONDS = 60.0
OUR_NAMES = re.compile(r"\b(?:mesos_docker_scheduler|process|python)_[a-z0-9_]+")


class Prometheus(Daemon):
    """A Prometheus that looks five times a second, configured as the example says."""

    def __init__(self, folder: Path, site: Scheduler) -> None:
        rules = folder / "alerts.yml"
        # What must last for minutes would make a test last as long.
        rules.write_text(re.sub(r"(?m)^( +for): .*$", r"\1: 1s", ALERTS.read_text()))
        example = (MONITORING / "prometheus" / "scrape.yml.example").read_text()
        for old, new in (
            (r"scheduler\.example:8090", f"127.0.0.1:{site.port}"),
            (r"(?m)^( +)# (authorization|  type|  credentials_file):", r"\1\2:"),
            (r"/etc/prometheus/mesos-docker-scheduler\.token", site.wish["http"]["token_file"]),
            (r"/etc/prometheus/rules/mesos-docker-scheduler\.yml", str(rules)),
            (r"scrape_interval: 15s", "scrape_interval: 200ms"),
            (r"\A---\n", "global: {evaluation_interval: 200ms}\n"),
        ):
            example, changes = re.subn(old, new, example)
            assert changes, old
        config = folder / "prometheus.yml"
        config.write_text(example)
        self._address = f"127.0.0.1:{free_port()}"
        super().__init__(
            "prometheus",
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self._address}",
            ],
            folder,
        )

    def answers(self) -> bool:
        return bool(self.query("count_over_time(up[1m]) > 1 and up == 1"))

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of the HTTP API. OSError: it does not answer (yet)."""
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def alerts(self) -> dict[str, list[dict[str, Any]]]:
        """The alerts that are pending or fire, by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in self.ask("alerts")["alerts"]:
            found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def alert(self, name: str) -> dict[str, Any]:
        """Wait until exactly one alert of that name fires."""

        def firing() -> list[dict[str, Any]]:
            return [alert for alert in self.alerts().get(name, ()) if alert["state"] == "firing"]

        (alert,) = eventually(firing, name, PATIENCE_SECONDS)
        return alert


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose master gives a slave up after seconds, not after 75."""
    with contextlib.ExitStack() as stack:
        flags: dict[str, str | int | bool] = {"agent_ping_timeout": "1secs", "max_agent_ping_timeouts": 10}
        yield Cluster(tmp_path_factory.mktemp("impatient"), stack, flags)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, impatient: Cluster) -> Iterator[Scheduler]:
    """One instance on each of two slaves, under a scheduler that shows nothing without the token."""
    folder = tmp_path_factory.mktemp("monitored")
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    unique = [{"field": "hostname", "operator": "UNIQUE"}]
    http = {"token_file": str(token), "read": "token"}
    with Scheduler(folder, impatient, http=http, constraints=unique) as scheduler:
        scheduler.converge()
        yield scheduler


@pytest.fixture(scope="module")
def metrics(site: Scheduler) -> str:
    return site.read("/metrics").decode()


@pytest.fixture(scope="module")
def prometheus(site: Scheduler, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    assert shutil.which("prometheus"), "prometheus is not installed: make prepare-tests"
    with Prometheus(tmp_path_factory.mktemp("prometheus"), site) as started:
        yield started


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


def test_the_metrics_are_as_prometheus_likes_them(metrics: str) -> None:
    promtool("check", "metrics", given=metrics)


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


def test_rules_and_dashboard_name_nothing_that_is_not_there(metrics: str) -> None:
    families = list(text_string_to_metric_families(metrics))
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
    (group,) = prometheus.ask("rules")["groups"]
    assert [rule["name"] for rule in group["rules"]] == alert_names()

    def judged() -> bool:
        (now,) = prometheus.ask("rules")["groups"]
        assert not [rule.get("lastError") for rule in now["rules"] if rule.get("lastError")]
        return all(rule["health"] == "ok" for rule in now["rules"])

    eventually(judged, "all rules evaluated", PATIENCE_SECONDS)
    empty = [title for title, queries in dashboard_queries().items() if not prometheus.query(queries[0])]
    # What has not happened: nothing waits, fails or was refused here.
    assert set(empty) <= {
        "Why instances wait",
        "Not as wanted, or overridden",
        "Failures in a row",
        "Failed calls",
        "Configuration applied",
    }
    # What Prometheus asked before its first look may be on the list for a moment.
    eventually(lambda: not prometheus.alerts(), "no alert where all is well", PATIENCE_SECONDS)


def test_a_killed_slave_raises_an_alert(site: Scheduler, impatient: Cluster, prometheus: Prometheus) -> None:
    assert "MesosDockerInstancesLost" not in prometheus.alerts()
    impatient.agents[1].kill9()
    alert = prometheus.alert("MesosDockerInstancesLost")
    assert alert["labels"]["service"] == "web"
    assert "lost with their slave" in alert["annotations"]["summary"]
    # One of two is left, and there is no other slave for the second.
    assert prometheus.alert("MesosDockerServiceNotAsWanted")["labels"]["service"] == "web"
    assert "MesosDockerServiceNoneInService" not in prometheus.alerts()
    impatient.agents[1].recover(impatient.master, 2)
    site.converge()
    eventually(lambda: "MesosDockerServiceNotAsWanted" not in prometheus.alerts(), "the alert's end", 30)


def test_a_scheduler_that_is_gone_raises_an_alert(site: Scheduler, prometheus: Prometheus) -> None:
    site.kill9()
    prometheus.alert("MesosDockerSchedulerDown")
