"""`mesos-docker-scheduler MASTER IMAGE COUNT`: one service in the foreground, for a person who looks on."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import click
from click.core import ParameterSource

from mesos_docker_scheduler import config
from mesos_docker_scheduler.cli import console
from mesos_docker_scheduler.exits import EXIT_CONFIG, EXIT_STORE, PROGRAM, SchedulerError
from mesos_docker_scheduler.observability import journal
from mesos_docker_scheduler.process import Source
from mesos_docker_scheduler.serve import serve

_PATH = click.Path(path_type=Path, resolve_path=True)


# A number below 0 is no option: the configuration's schema says what is wrong with it.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("master", metavar="MASTER")
@click.argument("image", metavar="IMAGE")
@click.argument("count", type=int, metavar="COUNT")
@click.option("--name", help="The service's name.  [default: from IMAGE]")
@click.option("--cpus", type=float, default=0.1, show_default=True, help="Processors for each.")
@click.option("--mem", type=float, default=64, show_default=True, help="MiB of memory for each.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to remember the framework.  [default: one per MASTER and name]",
)
@click.option("--http-port", type=int, metavar="PORT", help="Serve the status page there.  [default: don't]")
@click.option("--principal", help="Name in the credential, for a master that demands one.")
@click.option("--secret-file", type=_PATH, metavar="FILE", help="File with its password.")
@click.option("--ca-file", type=_PATH, metavar="FILE", help="Whom to trust, for a master that speaks TLS.")
@click.option("--cert-file", type=_PATH, metavar="FILE", help="What to show it.")
@click.option("--key-file", type=_PATH, metavar="FILE", help="The key to that.")
@click.pass_context
def start(
    context: click.Context,
    master: str,
    image: str,
    count: int,
    name: str | None,
    cpus: float,
    mem: float,
    state_dir: Path | None,
    http_port: int | None,
    principal: str | None,
    secret_file: Path | None,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
) -> int:
    """Keep COUNT containers of IMAGE running, in the foreground until Ctrl-C.

    MASTER is host:port[,host:port...], http(s)://host:port or zk://host:port,.../path; the word "start" may
    be left out.
    """
    given = _given(context)
    name = name or _name_from(image)
    state_dir = state_dir or _default_state_dir(master, name)
    wish: dict[str, object] = {
        "master": master,
        "framework": {
            "name": f"{PROGRAM}-{name}",
            "principal": principal,
            **_paths(secret_file=secret_file),
        },
        "http": {"port": http_port} if http_port is not None else None,
        "state_dir": str(state_dir.absolute()),
        "services": [{"name": name, "image": image, "count": count, "cpus": cpus, "mem": mem}],
    }
    if tls := _paths(ca_file=ca_file, cert_file=cert_file, key_file=key_file):
        wish["tls"] = tls  # who says nothing of it speaks plain text
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
        again=shlex.join([PROGRAM, master, image, str(count), *given]),
        teardown=shlex.join([PROGRAM, "teardown", "--config", str(path), "--yes"]),
        outlive_seconds=parsed.framework.failover_timeout_seconds,
    )
    return 0


def _paths(**given: Path | None) -> dict[str, str]:
    return {name: str(path) for name, path in given.items() if path is not None}


def _given(context: click.Context) -> list[str]:
    """The options of the command line, to say how to go on."""
    given = []
    for parameter in context.command.params:
        name = parameter.name or ""
        from_line = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if isinstance(parameter, click.Option) and from_line:
            given += [parameter.opts[0], str(context.params[name])]
    return given


def _name_from(image: str) -> str:
    """`registry:5000/demo/web:1` → `web`."""
    last = re.split(r"[:@]", image.rsplit("/", 1)[-1])[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", last).strip("-")[:63] or "app"


def _default_state_dir(master: str, name: str) -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    without_credentials = re.sub(r"//[^@/]*@", "//", master)
    key = re.sub(r"[^A-Za-z0-9.]+", "-", without_credentials).strip("-")
    return Path(base) / PROGRAM / f"{key}-{name}"


def _in_words_of_the_command_line(problem: str) -> str:
    words = {
        "master": "MASTER",
        "services[0].image": "IMAGE",
        "services[0].count": "COUNT",
        "services[0].": "--",
        "http.port": "--http-port",
        "framework.principal": "--principal",
        "framework.secret_file": "--secret-file",
        "tls.ca_file": "--ca-file",
        "tls.cert_file": "--cert-file",
        "tls.key_file": "--key-file",
    }
    for field, word in words.items():
        if problem.startswith(field):
            return word + problem[len(field) :]
    return problem
