"""Where instances may run: Marathon's constraints, with Marathon's meaning (its docs/constraints.md).

A constraint looks at one field of an agent: `hostname`, `@region`, `@zone` or the name of an attribute. An
agent without that field gets nothing, except with UNLIKE.

LIKE, UNLIKE, IS and CLUSTER with a value look at the agent alone. The others compare it with the instances
that there are: UNIQUE and MAX_PER limit how many share a value, CLUSTER without a value keeps all on one
value, and GROUP_BY keeps the values even.

What counts are the instances of the same version that are to stay, as in Marathon: an old instance that
gives way to a new one does not keep it off its agent, or a rolling update could never go on when every host
is taken. While the update lasts, an old and a new instance may therefore share what is UNIQUE; once it has
ended, no two do. An instance that was told to stop does not count either, since its place is being vacated.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from math import inf, isfinite
from typing import Any, Protocol

from mesos_docker_scheduler.expressions import fits
from mesos_docker_scheduler.wording import printable

Message = Mapping[str, Any]

_SCALAR = re.compile(r"[0-9]+(\.[0-9]+)?")
_ANY_DIGITS = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


class Constraint(Protocol):
    """As in the configuration, which has checked that `value` is what the operator needs."""

    @property
    def field(self) -> str:
        """`hostname`, `@region`, `@zone` or the name of an attribute."""

    @property
    def operator(self) -> str:
        """UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE, MAX_PER or IS."""

    @property
    def value(self) -> str | None:
        """What the operator compares with; a regular expression (RE2's) must fit the whole value."""


class Facts(Protocol):
    """What constraints look at: an agent or an offer of it."""

    @property
    def hostname(self) -> str:
        """The agent's --hostname."""

    @property
    def region(self) -> str | None:
        """The region of its fault domain."""

    @property
    def zone(self) -> str | None:
        """The zone of its fault domain."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """Its attributes, as `attribute_texts` reads them."""


def attribute_texts(attributes: Sequence[Message]) -> dict[str, str]:
    """v1 Attributes as constraints compare them: `a`, `1.5`, `[1-2,5-6]` or `{a,b}`.

    Of several with one name it is the first. One that is not understood counts as not there.
    """
    texts: dict[str, str] = {}
    for attribute in attributes:
        with suppress(KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
            texts.setdefault(printable(attribute["name"]), printable(attribute_text(attribute)))
    return texts


def attribute_text(attribute: Message) -> str:
    """One of these.

    KeyError, TypeError, ValueError, ArithmeticError, AttributeError: it is not understood.
    """
    match attribute["type"]:
        case "TEXT":
            return str(attribute["text"]["value"])
        case "SCALAR":
            return _scalar_text(attribute["scalar"]["value"])
        case "RANGES":
            ranges = sorted((part["begin"], part["end"]) for part in attribute["ranges"].get("range", ()))
            return f"[{','.join(f'{begin}-{end}' for begin, end in ranges)}]"
        case "SET":
            return f"{{{','.join(sorted(attribute['set'].get('item', ())))}}}"
    raise ValueError(f"type: {attribute['type']!r} is not allowed; it must be TEXT, SCALAR, RANGES or SET")


def field_of(facts: Facts, field: str) -> str | None:
    """The value of a constraint's field; None when the agent has none."""
    if field == "hostname":
        return facts.hostname
    if field == "@region":
        return facts.region
    if field == "@zone":
        return facts.zone
    return facts.attributes.get(field)


def looks_at_agent_alone(constraint: Constraint) -> bool:
    """Whether `suits` says all there is to say."""
    return constraint.operator in ("LIKE", "UNLIKE", "IS") or (
        constraint.operator == "CLUSTER" and constraint.value is not None
    )


def described(constraint: Constraint) -> str:
    """The constraint in a few words: `rack LIKE r[12]`."""
    return " ".join(filter(None, (constraint.field, constraint.operator, constraint.value)))


def suits(constraint: Constraint, value: str | None) -> bool:
    """Whether an agent with this value of the field would do, were there no other instances."""
    if value is None:
        return constraint.operator == "UNLIKE"
    wanted = constraint.value or ""
    match constraint.operator:
        case "LIKE":
            return fits(wanted, value)
        case "UNLIKE":
            return not fits(wanted, value)
        case "IS":
            return value == plain_text(constraint)
        case "CLUSTER":
            return constraint.value is None or value == wanted
    return True


def suits_all(constraints: Iterable[Constraint], facts: Facts) -> bool:
    """Whether an agent would do by all of these, were there no other instances."""
    return all(suits(one, field_of(facts, one.field)) for one in constraints)


def plain_text(constraint: Constraint) -> str:
    """What the field must be, for IS and CLUSTER with a value. IS reads numbers as attributes are read."""
    wanted = constraint.value or ""
    # Mesos has floating-point numbers: further digits than those have can't be told apart.
    number = float(wanted) if constraint.operator == "IS" and _SCALAR.fullmatch(wanted) else inf
    return _scalar_text(number) if isfinite(number) else wanted


class SpreadCounter:
    """The instances that count for UNIQUE, MAX_PER or GROUP_BY, by the value of its field.

    `limit`: how many may share one value, if that is limited.
    """

    def __init__(self, constraint: Constraint, values: Iterable[tuple[str, int]] = ()) -> None:
        self.constraint = constraint
        self._counts: Counter[str] = Counter()
        # How many values have so many instances; and the least that a value with instances has.
        self._sizes: Counter[int] = Counter()
        self._least = 0
        operator = constraint.operator
        number = int(constraint.value or 0) if operator in ("MAX_PER", "GROUP_BY") else 1
        self.limit = number if operator in ("UNIQUE", "MAX_PER") else None
        self._groups = number if operator == "GROUP_BY" else None
        for value, count in values:
            for _ in range(count):
                self.add(value)

    @property
    def values(self) -> Collection[str]:
        """The values that have instances."""
        return self._counts.keys()

    def count(self, value: str) -> int:
        """How many have this value."""
        return self._counts.get(value, 0)

    def add(self, value: str) -> None:
        """Count one more instance."""
        count = self.count(value)
        self._counts[value] = count + 1
        self._sizes[count + 1] += 1
        if count:
            self._sizes[count] -= 1
        if not count:
            self._least = 1
        elif count == self._least and not self._sizes[count]:
            self._least = count + 1

    def full(self, value: str) -> bool:
        """Whether no more may come to this value, whatever happens to others."""
        return self.limit is not None and self.count(value) >= self.limit

    def allows(self, value: str) -> bool:
        """Whether one more may come to this value now.

        GROUP_BY: to a value that has none yet; to another only while it has the fewest, and once there are as
        many values as the constraint asks for.
        """
        if self._groups is None:
            return not self.full(value)
        count = self.count(value)
        return not count or (count == self._least and len(self._counts) >= self._groups)


def _scalar_text(value: float) -> str:
    """Three decimal places at most and no zeros at the end, as Marathon writes scalars.

    ArithmeticError: it is no finite number. One may have any number of digits: Mesos reads what looks like
    one, such as 4711e38, the beginning of a commit's name.
    """
    rounded = Decimal(value).quantize(Decimal("0.001"), ROUND_HALF_EVEN, _ANY_DIGITS)
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".")
