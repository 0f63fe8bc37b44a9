"""Shows what runs, and why something does not."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from mesos_docker_scheduler.cli import api, output
from mesos_docker_scheduler.cli.api import Api
from mesos_docker_scheduler.cli.options import Given, target_options
from mesos_docker_scheduler.exits import OK

Message = dict[str, Any]

_MAYBE_SERVICE = click.argument(
    "name", metavar="[SERVICE]", required=False, shell_complete=api.complete_service
)


@click.command()
@target_options
@output.as_json_option
def status(given: Given, as_json: bool) -> int:
    """Show at a glance how everything is."""
    body = Api.at(given).get("/v1/status", instances=False)
    if as_json:
        output.print_json(body)
        return OK
    click.echo(f"{_role(body)}, as framework {body['framework_id'] or '(none yet)'}")
    config = body["config"]
    click.echo(f"configuration {config['sha256'][:12]}, applied {output.age(config['applied_at'])} ago")
    for problem in _problems(body):
        click.secho(problem, fg="red")
    click.echo()
    _print_services(body)
    waiting = [(one["name"], sentence) for one in body["services"] for sentence in one["waiting"]]
    if waiting:
        click.echo("\nWhat waits, and why:")
    for name, sentence in waiting:
        click.echo(f"  {name}: {sentence}")
    return OK


@click.command()
@target_options
@output.as_json_option
def services(given: Given, as_json: bool) -> int:
    """List the services."""
    api = Api.at(given)
    if as_json:
        output.print_json(api.get("/v1/services"))
    else:
        _print_services(api.get("/v1/status", instances=False))
    return OK


@click.command()
@_MAYBE_SERVICE
@target_options
@output.as_json_option
def instances(name: str | None, given: Given, as_json: bool) -> int:
    """List the instances of SERVICE, or of all."""
    path = "/v1/instances" if name is None else f"/v1/services/{name}/instances"
    body = Api.at(given).get(path)
    if as_json:
        output.print_json(body)
        return OK
    output.print_table(
        ["INSTANCE", "STATE", "SINCE", "SLAVE", "ADDRESS", "HOST PORTS", "IMAGE"],
        (
            [
                one["task_id"],
                _state(one),
                output.age(one["since"]),
                one["hostname"] or one["agent_id"],
                one["address"] or "-",
                ",".join(map(str, one["ports"])) or "-",
                one["image"] or "-",
            ]
            for one in body["instances"]
        ),
        "no instances",
    )
    return OK


@click.command()
@target_options
@output.as_json_option
def agents(given: Given, as_json: bool) -> int:
    """List the slaves that the scheduler knows."""
    body = Api.at(given).get("/v1/agents")
    if as_json:
        output.print_json(body)
        return OK
    output.print_table(
        ["SLAVE", "INSTANCES", "ZONE", "ATTRIBUTES", "NOTE", "ID"],
        (
            [
                one["hostname"],
                one["instances"],
                "/".join(filter(None, (one["region"], one["zone"]))) or "-",
                " ".join(f"{key}={value}" for key, value in one["attributes"].items()) or "-",
                "maintenance" if one["in_maintenance"] else one["avoided"] or "-",
                one["id"],
            ]
            for one in body["agents"]
        ),
        "no slaves known yet",
    )
    return OK


@click.command()
@_MAYBE_SERVICE
@target_options
@output.as_json_option
def explain(name: str | None, given: Given, as_json: bool) -> int:
    """Say why what is missing of SERVICE, or of all, is missing."""
    found = Api.at(given)
    body = found.get("/v1/explain" if name is None else f"/v1/explain/{name}")
    if as_json:
        output.print_json(body)
        return OK
    for one in [body] if name is not None else body["services"].values():
        click.echo(f"{one['name']}: {one['running']} of {one['wanted']} run{_staging(one)}")
        for reason in one["reasons"]:
            click.echo(f"  - {reason['text']}")
            for lack, count in reason["agents"].items():
                click.echo(f"      {count} slave{'' if count == 1 else 's'}: {lack}")
    return OK


def _role(body: Message) -> str:
    if body["leads"]:
        return f"connected to {body['master']}" if body["connected"] else "NOT CONNECTED to a Mesos master"
    leader = body["leader"]
    read = f"read {output.age(body['at'])} ago" if body["at"] else "nothing was read yet"
    if leader is None:
        return f"follows, and knows of none that leads, {read}"
    place = f" ({leader['url']})" if leader["url"] else ""
    return f"follows {leader['host']}{place}, which leads, {read}"


def _problems(body: Message) -> list[str]:
    config, problems = body["config"], []
    if body["problem"]:
        what = "nothing is started or stopped" if body["leads"] else "could not lead now"
        problems.append(f"{what}: {body['problem']}")
    if config["error"]:
        problems.append(f"the configuration file is refused, the old one stays: {config['error']}")
    if config["restart_needed"]:
        problems.append(f"needs a restart of the scheduler: {', '.join(config['restart_needed'])}")
    return problems


def _print_services(status: Message) -> None:
    output.print_table(
        ["SERVICE", "WANTED", "RUNNING", "IN SERVICE", "STATE", "UPDATE", "IMAGE"],
        (
            [
                one["name"],
                _wanted(one),
                f"{one['running']}{_staging(one)}",
                one["in_service"],
                output.state_text(one, status["connected"]),
                _update(one),
                output.what_runs(one),
            ]
            for one in status["services"]
        ),
        "the configuration names no service",
    )


def _wanted(service: Message) -> str:
    if service["mode"] == "global":
        return f"{service['wanted']} (one on each slave)"
    if service["scaled_since"] is None:
        return str(service["wanted"])
    return f"{service['wanted']} (configured: {service['configured']})"


def _staging(service: Message) -> str:
    return f", {service['staging']} starting" if service["staging"] else ""


def _update(service: Message) -> str:
    update = service["update"]
    if update is None or update["state"] == "complete":
        return "-"
    return f"{update['state']} ({update['ready']} of {service['wanted']} ready)"


def _state(instance: Message) -> Text:
    text = instance["state"].removeprefix("TASK_").lower()
    if instance["stopping"]:
        return Text(f"{text}, stopping", "yellow")
    if instance["healthy"] is not None:
        text += ", healthy" if instance["healthy"] else ", unhealthy"
    return Text(text, "green" if instance["in_service"] else "yellow")
