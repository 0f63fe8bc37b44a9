"""A file of the sandbox that is rotated while it is written."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Pure = Callable[..., Any]
LINE = "x" * 99 + "\n"


class File:
    """A stdout in `folder`, kept open by build/pure as the executor does."""

    def __init__(self, pure: Pure, folder: Path, size: int = 4096, files: int = 3) -> None:
        self.folder = folder
        self.path = folder / "stdout"
        self._call = pure
        pure("sandboxFile", method="open", path=str(self.path), maxSize=size, maxFiles=files)

    def write(self, *texts: str) -> None:
        """As the container's output."""
        for text in texts:
            self._call("sandboxFile", method="write", text=text)

    def log(self, line: str) -> None:
        """As a line of the executor's own."""
        self._call("sandboxFile", method="log", text=line + "\n")

    def rotations(self) -> int:
        """How often it has begun anew."""
        return int(self._call("sandboxFile", method="seen")["rotations"])

    def problems(self) -> list[str]:
        """What an operator is told."""
        return list(self._call("sandboxFile", method="seen")["problems"])


def contents(folder: Path) -> list[str]:
    """The files' texts, from the oldest to the newest."""
    names = {int(path.suffix[1:] or 0): path for path in folder.iterdir() if path.stem == "stdout"}
    assert sorted(names) == list(range(len(names))), names
    return [names[number].read_text() for number in sorted(names, reverse=True)]


def test_a_file_that_is_not_full_stays(pure: Pure, tmp_path: Path) -> None:
    file = File(pure, tmp_path)
    file.write(LINE * 40)
    assert file.rotations() == 0
    assert contents(tmp_path) == [LINE * 40]


def test_a_full_one_becomes_the_first_of_the_older_ones(pure: Pure, tmp_path: Path) -> None:
    file = File(pure, tmp_path)
    file.write(*[LINE] * 41)
    assert file.rotations() == 1
    assert contents(tmp_path) == [LINE * 40, LINE]


def test_only_so_many_are_kept(pure: Pure, tmp_path: Path) -> None:
    lines = [f"{number:099}\n" for number in range(205)]
    file = File(pure, tmp_path)
    file.write(*lines)
    assert file.rotations() == 5
    assert contents(tmp_path) == ["".join(lines[120:160]), "".join(lines[160:200]), "".join(lines[200:])]


def test_one_file_begins_anew_when_it_is_full(pure: Pure, tmp_path: Path) -> None:
    lines = [f"{number:099}\n" for number in range(41)]
    file = File(pure, tmp_path, files=1)
    file.write(*lines)
    assert file.problems() == []
    assert contents(tmp_path) == [lines[40]]


def test_without_a_limit_there_is_one_file(pure: Pure, tmp_path: Path) -> None:
    file = File(pure, tmp_path, size=0)
    file.write(LINE * 1000)
    assert file.rotations() == 0
    assert contents(tmp_path) == [LINE * 1000]


def test_what_was_there_before_counts(pure: Pure, tmp_path: Path) -> None:
    (tmp_path / "stdout").write_text(LINE * 39)
    File(pure, tmp_path).write(LINE, LINE)
    assert contents(tmp_path) == [LINE * 40, LINE]


def test_a_line_that_comes_in_pieces_stays_whole(pure: Pure, tmp_path: Path) -> None:
    """When it begins it would fit, and when it does not fit it has begun."""
    file = File(pure, tmp_path)
    file.write(LINE * 30, "a" * 60, "b" * 900, "c\n", LINE)
    file.write(LINE * 28, "d" * 200, "e" * 800 + "\n" + "f" * 1000, "\n")
    kept = contents(tmp_path)
    assert len(kept) == 3
    for text in kept:
        assert text.endswith("\n")
        assert len(text) <= 4096
    assert "a" * 60 + "b" * 900 + "c\n" in kept[0]


def test_a_line_that_is_longer_than_a_file_is_cut(pure: Pure, tmp_path: Path) -> None:
    text = "".join(chr(ord("a") + number % 26) for number in range(9000)) + "\n"
    File(pure, tmp_path).write(text)
    assert [len(part) for part in contents(tmp_path)] == [4096, 4096, 809]
    assert "".join(contents(tmp_path)) == text


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 1023), min_size=1, max_size=80),
    st.lists(st.integers(1, 6000), min_size=1, max_size=20),
    st.integers(4096, 9000),
    st.integers(2, 4),
)
def test_however_it_comes(pure: Pure, lengths: list[int], cuts: list[int], size: int, files: int) -> None:
    """Lines of up to a quarter of the limit stay whole, no file is too large, nothing is lost in between."""
    lines = [f"{number}".ljust(length, ".")[:length] + "\n" for number, length in enumerate(lengths)]
    text, texts, at = "".join(lines), list[str](), 0
    while at < len(text):
        texts.append(text[at : at + cuts[len(texts) % len(cuts)]])
        at += len(texts[-1])
    with tempfile.TemporaryDirectory() as folder:
        file = File(pure, Path(folder), size, files)
        file.write(*texts)
        rotations = file.rotations()
        kept = contents(Path(folder))
    assert len(kept) == min(files, rotations + 1)
    assert text.endswith("".join(kept))
    if rotations < files:
        assert text == "".join(kept)
    for part in kept:
        assert part.endswith("\n")
        assert 0 < len(part) <= size


