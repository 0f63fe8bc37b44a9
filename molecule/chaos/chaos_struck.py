"""Where a fault strikes in a lab that runs: a place that was drawn becomes hosts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from chaos_draw import Blow
from chaos_lab import Hosts, Lab
from chaos_lives import Life


@dataclass(frozen=True)
class Struck:
    """The hosts of a blow; for a partition the other side as well, for a container which one."""

    hosts: Hosts
    others: Hosts = ()
    container: Life | None = None
    leads: bool = False

    @property
    def host(self) -> str:
        """The one host of a fault that strikes a single one."""
        (host,) = self.hosts
        return host

    def __str__(self) -> str:
        """Return the names for a table, without what all have in common."""
        text = "+".join(self.hosts) + (" (leads)" if self.leads else "")
        return f"{text} | {'+'.join(self.others)}" if self.others else text


def find(lab: Lab, blow: Blow, running: list[Life], taken: Collection[str]) -> Struck:
    """Return where the blow strikes, past hosts that are taken: no other fault may strike them.

    running: the containers. Raises LookupError when there is nothing to strike.
    """
    place = blow.place
    if place.group == "containers":
        left = [life for life in running if life.host not in taken]
        if not left:
            raise LookupError("no container runs")
        life = left[blow.pick % len(left)]
        return Struck((life.host,), container=life)
    group = [host for host in lab.groups[place.group] if host not in taken]
    if not group:
        raise LookupError(f"no host of {place.group} is left")
    if place.whole:
        hosts = tuple(group)
        leads = False
    else:
        leader = lab.leading(place.group) if place.leads else None
        leads = leader in group
        hosts = (leader if leader is not None and leads else group[blow.pick % len(group)],)
    if not place.against:
        return Struck(hosts, leads=leads)
    side = lab.members if place.against == "others" else lab.groups[place.against]
    others = tuple(host for host in side if host not in {*hosts, *taken})
    if not others:
        raise LookupError(f"nobody is left on the other side of {'+'.join(hosts)}")
    return Struck(hosts, others, leads=leads)
