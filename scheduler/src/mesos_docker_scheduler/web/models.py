"""The shapes of what the API takes and gives, for its description (OpenAPI)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from mesos_docker_scheduler.config import MOST_INSTANCES
from mesos_docker_scheduler.config.sections import Section
from mesos_docker_scheduler.records.tokens import Role


def _whole(value: object) -> object:
    """Take 3.0 for 3, as JSON Schema does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]


class Scale(Section):
    """How many instances to run."""

    count: Whole = Field(
        ge=0,
        le=MOST_INSTANCES,
        title="how many instances to run",
        description=f"a whole number from 0 to {MOST_INSTANCES}",
    )


class Kill(Section):
    """How to stop an instance."""

    scale: bool = Field(
        default=False, title="whether its service runs one fewer from now on", description="true or false"
    )


class ExecSize(Section):
    """A terminal's size."""

    rows: Whole = Field(ge=1, le=10000, title="its height", description="a whole number from 1 to 10000")
    columns: Whole = Field(ge=1, le=10000, title="its width", description="a whole number from 1 to 10000")


class ExecTerminal(ExecSize):
    """A terminal for a command."""

    type: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[\x21-\x7e]+$",
        title="its type, as in TERM",
        description="1 to 64 printable ASCII characters without blanks",
    )


class Attach(Section):
    """How to look at an instance. `input`: whether it gets any."""

    input: bool = Field(default=False, title="whether it gets input", description="true or false")
    terminal: ExecTerminal | None = Field(
        default=None, title="the terminal that looks at it", description="an object, or null for none"
    )


class Exec(Attach):
    """A command to run in an instance, as its user."""

    command: list[Annotated[str, Field(pattern=r"^[^\x00]*$")]] = Field(
        min_length=1,
        title="a program and its arguments",
        description="a list of texts without null characters, at least one",
    )


class ExecInput(Section):
    """A part of a command's input. `offset`: of its first byte; `last`: nothing comes after it."""

    offset: Whole = Field(
        ge=0, le=2**53, title="of its first byte", description="a whole number from 0 to 2**53"
    )
    data: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        title="the bytes, in base64",
        description="base64 with padding",
    )
    last: bool = Field(default=False, title="whether it ends the input", description="true or false")


class Login(Section):
    """What begins a session."""

    token: str = Field(title="a token", description="a token that is good")


class TokenWish(Section):
    """What a token is to be. Its role includes those before it: read, operate, admin."""

    role: Role = Field(title="what it may do", description='"read", "operate" or "admin"')


class Caller(BaseModel):
    """Who asks: the name of the token, and its role; nulls for nobody that is known."""

    name: str | None
    role: Role | None


class NewToken(BaseModel):
    """A token that was made, in plain text."""

    name: str
    role: Role
    token: str


class Token(BaseModel):
    """A token, without itself. `since`, in seconds of the epoch, and `by`: when and by whom it was made.

    That of the configuration, `site`, has no time.
    """

    name: str
    role: Role
    since: float | None
    by: str


class Tokens(BaseModel):
    """All of them."""

    tokens: list[Token]


class Nothing(Section):
    """An empty object; the body may be left out."""


class Error(BaseModel):
    """Why something was refused."""

    error: str


class Health(BaseModel):
    """Whether the scheduler works. `problem`: what keeps it from acting."""

    status: str
    connected: bool
    problem: str | None


class Reason(BaseModel):
    """Why instances wait. `until`: seconds of the epoch; `agents`: how many agents lack what."""

    kind: str
    text: str
    instances: int
    until: float | None
    agents: dict[str, int]


class Update(BaseModel):
    """The update under way, or the last one. `state`: rolling, paused, rolled back or complete."""

    state: str
    from_image: str | None
    to_image: str
    ready: int
    since: float
    reason: str
    by_operator: bool
    can_roll_back: bool


class Definition(BaseModel):
    """A service as it is configured, and the name of its version.

    `wanted`: how many instances it should have now; `scaled`: whether an operator has said so. `stopped`: how
    its update has been stopped, and whether `by_operator`. `running`: how many instances there are, by
    version.
    """

    version: str
    service: dict[str, Any]
    wanted: int
    scaled: bool
    stopped: str | None
    by_operator: bool
    running: dict[str, int]


