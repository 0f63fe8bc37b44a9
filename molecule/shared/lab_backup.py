"""Backups of a lab's control plane, its loss, and its restoration on new hosts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab_site import Run, playbook

BACKUP, RESTORE, RESET = "playbooks/backup.yml", "playbooks/restore.yml", "playbooks/reset.yml"


def back_up(folder: Path, *arguments: str, **inventory: Path) -> Run:
    """Run backup.yml with its backups in this folder."""
    return playbook(BACKUP, f"--extra-vars=backup_folder={folder}", *arguments, **inventory)


def backups(folder: Path) -> list[Path]:
    """Return the backups in the folder, the oldest first."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def manifest(backup: Path) -> dict[str, Any]:
    """Return what the backup says of itself."""
    said: dict[str, Any] = json.loads((backup / "manifest.json").read_text(encoding="utf-8"))
    return said


def restore(backup: Path, *arguments: str, **more: Any) -> Run:
    """Run restore.yml with a backup; `variables` are for site.yml."""
    variables = {"restore_from": str(backup), **more.pop("variables", {})}
    return playbook(RESTORE, "--extra-vars", json.dumps(variables), *arguments, **more)


def destroy(hosts: Iterable[str]) -> None:
    """Take the hosts away for good, with all that is on them."""
    for host in hosts:
        subprocess.run(["docker", "rm", "--force", host], check=True, capture_output=True)
        subprocess.run(["docker", "volume", "rm", f"{host}-docker"], check=True, capture_output=True)


def create(**inventory: Path) -> None:
    """Create the hosts of the lab that are not there: empty ones."""
    run = playbook("playbooks/lab_up.yml", **inventory)
    assert run.exit_code == 0, run.output
