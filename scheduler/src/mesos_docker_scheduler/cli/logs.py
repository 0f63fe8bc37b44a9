"""Shows what instances have written, out of their sandboxes."""

from __future__ import annotations

import time
from dataclasses import dataclass

import click

from mesos_docker_scheduler.cli import api
from mesos_docker_scheduler.cli.api import Api
from mesos_docker_scheduler.cli.options import Given, target_options
from mesos_docker_scheduler.exits import OK, REFUSED, ExitError

_LOOK_SECONDS = 1.0


@dataclass
class _Reader:
    """Reads one file on and on. `offset`: of the next byte; None before the first look."""

    found: Api
    task_id: str
    file: str
    prefix: str
    offset: int | None = None
    rest: str = ""

    def read(self) -> list[str]:
        """The lines that are new and whole; at the first look the end of the file."""
        first, new = self.offset is None, list[str]()
        while True:
            part = self.found.get(f"/v1/instances/{self.task_id}/log", file=self.file, offset=self.offset)
            self.offset = part["end"]
            *whole, self.rest = (self.rest + part["data"]).split("\n")
            new += whole
            if first or part["end"] == part["offset"]:
                return new

    def show(self, most: int | None, *, to_the_end: bool) -> None:
        """Print what is new, of that the last `most` lines; `to_the_end`: half a line, too."""
        lines = self.read()
        if to_the_end and self.rest:
            lines.append(self.rest)
        for line in lines if most is None else lines[len(lines) - min(most, len(lines)) :]:
            click.echo(self.prefix + line)


@click.command()
@click.argument("name", metavar="SERVICE|INSTANCE", shell_complete=api.complete_service)
@click.option("--follow", "-f", is_flag=True, help="Go on as they write, until Ctrl-C.")
@click.option("--stderr", is_flag=True, help="What they wrote to standard error.")
@click.option("--lines", "-n", type=click.IntRange(0), default=50, show_default=True, help="Of each.")
@target_options
def logs(name: str, follow: bool, stderr: bool, lines: int, given: Given) -> int:
    """Show what the instances of a service, or one instance, have written."""
    found = Api.at(given)
    one = "." in name
    readers: dict[str, _Reader] = {}
    while True:
        for task_id in [name] if one else found.instances(name, "TASK_RUNNING", "TASK_KILLING"):
            most = None
            if task_id not in readers:
                prefix = "" if one else f"{task_id.rpartition('.')[2][:8]} | "
                readers[task_id] = _Reader(found, task_id, "stderr" if stderr else "stdout", prefix)
                most = lines
            try:
                readers[task_id].show(most, to_the_end=not follow)
            except ExitError as error:
                if one or error.status != REFUSED:
                    raise
                click.echo(f"{readers[task_id].prefix}({error})", err=True)
        if not readers and not follow:
            raise ExitError(REFUSED, f"{name} has no instances that run")
        if not follow:
            return OK
        time.sleep(_LOOK_SECONDS)
