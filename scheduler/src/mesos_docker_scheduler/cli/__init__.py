"""The command line: the scheduler itself, and everything that can be asked of a running one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from mesos_docker_scheduler import __version__
from mesos_docker_scheduler.exits import PROGRAM, ExitError

# Where each command is: what is not called need not be imported.
_COMMANDS = {
    "start": "tutorial",
    "run": "daemon",
    "check-config": "check",
    "teardown": "daemon",
    "adopt": "daemon",
    "move-state": "daemon",
    "copy-state": "daemon",
    "status": "show",
    "services": "show",
    "instances": "show",
    "agents": "show",
    "explain": "show",
    "events": "events",
    "logs": "logs",
    "exec": "exec",
    "attach": "exec",
    "scale": "change",
    "restart": "change",
    "rollback": "change",
    "pause": "change",
    "resume": "change",
    "reset": "change",
    "reset-backoff": "change",
    "kill": "change",
    "step-down": "change",
    "wait": "wait",
    "tokens": "tokens",
    "completion": "completion",
}

# What Python has another meaning for.
_NAMES = {"exec": "execute"}

_HELP = f"""Keep containers running on Mesos, and see and change what runs.

  {PROGRAM} MASTER IMAGE COUNT   keep COUNT containers of IMAGE running, in the foreground

On the scheduler's host the commands find it, and its token, by themselves.
"""


class _Commands(click.Group):
    """Loads commands when they are called; words that begin with no command are the tutorial's."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"mesos_docker_scheduler.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, _NAMES.get(cmd_name, cmd_name.replace("-", "_")))
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = args and (args[0] in _COMMANDS or args[0] in ("--help", "--version"))
        return super().parse_args(ctx, args if own or not args else ["start", *args])


@click.group(cls=_Commands, help=_HELP, context_settings={"help_option_names": ["--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def commands() -> None:
    """Stand for all commands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status (see `exits`)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = commands.main(words, prog_name=PROGRAM, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ExitError as failure:
        click.echo(f"{PROGRAM}: {failure}", err=True)
        return failure.status
    except click.Abort:
        return 130
    return int(status or 0)
