"""The configuration file: its schema, written once, and errors that say what to change.

Every field's description completes the sentence "FIELD must be ..."; the errors are made from it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from decimal import Decimal
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

THOUSANDTHS = 1000

SCHEDULING_ONLY = frozenset(
    {
        "count",
        "update",
        "backoff",
        "kill_grace_seconds",
        "shutdown_delay_seconds",
        "force_pull",
        "placement",
    }
)
"""Fields of a service that say nothing of what its instances are made of: they may change while these run."""


class ConfigError(ValueError):
    """A configuration that can't be used; `problems` holds one sentence for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _in_thousandths(value: float) -> float:
    if Decimal(str(value)) * THOUSANDTHS % 1:
        raise ValueError("must not have more than three decimal places, as Mesos counts in thousandths")
    return value


def _master(value: str) -> str:
    host = r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}"
    patterns = (
        rf"zk://([^@/\s]+:[^@/\s]*@)?{host}(,{host})*/\S*[^/\s]",
        rf"https?://{host}/?",
        rf"{host}(,{host})*",
    )
    if not any(re.fullmatch(pattern, value) for pattern in patterns):
        raise ValueError(
            "must be zk://[user:password@]host:port[,host:port...]/path, host:port[,host:port...]"
            " or http(s)://host:port"
        )
    return value


Amount = Annotated[float, Field(le=1e9, allow_inf_nan=False), AfterValidator(_in_thousandths)]
Seconds = Annotated[float, Field(ge=0, le=365 * 86_400, allow_inf_nan=False)]
PortNumber = Annotated[int, Field(ge=1, le=65_535)]
Text = Annotated[str, Field(min_length=1)]
AbsolutePath = Annotated[str, Field(pattern=r"^/")]

_ROLE = r"^(\*|[^-.\s/\\*][^\s/\\*]*(/[^-.\s/\\*][^\s/\\*]*)*)$"
_A_PATH = "an absolute path"
_A_PORT = "a whole number from 1 to 65535"
_SECONDS = "a number of seconds, 0 or more"
_SOME_TEXT = "a text that is not empty"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Framework(_Section):
    """Who we are to Mesos (FrameworkInfo)."""

    name: Text = Field(default="mesos-docker-scheduler", description=_SOME_TEXT)
    user: Text = Field(default="root", description="the name of the user that the tasks run as")
    role: str = Field(
        default="*",
        pattern=_ROLE,
        description='a Mesos role, such as "*", "web" or "web/frontend"',
    )
    failover_timeout_seconds: Seconds = Field(
        default=604_800,
        description="a number of seconds, 0 or more: how long the tasks outlive a scheduler that is gone",
    )
    principal: Text | None = Field(default=None, description="the principal of the credential, or null")
    secret_file: AbsolutePath | None = Field(
        default=None, description="the absolute path of a file with the secret, or null"
    )
    hostname: Text | None = Field(
        default=None, description="the host name to tell Mesos, or null for this host's"
    )
    webui_url: str | None = Field(default=None, pattern=r"^https?://", description="an http(s) URL, or null")

    @model_validator(mode="after")
    def _credential_is_whole(self) -> Framework:
        if self.secret_file is not None and self.principal is None:
            raise ValueError("principal: is missing; secret_file needs it")
        return self


class Tls(_Section):
    """How to speak TLS to the masters: paths of PEM files."""

    ca_file: AbsolutePath | None = Field(
        default=None, description=f"{_A_PATH}, or null for the system's authorities"
    )
    cert_file: AbsolutePath | None = Field(default=None, description=f"{_A_PATH}, or null")
    key_file: AbsolutePath | None = Field(default=None, description=f"{_A_PATH}, or null")
    verify: bool = Field(default=True, description="true or false")


class Http(_Section):
    """Where the status page, the metrics and the API are served."""

    bind: Text = Field(default="0.0.0.0", description="an address of this host; 0.0.0.0 means all")  # noqa: S104
    port: PortNumber = Field(default=8090, description=_A_PORT)


class Port(_Section):
    """A port of the container."""

    container_port: PortNumber = Field(description=_A_PORT)
    host_port: int = Field(
        default=0, ge=0, le=65_535, description="a whole number from 0 (any offered port) to 65535"
    )
    protocol: Literal["tcp", "udp"] = Field(default="tcp", description='"tcp" or "udp"')


