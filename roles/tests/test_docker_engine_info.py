from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def module(load: Load) -> ModuleType:
    return load("plugins/modules/docker_engine_info.py")


@pytest.mark.parametrize("text", ["", " \n\t", "{}"])
def test_a_file_without_settings(module: ModuleType, text: str) -> None:
    assert module.parsed_options(text, "/etc/docker/daemon.json") == ({}, "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1,\n "b" 2}', "daemon.json is no valid JSON; line 2, column 6: Expecting ':' delimiter."),
        ('{"a": 1', "daemon.json is no valid JSON; line 1, column 8: Expecting ',' delimiter."),
        ("[1]", "daemon.json must be a JSON object, {...}, but it is list."),
    ],
)
def test_a_broken_file(module: ModuleType, text: str, problem: str) -> None:
    assert module.parsed_options(text, "daemon.json") == ({}, problem)


def test_settings_of_the_command_line(module: ModuleType) -> None:
    arguments = [
        "-H",
        "fd://",
        "-D",
        "--log-opt",
        "max-size=1m",
        "--insecure-registry=r:5000",
        "--add-runtime=x=y",
    ]
    assert {"hosts", "debug", "log-opts", "insecure-registries", "runtimes"} <= {
        *module.flag_settings(arguments)
    }
    assert "labels" not in module.flag_settings(arguments)
    assert "labels" in module.flag_settings(["--label=a=b"])


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ([], "/etc/docker/daemon.json"),
        (["dockerd", "-H", "fd://"], "/etc/docker/daemon.json"),
        (["dockerd", "--config-file=/srv/d.json"], "/srv/d.json"),
        (["dockerd", "--config-file", "/srv/d.json", "-D"], "/srv/d.json"),
    ],
)
def test_where_the_configuration_is(module: ModuleType, arguments: list[str], path: str) -> None:
    assert module.config_file(arguments) == path


def test_names_of_packages(module: ModuleType) -> None:
    packages = ["docker.io", "docker.io=20.10.24*", "docker.io/bookworm", "docker.io:amd64"]
    assert set(module.package_names(packages)) == {"docker.io"}


def test_packages_that_would_be_removed(module: ModuleType) -> None:
    simulation = (
        "Inst runc (1.1 Debian)\nRemv docker-ce [5:27.0]\nRemv docker-ce-cli [5:27.0]\nConf runc (1.1)\n"
    )
    assert module.removals(simulation) == ["docker-ce", "docker-ce-cli"]


LINE = "7f00-7f01 {} 00000000 08:01 4711      {}\n"


@pytest.mark.parametrize(
    ("line", "replaced"),
    [
        (LINE.format("r-xp", "/usr/lib/x86_64-linux-gnu/libc.so.6"), False),
        (LINE.format("r-xp", "/usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)"), True),
        (LINE.format("r--p", "/usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)"), False),
        (LINE.format("rwxp", "/memfd:jit (deleted)"), False),
        (LINE.format("rwxs", "/dev/zero (deleted)"), False),
    ],
)
def test_code_that_an_upgrade_has_replaced(module: ModuleType, line: str, replaced: bool) -> None:
    assert module.replaced_code(LINE.format("r-xp", "/usr/sbin/dockerd") + line) == replaced


@pytest.fixture
def sleeper(tmp_path: Path) -> Path:
    """A program that can be replaced."""
    return Path(shutil.copy("/bin/sleep", tmp_path / "sleeper"))


def test_a_running_process_is_known_and_seen_to_be_outdated(module: ModuleType, sleeper: Path) -> None:
    before = time.time()
    with subprocess.Popen([sleeper, "60"]) as running:
        while not Path(f"/proc/{running.pid}/cmdline").read_bytes():
            pass  # the kernel has not put them in their place yet
        process = module.Process(running.pid)
        assert (process.program, process.arguments) == (str(sleeper), [str(sleeper), "60"])
        assert before - 0.1 < process.started < time.time() + 0.1
        assert process.identity
        assert not process.outdated

        copy = Path(shutil.copy(sleeper, f"{sleeper}.new"))
        copy.rename(sleeper)
        upgraded = module.Process(running.pid)
        assert upgraded.outdated
        assert (upgraded.program, upgraded.identity) == (process.program, process.identity)
        running.kill()


def test_no_process(module: ModuleType) -> None:
    assert (module.Process(0).identity, module.Process(0).outdated) == ("", False)


def test_what_the_engine_has_read(module: ModuleType, tmp_path: Path) -> None:
    process = module.Process(os.getpid())
    current: dict[str, object] = {"options": {"debug": True}}
    noted: dict[str, object] = {"options": {}}
    file = tmp_path / "daemon.json"

    def applied(note: object) -> object:
        return module.applied(process, note, current, [str(file)])

    assert applied({}) == current, "a file that never was"
    file.write_text("{}")
    assert applied({}) is None, "it is newer than the process, so nobody knows"
    assert applied({"process": process.identity, "applied": noted}) == noted
    assert applied({"process": "1 1", "applied": noted}) is None, "that was another process"
    assert module.applied(module.Process(0), {}, current, []) is None, "it does not run"
