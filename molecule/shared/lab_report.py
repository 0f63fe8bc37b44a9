"""What the tests of every lab report: a table of what they measured, and the hosts' journals with a failure.

A conftest.py imports the hooks and the fixture by name, which is how pytest finds them.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from lab_cluster import Cluster
from lab_site import Measure

MEASURED = pytest.StashKey[Measure]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin an empty table."""
    config.stash[MEASURED] = Measure()


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """Take figures for the table."""
    return request.config.stash[MEASURED]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    rows = config.stash[MEASURED].rows
    if rows:
        terminalreporter.section("measured")
        width = max(len(what) for what, _ in rows)
        for what, figure in rows:
            terminalreporter.write_line(f"{what:<{width}}{figure}")


def add_journals(report: pytest.TestReport, item: pytest.Item, lab: Cluster, hosts: Iterable[str]) -> None:
    """Show with a failure what the hosts' units have said."""
    if report.failed:
        for host in hosts:
            report.sections.append((f"journal of {host}, for {item.name}", lab.journal(host)))