def test_a_line_of_the_executors_own_is_never_cut(pure: Pure, tmp_path: Path) -> None:
    file = File(pure, tmp_path)
    file.write(LINE * 30, "a" * 50)
    file.log("z" * 1100)
    assert contents(tmp_path) == [LINE * 30 + "a" * 50, "z" * 1100 + "\n"]


def test_owner_and_mode_stay(pure: Pure, tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.touch()
    path.chmod(0o640)
    os.chown(path, 1234, 4321)
    File(pure, tmp_path).write(*[LINE] * 41)
    for each in (path, tmp_path / "stdout.1"):
        assert (each.stat().st_uid, each.stat().st_gid, each.stat().st_mode & 0o7777) == (1234, 4321, 0o640)


def test_there_is_always_a_stdout(pure: Pure, tmp_path: Path) -> None:
    file, gone, done = File(pure, tmp_path), list[float](), threading.Event()
    path = str(file.path)

    def watch() -> None:
        while not done.is_set():
            if not os.path.exists(path):  # noqa: PTH110 (fast, to look often)
                gone.append(time.monotonic())

    watcher = threading.Thread(target=watch)
    watcher.start()
    file.write(*[LINE * 400] * 40)
    done.set()
    watcher.join()
    assert file.rotations() > 300
    assert gone == []


def test_a_file_that_somebody_removed_comes_back(pure: Pure, tmp_path: Path) -> None:
    file = File(pure, tmp_path)
    file.write(LINE * 40)
    file.path.unlink()
    file.write(LINE)
    assert file.problems() == []
    assert contents(tmp_path) == [LINE]


def test_a_file_that_somebody_emptied_is_not_full(pure: Pure, tmp_path: Path) -> None:
    file = File(pure, tmp_path)
    file.write(LINE * 40)
    os.truncate(file.path, 0)
    file.write(LINE)
    assert file.rotations() == 0
    assert contents(tmp_path) == [LINE]


def test_what_a_container_puts_in_the_way_is_not_followed(pure: Pure, tmp_path: Path) -> None:
    """The sandbox is the container's, too, and the executor may be root."""
    precious = tmp_path / "precious"
    precious.write_text("of the host")
    sandbox = tmp_path / "sandbox"
    sandbox.mkdir()
    file = File(pure, sandbox)
    file.write(LINE * 40)
    file.path.unlink()
    for name in ("stdout", "stdout.new", "stdout.1", "stdout.2"):
        (sandbox / name).symlink_to(precious)
    file.write(LINE)
    assert precious.read_text() == "of the host"
    assert not file.path.is_symlink()
    assert file.path.read_text() == LINE


def test_a_file_that_cannot_be_rotated_is_emptied(pure: Pure, tmp_path: Path) -> None:
    """Or it would grow without an end."""
    (tmp_path / "stdout.2").mkdir()
    file = File(pure, tmp_path)
    file.write(*[LINE] * 41)
    assert file.path.read_text() == LINE
    reason = f"can't replace {tmp_path}/stdout.2: Is a directory"
    assert file.problems() == [f"{tmp_path}/stdout can't be rotated, so it was emptied: {reason}"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stdout", "stdout.2"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)  # build/pure has a file of it open


def fill(disk: Path) -> Path:
    """Leave no room on a disk."""
    others = disk / "others"
    with pytest.raises(OSError, match="No space"):
        others.write_bytes(b"x" * (1 << 20))
    return others


def test_a_full_disk_costs_what_does_not_fit_and_no_more(pure: Pure, small_disk: Path) -> None:
    file = File(pure, small_disk, size=16384)
    file.write(LINE * 40)
    others = fill(small_disk)
    file.write(LINE * 40)
    assert contents(small_disk) == [(LINE * 41)[:4096]]
    others.unlink()
    file.write("\n" + LINE * 20)
    assert contents(small_disk) == [(LINE * 41)[:4096] + "\n" + LINE * 20]


def test_rotation_makes_its_own_room(pure: Pure, small_disk: Path) -> None:
    file = File(pure, small_disk)
    file.write(*[LINE] * 120)
    fill(small_disk)
    file.write(*[LINE] * 400)
    assert file.problems() == []
    assert file.rotations() == 12
    assert contents(small_disk) == [LINE * 40] * 3
