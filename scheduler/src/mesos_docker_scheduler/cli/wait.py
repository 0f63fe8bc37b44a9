"""Waits until services are as wanted, for deploy scripts and people."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import click
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mesos_docker_scheduler.cli import api, output
from mesos_docker_scheduler.cli.api import Api, NoAnswerError
from mesos_docker_scheduler.cli.change import as_configured, take_back
from mesos_docker_scheduler.cli.convergence import (
    Patience,
    awaited,
    has_failed,
    missing,
    overridden,
)
from mesos_docker_scheduler.cli.options import Given, target_options
from mesos_docker_scheduler.exits import (
    FAILED,
    FAILED_BEFORE,
    NOT_YET,
    OK,
    REFUSED,
    UNREACHABLE,
    ExitError,
)

Message = dict[str, Any]

_LOOK_SECONDS = 0.5
_GOES_ON = "The scheduler goes on trying."


@dataclass
class _Look:
    """What the scheduler says now: its status (None: no answer, and why), and what has happened since.

    `current`: whether the configuration that is waited for is in use.
    """

    status: Message | None
    problem: str = ""
    events: list[Message] = field(default_factory=list)
    current: bool = False

    @property
    def counts(self) -> bool:
        """Whether it is the leader's, and about the configuration that is waited for."""
        return self.current and self.status is not None and bool(self.status["leads"])


class _Watch:
    """Looks again and again, at the scheduler that leads.

    Each host has a configuration file of its own. Where one of this checksum is waited for, the host that has
    it is asked what edition that is; from then on any leader that acts on this edition will do.
    """

    def __init__(self, found: Api, sha256: str | None) -> None:
        self._found = found
        self._sha256 = sha256
        self._edition: str | None = None
        self._newest: int | None = None  # the id of the newest event seen

    def look(self) -> _Look:
        """Ask for the status and the news."""
        try:
            status = self._status()
            leader, known = status["leader"], self._sha256 is None or self._edition is not None
            if not status["leads"] and leader is not None and leader["url"] and known:
                self._found.go_to(leader["url"])
                status = self._status()
            events = self._found.get(
                "/v1/events", after=self._newest, limit=1 if self._newest is None else 1000
            )["events"]
        except NoAnswerError as error:
            self._found.go_back()
            return _Look(None, str(error))
        news = [] if self._newest is None else events
        self._newest = events[-1]["id"] if events else self._newest or 0
        return _Look(status, "", news, self._is_current(status["config"]))

    def _status(self) -> Message:
        status = self._found.get("/v1/status", instances=False)
        if status["config"]["sha256"] == self._sha256:
            self._edition = status["config"]["edition"]
        return status

    def _is_current(self, config: Message) -> bool:
        return self._sha256 in (None, config["sha256"]) or self._edition == config["edition"]


@click.command()
@click.argument("names", nargs=-1, metavar="[SERVICE]...", shell_complete=api.complete_service)
@click.option(
    "--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Give up after so long.  [default: never]"
)
@click.option(
    "--idle-seconds",
    type=click.FloatRange(0),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Give up when nothing has moved for so long.",
)
@click.option("--config-sha256", metavar="SHA256", help="The configuration file that must be in use.")
@click.option("--reset", is_flag=True, help="First take back what operators have changed, of all services.")
@click.option("--fail-fast", is_flag=True, help="Exit at once when something had failed before.")
@target_options
@output.as_json_option
def wait(
    names: tuple[str, ...],
    timeout: float | None,
    idle_seconds: float,
    config_sha256: str | None,
    reset: bool,
    fail_fast: bool,
    given: Given,
    as_json: bool,
) -> int:
    """Wait until the services are as wanted: all, or those that are named.

    Exits with 0 when they are, 4 when the time is over, 5 when they won't come true by themselves, 3 when the
    scheduler does not answer, and with --fail-fast with 6 when something had failed before.
    """
    found, start = Api.at(given), time.monotonic()
    watch = _Watch(found, config_sha256)
    patience = Patience(names, idle_seconds, start)
    with _Bars(quiet=as_json) as bars:
        while True:
            look, now = watch.look(), time.monotonic()
            lines = _lines(look, names)
            # One that follows can change nothing, nor tell what has failed.
            if reset and look.counts and _taken_back(found, as_json):
                reset = False
                continue
            if look.status is not None and not lines and not reset:
                return _end(OK, "", look.status, names, as_json)
            if look.status is not None:
                if fail_fast and look.counts:
                    fail_fast = False
                    if has_failed(look.status, names):
                        text = "Something had failed before."
                        return _end(FAILED_BEFORE, "\n".join([text, *lines]), look.status, names, as_json)
                bars.show(awaited(look.status, names))
            lost = patience.lost(look.status, look.events, now, current=look.counts)
            if lost is not None:
                status = FAILED if look.status is not None else UNREACHABLE
                return _end(status, "\n".join([lost, *lines, _GOES_ON]), look.status, names, as_json)
            if timeout is not None and now - start >= timeout:
                text = f"Not as wanted within {timeout:g} seconds."
                return _end(NOT_YET, "\n".join([text, *lines, _GOES_ON]), look.status, names, as_json)
            time.sleep(_LOOK_SECONDS)


def _taken_back(found: Api, quiet: bool) -> bool:
    """Take back what operators have changed; False: there was no answer, and not all of it is."""
    try:
        for after in take_back(found):
            if not quiet:
                click.echo(as_configured(after))
    except NoAnswerError:
        return False
    return True


def _lines(look: _Look, names: tuple[str, ...]) -> list[str]:
    if look.status is None:
        return [look.problem]
    known = {service["name"] for service in look.status["services"]}
    for name in names:
        if name not in known and look.counts:
            raise ExitError(REFUSED, f'service "{name}" is not in the configuration')
    return missing(look.status, names, current=look.current)


def _end(exit_status: int, text: str, status: Message | None, names: tuple[str, ...], as_json: bool) -> int:
    services = [] if status is None else awaited(status, names)
    notes = [] if status is None else overridden(status, names)
    if as_json:
        output.print_json(
            {"converged": exit_status == OK, "problem": text, "overridden": notes, "services": services}
        )
    elif exit_status == OK:
        for one in services:
            click.echo(f"{one['name']}: all {one['wanted']} wanted instances run")
        for note in notes:
            click.echo(note)
    else:
        click.echo(text, err=True)
    return exit_status


class _Bars:
    """A bar for each service that is not as wanted yet, where somebody can see it."""

    def __init__(self, *, quiet: bool) -> None:
        console = output.console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f} of {task.total:.0f} {task.fields[what]}"),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, services: list[Message]) -> None:
        """Bring the bars up to date."""
        for one in services:
            name, done = one["name"], one["healthy"]
            if name not in self._tasks and one["converged"]:
                continue
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=one["wanted"], what="")
            self._progress.update(
                self._tasks[name],
                completed=min(done, one["wanted"]),
                total=one["wanted"],
                what="" if one["converged"] else "; ".join(one["waiting"]),
            )
