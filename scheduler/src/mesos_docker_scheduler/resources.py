"""Resources as Mesos counts them: scalars in exact thousandths, ports as ranges, each with its reservation.

Mesos keeps three decimal places (docs/attributes-resources.md); floats would drift, so everything here is in
whole thousandths until it leaves as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = Mapping[str, Any]
SCALARS = ("cpus", "mem", "disk")


def thousandths(value: float) -> int:
    """The nearest whole number of thousandths, as Mesos itself rounds."""
    return round(value * 1000)


@dataclass(frozen=True, slots=True)
class Need:
    """What one instance takes. Scalars in thousandths; of `ports`, 0 asks for any one."""

    cpus: int
    mem: int
    disk: int = 0
    ports: tuple[int, ...] = ()

    def scalar(self, name: str) -> int:
        """The amount of one of SCALARS."""
        amount: int = getattr(self, name)
        return amount


@dataclass(slots=True)
class _Entry:
    """One Resource of an offer and what is left of it."""

    template: Message  # the Resource without its amount: name, type, reservations, allocation_info, ...
    amount: int = 0
    ranges: list[tuple[int, int]] | None = None


class Pool:
    """What is free on one agent. `take` removes from it what an instance gets.

    Persistent volumes, special disks, shared and revocable resources are left out: nobody asked for them.
    """

    def __init__(self, resources: Iterable[Message]) -> None:
        self._entries: dict[str, list[_Entry]] = {}
        # What is reserved for our role is taken first: nobody else can use it.
        for resource in sorted(resources, key=lambda resource: not _is_reserved(resource)):
            entry = _entry(resource)
            if entry is not None:
                self._entries.setdefault(resource["name"], []).append(entry)

    def copy(self) -> Pool:
        """Return a pool that can be taken from without changing this one."""
        other = Pool(())
        other._entries = {
            name: [
                _Entry(entry.template, entry.amount, None if entry.ranges is None else list(entry.ranges))
                for entry in entries
            ]
            for name, entries in self._entries.items()
        }
        return other

    def free(self, name: str) -> int:
        """How much of a scalar is left, in thousandths."""
        return sum(entry.amount for entry in self._entries.get(name, ()))

    def free_ports(self) -> int:
        """How many ports are left."""
        return sum(last - first + 1 for first, last in self._port_ranges())

    def lacks(self, need: Need) -> str | None:
        """Name the first kind that does not suffice: cpus, mem, disk, ports, or `port N`."""
        for name in SCALARS:
            if self.free(name) < need.scalar(name):
                return name
        for port in need.ports:
            if port and not any(first <= port <= last for first, last in self._port_ranges()):
                return f"port {port}"
        return "ports" if self.free_ports() < len(need.ports) else None

    def take(self, need: Need) -> tuple[list[dict[str, Any]], tuple[int, ...]]:
        """Remove what an instance needs; returns v1 Resources, and the host port for each of `need.ports`.

        ValueError when the pool lacks something.
        """
        lacking = self.lacks(need)
        if lacking is not None:
            raise ValueError(f"the pool lacks {lacking}")
        taken = [part for name in SCALARS for part in self._take_scalar(name, need.scalar(name))]
        ports, parts = self._take_ports(need.ports)
        return taken + parts, ports

    def _port_ranges(self) -> Iterable[tuple[int, int]]:
        for entry in self._entries.get("ports", ()):
            yield from entry.ranges or ()

    def _take_scalar(self, name: str, amount: int) -> Iterable[dict[str, Any]]:
        for entry in self._entries.get(name, ()):
            part = min(amount, entry.amount)
            if part:
                entry.amount -= part
                amount -= part
                yield {**entry.template, "scalar": {"value": part / 1000}}

    def _take_ports(self, wanted: Sequence[int]) -> tuple[tuple[int, ...], list[dict[str, Any]]]:
        entries = self._entries.get("ports", [])
        taken: list[list[int]] = [[] for _ in entries]
        # Fixed ports go first, or a free choice could take them away.
        chosen = {port: port for port in wanted if port}
        for port in chosen:
            index = next(index for index, entry in enumerate(entries) if _remove_port(entry, port))
            taken[index].append(port)
        result = []
        for port in wanted:
            number = port
            if not port:
                index = next(index for index, entry in enumerate(entries) if entry.ranges)
                number = (entries[index].ranges or [])[0][0]
                _remove_port(entries[index], number)
                taken[index].append(number)
            result.append(number)
        parts = [
            {
                **entry.template,
                "ranges": {"range": [{"begin": port, "end": port} for port in sorted(numbers)]},
            }
            for entry, numbers in zip(entries, taken, strict=True)
            if numbers
        ]
        return tuple(result), parts


def _is_reserved(resource: Message) -> bool:
    return bool(resource.get("reservations")) or resource.get("role", "*") != "*"


def _entry(resource: Message) -> _Entry | None:
    special_disk = {"persistence", "source", "volume"} & resource.get("disk", {}).keys()
    if special_disk or "revocable" in resource or "shared" in resource:
        return None
    template = {key: value for key, value in resource.items() if key not in ("scalar", "ranges")}
    if resource["type"] == "SCALAR" and resource["name"] in SCALARS:
        return _Entry(template, amount=thousandths(resource["scalar"]["value"]))
    if resource["type"] == "RANGES" and resource["name"] == "ports":
        ranges = [(part["begin"], part["end"]) for part in resource["ranges"].get("range", ())]
        return _Entry(template, ranges=sorted(ranges))
    return None


def _remove_port(entry: _Entry, port: int) -> bool:
    ranges = entry.ranges or []
    for index, (first, last) in enumerate(ranges):
        if first <= port <= last:
            ranges[index : index + 1] = [
                (begin, end) for begin, end in ((first, port - 1), (port + 1, last)) if begin <= end
            ]
            return True
    return False
