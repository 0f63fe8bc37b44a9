"""What an operator does to a lab that is up, and what must come of it. Start it with `make lab`.

Each test begins with COUNT containers of IMAGE, or with the service that WEB describes; when it finds another
state, it deploys that first. What the tests measure stands in a table at the end.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest
from lab_cluster import Cluster
from lab_report import add_journals, measure, pytest_configure, pytest_terminal_summary  # noqa: F401
from lab_site import IMAGE, LAB, WEB_COUNT, as_deployed, deploy, deploy_web, runs

WEB_CONFIG = pytest.StashKey[str]()


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


@pytest.fixture
def slave(web: Cluster) -> Generator[str, None, None]:
    """The slave with most of the containers; afterwards it is taken back, whatever the test has come to."""
    hosts = [container.host for container in web.containers().values()]
    slave = max(web.slaves, key=hosts.count)
    yield slave
    web.take_back()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the hosts' units have said."""
    report = yield
    add_journals(report, item, LAB, LAB.hosts)
    return report
