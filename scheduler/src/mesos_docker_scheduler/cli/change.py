"""Changes what should run. Each command shows what it changed from and to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click

from mesos_docker_scheduler.cli import api, output
from mesos_docker_scheduler.cli.api import Api, program
from mesos_docker_scheduler.cli.options import Given, target_options
from mesos_docker_scheduler.exits import OK

Message = dict[str, Any]

_SERVICE = click.argument("name", metavar="SERVICE", shell_complete=api.complete_service)


# A number below 0 is no option: the scheduler says what is wrong with it.
@click.command(context_settings={"ignore_unknown_options": True})
@_SERVICE
@click.argument("count", type=int)
@target_options
@output.as_json_option
def scale(name: str, count: int, given: Given, as_json: bool) -> int:
    """Run COUNT instances, until the configuration says another number."""
    found = Api.at(given)
    before = found.service(name)
    after = found.post(f"/v1/services/{name}/scale", {"count": count}, before["revision"])
    text = f"{name}: {before['wanted']} → {after['wanted']} instances"
    if after["scaled_since"] is not None:
        text += f" (the configuration says {after['configured']}; back to it: {program('reset', name)})"
    return _told(after, text, as_json)


def _verb(path: str, text: str, done: Callable[[Message], str]) -> click.Command:
    @click.command(path, help=text)
    @_SERVICE
    @target_options
    @output.as_json_option
    def command(name: str, given: Given, as_json: bool) -> int:
        # What these do does not rest on what was seen before.
        after = Api.at(given).post(f"/v1/services/{name}/{path}", {}, "*")
        return _told(after, f"{name}: {done(after)}", as_json)

    return command


restart = _verb(
    "restart",
    "Replace all instances of SERVICE, within the limits of an update.",
    lambda after: f"its {after['wanted']} instances are being replaced",
)
pause = _verb("pause", "Stop the update of SERVICE where it is.", lambda after: "the update is paused")
resume = _verb(
    "resume",
    "Go on with an update that was paused, rolled back or has failed.",
    lambda after: f"the update to {output.what_runs(after)} goes on",
)
rollback = _verb(
    "rollback",
    "Return SERVICE to the version before.",
    lambda after: f"goes back to {after['update']['from_image']}",
)
reset_backoff = _verb(
    "reset-backoff",
    "Try again at once what waits because it failed.",
    lambda after: "is tried again now",
)


@click.command()
@click.argument("name", metavar="[SERVICE]", required=False, shell_complete=api.complete_service)
@click.option("--all", "all_services", is_flag=True, help="Of all services.")
@target_options
@output.as_json_option
def reset(name: str | None, all_services: bool, given: Given, as_json: bool) -> int:
    """Run what the configuration says of SERVICE again, in count and version.

    With --all, a line for each service where that changes something.
    """
    if (name is None) is not all_services:
        raise click.UsageError("one of SERVICE and --all must be given, and not both")
    found = Api.at(given)
    for after in take_back(found) if name is None else [_reset(found, name)]:
        _told(after, as_configured(after), as_json)
    return OK


def take_back(found: Api) -> Iterator[Message]:
    """Reset every service of which operators want something else than the configuration, one by one."""
    for one in found.get("/v1/services")["services"]:
        if _is_changed(one):
            yield _reset(found, one["name"])


def as_configured(after: Message) -> str:
    """What a reset has led to, as a sentence."""
    of = f"{after['wanted']} instances of {output.what_runs(after)}"
    return f"{after['name']}: {of}, as the configuration says"


def _reset(found: Api, name: str) -> Message:
    return found.post(f"/v1/services/{name}/reset", {}, "*")


@click.command()
@click.argument("task_id", metavar="INSTANCE")
@click.option("--scale", is_flag=True, help="Run one fewer from now on.")
@target_options
@output.as_json_option
def kill(task_id: str, scale: bool, given: Given, as_json: bool) -> int:
    """Stop one INSTANCE; another takes its place, unless --scale is given."""
    body = Api.at(given).post(f"/v1/instances/{task_id}/kill", {"scale": scale})
    then = "its service runs one fewer" if scale else "another takes its place"
    return _told(body, f"{task_id} is being stopped; {then}", as_json)


def _is_changed(service: Message) -> bool:
    """Whether operators have asked for something else than the configuration says."""
    update = service["update"]
    return service["scaled_since"] is not None or (update is not None and update["by_operator"])


def _told(body: Message, text: str, as_json: bool) -> int:
    if as_json:
        output.print_json(body)
    else:
        click.echo(text)
    return OK


@click.command()
@target_options
@output.as_json_option
def step_down(given: Given, as_json: bool) -> int:
    """Have another scheduler lead, of those that share their state."""
    text = "Another scheduler takes over; this one follows in a moment."
    return _told(Api.at(given).post("/v1/step-down"), text, as_json)