class Volume(_Section):
    """A folder of the host, or a named volume of its Docker Engine, inside the container."""

    host_path: AbsolutePath | None = Field(default=None, description=f"{_A_PATH} on the slave, or null")
    volume: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$",
        description="the name of a Docker volume, made when it is not there, or null",
    )
    container_path: AbsolutePath = Field(description=_A_PATH)
    mode: Literal["ro", "rw"] = Field(default="rw", description='"ro" or "rw"')

    @model_validator(mode="after")
    def _has_one_source(self) -> Volume:
        if (self.host_path is None) == (self.volume is None):
            raise ValueError("host_path: exactly one of host_path and volume must be given")
        return self


class Parameter(_Section):
    """An option of `docker run`, without its dashes."""

    key: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description='an option of "docker run" without dashes')
    value: str = Field(description="a text")


class HealthCheck(_Section):
    """How the executor finds out whether an instance is well (Mesos' HealthCheck)."""

    protocol: Literal["http", "tcp", "command"] = Field(description='"http", "tcp" or "command"')
    port: PortNumber | None = Field(default=None, description="a port of the container, from 1 to 65535")
    path: str = Field(default="/", pattern=r"^/", description="a path that begins with /")
    scheme: Literal["http", "https"] = Field(default="http", description='"http" or "https"')
    command: Text | None = Field(default=None, description="a shell command")
    delay_seconds: Seconds = Field(default=0, description=_SECONDS)
    grace_seconds: Seconds = Field(default=10, description=_SECONDS)
    interval_seconds: Seconds = Field(default=10, description=_SECONDS)
    timeout_seconds: Seconds = Field(default=20, description=_SECONDS)
    max_consecutive_failures: int = Field(default=3, ge=0, description="a whole number, 0 or more")

    @model_validator(mode="after")
    def _has_what_it_asks(self) -> HealthCheck:
        if self.protocol == "command":
            if self.command is None:
                raise ValueError('command: is missing; a check with protocol "command" needs it')
        elif self.port is None:
            raise ValueError(f'port: is missing; a check with protocol "{self.protocol}" needs it')
        return self


class Constraint(_Section):
    """Where instances may run, with Marathon's operators."""

    field: str = Field(
        pattern=r"^(@region|@zone|[^@\s]\S*)$",
        description='"hostname", "@region", "@zone" or the name of an agent\'s attribute',
    )
    operator: Literal["UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER", "IS"] = Field(
        description='"UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER" or "IS"'
    )
    value: str | None = Field(default=None, description="a text, or null")

    @model_validator(mode="after")
    def _has_the_value_it_needs(self) -> Constraint:
        value, operator = self.value, self.operator
        if operator == "UNIQUE" and value is not None:
            raise ValueError('value: is not allowed with operator "UNIQUE"')
        if operator in ("LIKE", "UNLIKE", "IS", "MAX_PER") and not value:
            raise ValueError(f'value: is missing; operator "{operator}" needs it')
        counts = operator in ("MAX_PER", "GROUP_BY") and value is not None
        if counts and not re.fullmatch("[1-9][0-9]{0,5}", str(value)):
            raise ValueError(f'value: "{value}" is not allowed; it must be a whole number above 0')
        if operator in ("LIKE", "UNLIKE") and value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(
                    f'value: "{value}" is not allowed; it must be a regular expression: {error}'
                ) from error
        return self


class Update(_Section):
    """How instances of an old version give way to the new one."""

    max_surge: int = Field(default=1, ge=0, description="a whole number, 0 or more")
    max_unavailable: int = Field(default=0, ge=0, description="a whole number, 0 or more")
    min_ready_seconds: Seconds = Field(
        default=3,
        description=f"{_SECONDS}: how long a new instance must have been well before an old one goes",
    )
    max_failures: int = Field(
        default=3, ge=1, description="a whole number, 1 or more: so many failures in a row end the update"
    )
    on_failure: Literal["pause", "rollback"] = Field(
        default="pause", description='"pause" or "rollback": what comes of an update that has failed'
    )
    progress_deadline_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=600,
        description="a number of seconds above 0: an update in which no new instance gets well for so long"
        " has failed",
    )

    @model_validator(mode="after")
    def _can_move(self) -> Update:
        if self.max_surge == 0 and self.max_unavailable == 0:
            raise ValueError(
                "max_surge: 0 is not allowed while max_unavailable is 0; one of them must be 1 or more,"
                " or no instance could ever be replaced"
            )
        return self


