"""A control plane of several hosts: quorums that change, hosts that are down or lost. Start the lab with
`make lab LAB=inventory/lab-ha`.

What the tests measure stands in a table at the end.
"""

from __future__ import annotations

from collections.abc import Generator

import lab_ha
import pytest
from lab_cluster import Cluster
from lab_report import add_journals, measure, pytest_configure, pytest_terminal_summary  # noqa: F401


@pytest.fixture
def lab() -> Cluster:
    """The lab as its inventory describes it, with COUNT containers."""
    run = lab_ha.deploy()
    assert run.exit_code == 0, run.output
    cluster = lab_ha.cluster()
    assert len(cluster.containers()) == lab_ha.COUNT
    return cluster


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the hosts' units have said."""
    report = yield
    add_journals(report, item, lab_ha.cluster(), lab_ha.hosts())
    return report
