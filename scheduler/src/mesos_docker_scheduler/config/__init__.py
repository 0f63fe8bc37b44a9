"""The configuration file: its schema, written once, and errors that say what to change."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from mesos_docker_scheduler.config import secrets
from mesos_docker_scheduler.config.allowed import Allowed, HostPath
from mesos_docker_scheduler.config.errors import ConfigError, sentence
from mesos_docker_scheduler.config.fetch import Fetch
from mesos_docker_scheduler.config.framework import Framework, Http, Tls
from mesos_docker_scheduler.config.sections import (
    A_PATH,
    HOST_AND_PORT,
    MOST_INSTANCES,
    AbsolutePath,
    Section,
    Text,
    check_ports,
    path_parts,
)
from mesos_docker_scheduler.config.service import (
    A_COMMAND,
    SCHEDULING_ONLY,
    Backoff,
    Constraint,
    HealthCheck,
    Parameter,
    Port,
    Preference,
    Service,
    Update,
    Volume,
)
from mesos_docker_scheduler.config.shared_state import SharedState

__all__ = [
    "A_COMMAND",
    "MOST_INSTANCES",
    "SCHEDULING_ONLY",
    "Allowed",
    "Backoff",
    "Config",
    "ConfigError",
    "Constraint",
    "Fetch",
    "Framework",
    "HealthCheck",
    "HostPath",
    "Http",
    "Parameter",
    "Port",
    "Preference",
    "Service",
    "SharedState",
    "Tls",
    "Update",
    "Volume",
    "load",
    "parse",
    "secrets",
]


def _master(value: str) -> str:
    host = HOST_AND_PORT
    patterns = (
        rf"zk://([^@:/\s]+:[^@/\s]+@)?{host}(,{host})*/\S*[^/\s]",
        rf"https?://{host}/?",
        rf"{host}(,{host})*",
    )
    if not any(re.fullmatch(pattern, value) for pattern in patterns):
        raise ValueError(
            "must be zk://[user:password@]host:port[,host:port...]/path, host:port[,host:port...]"
            " or http(s)://host:port"
        )
    check_ports(value.rpartition("://")[2].rpartition("@")[2].partition("/")[0])
    return value


class Config(Section):
    """The whole file."""

    master: Annotated[Text, AfterValidator(_master)] = Field(
        title="how to find the leading master", description="the masters' addresses"
    )
    framework: Framework = Field(default=Framework(), title="who we are to Mesos", description="a dictionary")
    tls: Tls = Field(default=Tls(), title="how to speak TLS to the masters", description="a dictionary")
    http: Http | None = Field(
        default=Http(),
        title="where the status page, the metrics and the API are",
        description="a dictionary, or null to serve nothing",
    )
    state_dir: AbsolutePath = Field(
        default="/var/lib/mesos-docker-scheduler", title="where the state is kept", description=A_PATH
    )
    shared_state: SharedState | None = Field(
        default=None,
        title="where the state is kept when several schedulers share it",
        description="a dictionary, or null to keep it in state_dir, for one scheduler alone",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", title="how much is logged", description='"debug", "info", "warning" or "error"'
    )
    allowed: Allowed = Field(
        default=Allowed(),
        title="what services may ask of the slaves that they run on",
        description="a dictionary",
    )
    services: tuple[Service, ...] = Field(title="what should run", description="a list of services")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Config:
        names = [service.name for service in self.services]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise ValueError(f'services[{index}].name: "{name}" is used more than once')
        return self

    @model_validator(mode="after")
    def _dependencies_can_be_met(self) -> Config:
        names = {service.name for service in self.services}
        for index, service in enumerate(self.services):
            for name in service.depends_on:
                if name not in names:
                    raise ValueError(
                        f'services[{index}].depends_on: "{name}" is not allowed; it must be the name of'
                        " another service of the file"
                    )
        try:
            TopologicalSorter({service.name: service.depends_on for service in self.services}).prepare()
        except CycleError as error:
            circle = " → ".join(reversed(error.args[1]))
            raise ValueError(
                f"services: depends_on leads in a circle, which is not allowed: {circle}"
            ) from None
        return self

    @model_validator(mode="after")
    def _own_secrets_are_not_given_away(self) -> Config:
        own = {
            "framework.secret_file": self.framework.secret_file,
            "framework.agent_secret_file": self.framework.agent_secret_file,
            "tls.key_file": self.tls.key_file,
            "shared_state.password_file": (
                self.shared_state.password_file if self.shared_state is not None else None
            ),
            "http.token_file": self.http.token_file if self.http is not None else None,
        }
        fields = {path_parts(path): field for field, path in own.items() if path is not None}
        for index, service in enumerate(self.services):
            for name, path in service.secret_files.items():
                field = fields.get(path_parts(path))
                if field is not None:
                    raise ValueError(
                        f"services[{index}].{name}: {path} is not allowed; it is the scheduler's own {field}"
                    )
        return self

    def restart_needed(self, newer: Config) -> list[str]:
        """Name the settings that differ in `newer` and can't change while the scheduler runs."""
        paths = (
            "master",
            "framework.user",
            "framework.principal",
            "framework.secret_file",
            "framework.agent_secret_file",
            "tls",
            "http",
            "state_dir",
            "shared_state",
        )
        return [path for path in paths if attrgetter(path)(self) != attrgetter(path)(newer)]


