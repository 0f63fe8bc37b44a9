"""Checks a configuration, in every run of a playbook: what it can do without is not imported."""

from __future__ import annotations

from pathlib import Path

import click

from mesos_docker_scheduler import config
from mesos_docker_scheduler.cli.options import Given, target_options
from mesos_docker_scheduler.exits import OK, REFUSED


@click.command("check-config")
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--without-secrets", is_flag=True, help="The files of secrets are not on this host.")
@click.option("--against", is_flag=True, help="Say what it would change of what the running scheduler runs.")
@click.option(
    "--reset", is_flag=True, help="... if what operators have changed is taken back, as by site.yml."
)
@target_options
def check_config(
    path: Path,
    without_secrets: bool,
    against: bool,
    reset: bool,
    given: Given,
) -> int:
    """Say what is wrong with FILE, a line for each mistake."""
    try:
        loaded, _ = config.load(path, without_secrets=without_secrets)
    except config.ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        return REFUSED
    count = len(loaded.services)
    click.echo(f"{path}: good, with {count} service{'' if count == 1 else 's'}")
    if against:
        for line in _changes(loaded, reset, given):
            click.echo(line)
        if any(service.lacks_secrets for service in loaded.services):
            click.echo("The values of secrets are not compared.")
    return OK


def _changes(loaded: config.Config, reset: bool, given: Given) -> list[str]:
    from mesos_docker_scheduler.cli.api import Api  # noqa: PLC0415
    from mesos_docker_scheduler.cli.comparison import changes  # noqa: PLC0415

    running = Api.at(given).get("/v1/definitions")["definitions"]
    return changes(loaded, running, reset=reset) or ["Nothing that runs would change."]
