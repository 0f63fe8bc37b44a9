"""packaging/mesos/build_in_cache.sh, by which an installed collection builds the Mesos package."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGING = Path(__file__).resolve().parents[2] / "packaging" / "mesos"
MAKE = """#!/bin/sh
echo call >>"$CALLS"
while [ "$1" != --directory ]; do shift; done
cat "$2/debian/control" >/dev/null && mkdir "$2/dist" && echo package >"$2/dist/mesos.deb" || exit 1
exit "$MAKE_EXIT"
"""  # what the script calls instead of make


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """The files of packaging/mesos that decide, where nothing may be written."""
    folder = tmp_path / "collection"
    (folder / "debian").mkdir(parents=True)
    (folder / "artifact").mkdir()
    for name in ("build_in_cache.sh", "debian/control", "artifact/fetch.py"):
        shutil.copy(PACKAGING / name, folder / name)
    (tmp_path / "bin").mkdir()
    make = tmp_path / "bin" / "make"
    make.write_text(MAKE)
    make.chmod(0o755)
    return folder


def build(sources: Path, make_exit: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    tmp_path = sources.parent
    return subprocess.run(
        [sources / "build_in_cache.sh"],
        env={
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "CALLS": str(tmp_path / "calls"),
            "MAKE_EXIT": str(make_exit),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def calls(sources: Path) -> int:
    return len((sources.parent / "calls").read_text().splitlines())


def test_builds_once_and_nothing_beside_the_sources(sources: Path) -> None:
    before = sorted(sources.rglob("*"))
    first, second = build(sources), build(sources)
    package = Path(first.stdout.strip())
    assert package.read_text() == "package\n"
    assert package.is_relative_to(sources.parent / "cache/mesos-docker")
    assert second.stdout == first.stdout
    assert calls(sources) == 1
    assert sorted(sources.rglob("*")) == before
    assert {path.suffix for path in package.parents[1].iterdir()} == {"", ".lock"}


def test_other_sources_make_another_package(sources: Path) -> None:
    first = build(sources)
    with (sources / "debian/control").open("a") as control:
        control.write("changed\n")
    second = build(sources)
    assert calls(sources) == 2
    assert second.stdout != first.stdout
    assert Path(first.stdout.strip()).exists()


def test_sources_that_nobody_may_write_to(sources: Path) -> None:
    for path in [sources, *sources.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    result = build(sources)
    assert result.returncode == 0, result.stderr


def test_a_build_that_fails_is_tried_again(sources: Path) -> None:
    assert build(sources, make_exit=2).returncode == 2
    assert [path.suffix for path in (sources.parent / "cache/mesos-docker").iterdir()] == [".lock"]
    assert build(sources).returncode == 0
    assert calls(sources) == 2


def test_a_wrong_artifact_is_refused_even_if_the_package_is_there(sources: Path) -> None:
    build(sources)
    wrong = sources.parent / "artifact.tar.gz"
    wrong.write_text("something else")
    result = build(sources, MESOS_ARTIFACT=str(wrong))
    assert result.returncode != 0
    assert str(wrong) in result.stderr
