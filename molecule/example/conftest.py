"""The inventory to copy, inventory/example, deployed to hosts that have the names it gives them."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import lab_example
import pytest
from lab_cluster import Cluster
from lab_report import add_journals, measure, pytest_configure, pytest_terminal_summary  # noqa: F401


@pytest.fixture
def lab() -> Iterator[Cluster]:
    """Fresh hosts, removed afterwards whatever happened."""
    lab_example.run("playbooks/lab_down.yml")
    try:
        run = lab_example.run("playbooks/lab_up.yml")
        assert run.exit_code == 0, run.output
        yield lab_example.LAB
    finally:
        lab_example.run("playbooks/lab_down.yml")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the hosts' units have said."""
    report = yield
    if report.when == "call":
        add_journals(report, item, lab_example.LAB, lab_example.HOSTS)
    return report
