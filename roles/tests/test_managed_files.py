"""Files and folders on a host: the module is run as Ansible runs it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MODULE = Path(__file__).resolve().parents[2] / "plugins" / "modules" / "managed_files.py"
OWNER = {"owner": str(os.getuid()), "group": str(os.getgid())}


def run(*files: dict[str, Any], check: bool = False) -> dict[str, Any]:
    arguments = {
        "files": [OWNER | file for file in files],
        "_ansible_check_mode": check,
        "_ansible_diff": True,
    }
    process = subprocess.run(
        [sys.executable, str(MODULE)],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=False,
    )
    result: dict[str, Any] = json.loads(process.stdout)
    return result


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_makes_them_and_then_changes_nothing(tmp_path: Path) -> None:
    folder, file = tmp_path / "etc", tmp_path / "etc" / "secret"
    wanted = (
        {"path": str(folder), "state": "directory", "mode": "0750"},
        {"path": str(file), "content": "ä\n", "mode": "0400"},
        {"path": str(tmp_path / "former"), "state": "absent"},
    )
    (tmp_path / "former").write_text("x")
    result = run(*wanted)
    assert result["changed_paths"] == [str(folder), str(file), str(tmp_path / "former")]
    assert (mode(folder), mode(file), file.read_text(encoding="utf-8")) == (0o750, 0o400, "ä\n")
    assert not (tmp_path / "former").exists()
    assert [path.name for path in folder.iterdir()] == ["secret"]
    written = file.stat().st_mtime_ns
    again = run(*wanted)
    assert (again["changed"], again["changed_paths"]) == (False, [])
    assert file.stat().st_mtime_ns == written


def test_a_file_is_replaced_as_a_whole_and_its_permissions_are_right_from_the_start(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("before\n")
    file.chmod(0o644)
    with file.open() as reader:
        result = run({"path": str(file), "content": "after\n", "mode": "0600"})
        assert reader.read() == "before\n"
    assert (file.read_text(), mode(file)) == ("after\n", 0o600)
    (difference,) = result["diff"]
    assert (difference["before"], difference["after"]) == ("before\n", "after\n")


def test_permissions_alone_are_a_change(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    file.chmod(0o666)
    assert run({"path": str(file), "content": "x"})["changed_paths"] == [str(file)]
    assert mode(file) == 0o644


def test_a_dry_run_says_what_would_change_and_changes_nothing(tmp_path: Path) -> None:
    wrong, gone, new = tmp_path / "wrong", tmp_path / "gone", tmp_path / "new" / "file"
    wrong.write_text("before\n")
    wrong.chmod(0o600)
    gone.write_text("x")
    wanted = (
        {"path": str(new.parent), "state": "directory"},
        {"path": str(new), "content": "x"},
        {"path": str(wrong), "content": "after\n"},
        {"path": str(gone), "state": "absent"},
    )
    assert len(run(*wanted, check=True)["changed_paths"]) == 4
    assert (wrong.read_text(), mode(wrong), gone.exists(), new.parent.exists()) == (
        "before\n",
        0o600,
        True,
        False,
    )


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("before\n")
    link.symlink_to(file)
    run({"path": str(link), "content": "after\n"})
    assert link.is_symlink()
    assert file.read_text() == "after\n"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"path": "{}/f"}, "has no content"),
        ({"path": "{}/f", "state": "absent", "content": "x"}, "has content"),
        ({"path": "{}/folder", "content": "x"}, "is to be a file, and is a folder"),
        ({"path": "{}/folder", "state": "absent"}, "is to be absent, and is a folder"),
        ({"path": "{}/file", "state": "directory"}, "is to be a folder, and is something else"),
    ],
)
def test_a_mistake_in_one_stops_all(tmp_path: Path, wanted: dict[str, Any], message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    wanted = wanted | {"path": wanted["path"].format(tmp_path)}
    result = run({"path": str(tmp_path / "first"), "content": "x"}, wanted)
    assert result["failed"]
    assert message in result["msg"]
    assert not (tmp_path / "first").exists()


def test_files_of_a_folder_without_content_are_not_wanted(load: Callable[[str], ModuleType]) -> None:
    files = [{"name": "zk", "content": "zk://h:2181/mesos\n"}, {"name": "acls.json", "content": ""}]
    found = load("plugins/filter/managed_files.py").files_in(files, "/etc/x", "mesos", "0400")
    assert found == [
        {
            "path": "/etc/x/zk",
            "content": "zk://h:2181/mesos\n",
            "owner": "mesos",
            "group": "mesos",
            "mode": "0400",
        },
        {"path": "/etc/x/acls.json", "state": "absent"},
    ]
