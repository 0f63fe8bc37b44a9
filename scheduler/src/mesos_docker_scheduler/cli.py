"""The command line."""

from __future__ import annotations

import argparse
import json
import os
import queue
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mesos_docker_scheduler import __version__, config, console, events, journal
from mesos_docker_scheduler.serve import (
    EXIT_CONFIG,
    EXIT_REFUSED,
    EXIT_STORE,
    SchedulerError,
    Source,
    make_driver,
    serve,
)
from mesos_docker_scheduler.store import SqliteStore, StoreError

_PROGRAM = "mesos-docker-scheduler"
_COMMANDS = ("run", "check-config", "teardown")
_TEARDOWN_SECONDS = 30.0

_EPILOG = f"""other commands:
  {_PROGRAM} run --config FILE             keep services running as FILE says
  {_PROGRAM} check-config FILE             say what is wrong with FILE
  {_PROGRAM} teardown --config FILE --yes  end the framework and kill all its tasks
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and words[0] in _COMMANDS:
            return _command(words)
        return _tutorial(words)
    except SchedulerError as failure:
        print(f"{_PROGRAM}: {failure}", file=sys.stderr)
        return failure.status


def _command(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=_PROGRAM)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="keep services running as a configuration file says")
    run.add_argument("--config", type=Path, required=True, metavar="FILE")
    check = commands.add_parser("check-config", help="say what is wrong with a configuration file")
    check.add_argument("file", type=Path, metavar="FILE")
    teardown = commands.add_parser("teardown", help="end the framework and kill all its tasks")
    teardown.add_argument("--config", type=Path, required=True, metavar="FILE")
    teardown.add_argument("--yes", action="store_true", help="really do it")
    options = parser.parse_args(words)
    if options.command == "check-config":
        return _check(options.file)
    if options.command == "teardown":
        return _teardown(options.config, options.yes)
    return _run(options.config)


def _run(path: Path) -> int:
    loaded, sha256 = _load(path)
    journal.set_up(loaded.log_level)
    try:
        serve(Source(loaded, sha256, path), journal.log_event)
    except SchedulerError as failure:
        journal.logger.error("%s", journal.line("ended", status=str(failure.status), text=str(failure)))
        return failure.status
    return 0


def _check(path: Path) -> int:
    try:
        loaded, _ = config.load(path)
    except config.ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 1
    count = len(loaded.services)
    print(f"{path}: good, with {count} service{'' if count == 1 else 's'}")
    return 0


def _load(path: Path) -> tuple[config.Config, str]:
    try:
        return config.load(path)
    except config.ConfigError as error:
        raise SchedulerError(EXIT_CONFIG, "\n".join(error.problems)) from error


def _tutorial(words: list[str]) -> int:
    options = _tutorial_options(words)
    name = options.name or _name_from(options.image)
    state_dir = options.state_dir or _default_state_dir(options.master, name)
    wish = {
        "master": options.master,
        "framework": {"name": f"{_PROGRAM}-{name}"},
        "http": {"port": options.http_port} if options.http_port else None,
        "state_dir": str(state_dir.absolute()),
        "services": [
            {
                "name": name,
                "image": options.image,
                "count": options.count,
                "cpus": options.cpus,
                "mem": options.mem,
            }
        ],
    }
    text = json.dumps(wish, indent=2)
    try:
        parsed = config.parse(text)
    except config.ConfigError as error:
        raise SchedulerError(
            EXIT_CONFIG, "\n".join(map(_in_words_of_the_command_line, error.problems))
        ) from error
    path = state_dir / "config.json"
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        path.touch(mode=0o600)  # the master's address may hold a password
        path.write_text(text)
    except OSError as error:
        raise SchedulerError(
            EXIT_STORE, f"--state-dir: {state_dir}: can't be used: {error.strerror}"
        ) from error
    journal.set_up("warning")
    left = serve(Source(parsed, config.load(path)[1]), console.print_event)
    console.farewell(
        left,
        again=shlex.join([_PROGRAM, *words]),
        teardown=shlex.join([_PROGRAM, "teardown", "--config", str(path), "--yes"]),
        outlive_seconds=parsed.framework.failover_timeout_seconds,
    )
    return 0


def _tutorial_options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Keep COUNT containers of IMAGE running on Mesos, in the foreground.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{_PROGRAM} {__version__}")
    parser.add_argument(
        "master",
        metavar="MASTER",
        help="host:port[,host:port...], http(s)://host:port or zk://host:port,.../path",
    )
    parser.add_argument("image", metavar="IMAGE", help="a Docker image that the slaves can pull")
    parser.add_argument("count", metavar="COUNT", type=int, help="how many containers to keep running")
    parser.add_argument("--name", help="the service's name (default: from IMAGE)")
    parser.add_argument("--cpus", type=float, default=0.1, help="processors for each (default: %(default)s)")
    parser.add_argument("--mem", type=float, default=64, help="MiB of memory for each (default: %(default)s)")
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="where to remember the framework (default: one per MASTER and name)",
    )
    parser.add_argument(
        "--http-port",
        type=int,
        default=0,
        metavar="PORT",
        help="serve the status page there (default: don't)",
    )
    return parser.parse_args(words)


def _name_from(image: str) -> str:
    """`registry:5000/demo/web:1` → `web`."""
    last = re.split(r"[:@]", image.rsplit("/", 1)[-1])[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", last).strip("-")[:63] or "app"


def _default_state_dir(master: str, name: str) -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    without_credentials = re.sub(r"//[^@/]*@", "//", master)
    key = re.sub(r"[^A-Za-z0-9.]+", "-", without_credentials).strip("-")
    return Path(base) / _PROGRAM / f"{key}-{name}"


def _in_words_of_the_command_line(problem: str) -> str:
    words = {
        "master": "MASTER",
        "services[0].image": "IMAGE",
        "services[0].count": "COUNT",
        "services[0].": "--",
        "http.port": "--http-port",
    }
    for field, word in words.items():
        if problem.startswith(field):
            return word + problem[len(field) :]
    return problem


def _teardown(path: Path, confirmed: bool) -> int:
    loaded, _ = _load(path)
    journal.set_up("warning")
    try:
        store = SqliteStore(Path(loaded.state_dir))
    except StoreError as error:
        raise SchedulerError(EXIT_STORE, f"{error}; stop the scheduler first") from error
    remembered = store.load()
    alive = [task for task in remembered.tasks.values() if not task.state.ended]
    if remembered.framework_id is None:
        print(f"{loaded.state_dir}: no framework was ever registered from here: nothing to end")
        store.discard()
        return 0
    if not confirmed:
        print(
            f"This would end framework {remembered.framework_id} and kill its {len(alive)} tasks: add --yes"
        )
        store.close()
        return 2
    inbox: queue.SimpleQueue[events.AnyEvent] = queue.SimpleQueue()
    driver = make_driver(loaded, remembered.framework_id, inbox.put)
    driver.start()
    try:
        _await_subscription(inbox)
        driver.teardown(confirm=True)
        driver.join()
    finally:
        driver.stop()
    store.discard()
    print(f"Framework {remembered.framework_id} has ended, and with it {len(alive)} tasks.")
    return 0


def _await_subscription(inbox: queue.SimpleQueue[events.AnyEvent]) -> None:
    while True:
        try:
            event = inbox.get(timeout=_TEARDOWN_SECONDS)
        except queue.Empty:
            raise SchedulerError(
                EXIT_REFUSED, f"no master has answered within {_TEARDOWN_SECONDS:g} s"
            ) from None
        if isinstance(event, events.Subscribed):
            return
        if isinstance(event, events.FrameworkError):
            raise SchedulerError(EXIT_REFUSED, f"Mesos refuses the framework: {event.message}")
