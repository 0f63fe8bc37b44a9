from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mesos_testbed import PrivateDocker


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateDocker]:
    """One Docker Engine for all tests: an agent at a time may use it."""
    with PrivateDocker(tmp_path_factory.mktemp("engine")) as docker:
        yield docker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
