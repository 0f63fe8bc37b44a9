"""This repository as a collection: built, and installed into a folder that has nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NAME = "mesos_docker.cluster"


def run(program: str, *arguments: str | Path, folder: Path, **environment: str) -> tuple[int, str]:
    """Run one of Ansible's programs with what is installed in the folder; its exit code and its output."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    ended = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        cwd=folder,
        env={
            **inherited,
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


def galaxy(*arguments: str | Path, folder: Path) -> None:
    """Run `ansible-galaxy collection`."""
    exit_code, output = run("ansible-galaxy", "collection", *arguments, folder=folder)
    assert exit_code == 0, output


def install(folder: Path) -> Path:
    """Install the collection below `folder`, and return where it is. What it depends on is not fetched."""
    packed, collections = folder / "packed", folder / "collections"
    galaxy("build", ROOT, "--output-path", packed, folder=folder)
    galaxy("install", *packed.iterdir(), "--offline", "--collections-path", collections, folder=folder)
    return collections / "ansible_collections" / NAME.replace(".", "/")
