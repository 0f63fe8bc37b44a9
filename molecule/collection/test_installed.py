"""The collection, installed into an empty folder, deploys to a lab of its own from there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import installed_collection
import lab_site
import pytest
from installed_collection import NAME, ROOT
from lab_cluster import Cluster, SecurityFolder

INVENTORY = Path(__file__).resolve().parent / "inventory"
LAB = Cluster(master="lab-collection", slaves=["lab-collection"], security=SecurityFolder.of(INVENTORY))


@pytest.fixture
def lab() -> Iterator[Cluster]:
    """A fresh host, removed afterwards whatever happened."""
    lab_site.playbook("playbooks/lab_down.yml", inventory=INVENTORY)
    try:
        run = lab_site.playbook("playbooks/lab_up.yml", inventory=INVENTORY)
        assert run.exit_code == 0, run.output
        yield LAB
    finally:
        lab_site.playbook("playbooks/lab_down.yml", inventory=INVENTORY)


def settings() -> str:
    """Return the ansible.cfg that the README asks for."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^    \[defaults\]\n(?:(?:    .*)?\n)+", readme, re.MULTILINE)
    assert block
    return textwrap.dedent(block[0])


def artifact() -> str:
    """Return the official artifact, from the user's cache if it is there."""
    fetch = [sys.executable, str(ROOT / "packaging/mesos/artifact/fetch.py")]
    return subprocess.run(fetch, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of every file below the folder."""
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()
    }


def test_deploys_from_an_empty_folder(lab: Cluster, tmp_path: Path) -> None:
    collection = installed_collection.install(tmp_path)
    installed = files(collection)
    shutil.copytree(INVENTORY, tmp_path / "inventory")
    (tmp_path / "ansible.cfg").write_text(settings())

    def playbook(name: str) -> str:
        exit_code, output = installed_collection.run(
            "ansible-playbook",
            f"{NAME}.{name}",
            "--inventory=inventory",
            f"--extra-vars=mesos_artifact_file={artifact()}",
            folder=tmp_path,
            XDG_CACHE_HOME=str(tmp_path / "cache"),
        )
        assert exit_code == 0, output
        return output

    playbook("site")
    assert len(lab.containers()) == 2
    playbook("verify")
    again = playbook("site")
    assert set(re.findall(r"changed=(\d+)", again)) == {"0"}, again

    # The collection may be read-only, and what is known of hosts is kept beside the inventory.
    assert files(collection) == installed
    assert list((tmp_path / "cache/mesos-docker").glob("package-*/mesos_*.deb"))
    assert list((tmp_path / "cache/mesos-docker").glob("wheels-python*/mesos_docker_scheduler-*.whl"))
    facts = [path.name for path in (tmp_path / ".cache/facts").iterdir()]
    # Versions of Ansible differ in what stands before the host's name.
    assert [host for host in lab.hosts if not any(name.endswith(host) for name in facts)] == []