class Backoff(_Section):
    """How long to wait before an instance that keeps failing is started again."""

    initial_seconds: float = Field(
        default=1, gt=0, le=3600, description="a number of seconds above 0, at most 3600"
    )
    factor: float = Field(default=2, ge=1, le=10, description="a number from 1 to 10")
    max_seconds: float = Field(
        default=300, gt=0, le=3600, description="a number of seconds above 0, at most 3600"
    )

    @model_validator(mode="after")
    def _grows(self) -> Backoff:
        if self.max_seconds < self.initial_seconds:
            raise ValueError(
                f"max_seconds: {self.max_seconds:g} is not allowed;"
                f" it must be at least initial_seconds ({self.initial_seconds:g})"
            )
        return self


class Service(_Section):
    """What should run: COUNT instances of IMAGE."""

    name: str = Field(
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        description="at most 63 small letters, digits and dashes, with no dash at either end",
    )
    image: str = Field(pattern=r"^\S+$", description='the name of a Docker image, such as "nginx:1.27"')
    count: int = Field(default=1, ge=0, le=100_000, description="a whole number from 0 to 100000")
    cpus: Amount = Field(default=0.1, ge=0.01, description="a number of processors from 0.01 to 1e9")
    mem: Amount = Field(default=64, ge=4, description="a number of MiB from 4 to 1e9")
    disk: Amount = Field(default=0, ge=0, description="a number of MiB from 0 to 1e9")
    gpus: int = Field(default=0, ge=0, le=10_000, description="a whole number, 0 or more")
    command: Text | None = Field(default=None, description="a shell command, or null for the image's own")
    args: tuple[str, ...] = Field(default=(), description="a list of texts")
    entrypoint: Text | None = Field(
        default=None, description="a program in the image, or null for the image's own"
    )
    user: Text | None = Field(
        default=None, description="a user (and :group) in the container, or null for the image's own"
    )
    env: dict[str, str] = Field(default_factory=dict, description="a dictionary of texts")
    secrets: dict[str, AbsolutePath] = Field(
        default_factory=dict,
        description="a dictionary: by the name of an environment variable, the absolute path of a file on the"
        " scheduler's host that holds its value",
    )
    network: Literal["bridge", "host", "none", "user"] = Field(
        default="bridge", description='"bridge", "host", "none" or "user"'
    )
    network_name: Text | None = Field(
        default=None, description='the name of a Docker network, with network "user"; or null'
    )
    ports: tuple[Port, ...] = Field(default=(), description="a list of ports")
    volumes: tuple[Volume, ...] = Field(default=(), description="a list of volumes")
    parameters: tuple[Parameter, ...] = Field(default=(), description="a list of parameters")
    labels: dict[str, str] = Field(default_factory=dict, description="a dictionary of texts")
    privileged: bool = Field(default=False, description="true or false")
    force_pull: bool = Field(default=False, description="true or false")
    kill_grace_seconds: Seconds = Field(default=5, description=_SECONDS)
    shutdown_delay_seconds: Seconds = Field(
        default=2,
        description=f"{_SECONDS}: how long one runs on after it has left the list of those in service",
    )
    role: str | None = Field(
        default=None, pattern=_ROLE, description="a Mesos role, or null for framework.role"
    )
    constraints: tuple[Constraint, ...] = Field(default=(), description="a list of constraints")
    placement: Literal["spread", "pack"] = Field(default="spread", description='"spread" or "pack"')
    health_check: HealthCheck | None = Field(default=None, description="a health check, or null")
    update: Update = Field(default=Update(), description="the limits of an update")
    backoff: Backoff = Field(default=Backoff(), description="the delays after failures")

    @model_validator(mode="after")
    def _fits_together(self) -> Service:
        if self.command is not None and self.args:
            raise ValueError("args: is not allowed together with command; put the arguments into the command")
        for index, port in enumerate(self.ports):
            if self.network == "none":
                raise ValueError(f'ports[{index}]: is not allowed with network "none"')
            if self.network == "host" and port.host_port not in (0, port.container_port):
                raise ValueError(
                    f"ports[{index}].host_port: {port.host_port} is not allowed;"
                    f' with network "host" it must be 0 or the container_port, {port.container_port}'
                )
        if (self.network == "user") != (self.network_name is not None):
            raise ValueError('network_name: belongs to network "user": give both or neither')
        twice = sorted(self.env.keys() & self.secrets.keys())
        if twice:
            raise ValueError(f"secrets.{twice[0]}: is given in env, too")
        fixed = [(port.host_port, port.protocol) for port in self.ports if port.host_port]
        for number, protocol in fixed:
            if fixed.count((number, protocol)) > 1:
                raise ValueError(f"ports: host_port {number}/{protocol} is given more than once")
        reserved = sorted({"service", "service_version"} & self.labels.keys())
        if reserved:
            raise ValueError(f"labels.{reserved[0]}: is not allowed; the scheduler sets it")
        return self

    @cached_property
    def version(self) -> str:
        """Names what an instance is made of: instances of another version must be replaced.

        Defaults are left out, so that a scheduler that knows more fields still gives the same name.
        """
        made_of = self.model_dump(mode="json", exclude=set(SCHEDULING_ONLY), exclude_defaults=True)
        text = json.dumps(made_of, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def host_ports(self) -> tuple[int, ...]:
        """The host port of each entry of `ports`; 0 means that any offered one will do."""
        if self.network == "host":
            return tuple(port.container_port for port in self.ports)
        return tuple(port.host_port for port in self.ports)


class Config(_Section):
    """The whole file."""

    master: Annotated[Text, AfterValidator(_master)] = Field(description="the masters' addresses")
    framework: Framework = Field(default=Framework(), description="a dictionary")
    tls: Tls = Field(default=Tls(), description="a dictionary")
    http: Http | None = Field(default=Http(), description="a dictionary, or null to serve nothing")
    state_dir: AbsolutePath = Field(default="/var/lib/mesos-docker-scheduler", description=_A_PATH)
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description='"debug", "info", "warning" or "error"'
    )
    services: tuple[Service, ...] = Field(description="a list of services")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Config:
        names = [service.name for service in self.services]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise ValueError(f'services[{index}].name: "{name}" is used more than once')
        return self

    def restart_needed(self, newer: Config) -> list[str]:
        """Name the settings that differ in `newer` and can't change while the scheduler runs."""
        paths = (
            "master",
            "framework.user",
            "framework.principal",
            "framework.secret_file",
            "tls",
            "http",
            "state_dir",
        )
        return [path for path in paths if attrgetter(path)(self) != attrgetter(path)(newer)]