class Definitions(BaseModel):
    """All of them."""

    definitions: list[Definition]


class ServiceSummary(BaseModel):
    """A service: what is wanted, what runs, what waits and why.

    `mode`: "replicated" or "global". `containerizer`: "docker" or "mesos". `image`: null for a command that
    runs without one. `configured`: the count of the configuration; `wanted`: what holds.
    `healthy`: of the version that should run; `in_service`: of any. `scaled_since`: since when an operator's
    count holds instead, in seconds of the epoch. `revision`: what is asked of it, for If-Match.
    """

    name: str
    mode: str
    containerizer: str
    image: str | None
    version: str
    wanted: int
    running: int
    staging: int
    healthy: int
    in_service: int
    configured: int
    scaled_since: float | None
    update: Update | None
    revision: str
    states: dict[str, int]
    converged: bool
    waiting: list[str]
    reasons: list[Reason]


class Instance(BaseModel):
    """An instance. `address`: its container's; `ports`: its host's. `in_service`: it may get requests.

    `stopping`: why it was told to stop.
    """

    task_id: str
    agent_id: str
    hostname: str
    container: str | None
    state: str
    healthy: bool | None
    image: str
    version: str
    address: str | None
    ports: list[int]
    stopping: str | None
    message: str
    since: float
    in_service: bool
    leaving: str | None = Field(deprecated="the former name of stopping")


class Service(ServiceSummary):
    """A service with its instances, the oldest first."""

    instances: list[Instance]


class ServiceInstance(Instance):
    """An instance, and whose it is."""

    service: str


class Agent(BaseModel):
    """A slave that has offered something or runs something of ours. `avoided`: why it gets nothing now."""

    id: str
    hostname: str
    url: str | None
    attributes: dict[str, str]
    region: str | None
    zone: str | None
    in_maintenance: bool
    avoided: str | None
    instances: int


class Event(BaseModel):
    """Something that happened. `at`: seconds of the epoch."""

    id: int
    at: float
    kind: str
    text: str
    service: str
    task_id: str


class Configuration(BaseModel):
    """The configuration in force. `error`: what is wrong with a newer one.

    `sha256`: of the file, which each host has for itself; `edition`: of what it says of services, the same on
    all hosts. `outdated`: the leader has acted on a newer one, which this host does not have.
    """

    sha256: str
    applied_at: float
    edition: str
    error: str | None
    restart_needed: list[str]
    outdated: bool


class Leader(BaseModel):
    """The scheduler that leads, as those say that follow it."""

    host: str
    url: str | None


class Status(BaseModel):
    """Everything at one moment: of one that follows, when it has read last what was written; 0: never."""

    at: float
    framework_id: str | None
    connected: bool
    master: str | None
    problem: str | None
    leads: bool
    leader: Leader | None
    config: Configuration
    services: list[Service | ServiceSummary]
    events: list[Event]


class Services(BaseModel):
    """All services."""

    services: list[ServiceSummary]


class Instances(BaseModel):
    """Instances of all services, or of one."""

    instances: list[ServiceInstance]


class Agents(BaseModel):
    """All agents that we know."""

    agents: list[Agent]


class Events(BaseModel):
    """Events, the oldest first."""

    events: list[Event]


class History(BaseModel):
    """Samples, the oldest first: item i of each list is of the time `at[i]`, in seconds of the epoch.

    `launches` and `failures`: so many since the sample before.
    """

    every_seconds: float
    at: list[float]
    wanted: list[int]
    running: list[int]
    healthy: list[int]
    launches: list[int]
    failures: list[int]


class Explanation(BaseModel):
    """Why what is missing of a service is missing."""

    name: str
    wanted: int
    running: int
    staging: int
    converged: bool
    reasons: list[Reason]


class Explanations(BaseModel):
    """By service."""

    services: dict[str, Explanation]


class ExecSession(BaseModel):
    """The id of a command's session, for /v1/exec/{session}/..."""

    session: str


class Log(BaseModel):
    """A part of an instance's output. `offset`: of its first byte; `end`: of the byte after its last."""

    data: str
    offset: int
    end: int
