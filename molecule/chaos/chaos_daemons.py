"""Faults of one daemon: it is killed, restarted, stopped for a while, or can't write."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

from chaos_judge import Toll
from chaos_struck import Struck
from lab_cluster import eventually
from lab_inventory import Lab

Strike = Callable[[Lab, Struck], AbstractContextManager[Toll]]
STATE = {
    "zookeeper": "/var/lib/zookeeper",
    "mesos-master": "/var/lib/mesos/master",
    "mesos-docker-scheduler": "/var/lib/mesos-docker-scheduler",
}
# How long ZooKeeper waits for a client that is gone, by Mesos' default.
SESSION_SECONDS = 10
# What is left when the state was copied: little enough to be filled at once.
SPARE_MEGABYTES = 1


def toll(unit: str, struck: Struck, *, unreachable: bool) -> Toll:
    """Return what a fault of that unit may take. unreachable: it does not answer while it lasts."""
    hosts = frozenset(struck.hosts)
    return Toll(
        unit,
        away=hosts if unit == "mesos-slave" and unreachable else frozenset(),
        # While it starts, Docker Engine makes its rules for published ports anew.
        silent=hosts if unit == "docker" else frozenset(),
    )


def _runs(lab: Lab, host: str, unit: str) -> bool:
    return lab.on(host, f"systemctl is-active {unit} || true").strip() == "active"


def _await(lab: Lab, host: str, unit: str) -> None:
    eventually(f"{unit} runs on {host}", lambda: _runs(lab, host, unit), seconds=60)


def killed(unit: str) -> Strike:
    """Return the fault of kill -9; systemd starts the unit again."""
    return _told_once(unit, "kill --signal=KILL --kill-whom=main")


def restarted(unit: str) -> Strike:
    """Return the fault of a restart."""
    return _told_once(unit, "restart --no-block")


def _told_once(unit: str, verb: str) -> Strike:
    @contextmanager
    def strike(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
        lab.on(struck.host, f"systemctl {verb} {unit}")
        yield toll(unit, struck, unreachable=False)

    return strike


def frozen(unit: str) -> Strike:
    """Return the fault of SIGSTOP, and SIGCONT in the end."""

    @contextmanager
    def strike(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
        def send(signal: str) -> None:
            # A unit that was killed meanwhile has no main process, or another one.
            lab.on(struck.host, f"systemctl kill --signal={signal} --kill-whom=main {unit} || true")

        try:
            send("STOP")
            yield toll(unit, struck, unreachable=True)
        finally:
            send("CONT")

    return strike


def _on_another_disk(unit: str, mount: str, spoil: str = ":") -> Strike:
    """Return a fault of the disk that holds the unit's state.

    mount: a command that mounts something on the folder $state. spoil: one for when the unit runs.
    """
    state = STATE[unit]

    @contextmanager
    def strike(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
        def shell(command: str) -> None:
            lab.on(struck.host, f"set -e; state={state}; {command}")

        try:
            shell(f"systemctl stop {unit}; {mount}")
            shell(f"systemctl start --no-block {unit}")
            shell(spoil)
            yield toll(unit, struck, unreachable=False)
        finally:
            # What was written on the other disk is the state now.
            shell(
                f"systemctl stop {unit}; if mountpoint --quiet $state; then rm -f $state/filling;"
                " if mountpoint --quiet /run/chaos-disk; then"
                " umount $state; find $state -mindepth 1 -delete; cp -a /run/chaos-disk/. $state;"
                " umount /run/chaos-disk; else umount $state; fi; fi"
            )
            shell(f"systemctl reset-failed {unit}; systemctl start --no-block {unit}")
            _await(lab, struck.host, unit)

    return strike


def full_disk(unit: str) -> Strike:
    """Return the fault of a disk without room: a small one in memory, with the state on it."""
    return _on_another_disk(
        unit,
        "mkdir -p /run/chaos-disk;"
        f" mount -t tmpfs -o size=$(($(du -sm $state | cut -f1) + {SPARE_MEGABYTES}))m tmpfs /run/chaos-disk;"
        " chmod --reference=$state /run/chaos-disk; chown --reference=$state /run/chaos-disk;"
        " cp -a --sparse=always $state/. /run/chaos-disk; mount --bind /run/chaos-disk $state",
        # A disk is filled while the daemon runs. To begin on a full one is another matter.
        f"timeout 60 systemctl start {unit}; sleep 3; cat /dev/zero > $state/filling 2>/dev/null || true",
    )


def read_only_disk(unit: str) -> Strike:
    """Return the fault of a disk that takes no writes."""
    return _on_another_disk(unit, "mount --bind $state $state; mount -o remount,bind,ro $state")


@contextmanager
def no_registry(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
    """Take the image registry away."""
    try:
        lab.on(struck.host, "systemctl stop docker-registry")
        yield Toll("registry")
    finally:
        lab.on(struck.host, "systemctl start docker-registry")
        _await(lab, struck.host, "docker-registry")


@contextmanager
def killed_container(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
    """Kill a container behind everybody's back."""
    assert struck.container is not None
    # It may have ended by itself, or its engine may be frozen.
    lab.on(struck.host, f"timeout 20 docker kill {struck.container.id} || true")
    yield Toll("container", containers=frozenset({struck.container.id}))


@contextmanager
def both_leaders(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
    """Kill the leading master, and ZooKeeper's leader while the others elect one: when its session ends."""
    lab.on(struck.host, "systemctl kill --signal=KILL --kill-whom=main mesos-master")
    eventually("nobody leads", lambda: not lab.leading_address(), seconds=15)
    lab.wait(SESSION_SECONDS - 1)
    server = lab.leading("zookeepers")
    if server is not None:
        lab.on(server, "systemctl kill --signal=KILL --kill-whom=main zookeeper")
    yield Toll("leaders")
