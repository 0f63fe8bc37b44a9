"""The scheduler itself, and what is done while it does not run."""

from __future__ import annotations

from pathlib import Path

import click

from mesos_docker_scheduler import config, watcher
from mesos_docker_scheduler.adopt import adopt as go_on_as
from mesos_docker_scheduler.copy_state import copy_state as copy
from mesos_docker_scheduler.exits import EXIT_CONFIG, OK, SchedulerError
from mesos_docker_scheduler.move_state import move_state as move
from mesos_docker_scheduler.observability import journal
from mesos_docker_scheduler.process import Source
from mesos_docker_scheduler.serve import serve
from mesos_docker_scheduler.teardown import teardown as end

_FILE = click.Path(path_type=Path)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_config = click.option("--config", "path", type=_FILE, required=True, metavar="FILE")


@click.command()
@_config
def run(path: Path) -> int:
    """Keep services running as FILE says."""
    written = watcher.written_at(path)
    loaded, sha256 = _load(path)
    journal.set_up(loaded.log_level)
    try:
        left = serve(Source(loaded, sha256, path, written), journal.log_event)
    except SchedulerError as failure:
        journal.logger.error("%s", journal.line("ended", status=str(failure.status), text=str(failure)))
        return failure.status
    running = sum(service.running for service in left.services)
    journal.logger.info("%s", journal.line("stopped", text=f"{running} instances are left running"))
    return OK


@click.command()
@_config
@click.option("--yes", is_flag=True, help="Really do it.")
def teardown(path: Path, yes: bool) -> int:
    """End the framework and kill all its tasks."""
    journal.set_up("warning")
    return end(_load(path)[0], yes)


@click.command()
@_config
@click.option("--framework", metavar="ID", help="Go on as this one and take over its tasks.")
@click.option("--new", is_flag=True, help="There is none: register a new one.")
def adopt(path: Path, framework: str | None, new: bool) -> int:
    """Say which framework is ours, if the state is lost."""
    if (framework is None) is not new:
        raise click.UsageError("one of --framework ID and --new must be given, and not both")
    return go_on_as(_load(path)[0], framework)


@click.command()
@_config
@click.option(
    "--to",
    type=click.Choice(["zookeeper", "folder"]),
    required=True,
    help="Into ZooKeeper as shared_state says, or into the folder state_dir.",
)
def move_state(path: Path, to: str) -> int:
    """Move the state into ZooKeeper for several schedulers, or back for one alone."""
    journal.set_up("warning")
    return move(_load(path)[0], to_folder=to == "folder")


@click.command()
@_config
@click.option("--to", "folder", type=_FOLDER, required=True, metavar="FOLDER", help="An empty one.")
def copy_state(path: Path, folder: Path) -> int:
    """Copy the state that schedulers share into FOLDER, for a backup."""
    journal.set_up("warning")
    return copy(_load(path)[0], folder)


def _load(path: Path) -> tuple[config.Config, str]:
    """Read a file; services whose secrets can't be read must not keep the others from being looked after."""
    try:
        return config.load(path, without_secrets=True)
    except config.ConfigError as error:
        raise SchedulerError(EXIT_CONFIG, "\n".join(error.problems)) from error
