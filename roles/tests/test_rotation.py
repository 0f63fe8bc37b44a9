"""What rotate_secrets.yml does on the control node, step by step, and broken off anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
OLD = {"mesos_master_operator": "o" * 40, "of_somebody_else": "e" * 40}
NAME = "mesos_master_operator"


def run(folder: Path, *steps: str, stop_after: str = "") -> None:
    """Run task files of the role; the last one is broken off after the task of that name."""
    variables: dict[str, Any] = {
        "security_folder": str(folder),
        "__security_secrets": yaml.safe_load((folder / "secrets.yml").read_text()),
        "__security_secret_names": [NAME],
        "authority_path": str(folder / "ca"),  # for the first one
    }
    look = {"__security_kept": "{{ security_folder | mesos_docker.cluster.kept_in }}"}
    tasks: list[dict[str, Any]] = []
    for step in steps:
        tasks += [
            {"ansible.builtin.set_fact": look},
            {"ansible.builtin.include_role": {"name": "security", "tasks_from": f"{step}.yml"}},
        ]
    playbook = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": variables,
            "tasks": tasks,
        }
    ]
    role = folder.parent / "roles" / "security"
    if not role.exists():
        role.parent.mkdir()
        subprocess.run(["cp", "-r", ROOT / "roles" / "security", role], check=True)
    if stop_after:
        path = role / "tasks" / f"{steps[-1]}.yml"
        listed = yaml.safe_load(path.read_text())
        position = [task["name"] for task in listed].index(stop_after)
        path.write_text(yaml.safe_dump([*listed[: position + 1], {"ansible.builtin.meta": "end_play"}]))
    (folder.parent / "playbook.yml").write_text(json.dumps(playbook))
    subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            "localhost,",
            folder.parent / "playbook.yml",
        ],
        cwd=ROOT,
        env=os.environ
        | {"ANSIBLE_ROLES_PATH": str(role.parent), "ANSIBLE_PYTHON_INTERPRETER": sys.executable},
        check=True,
        capture_output=True,
    )
    if stop_after:
        subprocess.run(["cp", ROOT / "roles/security/tasks" / f"{steps[-1]}.yml", path], check=True)


@pytest.fixture(scope="module")
def security(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("plugins/filter/security.py")


@pytest.fixture(scope="module")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cluster that has an authority."""
    home = tmp_path_factory.mktemp("beginning") / "kept-by-somebody-who-likes-names-that-are-long"
    home.mkdir()
    (home / "secrets.yml").write_text(yaml.safe_dump(OLD))
    (home / "operator.key").write_text("the operator's")
    run(home, "authority")
    return home


@pytest.fixture
def folder(beginning: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(beginning, tmp_path / "kept"))


def signs(folder: Path) -> bool:
    """Tell whether the key is that of the authority that is the first in ca.pem."""
    commands = (["x509", "-in", "ca.pem", "-noout", "-pubkey"], ["pkey", "-in", "ca.key", "-pubout"])
    certified, own = (
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True).stdout
        for words in commands
    )
    return certified == own


def named(certificate: str) -> bytes:
    """Return the name that a certificate is for."""
    words = ["openssl", "x509", "-noout", "-subject"]
    return subprocess.run(words, input=certificate.encode(), check=True, capture_output=True).stdout


def passwords(folder: Path) -> dict[str, str]:
    return dict(yaml.safe_load((folder / "secrets.yml").read_text()))


def finish(folder: Path, security: ModuleType, first: str) -> None:
    """Go on to the end, and see that everything was replaced."""
    run(folder, "rotate_trust")
    kept = security.kept_in(str(folder))
    assert first in kept["authorities"]
    assert signs(folder)
    assert len(kept["authorities"]) == 2, "all must trust it before it signs"
    assert len(set(map(named, kept["authorities"]))) == 2, "ZooKeeper keeps one of each name"
    run(folder, *(["rotate_sign"] if kept["next"] else []), "rotate_forget", "rotate_end")
    kept = security.kept_in(str(folder))
    assert kept["authorities"] != [first]
    assert (len(kept["authorities"]), kept["next"], kept["last"]) == (1, "", "")
    assert signs(folder)
    assert passwords(folder)[NAME] != OLD[NAME]
    assert passwords(folder)["of_somebody_else"] == OLD["of_somebody_else"]
    assert not (folder / "operator.key").exists()


def test_broken_off_before_it_signs(folder: Path, security: ModuleType) -> None:
    first = security.kept_in(str(folder))["authority"]
    run(folder, "rotate_trust", stop_after="Make the next authority")
    finish(folder, security, first)


@pytest.mark.parametrize("task", ["Let the next authority be the first", "Make other secrets"])
def test_broken_off_while_it_takes_over(folder: Path, security: ModuleType, task: str) -> None:
    first = security.kept_in(str(folder))["authority"]
    run(folder, "rotate_trust", "rotate_sign", stop_after=task)
    finish(folder, security, first)


def test_broken_off_at_the_end_it_begins_no_other(folder: Path, security: ModuleType) -> None:
    run(folder, "rotate_trust", "rotate_sign", "rotate_forget")
    kept, known = security.kept_in(str(folder)), passwords(folder)
    run(folder, "rotate_trust")
    assert security.kept_in(str(folder)) == kept
    run(folder, "rotate_forget", "rotate_end")
    assert passwords(folder) == known
