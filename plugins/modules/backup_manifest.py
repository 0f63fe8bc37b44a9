#!/usr/bin/python
"""Ansible module: the manifest of a backup, which says what is in it and what each file must be."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: backup_manifest
short_description: Completes a backup, or checks one
description:
  - With O(content) it lets only the owner read the folder and its files, and writes C(manifest.json), with
    the checksum of each file, and everything to the disk. The folder then gets its name.
  - Without O(content) it changes nothing, and tells what is wrong with the backup.
options:
  folder:
    description: The backup's folder.
    type: path
    required: true
  content:
    description: What the manifest is to say besides the files.
    type: dict
  name:
    description: The path that the folder gets when it is complete.
    type: path
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Complete the backup
  mesos_docker.cluster.backup_manifest:
    folder: backups/.20250102T030405Z
    name: backups/20250102T030405Z
    content: {created: 20250102T030405Z}

- name: Check the backup
  mesos_docker.cluster.backup_manifest:
    folder: backups/20250102T030405Z
  register: backup
"""

RETURN = r"""
manifest:
  description: The manifest; empty when there is none that can be read.
  type: dict
  returned: always
mistakes:
  description: What is wrong with the backup, a sentence each.
  type: list
  elements: str
  returned: always
"""

MANIFEST = "manifest.json"
FORMAT = 1
"""Grows when a manifest has to be read in another way."""


def sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of the backup but the manifest, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): _sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }


def complete(folder: Path, content: Mapping[str, Any], name: Path) -> dict[str, Any]:
    """Write the manifest and all the rest to the disk, give the folder its name; return the manifest."""
    manifest = {"format": FORMAT, **content, "files": sums(folder)}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o700 if path.is_dir() else 0o600)
        _sync(path)
    folder.rename(name)
    _sync(name.parent)
    return manifest


def check(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the manifest and what is wrong with the backup."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}, [f"{folder} is no backup: it has no {MANIFEST}."]
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found, files = manifest["format"], dict(manifest["files"])
    except (ValueError, LookupError, TypeError) as error:
        return {}, [f"{path} can't be read: {error!r}."]
    if found != FORMAT:
        return {}, [f"{path} has format {found}; this version of the playbooks reads format {FORMAT}."]
    there = sums(folder)
    mistakes = [f"{folder / name} is missing." for name in files.keys() - there.keys()]
    mistakes += [
        f"{folder / name} is not what was backed up: its SHA-256 is another."
        for name in files.keys() & there.keys()
        if files[name] != there[name]
    ]
    return manifest, sorted(mistakes)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "content": {"type": "dict"},
            "name": {"type": "path"},
        },
        required_together=[["content", "name"]],
        supports_check_mode=True,
    )
    given = module.params
    folder = Path(given["folder"])
    try:
        if given["content"] is None:
            manifest, mistakes = check(folder)
        elif module.check_mode:
            manifest, mistakes = {}, []
        else:
            manifest, mistakes = complete(folder, given["content"], Path(given["name"])), []
    except OSError as error:
        module.fail_json(msg=f"{folder}: {error}")
    module.exit_json(changed=given["content"] is not None, manifest=manifest, mistakes=mistakes)


if __name__ == "__main__":
    main()
