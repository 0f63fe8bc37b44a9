"""Options that several commands share. To know them, nothing that speaks HTTP need be imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

URL_VARIABLE = "MESOS_DOCKER_SCHEDULER_URL"
TOKEN_VARIABLE = "MESOS_DOCKER_SCHEDULER_TOKEN_FILE"  # noqa: S105 - a path's name

Command = TypeVar("Command", bound=Callable[..., Any])


def target_options(command: Command) -> Command:
    """The options of every command that asks a running scheduler."""
    url = click.option(
        "--url", envvar=URL_VARIABLE, help=f"Where the scheduler is; or {URL_VARIABLE}.", metavar="URL"
    )
    token = click.option(
        "--token-file",
        envvar=TOKEN_VARIABLE,
        type=click.Path(path_type=Path),
        help=f"The file with its token; or {TOKEN_VARIABLE}.",
        metavar="FILE",
    )
    return url(token(command))
