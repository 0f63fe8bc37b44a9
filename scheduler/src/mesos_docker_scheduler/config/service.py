"""What should run: one service, field by field."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping, Set
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from mesos_docker_scheduler import expressions
from mesos_docker_scheduler.config import mesos_containerizer
from mesos_docker_scheduler.config.fetch import FetchOrUri
from mesos_docker_scheduler.config.sections import (
    A_PORT,
    A_ROLE,
    A_SHARE,
    MOST_INSTANCES,
    SECONDS,
    YES_OR_NO,
    AbsolutePath,
    Amount,
    PortNumber,
    Role,
    Seconds,
    Section,
    Share,
    Text,
)

A_COMMAND = "a command"
"""What is shown in place of an image where there is none."""

SCHEDULING_ONLY = frozenset(
    {
        "count",
        "update",
        "backoff",
        "constraints",
        "kill_grace_seconds",
        "shutdown_delay_seconds",
        "start_timeout_seconds",
        "unreachable_seconds",
        "force_pull",
        "placement",
        "mode",
        "depends_on",
        "preferences",
        "rebalance",
    }
)
"""Fields of a service that say nothing of what its instances are made of: they may change while these run."""

_Label = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
_A_LABEL = "at most 63 small letters, digits and dashes, with no dash at either end"
# Docker separates the parts of a volume with colons and has no way to quote one.
_VolumePath = Annotated[str, Field(pattern=r"^/[^:\x00]*$")]
_VariableName = Annotated[str, Field(pattern=r"^[^=\x00]+$")]
_VariableText = Annotated[str, Field(pattern=r"^[^\x00]*$")]
# Linux gives a program texts of 128 KiB at most, and of 2 MB in all (execve(2)).
_MOST_VARIABLE_BYTES = 131_000
_MOST_ENVIRONMENT_BYTES = 1_000_000
_SecretName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

# https://github.com/distribution/reference: [host[:port]/]path[:tag][@digest]
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_IMAGE = (
    rf"^(?:(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?{_PATH_PART}(?:/{_PATH_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$"
)

_AN_IMAGE = 'the name of a Docker image, such as "nginx:1.27", in lower case and without a scheme'
_A_VOLUME_PATH = "an absolute path without a colon"
_DOCKER_NAME = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$"

# The programs that start a container read these themselves.
_TAKEN_BY_PROGRAMS = re.compile(
    r"PATH|HOME|GODEBUG|(?i:(ALL|HTTPS?|NO)_PROXY)|(DOCKER|GLOG|LD|LIBPROCESS|MESOS|SSL|XDG)_.*"
)


class Port(Section):
    """A port of the container."""

    name: _Label | None = Field(
        default=None,
        title=(
            "what it is called: the instance finds its host port in PORT_NAME, others in Mesos' DiscoveryInfo"
        ),
        description=_A_LABEL,
    )
    container_port: int = Field(
        ge=0,
        le=65_535,
        title='the port inside the container; with network "host" 0 is any that Mesos offers',
        description='a whole number from 1 to 65535, or 0 with network "host"',
    )
    host_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        title="the port of the host; 0 is any that Mesos offers",
        description="a whole number from 0 (any offered port) to 65535",
    )
    protocol: Literal["tcp", "udp"] = Field(
        default="tcp", title="what is spoken there", description='"tcp" or "udp"'
    )


class Volume(Section):
    """A folder of the host, or a volume that Docker keeps, inside the container."""

    host_path: _VolumePath | None = Field(
        default=None, title="the folder of the host", description=_A_VOLUME_PATH
    )
    volume: str | None = Field(
        default=None,
        pattern=_DOCKER_NAME,
        title="instead of host_path: a volume of Docker's, made when it is not there yet",
        description="the name of a Docker volume: two or more letters, digits, dots, dashes and underscores",
    )
    container_path: _VolumePath = Field(title="where the container finds it", description=_A_VOLUME_PATH)
    mode: Literal["ro", "rw"] = Field(
        default="rw", title="whether the container may write there", description='"ro" or "rw"'
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Volume:
        if self.host_path is None and self.volume is None:
            raise ValueError(f"host_path: is missing; it must be {_A_VOLUME_PATH}, or volume must be given")
        if self.host_path is not None and self.volume is not None:
            raise ValueError("volume: is not allowed together with host_path; a volume has one source")
        return self


class Parameter(Section):
    """An option of `docker run`, without its dashes."""

    key: str = Field(
        pattern=r"^[a-z][a-z0-9-]*$",
        title="the option",
        description='an option of "docker run" without dashes',
    )
    value: str = Field(title="its value", description="a text")


class HealthCheck(Section):
    """How the executor finds out whether an instance is healthy (Mesos' HealthCheck)."""

    protocol: Literal["http", "tcp", "command"] = Field(
        title="http: a GET is answered with 200 to 399; tcp: a connection is taken; command: it ends with 0",
        description='"http", "tcp" or "command"',
    )
    port: PortNumber | None = Field(
        default=None,
        title="for http and tcp: where to look, inside the container's network",
        description="a port of the container, from 1 to 65535",
    )
    port_name: str | None = Field(
        default=None,
        title="instead of port: the name of one of `ports`",
        description="the name of one of `ports`",
    )
    path: str = Field(default="/", pattern=r"^/", title="for http", description="a path that begins with /")
    scheme: Literal["http", "https"] = Field(
        default="http", title="for http", description='"http" or "https"'
    )
    command: Text | None = Field(
        default=None, title="for command: what to run inside the container", description="a shell command"
    )
    delay_seconds: Seconds = Field(default=0, title="how long to wait before the first", description=SECONDS)
    grace_seconds: Seconds = Field(
        default=10, title="how long failures of a new instance do not count", description=SECONDS
    )
    interval_seconds: Annotated[Seconds, Field(ge=0.1)] = Field(
        default=10, title="from one to the next", description="a number of seconds, 0.1 or more"
    )
    timeout_seconds: Seconds = Field(
        default=20, title="how long one may take; 0 is for ever", description=SECONDS
    )
    max_consecutive_failures: int = Field(
        default=3,
        ge=0,
        le=1_000_000,
        title="so many in a row, and the instance is killed and replaced; 0 is never",
        description="a whole number from 0 to 1000000",
    )

    @model_validator(mode="after")
    def _has_what_it_asks(self) -> HealthCheck:
        if self.protocol == "command" and self.command is None:
            raise ValueError('command: is missing; a check with protocol "command" needs it')
        if self.protocol != "command" and self.port is None and self.port_name is None:
            raise ValueError(
                f'port: is missing; a check with protocol "{self.protocol}" needs it, or port_name'
            )
        if self.port is not None and self.port_name is not None:
            raise ValueError("port_name: is not allowed together with port; use one of them")
        for name, value, protocols in (
            ("command", self.command, ("command",)),
            ("port", self.port, ("http", "tcp")),
            ("port_name", self.port_name, ("http", "tcp")),
            ("path", None if self.path == "/" else self.path, ("http",)),
            ("scheme", None if self.scheme == "http" else self.scheme, ("http",)),
        ):
            if value is not None and self.protocol not in protocols:
                allowed = " or ".join(f'"{protocol}"' for protocol in protocols)
                raise ValueError(
                    f'{name}: is not allowed with protocol "{self.protocol}"; it is for {allowed}'
                )
        return self


_AgentField = Annotated[str, Field(pattern=r"^(@region|@zone|[^@\s]\S*)$")]
_AN_AGENT_FIELD = '"hostname", "@region", "@zone" or the name of an attribute'


class Constraint(Section):
    """Which agents instances may run on, by Marathon's rules."""

    field: _AgentField = Field(title="what of an agent is looked at", description=_AN_AGENT_FIELD)
    operator: Literal["UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER", "IS"] = Field(
        title=(
            "UNIQUE: no two instances share a value; MAX_PER: at most so many do; GROUP_BY: spread evenly"
            " over the values; CLUSTER: all on one value; IS: this value; LIKE, UNLIKE: a value that the"
            " regular expression fits, or does not"
        ),
        description='"UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER" or "IS"',
    )
    value: str | None = Field(
        default=None,
        title=(
            "LIKE, UNLIKE: an RE2 regular expression for the whole value; MAX_PER: how many; GROUP_BY: how"
            " many values there are at least, if that is known; CLUSTER: which value, if it matters;"
            " IS: which"
        ),
        description="a text, or null",
    )

    @model_validator(mode="after")
    def _has_the_operators_value(self) -> Constraint:
        shown = json.dumps(self.value)
        match self.operator:
            case "UNIQUE" if self.value is not None:
                raise ValueError(f"value: {shown} is not allowed; UNIQUE takes none")
            case "MAX_PER" if not _counts(self.value):
                raise ValueError(f"value: {shown} is not allowed; with MAX_PER it must be {_A_COUNT}")
            case "GROUP_BY" if self.value is not None and not _counts(self.value):
                raise ValueError(
                    f"value: {shown} is not allowed; with GROUP_BY it must be {_A_COUNT}, or null"
                )
            case "IS" if self.value is None:
                raise ValueError("value: is missing; with IS it must be a text")
            case "LIKE" | "UNLIKE":
                if self.value is None:
                    raise ValueError(
                        f"value: is missing; with {self.operator} it must be a regular expression"
                    )
                _check_expression(self.operator, self.value)
        return self


class Preference(Section):
    """Which agents are used first, as long as they have room."""

    field: _AgentField = Field(title="what of an agent is looked at", description=_AN_AGENT_FIELD)
    operator: Literal["LIKE", "UNLIKE", "IS"] = Field(
        title="IS: this value; LIKE, UNLIKE: a value that the regular expression fits, or does not",
        description='"LIKE", "UNLIKE" or "IS"',
    )
    value: str = Field(
        title="LIKE, UNLIKE: an RE2 regular expression for the whole value; IS: which", description="a text"
    )

    @model_validator(mode="after")
    def _has_an_expression(self) -> Preference:
        if self.operator != "IS":
            _check_expression(self.operator, self.value)
        return self


def _check_expression(operator: str, value: str) -> None:
    problem = expressions.problem(value)
    if problem is not None:
        raise ValueError(
            f"value: {json.dumps(value)} is not allowed; with {operator} it must be an RE2 regular"
            f" expression: {problem}"
        )


_A_COUNT = 'a whole number in quotes, "1" or more'


def _counts(value: str | None) -> bool:
    return value is not None and re.fullmatch(r"0*[1-9][0-9]{0,8}", value) is not None


class Update(Section):
    """How instances of an old version give way to the new one."""

    max_surge: Share = Field(
        default=1,
        title="how many instances more than count may run meanwhile; a share of it is rounded up",
        description=A_SHARE,
    )
    max_unavailable: Share = Field(
        default=0,
        title=(
            "how many instances fewer than count may be in service meanwhile; a share of it is rounded down"
        ),
        description=A_SHARE,
    )
    min_ready_seconds: Seconds = Field(
        default=3,
        title="how long a new instance must have been healthy before an old one goes",
        description=f"{SECONDS}: how long a new instance must have been healthy before an old one goes",
    )
    max_failures: int = Field(
        default=3,
        ge=1,
        le=1_000_000,
        title="so many failures in a row of the new version end the update",
        description=(
            "a whole number from 1 to 1000000: so many failures in a row of the new version end the update"
        ),
    )
    on_failure: Literal["pause", "rollback"] = Field(
        default="pause",
        title="pause: what is ready stays, the rest keeps the old version; rollback: all go back to it",
        description='"pause" or "rollback"',
    )
    progress_deadline_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=600,
        title="an update fails when no new instance became ready for so long",
        description="a number of seconds above 0:"
        " an update fails when no new instance became ready for so long",
    )

    @model_validator(mode="after")
    def _can_move(self) -> Update:
        nothing = (0, "0%")
        if self.max_surge in nothing and self.max_unavailable in nothing:
            raise ValueError(
                f"max_surge: {json.dumps(self.max_surge)} is not allowed while max_unavailable is"
                f" {json.dumps(self.max_unavailable)}; one of them must be more, or no instance could ever be"
                " replaced"
            )
        return self

    def surge(self, count: int) -> int:
        """How many more than `count` may run."""
        value = self.max_surge
        return value if isinstance(value, int) else -(-_hundredths(value, count) // 100)

    def unavailable(self, count: int) -> int:
        """How many fewer than `count` may be in service: one, if there could be no more either."""
        value = self.max_unavailable
        fewer = value if isinstance(value, int) else _hundredths(value, count) // 100
        return fewer if fewer or self.surge(count) else min(1, count)


def _hundredths(share: str, count: int) -> int:
    return int(share.removesuffix("%")) * count


class Backoff(Section):
    """How long to wait before an instance that keeps failing is started again."""

    initial_seconds: float = Field(
        default=1,
        gt=0,
        le=3600,
        title="after the first failure",
        description="a number of seconds above 0, at most 3600",
    )
    factor: float = Field(
        default=2,
        ge=1,
        le=10,
        title="how much longer after each one more",
        description="a number from 1 to 10",
    )
    max_seconds: float = Field(
        default=300,
        gt=0,
        le=3600,
        title="at most",
        description="a number of seconds above 0, at most 3600",
    )

    @model_validator(mode="after")
    def _grows(self) -> Backoff:
        if self.max_seconds < self.initial_seconds:
            raise ValueError(
                f"max_seconds: {self.max_seconds:g} is not allowed;"
                f" it must be at least initial_seconds ({self.initial_seconds:g})"
            )
        return self


class Service(Section):
    """What should run: COUNT instances of IMAGE."""

    name: _Label = Field(
        title="what it is called; another name is another service",
        description=_A_LABEL,
    )
    image: str | None = Field(
        default=None,
        pattern=_IMAGE,
        max_length=500,
        title='what runs; with containerizer "mesos" it may be left out, and a command of the slave\'s runs',
        description=_AN_IMAGE,
    )
    containerizer: Literal["docker", "mesos"] = Field(
        default="docker",
        title="what runs it: Docker Engine, or Mesos itself; see [below](#commands-without-docker)",
        description='"docker" or "mesos"',
    )
    mode: Literal["replicated", "global"] = Field(
        default="replicated",
        title=(
            "replicated: count instances; global: one on each slave that the constraints allow, on one that"
            " joins later, too, and an update replaces them where they are"
        ),
        description='"replicated" or "global"',
    )
    count: int = Field(
        default=1,
        ge=0,
        le=MOST_INSTANCES,
        title="how many instances, with mode replicated",
        description=f"a whole number from 0 to {MOST_INSTANCES}",
    )
    depends_on: tuple[_Label, ...] = Field(
        default=(),
        title=(
            "services that must have all their instances healthy before this one starts, and one of them at"
            " least whenever more of this one is started; where all of them stop, this one stops first"
        ),
        description="a list of names of other services",
    )
    cpus: Amount = Field(
        default=0.1,
        ge=0.01,
        title="of each instance",
        description="a number of processors from 0.01 to 1e9",
    )
    mem: Amount = Field(
        default=64,
        ge=4,
        title="of each instance; what uses more is killed",
        description="a number of MiB from 4 to 1e9",
    )
    disk: Amount = Field(
        default=0,
        ge=0,
        title="of each instance; counted, not enforced",
        description="a number of MiB from 0 to 1e9",
    )
    gpus: int = Field(
        default=0,
        ge=0,
        le=1024,
        title=(
            "of each instance; handed over by Docker's own option --gpus, unless parameters name one of gpus,"
            " device and runtime"
        ),
        description="a whole number from 0 to 1024",
    )
    command: Text | None = Field(
        default=None,
        title="run by /bin/sh in place of the image's entrypoint and command",
        description="a shell command, or null for the image's own",
    )
    args: tuple[str, ...] = Field(
        default=(),
        title="instead of command: what the entrypoint is given",
        description="a list of texts",
    )
    entrypoint: str | None = Field(
        default=None,
        title="what is started; not together with command",
        description='a program inside the image, "" for none, or null for the image\'s own',
    )
    user: Text | None = Field(
        default=None,
        title='who runs it; with containerizer "mesos" a user of the slave, and required',
        description='a user of the image, such as "www-data" or "1000:1000", or null for the image\'s own',
    )
    env: dict[_VariableName, _VariableText] = Field(
        default_factory=dict,
        title="environment variables",
        description="a dictionary of texts, each of 131000 bytes at most with its name, and 1000000 in all",
    )
    secrets: dict[_SecretName, AbsolutePath] = Field(
        default_factory=dict,
        title=(
            "environment variables whose values are read from files on the scheduler's host (without the"
            " newline at their end), and shown nowhere but in the container; a changed file replaces the"
            " instances"
        ),
        description="a dictionary of absolute paths by the names of environment variables",
    )
    network: Literal["bridge", "host", "none", "user"] = Field(
        default="bridge",
        title="bridge: Docker's own, with mapped ports; host: the host's; user: the one of network_name",
        description='"bridge", "host", "none" or "user"',
    )
    network_name: str | None = Field(
        default=None,
        pattern=_DOCKER_NAME,
        title="for network user: which; it must be there on the agents",
        description="the name of a Docker network: two or more letters, digits, dots, dashes and underscores",
    )
    ports: tuple[Port, ...] = Field(default=(), title="where it listens", description="a list of ports")
    volumes: tuple[Volume, ...] = Field(
        default=(), title="folders that outlive the instances", description="a list of volumes"
    )
    fetch: tuple[FetchOrUri, ...] = Field(
        default=(),
        title="files that the slave puts into the sandbox before the start; see [below](#fetched-files)",
        description="a list of URIs, or of files to fetch",
    )
    parameters: tuple[Parameter, ...] = Field(
        default=(), title="more options of docker run", description="a list of parameters"
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        title="shown by Mesos, and by Docker as mesos.label.KEY",
        description="a dictionary of texts",
    )
    privileged: bool = Field(
        default=False, title="whether the container may do all that root may", description=YES_OR_NO
    )
    force_pull: bool = Field(
        default=False,
        title="whether to pull the image even if the agent has one of that name",
        description=YES_OR_NO,
    )
    start_timeout_seconds: Seconds = Field(
        default=900,
        title="how long an instance may take to run, or a first health check to be over; 0 is for ever",
        description=SECONDS,
    )
    unreachable_seconds: Seconds = Field(
        default=0,
        title="how long an instance that Mesos can't reach is waited for before another takes its place",
        description=SECONDS,
    )
    kill_grace_seconds: Seconds = Field(default=5, title="from SIGTERM to SIGKILL", description=SECONDS)
    shutdown_delay_seconds: Seconds = Field(
        default=2,
        title="how long an instance that has left the list of those in service still runs",
        description=f"{SECONDS}: how long an instance that has left the list of those in service still runs",
    )
    role: Role | None = Field(
        default=None,
        title="whose resources it takes",
        description=f"{A_ROLE}, or null for framework.role",
    )
    constraints: tuple[Constraint, ...] = Field(
        default=(),
        title="where instances may run; when they change, those that may not stay where they are move",
        description="a list of constraints",
    )
    preferences: tuple[Preference, ...] = Field(
        default=(),
        title=(
            "where instances run if there is room; first on the agents that meet most of them; nothing moves"
            " for them"
        ),
        description="a list of preferences",
    )
    placement: Literal["spread", "pack"] = Field(
        default="spread",
        title="spread: as few as possible on one agent; pack: on as few agents as possible",
        description='"spread" or "pack"',
    )
    rebalance: bool = Field(
        default=False,
        title=(
            "whether instances move, one at a time and by the rules of an update, to agents (or values of"
            " GROUP_BY) that have at least two fewer"
        ),
        description=YES_OR_NO,
    )
    health_check: HealthCheck | None = Field(
        default=None,
        title="how to find out whether an instance is healthy; without one, what runs is healthy",
        description="a health check, or null",
    )
    update: Update = Field(
        default=Update(), title="how a change is carried out", description="the limits of an update"
    )
    backoff: Backoff = Field(
        default=Backoff(), title="how long failing ones wait", description="the delays after failures"
    )

    _secrets_digest: str = PrivateAttr(default="")
    _secret_values: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _suits_its_containerizer(self) -> Service:
        if self.containerizer == "mesos":
            refusal = mesos_containerizer.refusal(self)
            if refusal is not None:
                raise ValueError(refusal)
        elif self.image is None:
            raise ValueError(f"image: is missing; it must be {_AN_IMAGE}")
        return self

    @model_validator(mode="after")
    def _starts(self) -> Service:
        if self.command is not None and self.args:
            raise ValueError("args: is not allowed together with command; put the arguments into the command")
        if self.command is not None and self.entrypoint is not None:
            raise ValueError(
                "entrypoint: is not allowed together with command, which is run by /bin/sh; use args"
            )
        given = {parameter.key: index for index, parameter in enumerate(self.parameters)}
        if "name" in given:
            raise ValueError(
                f'parameters[{given["name"]}].key: "name" is not allowed; Mesos finds its containers by name'
            )
        for name in ("entrypoint", "user"):
            if name in given and getattr(self, name) is not None:
                raise ValueError(
                    f"{name}: is given a second time by parameters[{given[name]}]; use one of them"
                )
        return self

    @model_validator(mode="after")
    def _is_spread_as_its_mode_says(self) -> Service:
        if self.name in self.depends_on:
            raise ValueError(f'depends_on: "{self.name}" is not allowed; it is this service itself')
        if self.rebalance and self.placement == "pack":
            raise ValueError('rebalance: true is not allowed with placement "pack"; it is for "spread"')
        if self.rebalance and self.update.max_surge in (0, "0%"):
            raise ValueError(
                f"rebalance: true is not allowed with update.max_surge {self.update.max_surge}; another"
                " instance starts before one stops"
            )
        if self.mode != "global":
            return self
        for index, one in enumerate(self.constraints):
            if one.operator not in ("IS", "LIKE", "UNLIKE", "CLUSTER") or (
                one.operator == "CLUSTER" and one.value is None
            ):
                raise ValueError(
                    f'constraints[{index}].operator: "{one.operator}" is not allowed with mode "global",'
                    " which has one instance on each slave; IS, LIKE, UNLIKE and CLUSTER with a value are"
                )
        for name, value, allowed in (
            ("count", self.count, 1),
            ("rebalance", self.rebalance, False),
            ("placement", self.placement, "spread"),
            ("update.max_surge", self.update.max_surge, 1),
        ):
            if value != allowed:
                raise ValueError(
                    f'{name}: {json.dumps(value)} is not allowed with mode "global", which has one instance'
                    " on each slave; leave it out"
                )
        return self

    @model_validator(mode="after")
    def _is_reached(self) -> Service:
        if self.network == "user" and self.network_name is None:
            raise ValueError('network_name: is missing; network "user" needs it')
        if self.network != "user" and self.network_name is not None:
            raise ValueError(f'network_name: is not allowed with network "{self.network}"; it is for "user"')
        if self.network_name in ("bridge", "host", "none", "default"):
            raise ValueError(
                f'network_name: "{self.network_name}" is not allowed; it must be a network that was made with'
                ' "docker network create"'
            )
        for index, port in enumerate(self.ports):
            if self.network == "none":
                raise ValueError(f'ports[{index}]: is not allowed with network "none"')
            if self.network == "host" and port.host_port not in (0, port.container_port):
                raise ValueError(
                    f"ports[{index}].host_port: {port.host_port} is not allowed;"
                    f' with network "host" it must be 0 or the container_port, {port.container_port}'
                )
        check = self.health_check
        if self.network == "none" and check is not None and check.protocol != "command":
            raise ValueError(
                f'health_check.protocol: "{check.protocol}" is not allowed with network "none"; it must be'
                ' "command"'
            )
        taken = [
            (number, port.protocol)
            for number, port in zip(self.host_ports, self.ports, strict=True)
            if number
        ]
        for number, protocol in taken:
            if taken.count((number, protocol)) > 1:
                raise ValueError(f"ports: the host's port {number}/{protocol} is given more than once")
        return self

    @model_validator(mode="after")
    def _ports_are_told_apart(self) -> Service:
        for index, port in enumerate(self.ports):
            if self.network != "host" and not port.container_port:
                raise ValueError(
                    f'ports[{index}].container_port: 0 is not allowed with network "{self.network}"; it must'
                    f" be {A_PORT}"
                )
        names = [port.name for port in self.ports if port.name is not None]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'ports: name "{name}" is given more than once')
        check = self.health_check
        tcp = [port.name for port in self.ports if port.protocol == "tcp"]
        if check is not None and check.port_name is not None and check.port_name not in tcp:
            raise ValueError(
                f'health_check.port_name: "{check.port_name}" is not allowed; it must be the name of one of'
                " the ports with protocol tcp"
            )
        return self

    @model_validator(mode="after")
    def _volumes_have_places_of_their_own(self) -> Service:
        paths = [posixpath.normpath(volume.container_path) for volume in self.volumes]
        for index, path in enumerate(paths):
            if path in paths[:index]:
                raise ValueError(
                    f'volumes[{index}].container_path: "{path}" is used more than once; it must be of its own'
                )
        return self

    @model_validator(mode="after")
    def _files_have_places_of_their_own(self) -> Service:
        files = [fetch.file for fetch in self.fetch]
        for index, file in enumerate(files):
            if file in files[:index]:
                raise ValueError(
                    f"fetch[{index}].output_file: {json.dumps(file)} is used more than once; it must be of"
                    " its own"
                )
        return self

    @model_validator(mode="after")
    def _names_are_free(self) -> Service:
        reserved = sorted({"service", "service_version"} & self.labels.keys())
        if reserved:
            raise ValueError(f"labels.{reserved[0]}: is not allowed; the scheduler sets it")
        for name in self.secrets:
            if name in self.env:
                raise ValueError(f"secrets.{name}: is not allowed; env has the same name")
            if _TAKEN_BY_PROGRAMS.fullmatch(name):
                raise ValueError(
                    f"secrets.{name}: is not allowed; the programs that start the container read a variable"
                    " of this name themselves"
                )
        return self

    @model_validator(mode="after")
    def _environment_can_be_carried(self) -> Service:
        sizes = {name: len(f"{name}={value}".encode(errors="replace")) for name, value in self.env.items()}
        for name, size in sizes.items():
            if size > _MOST_VARIABLE_BYTES:
                raise ValueError(
                    f"env.{name}: {size} bytes are not allowed; a variable and its name may have"
                    f" {_MOST_VARIABLE_BYTES} at most: no program can be given more"
                )
        total = sum(sizes.values())
        if total > _MOST_ENVIRONMENT_BYTES:
            raise ValueError(
                f"env: {total} bytes are not allowed; all variables together may have"
                f" {_MOST_ENVIRONMENT_BYTES} at most"
            )
        return self

    @cached_property
    def version(self) -> str:
        """Names what an instance is made of: instances of another version must be replaced.

        Defaults are left out, so that a scheduler that knows more fields still gives the same name.
        """
        return self._name_of(SCHEDULING_ONLY)

    @property
    def former_version(self) -> str:
        """The name that the version had when constraints were part of what instances are made of."""
        return self._name_of(SCHEDULING_ONLY - {"constraints"})

    def is_made_as(self, version: str, spec: str | None) -> bool:
        """Whether this is what a version on record is made of, under whichever name a release gave it.

        `spec`: the version's definition as JSON, if that is known.
        """
        before = self
        if spec is not None:
            try:
                before = Service.model_validate_json(spec)
            except ValidationError:
                return False
            before = before.with_secrets(self._secret_values, self._secrets_digest)
        return before.version == self.version and version in (before.version, before.former_version)

    def _name_of(self, excluded: Set[str]) -> str:
        made_of = self.model_dump(mode="json", exclude=set(excluded), exclude_defaults=True)
        if self._secrets_digest:
            made_of["secrets_digest"] = self._secrets_digest
        text = json.dumps(made_of, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def named(self, version: str) -> Service:
        """Return the same service, whose version has this name."""
        copy = self.model_copy()
        copy.__dict__["version"] = version
        return copy

    @property
    def lacks_secrets(self) -> bool:
        """Whether it has secrets that could not be read: its version is not known then."""
        return bool(self.secret_files) and not self._secrets_digest

    @cached_property
    def secret_files(self) -> Mapping[str, str]:
        """The paths of the files that hold its secrets, by the field that names them."""
        variables = {f"secrets.{name}": path for name, path in self.secrets.items()}
        uris = {
            f"fetch[{index}].uri_secret": fetch.uri_secret
            for index, fetch in enumerate(self.fetch)
            if fetch.uri_secret is not None
        }
        return variables | uris

    @property
    def secret_values(self) -> Mapping[str, str]:
        """What its secrets hold, by the path of the file, as they were read with the configuration."""
        return {self.secret_files[field]: value for field, value in self._secret_values.items()}

    @property
    def made_of(self) -> str:
        """What runs, in a word or two: its image, or that it is a command."""
        return self.image or A_COMMAND

    def with_secrets(self, values: Mapping[str, str], digest: str) -> Service:
        """Return the same service; its version now depends on what its secrets hold, too."""
        copy = self.model_copy()
        copy.__dict__.pop("version", None)
        copy._secrets_digest = digest
        copy._secret_values = dict(values)
        return copy

    @classmethod
    def recorded(cls, spec: str, version: str) -> Service:
        """Read a service that was written down with `model_dump_json`, under the version it had."""
        return cls.model_validate_json(spec).named(version)

    @property
    def surge(self) -> int:
        """How many instances more than `count` may run while others are replaced."""
        return 0 if self.mode == "global" else self.update.surge(self.count)

    @property
    def unavailable(self) -> int:
        """How many instances fewer than `count` may be in service while others are replaced."""
        fewer = self.update.unavailable(self.count)
        return max(fewer, min(1, self.count)) if self.mode == "global" else fewer

    @property
    def watches_agents(self) -> bool:
        """Whether an agent that joins is of interest even when all wanted instances run."""
        return self.mode == "global" or self.rebalance

    def on_each_of(self, hosts: int) -> Service:
        """Return the same service with mode "global", where so many hosts shall have one."""
        one_each = Constraint(field="hostname", operator="UNIQUE")
        return self.model_copy(update={"count": hosts, "constraints": (*self.constraints, one_each)})

    @property
    def host_ports(self) -> tuple[int, ...]:
        """The host port of each entry of `ports`; 0 means that any offered one will do."""
        if self.network == "host":
            return tuple(port.container_port for port in self.ports)
        return tuple(port.host_port for port in self.ports)
