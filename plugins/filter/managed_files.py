"""Ansible filter: lists for the module managed_files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


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


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"files_in": files_in}
