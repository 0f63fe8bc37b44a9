"""Ansible module: what a systemd service runs with, and whether all that belongs to it is as it should be."""

from __future__ import annotations

import fnmatch
import grp
import hashlib
import os
import pwd
import re
import stat
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: running_service
short_description: Tells whether a systemd service runs what is installed and configured
description:
  - Changes nothing. It asks the process itself, not what an earlier task has changed, so that it also
    finds a restart that an earlier play did not get to, and upgrades that somebody else has made.
  - A service is outdated when its process was started with another configuration, when its unit was
    changed since, or when a program or library that it uses was replaced on the disk.
options:
  name:
    description: The unit's name, with its ending.
    type: str
    required: true
  configuration:
    description:
      - What the process must have in its environment as C(CONFIGURATION_SHA256), which its unit sets.
      - Without it the configuration is not compared.
    type: str
  files:
    description: What each of its files and folders must be, by path, as the filter C(fingerprints) says.
    type: dict
    default: {}
  present:
    description: Files and folders that must be there, whatever they hold.
    type: list
    elements: path
    default: []
  only:
    description: The names that alone may be in a folder, by its path.
    type: dict
    default: {}
  packages:
    description: The packages that must be installed, as apt takes them; C(NAME=VERSION) wants that version.
    type: list
    elements: str
    default: []
  users:
    description: The users that there must be.
    type: list
    elements: str
    default: []
  read_at_start:
    description: Files that it reads when it starts, and whose content only the host knows.
    type: list
    elements: path
    default: []
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Ask whether the master must be restarted
  mesos_docker.cluster.running_service:
    name: mesos-master.service
    configuration: "{{ text_of_the_unit_and_its_files | hash('sha256') }}"
  register: master
"""

RETURN = r"""
present:
  description: Whether there is such a unit.
  type: bool
  returned: always
enabled:
  description: Whether it starts at boot.
  type: bool
  returned: always
running:
  description: Whether it runs.
  type: bool
  returned: always
arguments:
  description: The command line of its process.
  type: list
  elements: str
  returned: always
differing:
  description:
    - What is not as it should be, of O(files), O(present), O(only), O(packages) and O(users).
    - Paths as they are, a package as C(the package NAME), a user as C(the user NAME).
  type: list
  elements: str
  returned: always
outdated:
  description: Why it must be restarted, a sentence each; empty when it need not, or does not run.
  type: list
  elements: str
  returned: always
"""

PROC = Path("/proc")
CONFIGURATION = "CONFIGURATION_SHA256"
# Where programs and libraries live; a deleted file elsewhere is the service's own business.
_REPLACED = re.compile(r"(?<![^\s])(/(?:usr|opt|lib|lib64|bin|sbin)/.*) \(deleted\)$")


def unit_properties(name: str) -> dict[str, str]:
    """Ask systemd for the unit; its properties by name."""
    wanted = "LoadState,ActiveState,UnitFileState,MainPID,NeedDaemonReload"
    shown = subprocess.run(
        ["systemctl", "show", f"--property={wanted}", name],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)


def process_environment(process: Path) -> dict[str, str]:
    """Return the environment that the process was started with."""
    entries = (process / "environ").read_bytes().decode(errors="replace").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def replaced_files(process: Path) -> list[str]:
    """Return the programs and libraries in use by the process that are no longer on the disk."""
    uses = (process / "maps").read_text(errors="replace").splitlines()
    for link in [process / "exe", *(process / "fd").iterdir()]:
        try:
            uses.append(str(link.readlink()))
        except OSError:  # closed meanwhile
            continue
    return sorted({match[1] for use in uses if (match := _REPLACED.search(use))})


def start_time(process: Path) -> float:
    """Return when the process was started, in seconds of the epoch (proc(5): stat and uptime)."""
    # The name, in parentheses, may hold anything.
    ticks = int((process / "stat").read_text(errors="replace").rpartition(")")[2].split()[19])
    uptime = float((PROC / "uptime").read_text().split()[0])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def reasons(
    process: Path, properties: dict[str, str], configuration: str | None, read_at_start: list[str]
) -> list[str]:
    """Return why the process is not what would be started now, a sentence each."""
    started = start_time(process)
    found = [
        f"{path} has changed"
        for path in map(Path, read_at_start)
        if path.exists() and path.stat().st_mtime > started
    ]
    if configuration is not None and process_environment(process).get(CONFIGURATION) != configuration:
        found.append("its configuration has changed")
    if properties.get("NeedDaemonReload") == "yes":
        found.append("its unit has changed")
    replaced = replaced_files(process)
    if replaced:
        more = f" and {len(replaced) - 1} more" if len(replaced) > 1 else ""
        found.append(f"{replaced[0]}{more} has been replaced")
    return found


def fingerprint(path: Path) -> str:
    """Return what is at a path, in the words of the filter `fingerprints`; a link is what it leads to."""
    try:
        status = path.stat()
    except OSError:
        return "absent"
    rights = f"{owner_name(status.st_uid)} {group_name(status.st_gid)} {stat.S_IMODE(status.st_mode):04o}"
    if stat.S_ISDIR(status.st_mode):
        return f"directory {rights}"
    return f"file {rights} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def owner_name(number: int) -> str:
    """Return a user's name, or the number of one that has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    """Return a group's name, or the number of one that has none."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def differs(path: Path, expected: str) -> bool:
    """Tell whether something else is at a path than `fingerprints` expects there."""
    kind, _, target = expected.partition(" ")
    if kind == "link":
        return not path.is_symlink() or str(path.readlink()) != target
    if kind == "absent":
        return os.path.lexists(path)
    return fingerprint(path) != expected


