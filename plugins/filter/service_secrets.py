"""Ansible filters: the secrets that services name, and the files that hold them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

Service = Mapping[str, Any]


def with_secret_paths(service: object, folder: str) -> object:
    """Put the path of its file in the place of each secret that is given by name.

    What is no service at all is left to the scheduler's own check, which says so.
    """
    if not isinstance(service, Mapping):
        return service
    found: dict[str, Any] = {}
    if isinstance(service.get("secrets"), Mapping):
        found["secrets"] = {name: _path(value, folder) for name, value in service["secrets"].items()}
    if isinstance(service.get("fetch"), list):
        found["fetch"] = [
            {**file, "uri_secret": _path(file["uri_secret"], folder)} if _is_secret(file) else file
            for file in service["fetch"]
        ]
    return {**service, **found}


def _path(name: object, folder: str) -> object:
    return name if not isinstance(name, str) or name.startswith("/") else f"{folder}/{name}"


def _is_secret(file: object) -> bool:
    return isinstance(file, Mapping) and "uri_secret" in file


def named_secrets(services: Iterable[object], folder: str) -> list[str]:
    """Return the names of the secrets that have their files in the folder."""
    paths: list[object] = []
    for service in services:
        if isinstance(service, Mapping) and isinstance(service.get("secrets"), Mapping):
            paths += service["secrets"].values()
        if isinstance(service, Mapping) and isinstance(service.get("fetch"), list):
            paths += [file["uri_secret"] for file in service["fetch"] if _is_secret(file)]
    start = f"{folder}/"
    return sorted(
        {path.removeprefix(start) for path in paths if isinstance(path, str) and path.startswith(start)}
    )


def secret_files(values: Mapping[str, object], folder: str, group: str) -> list[dict[str, str]]:
    """Return the files of secrets that are given by name, for the module managed_files.

    A dictionary or a list is written as JSON.
    """
    return [
        {
            "path": f"{folder}/{name}",
            "content": json.dumps(value) if isinstance(value, (dict, list)) else str(value),
            "group": group,
            "mode": "0640",
        }
        for name, value in values.items()
    ]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        functions = (with_secret_paths, named_secrets, secret_files)
        return {function.__name__: function for function in functions}
