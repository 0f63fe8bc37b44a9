#!/usr/bin/python
"""Ansible module: what apt would change to bring some of a host's packages to their newest version."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from fnmatch import fnmatchcase
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: package_updates
short_description: Tells what an upgrade of some packages would change
description:
  - Changes nothing. It lets apt simulate the upgrade, with the package lists that the host has.
  - Packages that are not installed are left out, and so are those that an operator holds back.
options:
  packages:
    description: Packages as apt takes them, NAME or NAME=VERSION for one that must have this version.
    type: list
    elements: str
    required: true
  companions:
    description:
      - Names of packages that belong to them, with C(*) for anything, of those that they depend on. Only such
        dependencies are upgraded as well.
    type: list
    elements: str
    default: []
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Ask what an upgrade of Docker Engine would change
  mesos_docker.cluster.package_updates:
    packages: [docker.io]
    companions: [containerd, runc]
  register: docker
"""

RETURN = r"""
updates:
  description: What would change, as C(package), C(from) (empty when it is new) and C(to).
  type: list
  elements: dict
  returned: success
automatic:
  description: Those of them that nobody has asked for by name.
  type: list
  elements: str
  returned: success
held:
  description: Packages that are held back.
  type: list
  elements: str
  returned: success
"""

_FORMAT = "${db:Status-Status}\t${Package}\t${Pre-Depends}, ${Depends}\n"
_INSTALL = re.compile(r"^Inst (\S+)(?: \[([^\]]+)\])? \((\S+) ", re.MULTILINE)
_REMOVE = re.compile(r"^Remv (\S+)", re.MULTILINE)

Run = Callable[[list[str]], tuple[int, str, str]]


class RefusedError(Exception):
    """It can't be done; the message says why."""


def package_name(package: str) -> str:
    """Return the name in NAME[:ARCHITECTURE][=VERSION] and NAME/RELEASE."""
    return re.split("[:=/]", package)[0]


def dependency_names(text: str) -> set[str]:
    """Return the names in a field Depends, whatever versions and alternatives it has."""
    return set(re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]*)", text))


def installed(run: Run, names: Iterable[str]) -> dict[str, set[str]]:
    """Return the names that are installed, each with the names of what it depends on."""
    wanted = sorted(names)
    if not wanted:
        return {}
    _, output, _ = run(["dpkg-query", "--show", f"--showformat={_FORMAT}", *wanted])
    fields = (line.split("\t") for line in output.splitlines())
    return {name: dependency_names(depends) for status, name, depends in fields if status == "installed"}


def with_companions(run: Run, packages: Iterable[str], companions: Collection[str]) -> list[str]:
    """Return those of the packages that are installed, and the companions that they bring along."""
    given = {package_name(package): package for package in packages}
    found: dict[str, str] = {}
    names = set(given)
    while names:
        present = installed(run, names)
        found |= {name: given.get(name, name) for name in present}
        names = {
            name
            for depends in present.values()
            for name in depends
            if name not in found and any(fnmatchcase(name, pattern) for pattern in companions)
        }
    return [found[name] for name in sorted(found)]


def simulated(output: str) -> tuple[list[dict[str, str]], list[str]]:
    """Return from the output of `apt-get --simulate` what would be installed, and what would be removed."""
    updates = [
        {"package": name, "from": before, "to": after} for name, before, after in _INSTALL.findall(output)
    ]
    return updates, _REMOVE.findall(output)


def updates(run: Run, packages: list[str], companions: list[str]) -> dict[str, Any]:
    """Return the module's result."""
    held = run(["apt-mark", "showhold"])[1].split()
    wanted = with_companions(run, packages, companions)
    free = [package for package in wanted if package_name(package) not in held]
    result: dict[str, Any] = {
        "updates": [],
        "automatic": [],
        "held": sorted(set(held) & set(map(package_name, wanted))),
    }
    if not free:
        return result
    code, output, errors = run(
        [
            "apt-get",
            "--simulate",
            "--no-install-recommends",
            "--allow-downgrades",
            "--option=Debug::NoLocking=true",
            "install",
            *free,
        ]
    )
    if code != 0:
        reasons = [line[3:] for line in errors.splitlines() if line.startswith("E: ")]
        raise RefusedError(f"apt can't upgrade {', '.join(free)}: {' '.join(reasons) or errors.strip()}")
    result["updates"], removals = simulated(output)
    if removals:
        raise RefusedError(
            f"To upgrade {', '.join(free)}, apt would remove {', '.join(removals)}. Remove what is not needed"
            " yourself, or hold the package back with apt-mark hold."
        )
    changed = [update["package"] for update in result["updates"] if update["from"]]
    result["automatic"] = run(["apt-mark", "showauto", *changed])[1].split() if changed else []
    return result


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "required": True},
            "companions": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )

    def run(command: list[str]) -> tuple[int, str, str]:
        code, output, errors = module.run_command(command, environ_update={"LC_ALL": "C"}, check_rc=False)
        return code, output, errors

    try:
        result = updates(run, module.params["packages"], module.params["companions"])
    except RefusedError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
