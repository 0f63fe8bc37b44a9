#!/usr/bin/python
"""Ansible module: what Docker Engine a host has, its settings, and which of them the running one has read.

It changes nothing, so that a preflight and check mode can ask it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: docker_engine_info
short_description: Look at a host's Docker Engine
description:
  - Changes nothing. It tells which Docker Engine the host has, where it came from, its settings, and which of
    them the running engine has read.
  - The role C(docker) decides by it what to install, and whether the engine must reload or restart.
options:
  packages:
    description: Packages that bring the engine when the role installs it, as apt takes them.
    type: list
    elements: str
    required: true
  record:
    description: File in which the role keeps what it has set.
    type: path
    required: true
  note:
    description: File below C(/run) in which the role keeps what the running engine has read.
    type: path
    required: true
  proxy:
    description: File with the engine's proxy variables.
    type: path
    required: true
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Look at the host's Docker Engine
  mesos_docker.cluster.docker_engine_info:
    packages: [docker.io]
    record: /etc/docker/set-by-ansible.json
    note: /run/docker-read-by-engine.json
    proxy: /etc/docker/proxy.env
  register: engine
  become: true
"""

RETURN = r"""
dockerd: {type: str, returned: always, description: Path of the engine's program. Empty when there is none.}
package:
  description: Package that the program came from. Empty when it came from none.
  type: str
  returned: always
foreign:
  description: Whether there is an engine that none of O(packages) brought.
  type: bool
  returned: always
unit: {type: bool, returned: always, description: Whether systemd knows C(docker.service).}
missing:
  description: Those of O(packages) that are not installed.
  type: list
  elements: str
  returned: always
removals:
  description: Packages that apt would remove to install the missing ones.
  type: list
  elements: str
  returned: always
process:
  description: The running engine, as process id and start. Empty when it does not run.
  type: str
  returned: always
kill_mode: {type: str, returned: always, description: C(KillMode) of C(docker.service).}
outdated:
  description: Whether the engine runs program code that an upgrade has replaced.
  type: bool
  returned: always
containerd_outdated:
  description: The same of containerd, if its restart spares containers.
  type: bool
  returned: always
flags:
  description: Settings of C(daemon.json) that the engine gets on its command line.
  type: list
  elements: str
  returned: always
config: {type: str, returned: always, description: Path of the engine's C(daemon.json).}
mode: {type: str, returned: always, description: Its mode in octal digits. Empty when there is no such file.}
sha256: {type: str, returned: always, description: Its checksum. Empty when there is no such file.}
options: {type: dict, returned: always, description: Its settings.}
problem:
  description: What is wrong with it, or with O(record). Empty when nothing is.
  type: str
  returned: always
proxy_sha256:
  description: Checksum of the file with proxy variables. Empty when there is none.
  type: str
  returned: always
record: {type: dict, returned: always, description: What the role has set.}
applied:
  description: RV(options) and RV(proxy_sha256) that the engine has read, null when that is unknown.
  type: dict
  returned: always
now: {type: float, returned: always, description: Time on the host in seconds of the epoch.}
"""

UNIT = "docker.service"
CONFIG = "/etc/docker/daemon.json"
PROGRAM_FOLDERS = (
    "/usr/sbin",
    "/usr/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/opt/bin",
    "/snap/docker/current/bin",
)
SHORT_FLAGS = {
    "D": "debug",
    "G": "group",
    "H": "hosts",
    "b": "bridge",
    "l": "log-level",
    "p": "pidfile",
    "s": "storage-driver",
}
# Flags whose setting is not their name, nor their name with an s.
IRREGULAR_FLAGS = {"add-runtime": "runtimes", "insecure-registry": "insecure-registries"}

Run = Callable[[list[str]], tuple[int, str]]


def parsed_options(text: str, path: str) -> tuple[dict[str, Any], str]:
    """Return the settings in a daemon.json, and what is wrong with it in a sentence, or an empty text.

    dockerd takes an empty file for one without settings.
    """
    if not text.strip():
        return {}, ""
    try:
        options = json.loads(text)
    except ValueError as error:
        where = (
            f"line {error.lineno}, column {error.colno}: {error.msg}"
            if isinstance(error, json.JSONDecodeError)
            else str(error)
        )
        return {}, f"{path} is no valid JSON; {where}."
    if not isinstance(options, dict):
        return {}, f"{path} must be a JSON object, {{...}}, but it is {type(options).__name__}."
    return options, ""


