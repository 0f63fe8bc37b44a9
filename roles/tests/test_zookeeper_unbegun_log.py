"""What a ZooKeeper server leaves behind that found its disk full when it began a log."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[1] / "zookeeper" / "files" / "zookeeper-drop-unbegun-log.sh"
HEADER = b"ZKLG" + (2).to_bytes(4, "big") + bytes(8)
ZEROS = bytes(4096)


def drop(data: Path) -> str:
    """Run the program; returns what it says."""
    run = subprocess.run([PROGRAM, data], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def written(data: Path, **logs: bytes) -> set[str]:
    """Write a log for each, by its number, and a snapshot; returns what is there."""
    folder = data / "version-2"
    folder.mkdir()
    (folder / "snapshot.ffffffffff").touch()
    for number, content in logs.items():
        (folder / f"log.{number.removeprefix('x')}").write_bytes(content)
    return names(data)


def names(data: Path) -> set[str]:
    return {path.name for path in (data / "version-2").iterdir()}


@pytest.mark.parametrize("unbegun", [b"", b"ZKLG", HEADER[:15], ZEROS, bytes(64 << 20)])
def test_the_newest_log_goes_when_it_was_never_begun(tmp_path: Path, unbegun: bytes) -> None:
    there = written(tmp_path, x100000001=HEADER + ZEROS, x300000006=unbegun)
    assert drop(tmp_path) == f"{tmp_path}/version-2/log.300000006 was never begun: removing it\n"
    assert names(tmp_path) == there - {"log.300000006"}


@pytest.mark.parametrize(
    "begun", [HEADER, HEADER + ZEROS, ZEROS[:8] + b"damaged!" + ZEROS, ZEROS[:16] + b"damaged before this"]
)
def test_a_log_that_holds_something_stays(tmp_path: Path, begun: bytes) -> None:
    there = written(tmp_path, x100000001=begun)
    assert drop(tmp_path) == ""
    assert names(tmp_path) == there


def test_a_log_that_cannot_be_read_stays(tmp_path: Path) -> None:
    there = written(tmp_path, x100=HEADER)
    (tmp_path / "version-2" / "log.100").chmod(0)
    for folder in (tmp_path.parents[1], tmp_path.parents[0], tmp_path):
        folder.chmod(0o755)
    (tmp_path / "version-2").chmod(0o777)
    # As root one can read everything.
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    subprocess.run([*nobody, "sh", "-c", PROGRAM.read_text(), "drop", tmp_path], check=False)
    assert names(tmp_path) == there


def test_what_is_no_log_of_zookeepers_is_not_looked_at(tmp_path: Path) -> None:
    there = written(tmp_path, x100=HEADER, x200=b"")
    folder = tmp_path / "version-2"
    (folder / "log.100.bak").touch()
    (folder / "log.zz").mkdir()
    (folder / "log.fff").symlink_to("log.100")
    drop(tmp_path)
    assert names(tmp_path) == {*there, "log.100.bak", "log.zz", "log.fff"} - {"log.200"}


def test_the_folder_may_be_a_link(tmp_path: Path) -> None:
    written(tmp_path, x100=HEADER, x200=b"")
    (tmp_path / "version-2").rename(tmp_path / "elsewhere")
    (tmp_path / "version-2").symlink_to("elsewhere")
    drop(tmp_path)
    assert "log.200" not in names(tmp_path)


def test_an_older_log_stays_for_something_was_lost_with_it(tmp_path: Path) -> None:
    there = written(tmp_path, x9=b"", xff=b"", x100=HEADER)
    assert drop(tmp_path) == ""
    assert names(tmp_path) == there


def test_logs_are_ordered_by_their_hexadecimal_numbers(tmp_path: Path) -> None:
    there = written(tmp_path, xf=HEADER, x9=HEADER, x1a=HEADER, x20=b"")
    drop(tmp_path)
    assert names(tmp_path) == there - {"log.20"}


def test_a_server_that_never_ran_has_none(tmp_path: Path) -> None:
    assert drop(tmp_path) == ""
    written(tmp_path)
    assert drop(tmp_path) == ""
