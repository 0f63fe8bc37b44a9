"""ZooKeeper's superuser: the script that makes its password and what the server compares it with."""

from __future__ import annotations

import base64
import grp
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROLE = Path(__file__).resolve().parents[1] / "zookeeper"
SCRIPT: str = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__zookeeper_make_superuser"]


@pytest.fixture
def password(tmp_path: Path) -> Path:
    return tmp_path / "superuser"


def make(password: Path, *within: str, umask: int = 0o022) -> int:
    """Run the script as on a host, where the group is ZooKeeper's; return its exit status."""
    group = grp.getgrgid(os.getgid()).gr_name
    command = [*within, sys.executable, "-c", SCRIPT, str(password), group]
    return subprocess.run(command, umask=umask, check=False, capture_output=True).returncode


def digest(password: Path) -> Path:
    return password.with_name("superuser.digest")


def fit(password: Path) -> bool:
    """Tell whether the server takes the password."""
    hashed = hashlib.sha1(f"super:{password.read_text()}".encode(), usedforsecurity=False).digest()
    return digest(password).read_text() == base64.b64encode(hashed).decode()


def test_makes_both_and_makes_others(password: Path) -> None:
    assert make(password, umask=0o077) == 0
    first = password.read_text()
    assert fit(password)
    assert make(password) == 0
    assert fit(password)
    assert password.read_text() != first
    assert sorted(password.parent.iterdir()) == [password, digest(password)]
    for path in (password, digest(password)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert (path.stat().st_uid, path.stat().st_gid) == (os.getuid(), os.getgid())


@pytest.mark.parametrize("most", [0, 10, 30], ids=["nothing", "half-a-digest", "half-a-password"])
@pytest.mark.parametrize("before", [True, False], ids=["anew", "once"])
def test_no_password_that_does_not_fit_is_left(password: Path, before: bool, most: int) -> None:
    """Nothing can be written after so many bytes of a file."""
    if before:
        assert make(password) == 0
    assert make(password, "prlimit", f"--fsize={most}") != 0
    assert not password.exists()
    assert make(password) == 0, "the next run mends it"
    assert fit(password)


def test_there_is_no_password_before_the_digest_has_its_place(password: Path) -> None:
    assert make(password) == 0
    digest(password).unlink()
    digest(password).mkdir()  # nothing takes its place
    assert make(password) != 0
    assert not password.exists()
