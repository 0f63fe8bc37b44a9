"""scheduler/wheelhouse: what it takes in, what it refuses, when it does nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import build
import lock
import pytest

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PROGRAM = Path(build.__file__)


def fake_wheel(folder: Path, name: str, version: str, *requirements: str) -> build.Wheel:
    """Write a wheel that holds only metadata."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requirements]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", "\n".join(lines) + "\n")
    return build.Wheel.read(path)


def test_the_locked_versions_are_those_of_the_constraints() -> None:
    locked = sorted(line.split()[0] for line in build.locked_requirements().values())
    assert locked == sorted(lock.pins()), "run scheduler/wheelhouse/lock.py"


def test_every_locked_version_has_a_checksum() -> None:
    assert all("--hash=sha256:" in line for line in build.locked_requirements().values())


def test_only_what_the_target_needs_is_kept(tmp_path: Path) -> None:
    wheels = [
        fake_wheel(
            tmp_path,
            "mesos_docker_scheduler",
            "1",
            "a>=1",
            'old; python_version < "3.11"',
            'x; extra == "test"',
        ),
        fake_wheel(tmp_path, "a", "1.5", "B_b"),
        fake_wheel(tmp_path, "b_b", "2"),
        fake_wheel(tmp_path, "old", "1"),
        fake_wheel(tmp_path, "x", "1"),
    ]

    def needed(python_version: str) -> set[str]:
        return {wheel.name for wheel in build.needed_wheels(wheels, python_version)}

    assert needed("3.10") == {"mesos-docker-scheduler", "a", "b-b", "old"}
    assert needed("3.13") == {"mesos-docker-scheduler", "a", "b-b"}


@pytest.mark.parametrize(
    ("versions", "message"),
    [([], "has no a"), (["0.9"], "has 0.9")],
)
def test_a_missing_or_wrong_version_is_named(tmp_path: Path, versions: list[str], message: str) -> None:
    wheels = [fake_wheel(tmp_path, "mesos_docker_scheduler", "1", "a>=1")]
    wheels += [fake_wheel(tmp_path, "a", version) for version in versions]
    with pytest.raises(
        build.BuildError, match=f"mesos-docker-scheduler needs a>=1 on Python 3.11, .*{message}"
    ):
        build.needed_wheels(wheels, "3.11")


def run(output: Path, python_version: str = PYTHON, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a playbook does."""
    command = [sys.executable, str(PROGRAM), "--python-version", python_version, "--output", str(output)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=300
    )


def test_a_directory_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    result = run(tmp_path)
    assert result.returncode == 1
    assert "is no wheelhouse; name a directory that may be replaced" in result.stderr
    assert (tmp_path / "precious").exists()


def test_a_python_that_is_not_supported_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path / "wheels", "3.9")
    assert result.returncode == 2
    assert "choose from" in result.stderr


def test_an_index_that_cannot_be_reached_is_named_as_the_reason(tmp_path: Path) -> None:
    nothing = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": ""}
    result = run(tmp_path / "wheels", PIP_INDEX_URL="http://127.0.0.1:1/simple", PIP_RETRIES="0", **nothing)
    assert result.returncode == 1
    assert "the package index can't be reached" in result.stderr
    assert not (tmp_path / "wheels").exists()
    assert "Traceback" not in result.stderr


@pytest.mark.integration
def test_a_host_without_an_index_can_install_from_it(tmp_path: Path) -> None:
    output = tmp_path / "wheels"
    first = run(output)
    assert first.returncode == 0, first.stderr
    *begin, name = first.stdout.splitlines()
    assert begin == [str(output), "changed"]
    assert re.fullmatch(r"[0-9a-f]{12}", name)
    assert run(output).stdout == f"{output}\nunchanged\n{name}\n"

    manifest = json.loads((output / build.MANIFEST).read_text())
    assert set(manifest["wheels"]) == {path.name for path in output.glob("*.whl")}
    next(output.glob("pymesos-*")).write_bytes(b"damaged")
    assert run(output).stdout == f"{output}\nchanged\n{name}\n"
    assert json.loads((output / build.MANIFEST).read_text())["wheels"].keys() == manifest["wheels"].keys()

    target = tmp_path / "target"
    subprocess.run([sys.executable, "-m", "venv", target], check=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment["PIP_CONFIG_FILE"] = os.devnull
    pip = [str(target / "bin/pip"), "install", "--quiet", "--no-index", "--find-links", str(output)]
    subprocess.run([*pip, "mesos-docker-scheduler"], check=True, env=environment)
    subprocess.run([str(target / "bin/pip"), "check"], check=True, env=environment)
    check = "from mesos_docker_scheduler.driver import SchedulerDriver"
    subprocess.run([str(target / "bin/python"), "-c", check], check=True)
