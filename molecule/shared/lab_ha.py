"""The lab of inventory/lab-ha, and site.yml run on it with other hosts in its groups."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from lab_cluster import Cluster, SecurityFolder, eventually
from lab_site import ROOT, Run, playbook

INVENTORY = ROOT / "inventory" / "lab-ha"
IMAGE = "lab-ha-registry:5000/demo/web:1"
NEXT_IMAGE = "lab-ha-registry:5000/demo/web:2"
COUNT = 6

SECURITY = SecurityFolder.of(INVENTORY)
MASTERS = ("lab-ha-master1", "lab-ha-master2", "lab-ha-master3")
# Where two more masters can be.
MORE_MASTERS = ("lab-ha-scheduler2", "lab-ha-registry")
SLAVES = ("lab-ha-slave1", "lab-ha-slave2", "lab-ha-slave3")
SCHEDULERS = ("lab-ha-scheduler1", "lab-ha-scheduler2")

Groups = Mapping[str, Sequence[str]]


def hosts() -> dict[str, dict[str, Any]]:
    """Return the lab's hosts with their variables."""
    inventory: dict[str, Any] = yaml.safe_load((INVENTORY / "hosts.yml").read_text(encoding="utf-8"))
    return {name: variables or {} for name, variables in inventory["all"]["hosts"].items()}


def address(host: str) -> str:
    """Return the host's address, also while it is down."""
    return str(hosts()[host]["lab_address"])


def by_ssh(address: str) -> dict[str, str]:
    """Return the variables of a host that is powered off.

    By ssh Ansible finds that nobody is there: the plugin for containers takes one that is stopped for a host
    that answers with nonsense.
    """
    return {"ansible_connection": "ssh", "ansible_host": address}


def inventory_with(folder: Path, groups: Groups, off: Sequence[str] = ()) -> Path:
    """Write the lab's inventory with other hosts in these groups; returns its folder.

    off: hosts that are powered off.
    """
    inventory = yaml.safe_load((INVENTORY / "hosts.yml").read_text(encoding="utf-8"))
    inventory["all"]["vars"]["security_folder"] = str(SECURITY.path)
    for host in off:
        inventory["all"]["hosts"][host] |= by_ssh(address(host))
    for group, members in groups.items():
        inventory["all"]["children"][group] = {"hosts": dict.fromkeys(members)}
    folder.mkdir(exist_ok=True)
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    shutil.copytree(INVENTORY / "group_vars", folder / "group_vars", dirs_exist_ok=True)
    return folder


def deploy(
    *arguments: str, inventory: Path = INVENTORY, variables: Mapping[str, object] | None = None
) -> Run:
    """Run site.yml with COUNT containers of IMAGE, unless the variables say otherwise."""
    values = {"scheduler_image": IMAGE, "scheduler_count": COUNT, **(variables or {})}
    return playbook("site.yml", *arguments, "--extra-vars", json.dumps(values), inventory=inventory)


def verify(inventory: Path = INVENTORY) -> Run:
    """Run verify.yml with what `deploy` has deployed."""
    values = json.dumps({"scheduler_image": IMAGE, "scheduler_count": COUNT})
    return playbook("playbooks/verify.yml", "--extra-vars", values, inventory=inventory)


def cluster(*schedulers: str, secured: bool = True) -> Cluster:
    """What the tests ask the lab; without `schedulers` it has those of its inventory."""
    return Cluster(
        master=MASTERS[0],
        slaves=SLAVES,
        security=SECURITY if secured else None,
        schedulers=schedulers or SCHEDULERS,
    )


def _machine(verb: str, host: str) -> None:
    subprocess.run(["docker", verb, host], check=True, capture_output=True)


@contextmanager
def powered_off(host: str, *, verb: str = "stop") -> Generator[None, None, None]:
    """Power a host off; it boots again in the end. verb: `kill` for one that is not shut down."""
    try:
        _machine(verb, host)
        yield
    finally:
        _machine("start", host)
        eventually(
            f"{host} is up", lambda: Cluster.host(host).run("systemctl is-active dbus").rc == 0, seconds=60
        )
