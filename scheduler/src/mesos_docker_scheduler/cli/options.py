"""Options that several commands share. To know them, nothing that speaks HTTP need be imported."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

URL_VARIABLE = "MESOS_DOCKER_SCHEDULER_URL"
TOKEN_VARIABLE = "MESOS_DOCKER_SCHEDULER_TOKEN_FILE"  # noqa: S105 - a path's name
CA_VARIABLE = "MESOS_DOCKER_SCHEDULER_CA_FILE"

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Given:
    """What was said of a running scheduler: where it is, and the files with its token and its authority."""

    url: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None

    @classmethod
    def by_environment(cls) -> Given:
        """What the variables say, for who has no options."""
        url, token, authority = map(os.environ.get, (URL_VARIABLE, TOKEN_VARIABLE, CA_VARIABLE))
        return cls(url, Path(token) if token else None, Path(authority) if authority else None)


def target_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options of every command that asks a running scheduler, which takes them as `given`."""

    @functools.wraps(command)
    def called(*, url: str | None, token_file: Path | None, ca_file: Path | None, **others: Any) -> int:
        return command(given=Given(url, token_file, ca_file), **others)

    options = (
        click.option(
            "--url", envvar=URL_VARIABLE, help=f"Where the scheduler is; or {URL_VARIABLE}.", metavar="URL"
        ),
        click.option(
            "--token-file",
            envvar=TOKEN_VARIABLE,
            type=_FILE,
            help=f"The file with your token; or {TOKEN_VARIABLE}.",
            metavar="FILE",
        ),
        click.option(
            "--ca-file",
            envvar=CA_VARIABLE,
            type=_FILE,
            help=f"The authority of its certificate, unless the system knows it; or {CA_VARIABLE}.",
            metavar="FILE",
        ),
    )
    for option in options:
        called = option(called)
    return called
