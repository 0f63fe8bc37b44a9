"""Shows what happens."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from mesos_docker_scheduler.cli import api, output
from mesos_docker_scheduler.cli.api import Api
from mesos_docker_scheduler.cli.options import Given, target_options
from mesos_docker_scheduler.exits import OK, UNREACHABLE, ExitError

_PAUSE_SECONDS = 2.0


@click.command()
@click.argument("name", metavar="[SERVICE]", required=False, shell_complete=api.complete_service)
@click.option("--follow", "-f", is_flag=True, help="Go on as they happen, until Ctrl-C.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@target_options
@output.as_json_option
def events(name: str | None, follow: bool, limit: int, given: Given, as_json: bool) -> int:
    """Show what happened lately, to SERVICE or to all. With --json, a line for each event."""
    found = Api.at(given)
    newest = 0
    for event in found.get("/v1/events", limit=limit, service=name)["events"]:
        newest = event["id"]
        _print(event, as_json)
    if follow and not newest:
        newest = max((event["id"] for event in found.get("/v1/events", limit=1)["events"]), default=0)
    while follow:
        newest = _follow(found, name, newest, as_json)
    return OK


def _follow(found: Api, name: str | None, newest: int, as_json: bool) -> int:
    """Show what comes until the connection ends; returns the newest event's id."""
    try:
        for event in found.stream("/v1/events/stream", after=newest):
            newest = event["id"]
            if name in (None, event["service"]):
                _print(event, as_json)
    except ExitError as error:
        if error.status != UNREACHABLE or not newest:
            raise
        click.echo(f"{error}; trying again", err=True)
    time.sleep(_PAUSE_SECONDS)
    return newest


def _print(event: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(event))
        return
    about = event["task_id"] or event["service"] or "-"
    click.echo(f"{output.moment(event['at'])}  {event['kind']:<12}  {about}  {event['text']}")
