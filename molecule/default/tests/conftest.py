"""Looks at the host of this scenario, which must be up: `molecule verify`, or plain pytest on this folder."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from lab_cluster import Cluster, SecurityFolder

SECURITY = SecurityFolder.of(Path(__file__).resolve().parents[1] / "inventory")
CLUSTER = Cluster(master="lab-single", slaves=["lab-single"], security=SECURITY)


@pytest.fixture
def cluster() -> Cluster:
    return CLUSTER


@pytest.fixture
def security() -> SecurityFolder:
    return SECURITY


@pytest.fixture
def host() -> Any:
    return Cluster.host("lab-single")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the host's units have said."""
    report = yield
    if report.failed:
        report.sections.append((f"journal, for {item.name}", CLUSTER.journal("lab-single")))
    return report
