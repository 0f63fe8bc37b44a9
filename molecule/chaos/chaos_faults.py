"""The faults by name: where each may strike, and how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import chaos_clock as clock
import chaos_daemons as daemons
import chaos_hosts as hosts
import chaos_network as network
from chaos_daemons import Strike
from chaos_draw import Place


@dataclass(frozen=True)
class Fault:
    """What strikes, and where it may.

    lasts: until it is healed; the others are over at once. alone: while it lasts, no other fault strikes the
    host, because nothing can be done there, or both would mount something in the same place.
    package: what hosts need for it.
    """

    strike: Strike
    places: tuple[Place, ...]
    lasts: bool = True
    alone: bool = False
    package: str = ""


# Where there are several of a kind, the one that leads is struck as often as any of them.
ZOOKEEPERS = (Place("zookeepers", leads=True), Place("zookeepers"))
MASTERS = (Place("mesos_masters", leads=True), Place("mesos_masters"))
SCHEDULERS = (Place("schedulers", leads=True), Place("schedulers"))
SLAVES = (Place("mesos_slaves"),)
SIDES = (
    Place("mesos_masters", leads=True, against="others"),
    Place("mesos_masters", leads=True, against="mesos_masters"),
    Place("mesos_masters", whole=True, against="mesos_slaves"),
    Place("schedulers", leads=True, against="others"),
    Place("schedulers", leads=True, against="zookeepers"),
    Place("schedulers", whole=True, against="mesos_masters"),
    Place("schedulers", whole=True, against="mesos_slaves"),
    Place("mesos_slaves", against="others"),
    Place("mesos_slaves", against="mesos_masters"),
    Place("zookeepers", leads=True, against="zookeepers"),
)
UNITS = {
    "zookeeper": ("zookeeper", ZOOKEEPERS),
    "master": ("mesos-master", MASTERS),
    "slave": ("mesos-slave", SLAVES),
    "docker": ("docker", SLAVES),
    "scheduler": ("mesos-docker-scheduler", SCHEDULERS),
}


def _of_daemons() -> Iterable[tuple[str, Fault]]:
    manners = {"kill": daemons.killed, "restart": daemons.restarted, "freeze": daemons.frozen}
    for name, (unit, places) in UNITS.items():
        for manner, strike in manners.items():
            yield f"{manner}-{name}", Fault(strike(unit), places, lasts=manner == "freeze")
        if unit in clock.PORTS:
            for manner, seconds in (("forward", clock.JUMP_SECONDS), ("back", -clock.JUMP_SECONDS)):
                jump = clock.jumped(unit, seconds)
                yield f"put-{manner}-clock-of-{name}", Fault(jump, places, alone=True, package=clock.PACKAGE)
        if unit in daemons.STATE:
            yield f"fill-disk-of-{name}", Fault(daemons.full_disk(unit), places, alone=True)
            yield f"read-only-disk-of-{name}", Fault(daemons.read_only_disk(unit), places, alone=True)


FAULTS = dict(_of_daemons()) | {
    "kill-both-leaders": Fault(daemons.both_leaders, (Place("mesos_masters", leads=True),), lasts=False),
    "kill-container": Fault(daemons.killed_container, (Place("containers"),), lasts=False),
    "stop-registry": Fault(daemons.no_registry, (Place("registries"),)),
    "power-off-host": Fault(hosts.off, (*MASTERS, *SCHEDULERS, *SLAVES), alone=True),
    "cut-power-of-host": Fault(hosts.cut_off_power, (*MASTERS, *SCHEDULERS, *SLAVES), alone=True),
    "reboot-host": Fault(hosts.rebooted, (*MASTERS, *SCHEDULERS, *SLAVES), lasts=False, alone=True),
    "freeze-host": Fault(hosts.frozen, (*MASTERS, *SCHEDULERS, *SLAVES), alone=True),
    "partition": Fault(network.cut("both_ways"), SIDES, package=network.PACKAGE),
    "partition-one-way": Fault(network.cut("one_way", one_way=True), SIDES, package=network.PACKAGE),
    "lose-packets": Fault(network.cut("loss", percent=20), SIDES, package=network.PACKAGE),
}
