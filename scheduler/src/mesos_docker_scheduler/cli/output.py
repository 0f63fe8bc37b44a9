"""How answers are shown: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mesos_docker_scheduler.config import A_COMMAND

Message = dict[str, Any]

_NO_TERMINAL_WIDTH = 1_000

as_json_option = click.option("--json", "as_json", is_flag=True, help="Give JSON, for programs.")


def print_json(body: object) -> None:
    """Give all of it to a program."""
    click.echo(json.dumps(body, indent=2))


def console(*, stderr: bool = False) -> Console:
    """Where to show things; what goes into a pipe is never folded or cut."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if terminal else _NO_TERMINAL_WIDTH)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], nothing: str) -> None:
    """Show rows under headings, or say that there is nothing."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    if table.row_count:
        console().print(table)
    else:
        click.echo(nothing)


def what_runs(service: Message) -> str:
    """The image of a service, or that it is a command, and what runs it, if it is not Docker."""
    text = service["image"] or A_COMMAND
    return text if service["containerizer"] == "docker" else f"{text} ({service['containerizer']})"


def state_text(service: Message, connected: bool) -> Text:
    """How a service does, in a word that does not need its colour.

    connected: whether the scheduler has a master. Without one, as where it follows another scheduler, it
    knows only how the service did last.
    """
    if service["converged"]:
        return Text("healthy", "green")
    if service["waiting"]:
        return Text("waiting", "yellow")
    if connected:
        return Text("changing", "yellow")
    enough = service["healthy"] >= service["wanted"]
    return Text("last known") if enough else Text("not enough", "red")


def age(since: float) -> str:
    """How long ago that was; `since`: seconds of the epoch."""
    seconds = max(0, int(time.time() - since))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def moment(at: float) -> str:
    """A time of the epoch as people here read it."""
    return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S}"