def superfluous(folder: Path, names: Sequence[str]) -> list[str]:
    """Return the paths in a folder that have none of the names."""
    if not folder.is_dir():
        return []
    return sorted(str(path) for path in folder.iterdir() if path.name not in names)


def missing_packages(packages: Sequence[str]) -> list[str]:
    """Return the packages that are not installed, or in another version.

    What else apt takes is understood: NAME:ARCHITECTURE, NAME/RELEASE, names that another package provides.
    """
    if not packages:
        return []
    form = "${db:Status-Status}\t${Package}\t${Version}\t${Provides}\n"
    shown = subprocess.run(
        ["dpkg-query", "--show", f"--showformat={form}"], stdout=subprocess.PIPE, check=True, text=True
    )
    versions: dict[str, str] = {}
    provided: set[str] = set()
    for line in shown.stdout.splitlines():
        status, name, version, provides = line.split("\t")
        if status == "installed":
            versions[name] = version
            provided.update(re.findall(r"(?:^|, )([^\s:,]+)", provides))
    return [package for package in packages if not _satisfied(package, versions, provided)]


def _satisfied(package: str, versions: Mapping[str, str], provided: set[str]) -> bool:
    name, _, version = package.partition("=")
    name = re.split("[:/<>]", name, maxsplit=1)[0]
    if name not in versions:
        return name in provided
    return not version or ">" in package or fnmatch.fnmatchcase(versions[name], version)


def missing_users(users: Sequence[str]) -> list[str]:
    """Return the users that there are not."""
    missing = []
    for user in users:
        try:
            pwd.getpwnam(user)  # one of a directory is known by its name, and not listed
        except KeyError:
            missing.append(user)
    return missing


def differences(given: Mapping[str, Any]) -> list[str]:
    """Return what is not as it should be, of the module's arguments."""
    return [
        *(path for path, expected in given["files"].items() if differs(Path(path), expected)),
        *(path for path in given["present"] if not os.path.lexists(path)),
        *(path for folder, names in given["only"].items() for path in superfluous(Path(folder), names)),
        *(f"the package {package}" for package in missing_packages(given["packages"])),
        *(f"the user {user}" for user in missing_users(given["users"])),
    ]


def inspect(given: Mapping[str, Any]) -> dict[str, object]:
    """Return the module's result for its arguments."""
    properties = unit_properties(given["name"])
    process = PROC / properties.get("MainPID", "0")
    running = properties.get("MainPID", "0") != "0" and process.exists()
    due = reasons(process, properties, given["configuration"], given["read_at_start"]) if running else []
    return {
        "present": properties.get("LoadState") == "loaded",
        "enabled": properties.get("UnitFileState") == "enabled",
        "running": running,
        "arguments": (process / "cmdline").read_text(errors="replace").split("\0")[:-1] if running else [],
        "differing": differences(given),
        "outdated": due,
    }


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "configuration": {"type": "str"},
            "files": {"type": "dict", "default": {}},
            "present": {"type": "list", "elements": "path", "default": []},
            "only": {"type": "dict", "default": {}},
            "packages": {"type": "list", "elements": "str", "default": []},
            "users": {"type": "list", "elements": "str", "default": []},
            "read_at_start": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        result = inspect(given)
    except (OSError, subprocess.SubprocessError) as error:
        module.fail_json(msg=f"{given['name']} can't be inspected: {error}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
