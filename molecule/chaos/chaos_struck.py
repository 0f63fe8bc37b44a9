"""Where a fault strikes in a lab that runs: a place that was drawn becomes hosts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from chaos_draw import Blow
from chaos_lives import Life
from lab_inventory import Hosts, Lab


@dataclass(frozen=True)
class Struck:
    """The hosts of a blow, and in words; for a partition the other side, for a container which one."""

    words: str
    hosts: Hosts
    others: Hosts = ()
    container: Life | None = None

    @property
    def host(self) -> str:
        """The one host of a fault that strikes a single one."""
        (host,) = self.hosts
        return host


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
        return Struck(life.host, (life.host,), container=life)
    group = [host for host in lab.groups[place.group] if host not in taken]
    if not group:
        raise LookupError(f"no host of {place.group} is left")
    leader = lab.leading(place.group) if place.leads else None
    if place.whole:
        words, hosts = place.group, tuple(group)
    elif leader in group:
        words, hosts = f"{leader} (leads)", (leader,)
    else:
        words = group[blow.pick % len(group)]
        hosts = (words,)
    if not place.against:
        return Struck(words, hosts)
    side = lab.members if place.against == "others" else lab.groups[place.against]
    others = tuple(host for host in side if host not in {*hosts, *taken})
    if not others:
        raise LookupError(f"nobody is left on the other side of {words}")
    return Struck(f"{words} | {place.against}", hosts, others)
