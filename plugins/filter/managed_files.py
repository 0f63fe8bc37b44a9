"""Ansible filters: lists for the module managed_files, what it makes of them, and what a file here holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError


def files_in(files: Iterable[Mapping[str, str]], folder: str, owner: str, mode: str) -> list[dict[str, str]]:
    """Return the module's elements for files of a folder, given as `name` and `content`.

    Those without content are not wanted. Other files in the folder are not touched.
    """
    present = {"owner": owner, "group": owner, "mode": mode}
    return [
        {"path": f"{folder}/{file['name']}"}
        | ({"content": file["content"]} | present if file["content"] else {"state": "absent"})
        for file in files
    ]


def fingerprints(files: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return what the module makes of its elements, by path, for running_service.

    A text each: what is there, its owner, group and mode, and the SHA-256 of what a file holds, which
    gives no secret away.
    """
    return {file["path"]: _fingerprint(file) for file in files}


def _fingerprint(file: Mapping[str, Any]) -> str:
    state = file.get("state", "file")
    if state == "absent":
        return "absent"
    if state == "link":
        return f"link {file['target']}"
    owner, group = file.get("owner", "root"), file.get("group", "root")
    mode = f"{int(file.get('mode', '0755' if state == 'directory' else '0644'), 8):04o}"
    if state == "directory":
        return f"directory {owner} {group} {mode}"
    # Ansible makes a number of a text that is one.
    return f"file {owner} {group} {mode} {hashlib.sha256(str(file['content']).encode()).hexdigest()}"


def file_sha256(path: str) -> str:
    """Return the SHA-256 of a file on the control node. AnsibleFilterError: it can't be read."""
    try:
        with Path(path).expanduser().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AnsibleFilterError(f"{path} can't be read: {error.strerror}") from error


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"files_in": files_in, "fingerprints": fingerprints, "file_sha256": file_sha256}
