"""Lets the tests import the helpers beside them (pytest's importlib mode adds no path)."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "wheelhouse")]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ca.pem, master.pem, master.key, client.pem and client.key."""
    from certificates import make_certificates  # noqa: PLC0415 - the path is set above

    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder
