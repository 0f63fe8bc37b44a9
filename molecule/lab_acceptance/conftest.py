"""What an operator does to a lab that is up, and what must come of it. Start it with `make lab`.

Each test begins with COUNT containers of IMAGE, or with the service that WEB describes; when it finds another
state, it deploys that first. What the tests measure stands in a table at the end.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest
from lab_cluster import Cluster
from lab_site import IMAGE, LAB, WEB_COUNT, Measure, as_deployed, deploy, deploy_web, runs

MEASURED = pytest.StashKey[Measure]()
WEB_CONFIG = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MEASURED] = Measure()


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    return request.config.stash[MEASURED]


@pytest.fixture
def lab() -> Cluster:
    if not as_deployed():
        run = deploy()
        assert run.exit_code == 0, run.output
        assert as_deployed()
    return LAB


@pytest.fixture
def web(request: pytest.FixtureRequest) -> Cluster:
    """The lab with the web service alone, as WEB describes it."""
    if LAB.status()["config"]["sha256"] != request.config.stash.get(WEB_CONFIG, None) or not runs(
        IMAGE, WEB_COUNT
    ):
        run = deploy_web()
        assert run.exit_code == 0, run.output
        assert runs(IMAGE, WEB_COUNT)
        request.config.stash[WEB_CONFIG] = LAB.status()["config"]["sha256"]
    return LAB


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[MEASURED].rows
    if rows:
        terminalreporter.section("measured")
        width = max(len(what) for what, _ in rows)
        for what, figure in rows:
            terminalreporter.write_line(f"{what:<{width}}{figure}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the hosts' units have said."""
    report = yield
    if report.failed:
        for host in LAB.hosts:
            report.sections.append((f"journal of {host}, for {item.name}", LAB.journal(host)))
    return report
