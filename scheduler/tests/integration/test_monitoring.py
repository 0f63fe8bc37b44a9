"""Alert rules and dashboard of monitoring/: a real Prometheus, scheduler, exporter, Mesos and ZooKeeper."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_testbed import Daemon, Master, eventually, free_port
from prometheus_client.parser import text_string_to_metric_families
from scheduler_process import Cluster, Scheduler

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "monitoring"
ALERTS = [MONITORING / "prometheus" / name for name in ("alerts.yml", "cluster_alerts.yml")]
DASHBOARD = MONITORING / "grafana" / "dashboard.json"
EXPORTER = ROOT / "roles" / "monitoring" / "files" / "mesos_docker_exporter.py"
TOKEN = "a-token-for-prometheus"
PATIENCE_SECONDS = 60.0
# What these say is true of a machine that is slow or full: with `for: 1s` a few slow writes are enough.
OF_THE_MACHINE = {
    "MesosAgentDiskNearlyFull",
    "MesosDockerSchedulerLoopSlow",
    "MesosMasterRegistrySlow",
    "ZooKeeperDiskSlow",
    "ZooKeeperRequestsWait",
}
OUR_NAMES = re.compile(r"\b(?:mesos_docker|mesos_master|mesos_agent|zookeeper|process|python)_[a-z0-9_]+")


class Exporter(Daemon):
    """The exporter, as the role installs it, with what stands for one host."""

    def __init__(
        self,
        folder: Path,
        name: str,
        targets: Mapping[str, str],
        credentials: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.port = free_port()
        asked = {}
        for target, address in targets.items():
            host, _, port = address.partition(":")
            asked[target] = {"address": host, "port": int(port)}
        given = {"address": "127.0.0.1", "port": self.port, "token": TOKEN, "targets": asked}
        given["credentials"] = dict(credentials or {})
        config = folder / f"{name}.json"
        config.write_text(json.dumps(given))
        super().__init__(name, [sys.executable, "-I", EXPORTER, "--config", config], folder)

    def metrics(self) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read().decode())

    def answers(self) -> bool:
        return "_up " in self.metrics()


class Prometheus(Daemon):
    """A Prometheus that looks five times a second, configured as the example says."""

    def __init__(self, folder: Path, site: Scheduler, exporters: list[Exporter]) -> None:
        for path in ALERTS:
            # What must last for minutes would make a test last as long.
            (folder / path.name).write_text(re.sub(r"(?m)^( +for): .*$", r"\1: 1s", path.read_text()))
        hosts = ", ".join(f'"127.0.0.1:{exporter.port}"' for exporter in exporters)
        example = (MONITORING / "prometheus" / "scrape.yml.example").read_text()
        for old, new in (
            (r"scheduler\.example:8090", f"127.0.0.1:{site.port}"),
            (r'"master1\.example:9105", "slave1\.example:9105"', hosts),
            (r"(?m)^( +)# (authorization|  type|  credentials_file):", r"\1\2:"),
            (r"/etc/prometheus/mesos-docker-\w+\.token", site.wish["http"]["token_file"]),
            (r"/etc/prometheus/rules/mesos-docker-scheduler\.yml", str(folder / ALERTS[0].name)),
            (r"/etc/prometheus/rules/mesos-docker-cluster\.yml", str(folder / ALERTS[1].name)),
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
        return len(self.query("count_over_time(up[1m]) > 1 and up == 1")) == 3

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

    def alert(self, name: str, **labels: str) -> dict[str, Any]:
        """Wait until exactly one alert of that name, with these labels, fires."""

        def firing() -> list[dict[str, Any]]:
            return [
                alert
                for alert in self.alerts().get(name, ())
                if alert["state"] == "firing" and labels.items() <= alert["labels"].items()
            ]

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
def exporters(tmp_path_factory: pytest.TempPathFactory, impatient: Cluster) -> Iterator[list[Exporter]]:
    """A host with a master, a ZooKeeper and a slave, and one with a slave."""
    folder = tmp_path_factory.mktemp("exporters")
    first, second = (agent.address for agent in impatient.agents)
    hosts = {
        "exporter1": {
            "mesos_master": impatient.master.address,
            "zookeeper": impatient.zookeeper.address,
            "mesos_agent": first,
        },
        "exporter2": {"mesos_agent": second},
    }
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Exporter(folder, name, targets)) for name, targets in hosts.items()]


@pytest.fixture(scope="module")
def metrics(site: Scheduler) -> str:
    return site.read("/metrics").decode()


@pytest.fixture(scope="module")
def prometheus(
    site: Scheduler, exporters: list[Exporter], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    assert shutil.which("prometheus"), "prometheus is not installed: make prepare-tests"
    with Prometheus(tmp_path_factory.mktemp("prometheus"), site, exporters) as started:
        yield started


def promtool(*arguments: str, given: str | None = None) -> None:
    done = subprocess.run(
        ["promtool", *arguments],
        input=given,
        cwd=ALERTS[0].parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def rules_text() -> str:
    return "".join(path.read_text() for path in ALERTS)


def alert_names(text: str | None = None) -> list[str]:
    return re.findall(r"(?m)^ +- alert: (\w+)$", text or rules_text())


def schedulers_metrics_with_a_certificate() -> set[str]:
    """What the scheduler tells besides where its page and API speak TLS."""
    metrics = Metrics()
    metrics.watch_certificate(lambda: 0.0)
    return {family.name for family in text_string_to_metric_families(metrics.text().decode())}


def exporters_metrics() -> set[str]:
    """All that the exporter can tell: a single ZooKeeper has no followers, for example."""
    specification = importlib.util.spec_from_file_location(EXPORTER.stem, EXPORTER)
    assert specification
    assert specification.loader
    exporter = importlib.util.module_from_spec(specification)
    sys.modules[EXPORTER.stem] = exporter  # where dataclasses look their types up
    specification.loader.exec_module(exporter)
    rules = (*exporter.MASTER_RULES, *exporter.AGENT_RULES, *exporter.ZOOKEEPER_RULES)
    certificates = {exporter.certificate_family(name).name for name in ("mesos_master", "mesos_agent")}
    return {rule.family.name + rule.suffix for rule in rules} | certificates


def dashboard_queries() -> dict[str, list[str]]:
    """The queries by their panel's title, with plain values for Grafana's variables."""
    values = {
        "$__rate_interval": "1m",
        "$__interval": "1m",
        "$instance": ".*",
        "$service": ".*",
        "$host": ".*",
    }
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


def test_the_metrics_are_as_prometheus_likes_them(metrics: str, exporters: list[Exporter]) -> None:
    for told in (metrics, *(exporter.metrics() for exporter in exporters)):
        promtool("check", "metrics", given=told)


@pytest.mark.parametrize("rules", ALERTS, ids=lambda path: path.stem)
def test_each_alert_is_well_formed_and_fires_when_it_should(rules: Path) -> None:
    tests = rules.with_name(f"{rules.stem}_test.yml")
    promtool("check", "rules", rules.name)
    promtool("test", "rules", tests.name)
    # "NAME" or "NAME, and why this time".
    tested = re.findall(r"(?m)^  - name: (\w+)(?:,.*)?$", tests.read_text())
    assert list(dict.fromkeys(tested)) == alert_names(rules.read_text())


def test_each_alert_names_a_section_that_there_is() -> None:
    anchors = {
        page + "#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for page in ("operations.md", "security.md")
        for heading in re.findall(r"(?m)^#+ (.+)$", (ROOT / "docs" / page).read_text())
    }
    named = re.findall(r"(?m)^ +runbook: docs/(\S+)$", rules_text())
    assert len(named) == len(alert_names())
    assert set(named) <= anchors


def test_a_master_that_wants_credentials_for_reading_gets_them(tmp_path: Path) -> None:
    ops = {"principal": "ops", "secret": "s3cret"}
    known = tmp_path / "credentials.json"
    known.write_text(json.dumps({"credentials": [ops]}))
    flags = {"credentials": str(known), "authenticate_http_readonly": True}
    with Master(tmp_path / "master", flags) as master:
        targets = {"mesos_master": master.address}
        with Exporter(tmp_path, "with", targets, {"mesos_master": ops}) as exporter:
            assert "mesos_master_elected 1" in exporter.metrics().splitlines()
        with Exporter(tmp_path, "without", targets) as exporter:
            assert "mesos_master_up 0" in exporter.metrics().splitlines()


def test_rules_and_dashboard_name_nothing_that_is_not_there(metrics: str, exporters: list[Exporter]) -> None:
    families = [
        family
        for told in (metrics, *(exporter.metrics() for exporter in exporters))
        for family in text_string_to_metric_families(told)
    ]
    known = {sample.name for family in families for sample in family.samples}
    known |= {family.name for family in families}
    known |= {f"{family.name}_total" for family in families if family.type == "counter"}
    known |= exporters_metrics() | schedulers_metrics_with_a_certificate()
    # Rules' texts name variables, too.
    known |= set(re.findall(r"(?m)^\| `(\w+)`", (ROOT / "docs" / "variables.md").read_text()))
    expressions = [query for queries in dashboard_queries().values() for query in queries]
    named = set(OUR_NAMES.findall(" ".join([rules_text(), *expressions])))
    assert len(named) > 80
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
    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]

    assert sorted(rule["name"] for rule in rules()) == sorted(alert_names())

    def judged() -> bool:
        now = rules()
        assert not [rule.get("lastError") for rule in now if rule.get("lastError")]
        return all(rule["health"] == "ok" for rule in now)

    eventually(judged, "all rules evaluated", PATIENCE_SECONDS)
    empty = [title for title, queries in dashboard_queries().items() if not prometheus.query(queries[0])]
    # What has not happened: nothing waits, fails or was refused here, the engines have the image, and
    # ZooKeeper has written nothing since Prometheus looks.
    assert set(empty) <= {
        "Why instances wait",
        "Not as wanted, or overridden",
        "Failures in a row",
        "Failed calls",
        "Configuration applied",
        "Pulls of images",
        "Writes of the log",
    }

    def troubles() -> dict[str, list[dict[str, Any]]]:
        return {name: alerts for name, alerts in prometheus.alerts().items() if name not in OF_THE_MACHINE}

    # What Prometheus asked before its first look may be on the list for a moment.
    with contextlib.suppress(TimeoutError):
        eventually(lambda: not troubles(), "no alert where all is well", PATIENCE_SECONDS)
    assert not troubles()


def test_a_killed_slave_raises_an_alert(
    site: Scheduler, impatient: Cluster, prometheus: Prometheus, exporters: list[Exporter]
) -> None:
    assert "MesosDockerInstancesLost" not in prometheus.alerts()
    impatient.agents[1].kill9()
    silent = prometheus.alert("MesosAgentDown")["labels"]["instance"]
    assert silent == f"127.0.0.1:{exporters[1].port}"
    alert = prometheus.alert("MesosDockerInstancesLost")
    assert alert["labels"]["service"] == "web"
    assert "lost with their slave" in alert["annotations"]["summary"]
    assert "About 1 " in prometheus.alert("MesosAgentsLost")["annotations"]["description"]
    # One of two is left, and there is no other slave for the second.
    assert prometheus.alert("MesosDockerServiceNotAsWanted")["labels"]["service"] == "web"
    assert "MesosDockerServiceNoneInService" not in prometheus.alerts()
    impatient.agents[1].recover(impatient.master, 2)
    site.converge()
    eventually(lambda: "MesosDockerServiceNotAsWanted" not in prometheus.alerts(), "the alert's end", 30)


def test_a_scheduler_that_is_gone_raises_an_alert(site: Scheduler, prometheus: Prometheus) -> None:
    site.kill9()
    prometheus.alert("MesosDockerSchedulerDown")


def test_a_master_that_is_gone_raises_an_alert(impatient: Cluster, prometheus: Prometheus) -> None:
    impatient.master.kill9()
    prometheus.alert("MesosMasterDown")
    prometheus.alert("MesosMasterNoneLeads")
    # Nobody leads: that agents are not registered is no news.
    assert "MesosAgentNotRegistered" not in prometheus.alerts()
    impatient.master.start()
    eventually(lambda: "MesosMasterNoneLeads" not in prometheus.alerts(), "the alert's end", PATIENCE_SECONDS)


def test_a_zookeeper_that_is_gone_raises_an_alert(impatient: Cluster, prometheus: Prometheus) -> None:
    impatient.zookeeper.kill9()
    prometheus.alert("ZooKeeperDown")
    prometheus.alert("ZooKeeperNoQuorum")
    impatient.zookeeper.start()

    def recovered() -> bool:
        if not impatient.master.running:  # it ends when it has lost ZooKeeper
            impatient.master.spawn()
        return not {"ZooKeeperNoQuorum", "MesosMasterNoneLeads"} & prometheus.alerts().keys()

    eventually(recovered, "the alerts' end", PATIENCE_SECONDS)


def test_an_exporter_that_is_gone_raises_an_alert(prometheus: Prometheus, exporters: list[Exporter]) -> None:
    exporters[1].kill9()
    # Others may be slow for a moment, on a busy machine.
    prometheus.alert("MesosDockerExporterDown", instance=f"127.0.0.1:{exporters[1].port}")