def parse(text: str) -> Config:
    """Read a configuration from JSON text. ConfigError names everything that is wrong."""
    try:
        raw = json.loads(text, object_pairs_hook=_refuse_duplicates)
    except json.JSONDecodeError as error:
        raise ConfigError([f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}"]) from error
    if not isinstance(raw, dict):
        raise ConfigError(["the file must hold one JSON object ({...})"])
    try:
        return Config.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError([_sentence(detail) for detail in error.errors()]) from error


def load(path: Path) -> tuple[Config, str]:
    """Read a file; returns the configuration and the file's sha256. ConfigError when either is no good."""
    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise ConfigError([f"{path}: can't be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 at byte {error.start}"]) from error
    return parse(text), hashlib.sha256(content).hexdigest()


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ConfigError([f'key "{key}" is given more than once in the same object'])
        seen[key] = value
    return seen


def _sentence(detail: ErrorDetails) -> str:
    location = detail["loc"]
    where = _path(location)
    if detail["type"] == "extra_forbidden":
        return f"{where}: is not a known key; {_suggestion(str(location[-1]), _section_at(location[:-1]))}"
    allowed = _description(location)
    if detail["type"] == "missing":
        return f"{where}: is missing; it must be {allowed}"
    if detail["type"] == "value_error":
        reason = str(detail["ctx"]["error"])
        # A check over several fields names them itself, relative to its section.
        if not reason.startswith("must "):
            return f"{where}.{reason}" if where else reason
        return f"{where}: {_shown(location, detail['input'])} is not allowed; it {reason}"
    return f"{where}: {_shown(location, detail['input'])} is not allowed; it must be {allowed}"


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if path else part
    return path


def _shown(location: tuple[int | str, ...], value: Any) -> str:
    if "env" in location or location[-1:] == ("master",):
        return "the value (not shown, it may hold a secret)"
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _section_at(location: tuple[int | str, ...]) -> type[_Section]:
    section: type[_Section] = Config
    for part in location:
        if isinstance(part, str) and part in section.model_fields:
            section = _section_in(section.model_fields[part].annotation) or section
    return section


def _section_in(annotation: Any) -> type[_Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, _Section):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _section_in(inner)
        if found is not None:
            return found
    return None


def _description(location: tuple[int | str, ...]) -> str:
    """What the value at this place must be: as its field says, or the list or dictionary that holds it."""
    for index in reversed(range(len(location))):
        part = location[index]
        field = _section_at(location[:index]).model_fields.get(str(part))
        if field is None or field.description is None:
            continue
        if index == len(location) - 1:
            return field.description
        element = _section_in(field.annotation)
        return (
            "a text" if element is None else f"a dictionary with the keys {', '.join(element.model_fields)}"
        )
    return "one JSON object"


def _suggestion(key: str, section: type[_Section]) -> str:
    known = list(section.model_fields)
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known keys are {', '.join(known)}"
