"""Which messages of Mesos are understood: they are checked once, before anything of the state looks at them.

Masters, agents and their operators decide what comes in, and a message that is not as expected must cost no
more than itself. So the fields that the scheduler reads are described here. A message that does not fit is
left out as a whole: counted, told, and given back to Mesos. What nobody reads may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated, Any, Literal, Protocol

import orjson
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.wording import first_problem, printable

Message = Mapping[str, Any]
Kind = Literal["offer", "inverse offer", "status update"]

_REFUSE_SECONDS = 60.0
_MOST_TOLD = 1000
_LEVELS_OF_A_CALL = 20
"""At most so deep in it resources stand: what can be written has a depth, too."""

_Amount = Annotated[float, Field(ge=0, le=1e15)]
_Number = Annotated[int, Field(ge=0, lt=2**64)]


# Names go into records and calls as they are: half a pair of surrogates, or none, is no name.
_Name = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$")]
_Nanoseconds = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class _Id(TypedDict):
    value: _Name


class _Scalar(TypedDict):
    value: _Amount


class _Range(TypedDict):
    begin: _Number
    end: _Number


class _Ranges(TypedDict):
    range: NotRequired[list[_Range]]


class _Resource(TypedDict):
    name: _Name
    type: _Name
    role: NotRequired[_Name]
    scalar: NotRequired[_Scalar]
    ranges: NotRequired[_Ranges]
    reservations: NotRequired[list[dict[str, Any]]]
    disk: NotRequired[dict[str, Any]]


def _can_be_sent(resources: Any) -> Any:
    """Check what nobody reads as well: a launch gives resources back as they came."""
    call = resources
    for _ in range(_LEVELS_OF_A_CALL):
        call = [call]
    try:
        orjson.dumps(call)
    except TypeError as error:
        raise ValueError(f"can't be sent back: {error}") from None
    return resources


class _Named(TypedDict):
    name: NotRequired[str]


class _Time(TypedDict):
    nanoseconds: _Nanoseconds


class _Unavailability(TypedDict):
    start: _Time
    duration: NotRequired[_Time]


class _Allocation(TypedDict):
    role: NotRequired[_Name]


class _FaultDomain(TypedDict):
    region: NotRequired[_Named]
    zone: NotRequired[_Named]


class _Domain(TypedDict):
    fault_domain: NotRequired[_FaultDomain]


class _Address(TypedDict):
    hostname: NotRequired[str]
    ip: NotRequired[str]
    port: NotRequired[_Number]


class _Url(TypedDict):
    scheme: NotRequired[str]
    address: NotRequired[_Address]


class _Offer(TypedDict):
    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc] # how pydantic is told of it
    id: _Id
    agent_id: _Id
    hostname: str
    resources: NotRequired[Annotated[list[_Resource], BeforeValidator(_can_be_sent)]]
    attributes: NotRequired[list[Any]]  # `constraints` leaves out those that it does not understand
    unavailability: NotRequired[_Unavailability]
    allocation_info: NotRequired[_Allocation]
    domain: NotRequired[_Domain]
    url: NotRequired[_Url]


class _InverseOffer(TypedDict):
    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc]
    id: _Id
    agent_id: NotRequired[_Id]
    unavailability: NotRequired[_Unavailability]


class _IpAddress(TypedDict):
    ip_address: NotRequired[str]


class _Network(TypedDict):
    ip_addresses: NotRequired[list[_IpAddress]]


class _ContainerStatus(TypedDict):
    container_id: NotRequired[_Id]
    network_infos: NotRequired[list[_Network]]


class _TaskStatus(TypedDict):
    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc]
    task_id: _Id
    state: str
    agent_id: NotRequired[_Id]
    reason: NotRequired[str]
    message: NotRequired[str]
    healthy: NotRequired[bool]
    uuid: NotRequired[_Name]
    container_status: NotRequired[_ContainerStatus]


class _AcknowledgedStatus(_TaskStatus):
    """One with a uuid: the acknowledgement names its agent."""

    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc]
    agent_id: _Id  # type: ignore[misc]


_OFFER = TypeAdapter(_Offer)
_INVERSE_OFFER = TypeAdapter(_InverseOffer)
_STATUS = TypeAdapter(_TaskStatus)
_ACKNOWLEDGED_STATUS = TypeAdapter(_AcknowledgedStatus)


class Driver(Protocol):
    """What is used of the Mesos driver."""

    def acknowledgeStatusUpdate(self, status: Any) -> bool:
        """ACKNOWLEDGE."""

    def declineOffer(self, offer_ids: list[str], refuse_seconds: float) -> bool:
        """DECLINE."""

    def declineInverseOffer(self, offer_ids: list[str]) -> bool:
        """DECLINE_INVERSE_OFFERS."""


class Messages:
    """Lets through what is understood, and answers what is not."""

    def __init__(self, ledger: Ledger, driver: Driver, metrics: Metrics) -> None:
        self._ledger = ledger
        self._driver = driver
        self._metrics = metrics
        self._told: set[str] = set()

    def offers(self, messages: Iterable[Message], now: float) -> list[Message]:
        """Return the v1 Offers that are understood; the others are declined."""
        return [message for message in messages if self._fits("offer", _OFFER, message, now)]

    def inverse_offers(self, messages: Iterable[Message], now: float) -> list[Message]:
        """Return the v1 InverseOffers that are understood; the others are declined."""
        kind: Kind = "inverse offer"
        return [message for message in messages if self._fits(kind, _INVERSE_OFFER, message, now)]

    def is_understood(self, status: Message, now: float) -> bool:
        """Whether a v1 TaskStatus is. If not, it is acknowledged, or its agent would send no later one."""
        expected = _ACKNOWLEDGED_STATUS if _has_uuid(status) else _STATUS
        return self._fits("status update", expected, status, now)

    def _fits(self, kind: Kind, expected: TypeAdapter[Any], message: Message, now: float) -> bool:
        problem = _problem(expected, message)
        if problem is None:
            return True
        self._metrics.messages_left_out[kind].inc()
        agent_id = printable(_identifier(message, "agent_id") or "(unknown)")
        text = f"{kind} of agent {agent_id}: not understood and left out: {problem}"
        if text not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(text)
            self._ledger.note(now, "not understood", text)
        answer = self._answer(kind, message)
        if answer is not None:
            self._ledger.send(answer)
        return False

    def _answer(self, kind: Kind, message: Message) -> Callable[[], object] | None:
        """The call that gives a message back, if it says enough for that."""
        if kind == "status update":
            ids = (_identifier(message, "task_id"), _identifier(message, "agent_id"))
            uuid = message.get("uuid") if isinstance(message, Mapping) else None
            if None in ids or not (isinstance(uuid, str) and uuid and uuid.isprintable()):
                return None
            return partial(self._driver.acknowledgeStatusUpdate, message)
        offer_id = _identifier(message, "id")
        if offer_id is None:
            return None
        if kind == "offer":
            return partial(self._driver.declineOffer, [offer_id], _REFUSE_SECONDS)
        return partial(self._driver.declineInverseOffer, [offer_id])


def task_of(status: Message) -> str | None:
    """The id of the task that a status is about, if it can be read."""
    return _identifier(status, "task_id")


def _has_uuid(message: object) -> bool:
    return isinstance(message, Mapping) and bool(message.get("uuid"))


def _problem(expected: TypeAdapter[Any], message: object) -> str | None:
    """Say what of a message is not as expected; None when all is."""
    try:
        expected.validate_python(message)
    except ValidationError as error:
        return first_problem(error)
    return None


def _identifier(message: object, field: str) -> str | None:
    """The value of an id of a message, such as `agent_id`, as far as there is one that can be used."""
    holder = message.get(field) if isinstance(message, Mapping) else None
    value = holder.get("value") if isinstance(holder, Mapping) else None
    return value if isinstance(value, str) and value.isprintable() else None
