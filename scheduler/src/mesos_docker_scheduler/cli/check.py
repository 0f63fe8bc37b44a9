"""Checks a configuration, in every run of a playbook: what it can do without is not imported."""

from __future__ import annotations

from pathlib import Path

import click

from mesos_docker_scheduler import config
from mesos_docker_scheduler.exits import OK, REFUSED


@click.command("check-config")
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--without-secrets", is_flag=True, help="The files of secrets are not on this host.")
def check_config(path: Path, without_secrets: bool) -> int:
    """Say what is wrong with FILE, a line for each mistake."""
    try:
        loaded, _ = config.load(path, without_secrets=without_secrets)
    except config.ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        return REFUSED
    count = len(loaded.services)
    click.echo(f"{path}: good, with {count} service{'' if count == 1 else 's'}")
    return OK