def flag_settings(arguments: Iterable[str]) -> list[str]:
    """Return the settings of daemon.json that the command line may hold: dockerd refuses to be told twice.

    Most flags that may be repeated stand in the plural there, so both forms are returned.
    """
    found: set[str] = set()
    for argument in arguments:
        if match := re.match(r"--([a-z][a-z0-9-]*)", argument):
            found |= {match[1], IRREGULAR_FLAGS.get(match[1], f"{match[1]}s")}
        elif match := re.match(r"-([A-Za-z])", argument):
            found.add(SHORT_FLAGS.get(match[1], match[1]))
    return sorted(found)


def config_file(arguments: list[str]) -> str:
    """Return the path of the configuration that the command line names, or the usual one."""
    for number, argument in enumerate(arguments):
        if argument.startswith("--config-file="):
            return argument.partition("=")[2]
        if argument == "--config-file" and number + 1 < len(arguments):
            return arguments[number + 1]
    return CONFIG


def package_names(packages: Iterable[str]) -> list[str]:
    """Return the names in NAME[:ARCHITECTURE][=VERSION] and NAME/RELEASE."""
    return [re.split("[:=/]", package)[0] for package in packages]


def removals(simulation: str) -> list[str]:
    """Return the packages that would be removed, from what `apt-get --simulate` writes."""
    return re.findall(r"^Remv (\S+)", simulation, re.MULTILINE)


def replaced_code(maps: str) -> bool:
    """Tell whether a process runs code from files that are gone, from its /proc/PID/maps.

    Memory that never was a file (memfd, System V, /dev) is shown as deleted, too.
    """
    code = re.compile(r"^\S+ ..x. \S+ \S+ [1-9]\d* +(/(?!memfd:|SYSV|dev/).*) \(deleted\)$", re.MULTILINE)
    return bool(code.search(maps))


def text_of(path: str | Path) -> str:
    """Return a file's text, or an empty one when it can't be read."""
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace")
    return ""


def checksum(path: str) -> str:
    """Return the file's sha256 in hexadecimal digits, or an empty text when there is no such file."""
    with contextlib.suppress(FileNotFoundError):
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return ""


def changed_since(path: str, moment: float) -> bool:
    """Tell whether the file was changed, or put in its place, after that second of the epoch."""
    with contextlib.suppress(FileNotFoundError):
        return Path(path).stat().st_ctime > moment
    return False


