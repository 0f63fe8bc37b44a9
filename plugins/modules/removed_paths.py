#!/usr/bin/python
"""Ansible module: remove files and folders, but nothing of another file system that is mounted in them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: removed_paths
short_description: Removes files and folders
description:
  - What is mounted below a folder is unmounted before, so that nothing of it is removed. A folder that is a
    mount point itself is emptied and stays.
options:
  paths:
    description: Absolute paths; each may be a pattern of the shell's.
    type: list
    elements: path
    required: true
  empty:
    description: Folders that go, too, if nothing is left in them.
    type: list
    elements: path
    default: []
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Remove the state
  mesos_docker.cluster.removed_paths:
    paths: [/var/lib/mesos/slave]
"""

RETURN = r"""
removed:
  description: What was there.
  type: list
  elements: str
  returned: success
"""

MOUNTS = Path("/proc/self/mounts")


def mounted_below(folder: Path, mounts: str) -> list[str]:
    """Return the mount points below a folder, the deepest first; `mounts` is what /proc/self/mounts says."""
    points = (_unescaped(line.split()[1]) for line in mounts.splitlines())
    return sorted(
        {point for point in points if point.startswith(f"{folder.resolve()}/")}, key=len, reverse=True
    )


def found(patterns: Iterable[str], mounts: str) -> list[Path]:
    """Return what there is to remove: not a mount point that is empty."""
    paths = {path: None for pattern in patterns for path in sorted(Path("/").glob(pattern.lstrip("/")))}
    return [path for path in paths if not (_is_mount(path, mounts) and not any(path.iterdir()))]


def remove(path: Path, mounts: str) -> None:
    """Remove one."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    for point in mounted_below(path, mounts):
        subprocess.run(["umount", point], check=True, capture_output=True, text=True)
    if not _is_mount(path, mounts):
        shutil.rmtree(path)
        return
    for child in path.iterdir():
        remove(child, mounts)


def remove_if_empty(folder: Path) -> bool:
    """Remove a folder with nothing in it that is no mount point; tell whether it was."""
    if not folder.is_dir() or folder.is_mount() or any(folder.iterdir()):
        return False
    folder.rmdir()
    return True


def _is_mount(path: Path, mounts: str) -> bool:
    return str(path.resolve()) in (_unescaped(line.split()[1]) for line in mounts.splitlines())


def _unescaped(path: str) -> str:
    r"""Undo what proc(5) does to blanks: \040 is a space."""
    for code in ("040", "011", "012", "134"):
        path = path.replace(f"\\{code}", chr(int(code, 8)))
    return path


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "empty": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    mounts = MOUNTS.read_text(encoding="utf-8")
    paths = found(module.params["paths"], mounts)
    try:
        if not module.check_mode:
            for path in paths:
                remove(path, mounts)
            paths += [folder for folder in map(Path, module.params["empty"]) if remove_if_empty(folder)]
    except subprocess.CalledProcessError as error:
        module.fail_json(msg=f"{error.cmd[1]} is in the way: {error.stderr.strip()}")
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    module.exit_json(changed=bool(paths), removed=[str(path) for path in paths])


if __name__ == "__main__":
    main()
