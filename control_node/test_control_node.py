"""What the control node is given: no more than each purpose needs, and nothing of its owner's is replaced."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ROOT / "control_node" / "packages.sh"
FOR_THE_LAB = {"docker.io", "mmdebstrap", "busybox-static"}
FOR_THE_TESTS = {"chromium", "prometheus", "shellcheck", "zookeeper", "lintian"}


def packages_of(target: str) -> set[str]:
    """The packages that `make` would look for."""
    make = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True)
    calls = [shlex.split(line) for line in make.stdout.splitlines() if "packages.sh" in line]
    return {package for call in calls for package in call[2:]}


def test_deploying_needs_compilers_and_no_services() -> None:
    packages = packages_of("prepare")

    assert {"python3-venv", "g++"} <= packages
    assert not packages & (FOR_THE_LAB | FOR_THE_TESTS)


def test_the_lab_needs_an_engine_and_the_tests_need_the_rest() -> None:
    lab, tests = packages_of("prepare-lab"), packages_of("prepare-tests")

    assert lab >= packages_of("prepare") | FOR_THE_LAB
    assert not lab & FOR_THE_TESTS
    assert tests >= lab | FOR_THE_TESTS


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs for a Debian without packages; apt-get writes down what it is asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {
        "apt-get": f'echo "$@" >>{tmp_path}/apt-get.log',
        "dpkg-query": "exit 1",
        "sudo": 'exec "$@"',
    }.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    return folder


def install(programs: Path, os_release: str, *packages: str) -> subprocess.CompletedProcess[str]:
    """Run packages.sh on a distribution of that /etc/os-release."""
    description = programs.parent / "os-release"
    description.write_text(os_release)
    run = f"mount --bind {description} /etc/os-release && exec {PACKAGES} 'a test' {shlex.join(packages)}"
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", run],
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_missing_is_installed(programs: Path) -> None:
    run = install(programs, "ID=ubuntu\nID_LIKE=debian\n", "g++", "mmdebstrap")

    assert run.returncode == 0, run.stderr
    asked = (programs.parent / "apt-get.log").read_text().splitlines()
    assert asked[0].endswith("update")
    assert asked[1].endswith("install g++ mmdebstrap")


def test_an_engine_of_ones_own_is_kept(programs: Path) -> None:
    (programs / "dockerd").symlink_to("sudo")

    run = install(programs, "ID=debian\n", "docker.io", "mmdebstrap")

    assert run.returncode == 0, run.stderr
    assert "docker.io" not in (programs.parent / "apt-get.log").read_text()


def test_other_distributions_are_told_what_is_missing(programs: Path) -> None:
    (programs / "g++").symlink_to("sudo")

    run = install(programs, 'ID=fedora\nPRETTY_NAME="Fedora Linux 43"\n', "g++", "mmdebstrap", "chromium")

    assert run.returncode == 1
    assert "Fedora Linux 43" in run.stderr
    assert run.stderr.strip().endswith(
        "for a test, by the names that Debian's packages have: mmdebstrap chromium"
    )
    assert not (programs.parent / "apt-get.log").exists()


def test_pinned_collections_are_those_that_come_with_ansible() -> None:
    wanted = yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]
    spec = importlib.util.find_spec("ansible_collections")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    [folder] = spec.submodule_search_locations

    for collection in wanted:
        manifest = Path(folder, *collection["name"].split("."), "MANIFEST.json")
        installed = json.loads(manifest.read_text())["collection_info"]["version"]
        assert collection["version"] == installed, collection["name"]