class Process:
    """A running process; all fields are empty for process id 0."""

    def __init__(self, pid: int) -> None:
        folder = Path("/proc", str(pid))
        self.program, self.arguments, self.identity, self.outdated, self.started = "", [], "", False, 0.0
        with contextlib.suppress(OSError):
            target = str((folder / "exe").readlink())
            # Behind the name in brackets, which may hold anything, the start is field 20, in ticks: proc(5).
            ticks = int((folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
            self.arguments = [
                part.decode(errors="replace")
                for part in (folder / "cmdline").read_bytes().split(b"\0")
                if part
            ]
            self.program = target.removesuffix(" (deleted)")
            self.outdated = target.endswith(" (deleted)") or replaced_code(text_of(folder / "maps"))
            self.started = (
                time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
            )
            self.identity = f"{pid} {ticks}"


class Engine:
    """The host's Docker Engine, asked through `run`, which returns a program's exit status and output."""

    def __init__(self, run: Run) -> None:
        self.run = run
        shown = self._shown(UNIT, "LoadState", "MainPID", "KillMode", "ExecStart")
        self.unit = shown["LoadState"] == "loaded"
        self.kill_mode = shown["KillMode"]
        start = re.search(r"path=(\S+) ; argv\[\]=(.*?) ;", shown["ExecStart"])
        self.process = Process(int(shown["MainPID"] or 0))
        self.program = self.process.program or (start[1] if start and Path(start[1]).exists() else "")
        self.arguments = self.process.arguments or (shlex.split(start[2]) if start else [])
        if not self.program:
            by_hand = Process(int(text_of("/run/docker.pid").strip() or 0)).program
            paths = [by_hand, *(f"{folder}/dockerd" for folder in PROGRAM_FOLDERS)]
            self.program = next((path for path in paths if path and Path(path).exists()), "")

    def package(self) -> str:
        """Return the package that the program came from, or an empty text."""
        # /usr/bin and /bin are one folder, and the package may say either.
        forms = [self.program, self.program.removeprefix("/usr"), str(Path(self.program).resolve())]
        for path in dict.fromkeys(form for form in forms if form.startswith("/")):
            code, output = self.run(["dpkg-query", "--search", path])
            if code == 0:
                return re.split("[:,]", output)[0]
        return ""

    def missing(self, packages: list[str]) -> list[str]:
        """Return those that are not installed; what is no mere name (NAME=VERSION, NAME*) is apt's to say."""
        listing = self.run(
            [
                "dpkg-query",
                "--show",
                "--showformat=${db:Status-Status} ${Package}\n",
                *package_names(packages),
            ]
        )[1]
        installed = {line.partition(" ")[2] for line in listing.splitlines() if line.startswith("installed ")}
        return [package for package in packages if package not in installed]

    def removals(self, packages: list[str]) -> list[str]:
        """Return what apt would remove to install them; nothing when its lists do not know them (yet)."""
        command = [
            "apt-get",
            "--simulate",
            "--no-install-recommends",
            "--option=Debug::NoLocking=true",
            "install",
        ]
        return removals(self.run([*command, *packages])[1]) if packages else []

    def containerd_outdated(self) -> bool:
        """Tell whether containerd runs replaced code, and its unit spares the containers when it stops."""
        shown = self._shown("containerd.service", "MainPID", "KillMode")
        return shown["KillMode"] == "process" and Process(int(shown["MainPID"] or 0)).outdated

    def _shown(self, unit: str, *properties: str) -> dict[str, str]:
        """Return what systemd says of the unit; what it does not know is empty."""
        output = self.run(["systemctl", "show", f"--property={','.join(properties)}", unit])[1]
        lines = (line.partition("=") for line in output.splitlines())
        return dict.fromkeys(properties, "") | {name: value for name, _, value in lines}


def applied(
    process: Process, note: dict[str, Any], current: dict[str, Any], files: Iterable[str]
) -> dict[str, Any] | None:
    """Return what the running engine has read, or None when nobody knows.

    That is what was noted of this very process, or what stands in the files now when they are older than it.
    """
    if not process.identity:
        return None
    if note.get("process") == process.identity:
        noted: dict[str, Any] = note["applied"]
        return noted
    return None if any(changed_since(path, process.started) for path in files) else current


def main() -> None:
    """Answer Ansible."""
    path = {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "required": True},
            "record": path,
            "note": path,
            "proxy": path,
        },
        supports_check_mode=True,
    )

    def run(command: list[str]) -> tuple[int, str]:
        code, output, _ = module.run_command(command, environ_update={"LC_ALL": "C"}, check_rc=False)
        return code, output

    engine = Engine(run)
    package = engine.package()
    foreign = bool(engine.program) and package not in package_names(module.params["packages"])
    missing = engine.missing(module.params["packages"])
    config = config_file(engine.arguments)
    options, problem = parsed_options(text_of(config), config)
    record, record_problem = parsed_options(text_of(module.params["record"]), module.params["record"])
    current = {"options": options, "proxy_sha256": checksum(module.params["proxy"])}
    note = parsed_options(text_of(module.params["note"]), module.params["note"])[0]
    sha256 = checksum(config)
    module.exit_json(
        changed=False,
        dockerd=engine.program,
        package=package,
        foreign=foreign,
        unit=engine.unit,
        missing=missing,
        removals=[] if foreign else engine.removals(missing),
        process=engine.process.identity,
        kill_mode=engine.kill_mode,
        outdated=engine.process.outdated,
        containerd_outdated=engine.containerd_outdated(),
        flags=flag_settings(engine.arguments[1:]),
        config=config,
        mode=f"{stat.S_IMODE(Path(config).stat().st_mode):04o}" if sha256 else "",
        sha256=sha256,
        **current,
        problem=problem or record_problem,
        record=record,
        applied=applied(engine.process, note, current, [config, module.params["proxy"]]),
        now=time.time(),
    )


if __name__ == "__main__":
    main()
