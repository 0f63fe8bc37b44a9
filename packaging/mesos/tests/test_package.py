"""What is in the package, and that it fits the distributions that it is meant for."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from mesos_programs import PACKAGE
from mesos_testbed import STAGED_TREE

pytestmark = pytest.mark.integration

# Ubuntu 22.04 has the oldest of these among Debian 12 and 13, Ubuntu 22.04 and 24.04.
CEILINGS = {"GLIBC": (2, 35), "GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13), "OPENSSL": (3, 0, 2)}
BINARIES = sorted(
    path for path in STAGED_TREE.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"
)
DEB = next(iter((PACKAGE / "dist").glob("mesos_*_amd64.deb")), None)


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_programs_and_private_libraries_are_there() -> None:
    names = {str(path.relative_to(STAGED_TREE)) for path in BINARIES}
    assert names >= {
        "usr/lib/mesos/libcrypto.so.1.0.0",
        "usr/lib/mesos/libmesos-python.so.2",
        "usr/lib/mesos/libmesos.so",
        "usr/lib/mesos/libssl.so.1.0.0",
        "usr/libexec/mesos/mesos-cni-port-mapper",
        "usr/libexec/mesos/mesos-container-setup",
        "usr/libexec/mesos/mesos-containerizer",
        "usr/libexec/mesos/mesos-default-executor",
        "usr/libexec/mesos/mesos-docker-executor",
        "usr/libexec/mesos/mesos-executor",
        "usr/libexec/mesos/mesos-fetcher",
        "usr/libexec/mesos/mesos-io-switchboard",
        "usr/sbin/mesos-master",
        "usr/sbin/mesos-slave",
    }
    assert (STAGED_TREE / "usr/sbin/mesos-agent").readlink() == Path("mesos-slave")


@pytest.mark.parametrize("binary", BINARIES, ids=lambda path: path.name)
def test_no_binary_needs_a_newer_library_than_the_oldest_target_has(binary: Path) -> None:
    needed = re.findall(r"Name: ([A-Z]+)_([\d.]+)", output("readelf", "--version-info", "--wide", binary))
    assert needed or binary.name.startswith("libmesos-python")
    for node, version in needed:
        if node in CEILINGS and (binary.name, node) != ("libmesos.so", "OPENSSL"):
            assert tuple(map(int, version.split("."))) <= CEILINGS[node], (node, version)


@pytest.mark.parametrize(
    "program",
    [
        "sbin/mesos-master",
        "sbin/mesos-slave",
        "libexec/mesos/mesos-container-setup",
        "libexec/mesos/mesos-io-switchboard",
    ],
)
def test_libraries_are_found_without_help_and_shadow_nothing(program: str) -> None:
    path = STAGED_TREE / "usr" / program
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    listing = subprocess.run(
        ["ldd", path], check=True, capture_output=True, text=True, env=environment
    ).stdout
    assert "not found" not in listing
    private = {line.split()[0] for line in listing.splitlines() if str(STAGED_TREE / "usr") in line}
    assert private == {"libmesos.so", "libmesos-python.so.2", "libssl.so.1.0.0", "libcrypto.so.1.0.0"}
    # The system's own are in the same process, under their own names.
    for system in ("libcurl.so.4", "libssl.so.3", "libcrypto.so.3"):
        assert re.search(rf"{re.escape(system)} => /(usr/)?lib/", listing)


@pytest.mark.parametrize("program", ["mesos-master", "mesos-slave", "mesos-agent"])
def test_every_symbol_that_is_needed_exists(program: str) -> None:
    environment = {**os.environ, "LD_BIND_NOW": "1"}
    path = STAGED_TREE / "usr/sbin" / program
    done = subprocess.run([path, "--version"], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "mesos 1.11.0\n", "")


def test_the_deb_declares_what_it_needs() -> None:
    assert DEB
    fields = output("dpkg-deb", "--field", DEB, "Depends")
    groups = [
        {re.sub(r" .*", "", name) for name in group.split(" | ")} for group in fields.strip().split(", ")
    ]
    for group in (
        {"libapr1", "libapr1t64"},
        {"libcurl4", "libcurl4t64"},
        {"libssl3", "libssl3t64"},
        {"libsvn1", "libsvn1t64"},
        {"libsasl2-2"},
        {"libsasl2-modules"},
        {"libstdc++6"},
        {"zlib1g"},
    ):
        assert group in groups


def test_the_deb_has_what_the_tree_has() -> None:
    assert DEB
    packed = set(re.findall(r"\./(\S+?)(?: -> \S+)?$", output("dpkg-deb", "--contents", DEB), re.MULTILINE))
    staged = {
        str(path.relative_to(STAGED_TREE))
        for path in STAGED_TREE.rglob("*")
        if path.is_symlink() or path.is_file()
    }
    assert staged <= packed
    assert {"usr/share/man/man8/mesos-master.8.gz", "usr/share/doc/mesos/copyright"} <= packed


def test_lintian_finds_nothing() -> None:
    assert DEB
    done = subprocess.run(
        ["lintian", "--fail-on", "error,warning", DEB], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-C", PACKAGE, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_another_file_than_the_official_artifact_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "mesos.tar.gz"
    wrong.write_bytes(b"something else")
    done = make(f"MESOS_ARTIFACT={wrong}", f"BUILD={tmp_path}/build")
    assert done.returncode != 0
    assert f"error: {wrong} is not the official Mesos artifact mesos.scheduler-1.11.0" in done.stderr
    assert "it must be 1d376f20bca6d05ee8b90c1c123a452b28753497ccc2f1c80ea3ac94c12e8f6e" in done.stderr
    assert not (tmp_path / "build/_scheduler.so").exists()
    assert not (tmp_path / "build/root").exists()


def test_a_missing_artifact_is_named(tmp_path: Path) -> None:
    done = make(f"MESOS_ARTIFACT={tmp_path}/none", f"BUILD={tmp_path}/build")
    assert done.returncode != 0
    assert f"{tmp_path}/none" in done.stderr


def test_an_index_without_the_artifact_is_named(tmp_path: Path) -> None:
    (tmp_path / "simple/mesos-scheduler").mkdir(parents=True)
    (tmp_path / "simple/mesos-scheduler/index.html").write_text("<a href='other-1.0.tar.gz'>other</a>")
    index = (tmp_path / "simple").as_uri()
    done = make(
        f"BUILD={tmp_path}/build",
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        PIP_INDEX_URL=index,
        PIP_EXTRA_INDEX_URL="",
        PIP_FIND_LINKS="",
    )
    assert done.returncode != 0
    assert "is in none of pip's package indexes" in done.stderr
    assert f"{index}: not there" in done.stderr
    assert "set MESOS_ARTIFACT to a copy of the file" in done.stderr


def test_nothing_is_built_again_without_a_reason() -> None:
    assert make("deb").returncode == 0  # what changed since is another matter
    files = [*BINARIES, *(PACKAGE / "dist").glob("*.deb")]
    before = {path: path.stat().st_mtime_ns for path in files}
    assert make("deb").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in files} == before
