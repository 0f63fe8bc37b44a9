"""What the controller reacts to: driver callbacks, the configuration's watcher and signals queue these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesos_docker_scheduler.config import Config
from mesos_docker_scheduler.planning.cluster import Agent
from mesos_docker_scheduler.records.tasks import Task

if TYPE_CHECKING:
    from mesos_docker_scheduler.control.operations import Operations
    from mesos_docker_scheduler.records.zookeeper_store import Fence

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subscribed:
    """We are a framework of this master. `framework_id` is None when it is the one we had before."""

    framework_id: str | None
    master: Message


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The master is gone; offers are void."""


@dataclass(frozen=True, slots=True)
class Offers:
    """New v1 Offers."""

    offers: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class OfferRescinded:
    """An offer is void."""

    offer_id: str


@dataclass(frozen=True, slots=True)
class InverseOffers:
    """Mesos asks to give agents back for maintenance."""

    offers: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class InverseOfferRescinded:
    """Mesos no longer asks for that agent."""

    offer_id: str


@dataclass(frozen=True, slots=True)
class Update:
    """A v1 TaskStatus; one with a `uuid` must be acknowledged."""

    status: Message


@dataclass(frozen=True, slots=True)
class AgentLost:
    """The master removed an agent."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class FrameworkError:
    """Mesos refuses us; the driver has stopped trying."""

    message: str


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A call did not get through, or may not have. `status`: what Mesos answered, None without an answer."""

    call: Message
    error: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class ConfigRead:
    """The configuration file was read (again). With an error, `config` is None and the old one stays.

    `asked`: an operator wants what failed to be tried again. `written_at`: when it was written last, in
    seconds of the epoch.
    """

    config: Config | None
    sha256: str
    error: str | None = None
    asked: bool = False
    written_at: float = 0.0


@dataclass(frozen=True, slots=True)
class ThreadEnded:
    """A thread of the process has ended by an error that nobody expected: `error` is its type."""

    thread: str
    error: str


@dataclass(frozen=True, slots=True)
class Recovering:
    """Without a framework id on record, it can't be told yet what runs already; `problem` says why."""

    problem: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the master knows of us, who have no record: our tasks and their agents.

    `framework_id`: None when there is no framework of ours. `go_on` subscribes; it must wait until this is
    durable.
    """

    framework_id: str | None
    tasks: tuple[Task, ...]
    agents: tuple[Agent, ...]
    go_on: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Owned:
    """Who owns the framework from the next subscription on, as the store records it."""

    owner: str


@dataclass(frozen=True, slots=True)
class Surveyed:
    """All that the master knows of our tasks and their agents: something was not on record.

    `problem`: why it can't be told whether an earlier framework of ours has tasks. `away`: hosts of agents of
    which the master knows that they have yet to register with it. `error`: why there is no answer.
    """

    tasks: tuple[Task, ...] = ()
    agents: tuple[Agent, ...] = ()
    problem: str | None = None
    error: str | None = None
    away: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """An operator asks for something. `reply` hears, once it is durable, None, or why it is refused."""

    execute: Callable[[Operations, float], None]
    reply: Callable[[Exception | None], None]


@dataclass(frozen=True, slots=True)
class Written:
    """The leader has written something, which those who follow may want to see."""


@dataclass(frozen=True, slots=True)
class Elected:
    """This scheduler leads from now on, and may write behind this fence."""

    fence: Fence


@dataclass(frozen=True, slots=True)
class Deposed:
    """Another scheduler leads by now, or may at any moment; `why` says how we know."""

    why: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave the tasks running and end."""


DriverEvent = (
    Subscribed
    | Disconnected
    | Offers
    | OfferRescinded
    | InverseOffers
    | InverseOfferRescinded
    | Update
    | AgentLost
    | FrameworkError
    | CallFailed
)
AnyEvent = (
    DriverEvent
    | ConfigRead
    | ThreadEnded
    | Recovering
    | Recovered
    | Owned
    | Surveyed
    | Command
    | Written
    | Elected
    | Deposed
    | Stop
)
