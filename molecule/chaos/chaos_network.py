"""Faults between two groups of hosts: packets are dropped by nftables, in a table of our own.

The machine that observes is on neither side: it reaches all hosts all the time.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from chaos_daemons import Strike
from chaos_judge import Toll
from chaos_lab import Hosts, Lab
from chaos_struck import Struck

TABLE = "inet chaos"
# Whether it exists or not, and without an error.
_DELETE = f"nft 'table {TABLE}; delete table {TABLE}'"


@contextmanager
def _deaf(lab: Lab, host: str, others: Hosts, condition: str) -> Generator[None, None, None]:
    """Have a host hear nothing from others, or only those packets that don't meet the condition."""
    addresses = ", ".join(lab.addresses[other] for other in others)
    rules = f"table {TABLE} {{ chain input {{ type filter hook input priority -200; }} }}"
    drop = f"add rule {TABLE} input ip saddr {{ {addresses} }} {condition} drop"
    try:
        lab.on(host, f"{_DELETE} && nft '{rules}' && nft '{drop}'")
        yield
    finally:
        lab.on(host, _DELETE)


def cut(*, one_way: bool = False, percent: int = 100) -> Strike:
    """Return the fault of two groups that lose so many of each other's packets.

    one_way: the first group hears nothing of the second, which hears all.
    """
    condition = "" if percent == 100 else f"numgen random mod 100 < {percent}"

    @contextmanager
    def strike(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
        with ExitStack() as deaf:
            for host in struck.hosts:
                deaf.enter_context(_deaf(lab, host, struck.others, condition))
            if not one_way:
                for host in struck.others:
                    deaf.enter_context(_deaf(lab, host, struck.hosts, condition))
            yield Toll("network", away=_away(lab, struck))

    return strike


def _away(lab: Lab, struck: Struck) -> frozenset[str]:
    """Return the slaves that some master is not to reach."""
    masters, slaves = set(lab.groups["mesos_masters"]), frozenset(lab.slaves)
    here, there = frozenset(struck.hosts), frozenset(struck.others)
    away: frozenset[str] = frozenset()
    if masters & there:
        away |= slaves & here
    if masters & here:
        away |= slaves & there
    return away
