"""The command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mesos_docker_scheduler import __version__, config, journal, tutorial
from mesos_docker_scheduler.adopt import adopt
from mesos_docker_scheduler.serve import EXIT_CONFIG, SchedulerError, Source, serve
from mesos_docker_scheduler.teardown import teardown

_PROGRAM = "mesos-docker-scheduler"
_COMMANDS = ("run", "check-config", "teardown", "adopt")

_EPILOG = f"""other commands:
  {_PROGRAM} run --config FILE             keep services running as FILE says
  {_PROGRAM} check-config FILE             say what is wrong with FILE
  {_PROGRAM} teardown --config FILE --yes  end the framework and kill all its tasks
  {_PROGRAM} adopt --config FILE ...       say which framework is ours, if the state is lost
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and words[0] in _COMMANDS:
            return _command(words)
        return tutorial.run(_tutorial_options(words), words)
    except SchedulerError as failure:
        print(f"{_PROGRAM}: {failure}", file=sys.stderr)
        return failure.status


def _tutorial_options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Keep COUNT containers of IMAGE running on Mesos, in the foreground.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{_PROGRAM} {__version__}")
    tutorial.add_arguments(parser)
    return parser.parse_args(words)


def _command(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=_PROGRAM)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="keep services running as a configuration file says")
    run.add_argument("--config", type=Path, required=True, metavar="FILE")
    check = commands.add_parser("check-config", help="say what is wrong with a configuration file")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument(
        "--without-secrets", action="store_true", help="the files of secrets are not on this host"
    )
    end = commands.add_parser("teardown", help="end the framework and kill all its tasks")
    end.add_argument("--config", type=Path, required=True, metavar="FILE")
    end.add_argument("--yes", action="store_true", help="really do it")
    take = commands.add_parser("adopt", help="say which framework is ours when the state was lost")
    take.add_argument("--config", type=Path, required=True, metavar="FILE")
    which = take.add_mutually_exclusive_group(required=True)
    which.add_argument("--framework", metavar="ID", help="go on as this one and take over its tasks")
    which.add_argument("--new", action="store_true", help="there is none: register a new one")
    options = parser.parse_args(words)
    if options.command == "adopt":
        return adopt(_load(options.config)[0], options.framework)
    if options.command == "check-config":
        return _check(options.file, options.without_secrets)
    if options.command == "teardown":
        journal.set_up("warning")
        return teardown(_load(options.config)[0], options.yes)
    return _run(options.config)


def _run(path: Path) -> int:
    loaded, sha256 = _load(path)
    journal.set_up(loaded.log_level)
    try:
        left = serve(Source(loaded, sha256, path), journal.log_event)
    except SchedulerError as failure:
        journal.logger.error("%s", journal.line("ended", status=str(failure.status), text=str(failure)))
        return failure.status
    running = sum(service.running for service in left.services)
    journal.logger.info("%s", journal.line("stopped", text=f"{running} instances are left running"))
    return 0


def _check(path: Path, without_secrets: bool) -> int:
    try:
        loaded, _ = config.load(path, without_secrets=without_secrets)
    except config.ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 1
    count = len(loaded.services)
    print(f"{path}: good, with {count} service{'' if count == 1 else 's'}")
    return 0


def _load(path: Path) -> tuple[config.Config, str]:
    """Read a file; services whose secrets can't be read must not keep the others from being looked after."""
    try:
        return config.load(path, without_secrets=True)
    except config.ConfigError as error:
        raise SchedulerError(EXIT_CONFIG, "\n".join(error.problems)) from error
