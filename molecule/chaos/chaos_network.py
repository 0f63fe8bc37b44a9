"""Faults between two groups of hosts: packets are dropped by nftables, in a table for each kind of fault.

The machine that observes is on neither side: it reaches all hosts all the time.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from chaos_daemons import Strike
from chaos_judge import Toll
from chaos_struck import Struck
from lab_inventory import Hosts, Lab

PACKAGE = "nftables"


@contextmanager
def _deaf(lab: Lab, host: str, others: Hosts, table: str, condition: str) -> Generator[None, None, None]:
    """Have a host hear nothing from others, or only those packets that don't meet the condition."""
    addresses = ", ".join(lab.addresses[other] for other in others)
    drop = f"ip saddr {{ {addresses} }} {condition} drop"
    chain = f"chain input {{ type filter hook input priority -200; {drop}; }}"
    try:
        lab.on(host, f"nft 'table {table} {{ {chain}; }}'")
        yield
    finally:
        # A host that has booted meanwhile has none, and that is no error.
        lab.on(host, f"nft 'table {table}; delete table {table}'")


def cut(name: str, *, one_way: bool = False, percent: int = 100) -> Strike:
    """Return the fault of two groups that lose so many of each other's packets, with a name for its table.

    one_way: the first group hears nothing of the second, which hears all.
    """
    table = f"inet chaos_{name}"
    condition = "" if percent == 100 else f"numgen random mod 100 < {percent}"

    @contextmanager
    def strike(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
        with ExitStack() as deaf:
            for host in struck.hosts:
                deaf.enter_context(_deaf(lab, host, struck.others, table, condition))
            if not one_way:
                for host in struck.others:
                    deaf.enter_context(_deaf(lab, host, struck.hosts, table, condition))
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
