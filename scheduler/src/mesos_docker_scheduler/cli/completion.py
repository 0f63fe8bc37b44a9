"""Lets the shell complete commands, options and the names of services."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from mesos_docker_scheduler.exits import OK, PROGRAM


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print what SHELL needs: eval "$(mesos-docker-scheduler completion bash)"."""
    made_for = get_completion_class(shell)
    if made_for is None:
        raise click.UsageError(f"{shell} is not known")
    variable = f"_{PROGRAM.replace('-', '_').upper()}_COMPLETE"
    root = click.get_current_context().find_root().command
    click.echo(made_for(root, {}, PROGRAM, variable).source())
    return OK
