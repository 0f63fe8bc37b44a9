"""Resources as Mesos counts them: scalars in exact thousandths, ports as ranges, each with its reservation.

Mesos keeps three decimal places (docs/attributes-resources.md); floats would drift, so everything here is in
whole thousandths until it leaves as JSON.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Message = Mapping[str, Any]
SCALARS = ("cpus", "mem", "disk", "gpus")


def thousandths(value: float) -> int:
    """The nearest whole number of thousandths, as Mesos itself rounds."""
    return round(value * 1000)


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """What one instance takes. Scalars in thousandths; of `ports`, 0 asks for any one.

    `fixed_ports`: those asked for by number; one may be asked for twice, for TCP and for UDP.
    """

    cpus: int
    mem: int
    disk: int = 0
    ports: tuple[int, ...] = ()
    gpus: int = 0
    fixed_ports: frozenset[int] = field(init=False, compare=False)
    ports_in_all: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Count the ports once: a need is looked at many times."""
        fixed = frozenset(filter(None, self.ports))
        object.__setattr__(self, "fixed_ports", fixed)
        object.__setattr__(self, "ports_in_all", len(fixed) + self.ports.count(0))

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
    The resources are looked at when that is first asked for: of thousands of offers few may be.

    `next_port`: where the search for any free port goes on; None: it begins, after so many free ones as
    `skipped` says, modulo how many there are. A port that was given comes last: others may not have noticed
    yet that it is another instance's.
    """

    __slots__ = ("_entries", "_resources", "_totals", "next_port", "skipped")

    def __init__(self, resources: Iterable[Message], next_port: int | None = None, skipped: int = 0) -> None:
        self.next_port = next_port
        self.skipped = skipped
        self._resources: Iterable[Message] | None = resources
        self._entries: dict[str, list[_Entry]] = {}
        self._totals: dict[str, int] = {}

    def copy(self) -> Pool:
        """Return a pool that can be taken from without changing this one."""
        self._totals_now()
        other = Pool((), self.next_port, self.skipped)
        other._resources = None
        other._totals = dict(self._totals)
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
        return self._totals_now()[name]

    def free_ports(self) -> int:
        """How many ports are left."""
        return self._totals_now()["ports"]

    def lacks(self, need: ResourceRequest) -> str | None:
        """Name the first kind that does not suffice: cpus, mem, disk, gpus, ports, or `port N`."""
        totals = self._totals if self._resources is None else self._totals_now()
        if not (
            totals["cpus"] >= need.cpus
            and totals["mem"] >= need.mem
            and totals["disk"] >= need.disk
            and totals["gpus"] >= need.gpus
        ):
            return next(name for name in SCALARS if totals[name] < need.scalar(name))
        if not need.ports:
            return None
        for port in need.fixed_ports:
            if not any(first <= port <= last for first, last in self._port_ranges()):
                return f"port {port}"
        return "ports" if totals["ports"] < need.ports_in_all else None

    def room_for(self, need: ResourceRequest) -> int:
        """How many instances of that need fit, one after the other."""
        if self.lacks(need) is not None:
            return 0
        totals = self._totals_now()
        wanted = {name: need.scalar(name) for name in SCALARS} | {"ports": need.ports_in_all}
        times = min((totals[name] // amount for name, amount in wanted.items() if amount), default=1)
        return min(times, 1) if need.fixed_ports else times

    def take(
        self, need: ResourceRequest, spared: Collection[int] = ()
    ) -> tuple[list[dict[str, Any]], tuple[int, ...]]:
        """Remove what an instance needs; returns v1 Resources, and the host port for each of `need.ports`.

        `spared`: ports that others need by number; they are not given to who takes any, unless there are no
        others. ValueError when the pool lacks something.
        """
        lacking = self.lacks(need)
        if lacking is not None:
            raise ValueError(f"the pool lacks {lacking}")
        return self.take_checked(need, spared)

    def take_checked(
        self, need: ResourceRequest, spared: Collection[int] = ()
    ) -> tuple[list[dict[str, Any]], tuple[int, ...]]:
        """Do what `take` does, after `lacks` has said that nothing is lacking."""
        taken: list[dict[str, Any]] = []
        for name in SCALARS:
            amount = need.scalar(name)
            if amount:
                self._take_scalar(name, amount, taken)
        if not need.ports:
            return taken, ()
        self._totals["ports"] -= need.ports_in_all
        ports, parts = self._take_ports(need.ports, need.fixed_ports, spared)
        return taken + parts, ports

    def _totals_now(self) -> dict[str, int]:
        if self._resources is not None:
            self._read(self._resources)
        return self._totals

    def _read(self, resources: Iterable[Message]) -> None:
        totals = dict.fromkeys((*SCALARS, "ports"), 0)
        # What is reserved is taken first, and of that what fewest roles may use (docs/reservation.md).
        for resource in sorted(resources, key=_refinements, reverse=True):
            entry = _entry(resource)
            if entry is not None:
                name = resource["name"]
                self._entries.setdefault(name, []).append(entry)
                ranges = entry.ranges or ()
                totals[name] += entry.amount + sum(last - first + 1 for first, last in ranges)
        self._totals = totals
        self._resources = None

    def _port_ranges(self) -> Iterable[tuple[int, int]]:
        for entry in self._entries.get("ports", ()):
            yield from entry.ranges or ()

    def _take_scalar(self, name: str, amount: int, taken: list[dict[str, Any]]) -> None:
        self._totals[name] -= amount
        for entry in self._entries[name]:
            part = min(amount, entry.amount)
            if part:
                entry.amount -= part
                amount -= part
                taken.append({**entry.template, "scalar": {"value": part / 1000}})

    def _free_port(self, entries: Sequence[_Entry], spared: Collection[int]) -> tuple[int, int]:
        """The next free port, and the index of its entry.

        Reserved ports come first, but they may be just those that are spared.
        """
        all_spared = []
        for index, entry in enumerate(entries):
            if entry.ranges:
                number = self._next_of(entry.ranges, spared)
                if number not in spared:
                    return index, number
                all_spared.append((index, number))
        return all_spared[0]

    def _next_of(self, ranges: Sequence[tuple[int, int]], spared: Collection[int]) -> int:
        found = _nth(ranges, self.skipped) if self.next_port is None else _from(ranges, self.next_port)
        number = found
        for _ in spared:
            if number not in spared:
                return number
            number = _from(ranges, number + 1)
        return found if number in spared else number

    def _take_ports(
        self, wanted: Sequence[int], fixed: Iterable[int], spared: Collection[int]
    ) -> tuple[tuple[int, ...], list[dict[str, Any]]]:
        entries = self._entries["ports"]
        taken: list[list[int]] = [[] for _ in entries]
        # Fixed ports go first, or a free choice could take them away.
        for port in fixed:
            index = next(index for index, entry in enumerate(entries) if _remove_port(entry, port))
            taken[index].append(port)
        result = []
        for port in wanted:
            number = port
            if not port:
                index, number = self._free_port(entries, spared)
                _remove_port(entries[index], number)
                self.next_port = number + 1
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


def _from(ranges: Sequence[tuple[int, int]], start: int) -> int:
    """The first port from one on, or else the first of all."""
    return next((max(first, start) for first, last in ranges if last >= start), ranges[0][0])


def _nth(ranges: Sequence[tuple[int, int]], index: int) -> int:
    """The port at an index, counted through all ranges again and again."""
    index %= sum(last - first + 1 for first, last in ranges)
    for first, last in ranges:
        if index <= last - first:
            return first + index
        index -= last - first + 1
    raise AssertionError("there is no port")


def _refinements(resource: Message) -> int:
    """How many reservations it carries: each refines the one before for a role further down."""
    return len(resource.get("reservations", ())) or int(resource.get("role", "*") != "*")


def _entry(resource: Message) -> _Entry | None:
    disk = resource.get("disk")
    special_disk = disk is not None and bool({"persistence", "source", "volume"} & disk.keys())
    if special_disk or "revocable" in resource or "shared" in resource:
        return None
    template = {key: value for key, value in resource.items() if key not in ("scalar", "ranges")}
    if "scalar" in resource and resource["name"] in SCALARS:
        return _Entry(template, amount=thousandths(resource["scalar"]["value"]))
    if "ranges" in resource and resource["name"] == "ports":
        ranges = [(part["begin"], part["end"]) for part in resource["ranges"].get("range", ())]
        return _Entry(template, ranges=sorted(one for one in ranges if one[0] <= one[1]))
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
