"""The tokens that let others in: whose there are, and what each may do."""

from __future__ import annotations

import click

from mesos_docker_scheduler.cli import output
from mesos_docker_scheduler.cli.api import Api
from mesos_docker_scheduler.cli.options import Given, target_options
from mesos_docker_scheduler.exits import OK

_NAME = click.argument("name", metavar="NAME")


@click.group()
def tokens() -> None:
    """Make, list and revoke tokens. It needs one with the role admin.

    read: see everything. operate: change what runs, too. admin: tokens, too.
    """


@tokens.command("list")
@target_options
@output.as_json_option
def list_tokens(given: Given, as_json: bool) -> int:
    """List the tokens, without themselves."""
    body = Api.at(given).get("/v1/tokens")
    if as_json:
        output.print_json(body)
        return OK
    rows = (
        [one["name"], one["role"], output.moment(one["since"]) if one["since"] else "-", one["by"]]
        for one in body["tokens"]
    )
    output.print_table(["NAME", "ROLE", "SINCE", "BY"], rows, "no tokens")
    return OK


@tokens.command()
@_NAME
@click.option("--role", type=click.Choice(["read", "operate", "admin"]), required=True)
@target_options
@output.as_json_option
def create(name: str, role: str, given: Given, as_json: bool) -> int:
    """Make a token and print it. Nobody can find out later what it is."""
    body = Api.at(given).post(f"/v1/tokens/{name}/create", {"role": role})
    if as_json:
        output.print_json(body)
    else:
        click.echo(body["token"])
    return OK


@tokens.command()
@_NAME
@target_options
@output.as_json_option
def revoke(name: str, given: Given, as_json: bool) -> int:
    """Let nobody in with this token any more."""
    body = Api.at(given).post(f"/v1/tokens/{name}/revoke")
    if as_json:
        output.print_json(body)
    else:
        click.echo(f"{name} lets nobody in any more")
    return OK
