"""The lab that disasters strike: its hosts, who leads, and commands on them that end in time."""

from __future__ import annotations

import functools
import json
import subprocess
import threading
from collections.abc import Iterable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

from lab_cluster import Cluster, SecurityFolder
from lab_control_plane import leading_master, zookeeper_state
from lab_site import program

COMMAND_SECONDS, INSTALL_SECONDS = 90, 300
Hosts = tuple[str, ...]


class Interrupted(Exception):  # noqa: N818 - no error
    """Somebody wants it to end."""


class CommandError(Exception):
    """A command failed or took too long; says which, where, and what it wrote."""


def run(command: list[str], *, seconds: float = COMMAND_SECONDS) -> str:
    """Return what a command on this machine writes. Raises CommandError.

    Control-C does not reach it: what is injected and healed is so as a whole.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, start_new_session=True, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(str(error)) from None
    if done.returncode != 0:
        said = f"{done.stdout}{done.stderr}".strip()
        raise CommandError(f"{' '.join(command)}: exit status {done.returncode}: {said}")
    return done.stdout


class Lab:
    """A lab by its inventory: hosts with their addresses, groups, and the means to ask and to act."""

    def __init__(self, *inventories: Path) -> None:
        """`inventories`: as Ansible takes them: the last one wins. The first names the security folder."""
        self.inventories = inventories
        self.interrupted = threading.Event()
        described: dict[str, Any] = json.loads(
            run([program("ansible-inventory"), "--list", *_options(inventories)])
        )
        variables: dict[str, dict[str, Any]] = described.pop("_meta")["hostvars"]
        self.addresses: dict[str, str] = {host: its["lab_address"] for host, its in variables.items()}
        self.groups: dict[str, Hosts] = {
            group: tuple(members["hosts"]) for group, members in described.items() if "hosts" in members
        }
        self.security = SecurityFolder.of(inventories[0])
        self.image: str = variables[self.groups["schedulers"][0]]["scheduler_image"]

    @functools.cached_property
    def slaves(self) -> Hosts:
        """The hosts that containers run on."""
        return self.groups["mesos_slaves"]

    @functools.cached_property
    def members(self) -> Hosts:
        """All hosts that are something in the cluster: neither the registry nor one that is idle."""
        groups = ("zookeepers", "mesos_masters", "mesos_slaves", "schedulers")
        return tuple(dict.fromkeys(host for group in groups for host in self.groups[group]))

    def on(self, host: str, command: str, *, seconds: float = COMMAND_SECONDS) -> str:
        """Return what a shell command on a host writes. Raises CommandError."""
        return run(["docker", "exec", host, "sh", "-c", command], seconds=seconds)

    def install(self, package: str) -> None:
        """Install a package on all members that lack it. Raises CommandError."""
        lacks = f"! dpkg-query --show --showformat='${{db:Status-Status}}' {package} | grep -qx installed"
        get = f"apt-get update; apt-get -o DPkg::Lock::Timeout={INSTALL_SECONDS} install --yes {package}"
        command = f"if {lacks}; then {get}; fi"
        for host in self.members:
            self.on(host, command, seconds=INSTALL_SECONDS)

    def wait(self, seconds: float) -> None:
        """Wait so long. Raises Interrupted as soon as `interrupted` is set."""
        if self.interrupted.wait(seconds):
            raise Interrupted

    def leading(self, group: str) -> str | None:
        """Return the host that leads among those of a group; None while nobody does."""
        ask = {"zookeepers": self._serves, "mesos_masters": self._masters, "schedulers": self._schedules}
        return next((host for host in self.groups[group] if ask[group](host)), None)

    def leading_address(self) -> str:
        """Return the address of the master that leads; empty when there is none."""
        return leading_master((self.addresses[host] for host in self.groups["mesos_masters"]), self.security)

    def registered_slaves(self) -> list[str]:
        """Return the slaves that are registered with the master that leads; none while nobody leads."""
        address = self.leading_address()
        leader = next((host for host, its in self.addresses.items() if its == address), None)
        if leader is None:
            return []
        try:
            names = Cluster(master=leader, slaves=self.slaves, security=self.security).registered_slaves()
        except (HTTPException, ValueError):  # it ends in the middle of its answer
            return []
        return sorted(self.host_of_slave(name) for name in names)

    def host_of_slave(self, name: str) -> str:
        """Return the host that a slave calls by this name: its own, or that without the domain."""
        return next((host for host in self.slaves if name in (host, host.partition(".")[0])), name)

    def _serves(self, host: str) -> bool:
        return zookeeper_state(self.addresses[host]) == "leader"

    def _masters(self, host: str) -> bool:
        return self.addresses[host] == self.leading_address()

    def _schedules(self, host: str) -> bool:
        """Ask the scheduler: it chooses who is struck, and nothing is judged by it."""
        try:
            status = json.loads(self.on(host, "mesos-docker-scheduler status --json", seconds=20))
        except (CommandError, ValueError):
            return False
        return bool(status.get("leads", True))

    def playbook_command(
        self, name: str, variables: Mapping[str, object], added: Path | None = None
    ) -> list[str]:
        """Return the command that runs a playbook on the lab with these variables.

        added: a file that adds to the inventories.
        """
        inventories = (*self.inventories, *([added] if added is not None else []))
        options = [*_options(inventories), "--extra-vars", json.dumps(variables)]
        return [program("ansible-playbook"), name, *options]


def _options(inventories: Iterable[Path]) -> list[str]:
    return [f"--inventory={inventory}" for inventory in inventories]
