#!/usr/bin/python
"""Ansible module: remember which packages a role brings to a host, and take them away again."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: brought_packages
short_description: Notes what is about to be installed, and removes what was
description:
  - Asked before packages are installed, it notes those that the host does not have, and what it has.
  - Later it removes those, and the dependencies that came with them and that nothing needs any more. What the
    host had before stays in any case, as does everything where nothing was noted.
options:
  note:
    description: The file of the note.
    type: path
    required: true
  packages:
    description: The packages that are to be installed.
    type: list
    elements: str
    default: []
  state:
    description: V(noted) or V(removed).
    type: str
    choices: [noted, removed]
    default: noted
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Note what the host does not have
  mesos_docker.cluster.brought_packages:
    note: /var/lib/installed-by-ansible/zookeeper
    packages: [libzookeeper-java, default-jre-headless]

- name: Remove it
  mesos_docker.cluster.brought_packages:
    note: /var/lib/installed-by-ansible/zookeeper
    state: removed
"""

RETURN = r"""
packages:
  description: What was noted now, or is removed.
  type: list
  elements: str
  returned: success
missing:
  description: Those of O(packages) that apt has to look at, for they are not installed or have a version.
  type: list
  elements: str
  returned: success
"""

APT_GET = ["apt-get", "--quiet", "--yes", "--option=DPkg::Lock::Timeout=300"]
_REMOVAL = re.compile(r"^(?:Remv|Purg) (\S+)", re.MULTILINE)

Note = dict[str, list[str]]


def read_note(path: Path) -> Note:
    """Return the packages that were brought, and those that the host had before."""
    if not path.exists():
        return {"brought": [], "before": []}
    note: Note = json.loads(path.read_text(encoding="utf-8"))
    return note


def updated_note(note: Note, packages: Iterable[str], installed: set[str]) -> Note:
    """Return the note with the packages that are about to be installed."""
    missing = sorted(set(packages) - installed - {*note["brought"]})
    if not missing:
        return note
    return {
        "brought": sorted([*note["brought"], *missing]),
        # Once something was brought, what is there may have come with it.
        "before": note["before"] if note["brought"] else sorted(installed),
    }


def orphans(simulation: str, before: Iterable[str]) -> list[str]:
    """Return what `apt-get --simulate autoremove` would remove and was not there before."""
    return sorted({*_REMOVAL.findall(simulation)} - {*before})


def removable(packages: Iterable[str], removals: Callable[[list[str]], set[str]]) -> list[str]:
    """Return the packages that can be removed without others that need them.

    removals: what apt would remove when it is told to remove these.
    """
    left = sorted(packages)
    while left and removals(left) - {*left}:
        alone = [package for package in left if not removals([package]) - {*left}]
        if alone == left:
            return []  # only together are they too many
        left = alone
    return left


def installed_packages() -> set[str]:
    """Return the names of all installed packages."""
    shown = _run(["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n"])
    return {
        name
        for name, _, status in (line.partition(" ") for line in shown.splitlines())
        if status == "installed"
    }


def _run(command: list[str]) -> str:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def _removals(packages: list[str]) -> set[str]:
    return {*_REMOVAL.findall(_run([*APT_GET, "--simulate", "purge", *packages]))}


def _removed(path: Path, check_mode: bool) -> tuple[list[str], list[str]]:
    """Remove what was brought. Returns what was removed, and what stays because others need it by now."""
    note = read_note(path)
    brought = sorted(installed_packages() & {*note["brought"]})
    packages = removable(brought, _removals)
    kept = sorted({*brought} - {*packages})
    if check_mode:
        return packages, kept
    if packages:
        _run([*APT_GET, "purge", *packages])
        while more := orphans(_run([*APT_GET, "--simulate", "autoremove"]), note["before"]):
            _run([*APT_GET, "purge", *more])
            packages += more
    path.unlink(missing_ok=True)
    return packages, kept


def wanting(packages: Iterable[str], installed: set[str]) -> list[str]:
    """Return what apt has to look at: what is not installed, and what is wanted in a version."""
    return [package for package in packages if "=" in package or package not in installed]


def _noted(path: Path, packages: Iterable[str], installed: set[str], check_mode: bool) -> list[str]:
    note = read_note(path)
    new = updated_note(note, [package.split("=")[0] for package in packages], installed)
    if new != note and not check_mode:
        path.parent.mkdir(mode=0o755, exist_ok=True)
        partial = path.with_suffix(".new")
        partial.write_text(json.dumps(new) + "\n", encoding="utf-8")
        partial.replace(path)
    return sorted({*new["brought"]} - {*note["brought"]})


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "note": {"type": "path", "required": True},
            "packages": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["noted", "removed"], "default": "noted"},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = module.params
    note = Path(given["note"])
    there = note.exists()
    try:
        if given["state"] == "removed":
            missing: list[str] = []
            packages, kept = _removed(note, module.check_mode)
            if kept:
                module.warn(
                    f"{', '.join(kept)}: brought by this role, and kept, because others need it by now."
                )
        else:
            installed = installed_packages()
            missing = wanting(given["packages"], installed)
            packages = _noted(note, given["packages"], installed, module.check_mode)
    except subprocess.CalledProcessError as error:
        module.fail_json(msg=f"{' '.join(error.cmd)}: {error.stderr.strip()}")
    changed = bool(packages) or (given["state"] == "removed" and there)
    module.exit_json(changed=changed, packages=packages, missing=missing)


if __name__ == "__main__":
    main()
