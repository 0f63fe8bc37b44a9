"""Ansible module: what a systemd service runs with, and whether that is still what it should run with."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from pathlib import Path

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
    description: The SHA-256 that each of its files must have, by path.
    type: dict
    default: {}
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
  description: Those of O(files) that are missing or have another content.
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


def differs(path: Path, sha256: str) -> bool:
    """Tell whether the file is missing or has another content."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() != sha256
    except OSError:
        return True


def inspect(
    name: str, configuration: str | None, files: dict[str, str], read_at_start: list[str]
) -> dict[str, object]:
    """Return the module's result."""
    properties = unit_properties(name)
    process = PROC / properties.get("MainPID", "0")
    running = properties.get("MainPID", "0") != "0" and process.exists()
    return {
        "present": properties.get("LoadState") == "loaded",
        "enabled": properties.get("UnitFileState") == "enabled",
        "running": running,
        "arguments": (process / "cmdline").read_text(errors="replace").split("\0")[:-1] if running else [],
        "differing": [path for path, sha256 in files.items() if differs(Path(path), sha256)],
        "outdated": reasons(process, properties, configuration, read_at_start) if running else [],
    }


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "configuration": {"type": "str"},
            "files": {"type": "dict", "default": {}},
            "read_at_start": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        result = inspect(given["name"], given["configuration"], given["files"], given["read_at_start"])
    except (OSError, subprocess.SubprocessError) as error:
        module.fail_json(msg=f"{given['name']} can't be inspected: {error}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
