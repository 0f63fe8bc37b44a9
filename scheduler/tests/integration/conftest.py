"""One cluster for all tests here, and a scheduler of its own for each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from operated_scheduler import Operated
from scheduler_process import Cluster, Scheduler


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        yield Cluster(tmp_path_factory.mktemp("cluster"), stack)


@pytest.fixture
def scheduler(tmp_path: Path, cluster: Cluster) -> Iterator[Scheduler]:
    with Scheduler(tmp_path, cluster) as started:
        started.converge()
        yield started


@pytest.fixture
def operated(tmp_path: Path, cluster: Cluster) -> Iterator[Operated]:
    with Operated(tmp_path, cluster, command="echo one; echo two >&2; sleep 1000") as started:
        started.cli("wait", "--timeout", "60")
        yield started
