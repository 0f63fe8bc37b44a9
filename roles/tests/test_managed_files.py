"""Files and folders on a host: the module is run as Ansible runs it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

MODULE = Path(__file__).resolve().parents[2] / "plugins" / "modules" / "managed_files.py"
OWNER = {"owner": str(os.getuid()), "group": str(os.getgid())}


def run(
    *files: dict[str, Any],
    check: bool = False,
    diff: bool = True,
    only: dict[str, list[str]] | None = None,
) -> dict[str, Any]:
    arguments = {
        "files": [OWNER | file for file in files],
        "only": only or {},
        "_ansible_check_mode": check,
        "_ansible_diff": diff,
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


def test_a_link_leads_where_it_is_to_lead(tmp_path: Path) -> None:
    link = tmp_path / "current"
    wanted = {"path": str(link), "state": "link", "target": "2"}
    assert run(wanted, check=True)["changed"]
    assert not link.is_symlink()
    link.symlink_to("1")
    assert run(wanted)["changed_paths"] == [str(link)]
    assert str(link.readlink()) == "2"
    assert not run(wanted)["changed"]
    assert [path.name for path in tmp_path.iterdir()] == ["current"]


def test_a_file_that_its_program_refuses_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "config"
    wanted = {"path": str(file), "validate": "/bin/grep -q good %s"}
    assert run(wanted | {"content": "good 1"})["changed"]
    result = run(wanted | {"content": "bad"})
    assert result["failed"]
    assert "is left as it is, /bin/grep refuses the new one" in result["msg"]
    assert file.read_text() == "good 1"
    assert [path.name for path in tmp_path.iterdir()] == ["config"]
    assert "can't be validated" in run(wanted | {"validate": "/none %s", "content": "good 2"})["msg"]


def test_what_else_is_in_a_folder_is_removed_when_it_is_to_be_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    (folder / "former" / "more").mkdir(parents=True)
    (folder / ".hidden").symlink_to("nowhere")
    wanted = {"path": str(folder / "new"), "content": "x"}
    only = {str(folder): ["new"], str(tmp_path / "none"): []}
    removed = [str(folder / ".hidden"), str(folder / "former")]
    assert run(wanted, only=only, check=True)["changed_paths"] == [wanted["path"], *removed]
    assert (folder / "former" / "more").exists()
    assert run(wanted, only=only)["changed_paths"] == [wanted["path"], *removed]
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert not run(wanted, only=only)["changed"]


def test_nothing_is_removed_when_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "former").touch()
    wanted = {"path": str(tmp_path / "new"), "content": "x", "validate": "/bin/false %s"}
    assert run(wanted, only={str(tmp_path): ["new"]})["failed"]
    assert [path.name for path in tmp_path.iterdir()] == ["former"]


def test_what_a_file_holds_is_nobodys_business(tmp_path: Path, load: Callable[[str], ModuleType]) -> None:
    wanted = {"path": str(tmp_path / "secret"), "content": "s3cret"}
    assert "s3cret" not in json.dumps(run(wanted, diff=False))
    said: list[str] = []
    files = SimpleNamespace(params={"files": [wanted]}, log=said.append)
    load("plugins/modules/managed_files.py").Module._log_invocation(files)
    assert said == [f"Invoked with files={tmp_path}/secret"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"path": "{}/f", "state": "link"}, "a link (state: link) has a target"),
        ({"path": "{}/f", "content": "x", "target": "x"}, "and nothing else has"),
        ({"path": "{}/folder", "state": "link", "target": "x"}, "is to be a link, and is a folder"),
        ({"path": "{}/file", "state": "link", "target": "x"}, "is to be a link, and is a file"),
        ({"path": "{}/f", "content": "x", "validate": "true"}, "needs %s"),
        ({"path": "{}/f", "state": "absent", "validate": "true %s"}, "validate is for a file"),
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


def test_the_fingerprints_are_those_of_what_the_module_makes(
    tmp_path: Path, load: Callable[[str], ModuleType]
) -> None:
    fingerprints = load("plugins/filter/managed_files.py").fingerprints
    looks = load("plugins/modules/running_service.py")
    owner = {"owner": looks.owner_name(os.getuid()), "group": looks.group_name(os.getgid())}
    wanted = [
        {"path": str(tmp_path / "etc"), "state": "directory"} | owner,
        {"path": str(tmp_path / "etc" / "zk"), "content": "ä\n", "mode": "400"} | owner,
        {"path": str(tmp_path / "etc" / "plain"), "content": ""} | owner,
        {"path": str(tmp_path / "etc" / "myid"), "content": 1} | owner,
        {"path": str(tmp_path / "current"), "state": "link", "target": "etc"},
        {"path": str(tmp_path / "former"), "state": "absent"},
    ]
    expected = fingerprints(wanted)

    def differing() -> list[str]:
        return [path for path, text in expected.items() if looks.differs(Path(path), text)]

    assert len(differing()) == 5
    run(*wanted)
    assert differing() == []
    (tmp_path / "etc" / "zk").chmod(0o444)
    (tmp_path / "etc" / "plain").write_text("x")
    (tmp_path / "former").symlink_to("nowhere")
    (tmp_path / "current").unlink()
    assert differing() == [str(tmp_path / name) for name in ("etc/zk", "etc/plain", "current", "former")]


def test_a_package_is_known_by_its_checksum(tmp_path: Path, load: Callable[[str], ModuleType]) -> None:
    filters = load("plugins/filter/managed_files.py")
    package = tmp_path / "mesos.deb"
    package.write_bytes(b"package")
    assert filters.file_sha256(str(package)) == hashlib.sha256(b"package").hexdigest()
    with pytest.raises(AnsibleFilterError, match=r"missing\.deb can't be read: No such file"):
        filters.file_sha256(str(tmp_path / "missing.deb"))
