"""A control plane of several hosts: quorums that change, hosts that are down or lost. Start the lab with
`make lab LAB=inventory/lab-ha`.

What the tests measure stands in a table at the end.
"""

from __future__ import annotations

from collections.abc import Generator

import lab_ha
import pytest
from lab_cluster import Cluster
from lab_site import Measure

MEASURED = pytest.StashKey[Measure]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MEASURED] = Measure()


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    return request.config.stash[MEASURED]


@pytest.fixture
def lab() -> Cluster:
    """The lab as its inventory describes it, with COUNT containers."""
    run = lab_ha.deploy()
    assert run.exit_code == 0, run.output
    cluster = lab_ha.cluster()
    assert len(cluster.containers()) == lab_ha.COUNT
    return cluster


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
        for host in lab_ha.hosts():
            report.sections.append((f"journal of {host}, for {item.name}", lab_ha.cluster().journal(host)))
    return report
