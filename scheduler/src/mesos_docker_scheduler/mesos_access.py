"""What we show masters, agents and ZooKeeper to be let in, as configured."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mesos_docker_scheduler.config import Config, SharedState
from mesos_docker_scheduler.driver import Credential, TlsSettings
from mesos_docker_scheduler.exits import EXIT_CONFIG, SchedulerError


@dataclass(frozen=True, slots=True)
class Access:
    """What we send to masters and agents to be let in, and how we speak to them."""

    masters: Credential | None
    agents: Credential | None
    tls: TlsSettings | None

    @classmethod
    def of(cls, config: Config) -> Access:
        """As configured. SchedulerError when a secret can't be read."""
        framework = config.framework
        masters = credential("framework.secret_file", framework.principal, framework.secret_file)
        agents = credential("framework.agent_secret_file", framework.principal, framework.agent_secret_file)
        tls = TlsSettings(**config.tls.model_dump()) if config.tls.model_fields_set else None
        return cls(masters, agents or masters, tls)


def credential(setting: str, principal: str | None, path: str | None) -> Credential | None:
    """The credential whose secret stands in a file. SchedulerError when that can't be read.

    The file is read each time. One beside it, PATH.previous, has the secret of before for as long as some may
    know no other.
    """
    if principal is None or path is None:
        return None
    made = Credential(principal, partial(_secrets, Path(path), Path(f"{path}.previous")))
    try:
        _secrets(Path(path), Path(f"{path}.previous"))
    except (OSError, ValueError) as error:
        raise SchedulerError(EXIT_CONFIG, f"{setting}: {path}: can't be read: {error}") from error
    return made


def zookeeper_logins(shared: SharedState) -> list[str]:
    """`user:password` as configured, and then that of before, if any. SchedulerError: it can't be read."""
    if shared.password_file is None:
        return []
    try:
        passwords = _secrets(Path(shared.password_file), Path(f"{shared.password_file}.previous"))
    except (OSError, ValueError) as error:
        raise SchedulerError(
            EXIT_CONFIG, f"shared_state.password_file: {shared.password_file}: can't be read: {error}"
        ) from error
    return [f"{shared.user}:{password}" for password in passwords]


def _secrets(current: Path, previous: Path) -> list[str]:
    secrets = [current.read_text().rstrip("\n")]
    if not secrets[0]:
        raise ValueError("it is empty")
    with contextlib.suppress(FileNotFoundError):
        secrets.append(previous.read_text().rstrip("\n"))
    return secrets
