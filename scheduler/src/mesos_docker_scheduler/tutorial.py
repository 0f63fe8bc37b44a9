"""`mesos-docker-scheduler MASTER IMAGE COUNT`: one service in the foreground, for a person who looks on."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from mesos_docker_scheduler import config, console, journal
from mesos_docker_scheduler.serve import EXIT_CONFIG, EXIT_STORE, SchedulerError, Source, serve

_PROGRAM = "mesos-docker-scheduler"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what may be given."""
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


def run(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Keep the containers running until Ctrl-C; `words` is the command line, to say how to go on."""
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
