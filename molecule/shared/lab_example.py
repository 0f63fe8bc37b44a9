"""The lab of inventory/example: what an operator copies, on hosts of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from lab_cluster import Cluster, SecurityFolder
from lab_site import ROOT, Run, playbook

INVENTORY = ROOT / "inventory" / "example"
OVERLAY = ROOT / "molecule" / "example" / "lab"
INVENTORIES = (INVENTORY, OVERLAY)

MASTERS = ("master1.example.org", "master2.example.org", "master3.example.org")
SLAVES = ("slave1.example.org", "slave2.example.org", "slave3.example.org")
SCHEDULERS = MASTERS[:2]
HOSTS = (*MASTERS, *SLAVES)

# A few rounds of disasters. These strike whoever leads: a scheduler's host loses its power and the other one
# is frozen during a deployment, a master is cut off, and another one is killed with ZooKeeper's leader.
ROUNDS, SEED = 3, 1229
FAULTS = ("freeze-scheduler", "cut-power-of-host", "kill-both-leaders", "partition", "deploy-count")

SECURITY = SecurityFolder.of(INVENTORY)
LAB = Cluster(master=MASTERS[0], slaves=SLAVES, security=SECURITY, schedulers=SCHEDULERS)


def addresses() -> dict[str, str]:
    """Return the hosts' addresses, also while they are down."""
    overlay: dict[str, Any] = yaml.safe_load((OVERLAY / "hosts.yml").read_text(encoding="utf-8"))
    return {host: str(variables["lab_address"]) for host, variables in overlay["all"]["hosts"].items()}


def run(name: str, *arguments: str, inventory: Path | None = None) -> Run:
    """Run a playbook with the example, what makes a lab of it, and what another inventory says besides."""
    first, *more = (*INVENTORIES, *([] if inventory is None else [inventory]))
    return playbook(name, *(f"--inventory={path}" for path in more), *arguments, inventory=first)