def parse(text: str) -> Config:
    """Read a configuration from JSON text. ConfigError names everything that is wrong."""
    try:
        raw = json.loads(text, object_pairs_hook=_refuse_duplicates)
    except json.JSONDecodeError as error:
        raise ConfigError([f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}"]) from error
    except RecursionError:
        raise ConfigError(["objects and lists stand in each other too deeply"]) from None
    except ConfigError:
        raise
    except ValueError:
        # Python says which number; it may be a part of a secret.
        raise ConfigError(["a number has more digits than are allowed"]) from None
    if not isinstance(raw, dict):
        raise ConfigError(["the file must hold one JSON object ({...})"])
    try:
        config = Config.model_validate_json(text)
    except ValidationError as error:
        details = error.errors()
        if details[0]["type"] == "json_invalid":
            # Its input, and that of the exception, is the whole file.
            raise ConfigError([f"not JSON: {details[0]['ctx']['error']}"]) from None
        raise ConfigError([sentence(detail, Config) for detail in details]) from error
    zero_bytes = list(_zero_bytes(raw, ""))
    if zero_bytes:
        # No program can be given them, and no file has them in its name.
        raise ConfigError([f"{place}: must not hold a zero byte" for place in zero_bytes])
    refused = [
        f"services[{index}].{refusal}"
        for index, service in enumerate(config.services)
        for refusal in config.allowed.refusals(service)
    ]
    if refused:
        raise ConfigError(refused)
    return config


def load(path: Path, *, without_secrets: bool = False) -> tuple[Config, str]:
    """Read a file and the secrets that it names; returns the configuration and the file's sha256.

    ConfigError when anything of it is no good; a secret that can't be read is let pass `without_secrets`.
    """
    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise ConfigError([f"{path}: can't be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 at byte {error.start}"]) from error
    return _with_secrets(parse(text), without_secrets), hashlib.sha256(content).hexdigest()


def _with_secrets(config: Config, without_secrets: bool) -> Config:
    services: list[Service] = []
    problems: list[str] = []
    for index, service in enumerate(config.services):
        values, unreadable = secrets.read(service)
        problems += [f"services[{index}].{problem}" for problem in unreadable]
        known = bool(values) and not unreadable
        services.append(
            service.with_secrets(values, secrets.digest(service.name, values)) if known else service
        )
    if problems and not without_secrets:
        raise ConfigError(problems)
    return config.model_copy(update={"services": tuple(services)})


def _zero_bytes(value: Any, place: str) -> Iterator[str]:
    """The places of all texts and keys with a zero byte."""
    if isinstance(value, str) and "\0" in value:
        yield place
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _zero_bytes(item, f"{place}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            where = f"{place}.{key}" if place else key
            yield from [place] if "\0" in key else _zero_bytes(item, where)


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ConfigError([f'key "{key}" is given more than once in the same object'])
        seen[key] = value
    return seen
