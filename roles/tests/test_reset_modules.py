"""What is removed from a host that is given back, and what stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def paths(load: Load) -> ModuleType:
    return load("plugins/modules/removed_paths.py")


@pytest.fixture(scope="module")
def packages(load: Load) -> ModuleType:
    return load("plugins/modules/brought_packages.py")


def test_files_folders_and_links_are_removed(paths: ModuleType, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("")
    (tmp_path / "state.1").mkdir()
    (tmp_path / "state.2").write_text("")
    (tmp_path / "link").symlink_to(kept)
    found = paths.found([f"{tmp_path}/state.*", f"{tmp_path}/link", f"{tmp_path}/nothing"], "")
    assert [path.name for path in found] == ["state.1", "state.2", "link"]
    for path in found:
        paths.remove(path, "")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").exists()


def test_a_mount_point_is_emptied_and_stays(paths: ModuleType, tmp_path: Path) -> None:
    disk = tmp_path / "a disk"
    (disk / "folder").mkdir(parents=True)
    mounts = f"/dev/sdb1 {tmp_path}/a\\040disk ext4 rw 0 0\n"
    assert paths.found([str(disk)], mounts) == [disk]
    paths.remove(disk, mounts)
    assert disk.is_dir()
    assert not any(disk.iterdir())
    assert paths.found([str(disk)], mounts) == [], "there is nothing left to do"


def test_what_is_mounted_below_is_unmounted_first(
    paths: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    inner = work / "sandbox" / "volume"
    inner.mkdir(parents=True)
    mounts = "".join(f"x {point} ext4 rw 0 0\n" for point in (work / "sandbox", inner, f"{work}-other", "/"))
    asked = []

    def umount(command: list[str], **_: object) -> None:
        assert inner.exists(), "it was removed before"
        asked.append(command)

    monkeypatch.setattr(paths.subprocess, "run", umount)
    paths.remove(work, mounts)
    assert asked == [["umount", str(inner)], ["umount", str(work / "sandbox")]]
    assert not work.exists()


def test_a_folder_goes_only_when_nothing_is_left_in_it(paths: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "full" / "file").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    assert not paths.remove_if_empty(tmp_path / "full")
    assert not paths.remove_if_empty(tmp_path / "nothing")
    assert paths.remove_if_empty(tmp_path / "empty")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_what_the_host_has_is_not_noted(packages: ModuleType) -> None:
    empty: dict[str, list[str]] = {"brought": [], "before": []}
    assert packages.updated_note(empty, ["java"], {"java", "sh"}) == empty
    assert packages.updated_note(empty, ["java", "zk"], {"java"}) == {"brought": ["zk"], "before": ["java"]}


def test_what_was_there_at_first_stays_noted(packages: ModuleType) -> None:
    note = {"brought": ["zk"], "before": ["sh"]}
    again = packages.updated_note(note, ["zk", "more"], {"sh", "zk", "came-with-zk"})
    assert again == {"brought": ["more", "zk"], "before": ["sh"]}
    assert packages.updated_note(note, ["zk"], {"sh"}) == note, "it was removed meanwhile"


def test_only_what_came_along_goes(packages: ModuleType) -> None:
    simulation = (
        "Reading package lists...\n"
        "Remv containerd [1.6]\n"
        "Purg runc [1.1]\n"
        "Remv old-orphan [3]\n"
        "Inst something [1]\n"
    )
    assert packages.orphans(simulation, ["old-orphan", "sh"]) == ["containerd", "runc"]


def test_the_note_is_kept_until_the_packages_are_gone(
    packages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "notes" / "docker"
    installed = {"sh"}
    commands = []

    def run(command: list[str]) -> str:
        if "--simulate" in command and "purge" in command:
            return "".join(f"Purg {name} [1]\n" for name in command[command.index("purge") + 1 :])
        commands.append(command)
        if "purge" in command:
            assert note.exists()
            installed.difference_update(command[command.index("purge") + 1 :])
        return "".join(f"Remv {name} [1]\n" for name in sorted(installed & {"containerd"}))

    monkeypatch.setattr(packages, "installed_packages", lambda: set(installed))
    monkeypatch.setattr(packages, "_run", run)
    assert packages._noted(note, ["docker.io"], {"sh"}, check_mode=True) == ["docker.io"]
    assert not note.exists()
    assert packages._noted(note, ["docker.io=1"], {"sh"}, check_mode=False) == ["docker.io"]
    installed |= {"docker.io", "containerd"}
    assert packages._removed(note, check_mode=True) == (["docker.io"], [])
    assert not commands
    assert packages._removed(note, check_mode=False) == (["docker.io", "containerd"], [])
    assert installed == {"sh"}
    assert not note.exists()
    assert packages._removed(note, check_mode=False) == ([], [])


def test_apt_looks_at_what_is_missing_or_has_a_version(packages: ModuleType) -> None:
    assert packages.wanting(["java", "zk", "docker.io=1"], {"java", "docker.io"}) == ["zk", "docker.io=1"]


def test_what_others_need_by_now_is_kept(packages: ModuleType) -> None:
    needed_by = {"java": {"jenkins"}, "zk": set(), "libzk": {"zk"}}

    def removals(names: list[str]) -> set[str]:
        return {*names}.union(*(needed_by[name] for name in names))

    assert packages.removable(["java", "libzk", "zk"], removals) == ["libzk", "zk"]
    assert packages.removable(["java"], removals) == []
    assert packages.removable([], removals) == []
