from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]
WELL = {"present": True, "running": True, "enabled": True, "outdated": [], "differing": []}


@pytest.fixture(scope="module")
def module(load: Load) -> ModuleType:
    return load("plugins/modules/running_service.py")


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/filter/running_service.py")


@pytest.fixture
def process(tmp_path: Path) -> Generator[Path, None, None]:
    """A process with a program of its own, started with the configuration abc."""
    program = tmp_path / "usr" / "sleep"
    program.parent.mkdir()
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "60"], env={"CONFIGURATION_SHA256": "abc"}) as started:
        yield Path(f"/proc/{started.pid}")
        started.kill()


def test_nothing_is_due_when_nothing_has_changed(module: ModuleType, process: Path) -> None:
    assert module.reasons(process, {"NeedDaemonReload": "no"}, "abc", []) == []
    assert module.reasons(process, {}, None, []) == []


def test_another_configuration_is_due(module: ModuleType, process: Path) -> None:
    assert module.reasons(process, {}, "xyz", []) == ["its configuration has changed"]


def test_a_process_that_was_started_without_one_is_due(module: ModuleType) -> None:
    with subprocess.Popen(["/bin/sleep", "60"], env={}) as started:
        found = module.reasons(Path(f"/proc/{started.pid}"), {}, "abc", [])
        started.kill()
    assert found == ["its configuration has changed"]


def test_a_changed_unit_is_due(module: ModuleType, process: Path) -> None:
    assert module.reasons(process, {"NeedDaemonReload": "yes"}, "abc", []) == ["its unit has changed"]


def test_a_replaced_program_is_due(
    module: ModuleType, process: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REPLACED", module.re.compile(rf"({tmp_path}/usr/.*) \(deleted\)$"))
    program = tmp_path / "usr" / "sleep"
    program.unlink()
    assert module.reasons(process, {}, "abc", []) == [f"{program} has been replaced"]


@pytest.mark.parametrize(
    ("use", "replaced"),
    [
        ("7f0 r-xp 0 08:01 12    /usr/lib/mesos/libmesos.so (deleted)", "/usr/lib/mesos/libmesos.so"),
        ("/usr/share/java/zookeeper.jar (deleted)", "/usr/share/java/zookeeper.jar"),
        ("7f0 r-xp 0 08:01 12    /usr/lib/mesos/libmesos.so", None),
        ("/var/lib/mesos/slave/log (deleted)", None),
        ("/memfd:doublemapper (deleted)", None),
        ("/tmp/usr/lib/x.so (deleted)", None),
    ],
)
def test_only_programs_and_libraries_count(module: ModuleType, use: str, replaced: str | None) -> None:
    match = module._REPLACED.search(use)
    assert (match[1] if match else None) == replaced


def test_a_file_that_is_newer_than_the_process_is_due(
    module: ModuleType, process: Path, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    os.utime(token, (0, 0))
    assert module.reasons(process, {}, "abc", [str(token), str(tmp_path / "none")]) == []
    os.utime(token, (time.time() + 5, time.time() + 5))
    assert module.reasons(process, {}, "abc", [str(token)]) == [f"{token} has changed"]


def test_what_else_is_in_a_folder_is_found(module: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "wanted").touch()
    (tmp_path / "former").touch()
    assert module.superfluous(tmp_path, ["wanted", "not yet there"]) == [str(tmp_path / "former")]
    assert module.superfluous(tmp_path / "none", ["wanted"]) == []


def test_packages_and_their_versions_are_found(module: ModuleType) -> None:
    shown = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", "bash"],
        capture_output=True,
        check=True,
        text=True,
    )
    installed = shown.stdout
    assert module.missing_packages(["bash", f"bash={installed}", f"bash={installed[:1]}*"]) == []
    assert module.missing_packages(["bash=0.1", "no-such-package", "bash"]) == ["bash=0.1", "no-such-package"]
    # mawk or gawk provides awk; the others are what else apt takes.
    assert module.missing_packages(["awk", "bash:amd64", "bash/stable", "bash>=1"]) == []
    assert module.missing_packages([]) == []


def test_users_that_there_are_not_are_found(module: ModuleType) -> None:
    assert module.missing_users(["root", "no-such-user"]) == ["no-such-user"]


def test_all_that_differs_is_told_in_one_list(module: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "former").touch()
    given = {
        "files": {str(tmp_path / "zk"): "absent", str(tmp_path / "unit"): "file root root 0644 0"},
        "present": [str(tmp_path), str(tmp_path / "token")],
        "only": {str(tmp_path): []},
        "packages": ["no-such-package"],
        "users": ["no-such-user"],
    }
    assert module.differences(given) == [
        *(str(tmp_path / name) for name in ("unit", "token", "former")),
        "the package no-such-package",
        "the user no-such-user",
    ]


def test_what_is_wrong_with_a_service(plugin: ModuleType) -> None:
    assert plugin.service_problems(WELL) == []
    assert plugin.service_problems(WELL | {"present": False}) == ["it is not installed"]
    assert plugin.service_problems(WELL | {"running": False, "enabled": False}) == [
        "it does not run",
        "it does not start at boot",
    ]
    assert plugin.service_problems(WELL | {"outdated": ["x"], "differing": ["/a"]}) == [
        "a restart is due: x",
        "/a is not as the inventory says",
    ]


@pytest.mark.parametrize(
    ("service", "start", "change"),
    [
        ({}, False, False),
        ({"running": False}, True, True),
        ({"enabled": False}, True, True),
        ({"outdated": ["its unit has changed"]}, True, True),
        ({"differing": ["/etc/x"]}, False, True),
    ],
)
def test_what_must_be_done_about_a_service(
    plugin: ModuleType, service: dict[str, object], start: bool, change: bool
) -> None:
    assert (plugin.must_start(WELL | service), plugin.must_change(WELL | service)) == (start, change)
