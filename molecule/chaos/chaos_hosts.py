"""Faults of a whole host: off, rebooted, frozen. A host is a container of this machine's Docker Engine."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import lab_ha
from chaos_judge import Toll
from chaos_struck import Struck
from lab_cluster import Cluster, eventually
from lab_inventory import Lab, run


def _toll(lab: Lab, struck: Struck, fault: str, *, ends: bool) -> Toll:
    slave = frozenset(struck.hosts) & frozenset(lab.slaves)
    return Toll(fault, hosts=slave if ends else frozenset(), away=slave, silent=slave)


@contextmanager
def off(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
    """Shut the host down; it boots again in the end."""
    with lab_ha.powered_off(struck.host):
        yield _toll(lab, struck, "off", ends=True)


@contextmanager
def cut_off_power(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
    """Kill all that runs on the host at once; it boots again in the end."""
    with lab_ha.powered_off(struck.host, verb="kill"):
        yield _toll(lab, struck, "off", ends=True)


@contextmanager
def rebooted(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
    """Reboot the host."""
    run(["docker", "restart", struck.host])
    yield _toll(lab, struck, "reboot", ends=True)


@contextmanager
def frozen(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
    """Stop all that runs on the host, kernel's answers apart; it goes on in the end."""
    try:
        run(["docker", "pause", struck.host])
        yield _toll(lab, struck, "frozen", ends=False)
    finally:
        run(["docker", "unpause", struck.host])
        eventually(
            f"{struck.host} goes on", lambda: Cluster.host(struck.host).run("true").rc == 0, seconds=60
        )
