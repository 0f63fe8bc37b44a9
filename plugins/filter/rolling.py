"""Ansible filters: what may be stopped, in which order, and what an upgrade would change.

For playbooks that go from host to host: restart.yml, reboot.yml, upgrade.yml.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

HostVars = Mapping[str, Mapping[str, Any]]
Update = Mapping[str, str]

_UPDATES = re.compile(r"__\w+_updates")
_HEADINGS = ("HOST", "PACKAGE", "FROM", "TO")


def named_units(named: str | Iterable[str]) -> list[str]:
    """Return the units that an operator has named: a list, or a text with commas."""
    words = re.split(r"[,\s]+", named) if isinstance(named, str) else named
    return [str(word).removesuffix(".service") for word in words if word]


def missing_majority(voters: Mapping[str, bool], own: str, quorum: int = 0) -> str:
    """Return why one voter may not be stopped, as a part of a sentence; empty when it may.

    voters: whether each takes part, by address.
    own: the one that would stop. One that is alone has no others to leave without a majority.
    quorum: how many must take part; 0 for more than half of them.
    """
    others = {address: well for address, well in voters.items() if address != own}
    needed = quorum or len(voters) // 2 + 1
    taking_part = sum(others.values())
    if own not in voters or not others or taking_part >= needed:
        return ""
    missing = ", ".join(sorted(address for address, well in others.items() if not well))
    return (
        f"without it {taking_part} of {len(voters)} would take part, and {needed} are needed. "
        f"Bring back {missing or 'more of them'} first."
    )


def leaders_last(hosts: Iterable[str], hostvars: HostVars) -> list[str]:
    """Return the hosts in the order in which they may be stopped: each fail-over happens once, at the end.

    `__mesos_master_leads`, `__zookeeper_leads` and `__scheduler_leads` tell who leads. A master's fail-over
    takes longest.
    """
    return sorted(
        hosts,
        key=lambda host: (
            bool(hostvars[host].get("__mesos_master_leads")),
            bool(hostvars[host].get("__zookeeper_leads")),
            bool(hostvars[host].get("__scheduler_leads")),
        ),
    )


def lost_containers(before: Iterable[str], after: Iterable[str]) -> list[str]:
    """Return the names of containers that were stopped or started again meanwhile.

    before: the running containers, each `ID STARTED NAME`.
    after: the same, and of those that have ended meanwhile, `ID STATUS`. One of status 0 had done its work.
    """
    words = [line.split() for line in after]
    still = {(id_, started) for id_, started, *name in words if name}
    done = {word[0] for word in words if word[1:] == ["0"]}
    return [
        name
        for id_, started, name in (line.split() for line in before)
        if (id_, started) not in still and id_ not in done
    ]


def planned_updates(hosts: Iterable[str], hostvars: HostVars) -> list[tuple[str, str, str, str]]:
    """Return what would be upgraded: host, package, and its versions of before and after.

    The roles note it as `__NAME_updates`, a list of `package`, `from` (empty: it is new) and `to`.
    """
    return [
        (host, update["package"], update["from"] or "-", update["to"])
        for host in hosts
        for name in sorted(hostvars[host])
        if _UPDATES.fullmatch(name)
        for update in hostvars[host][name]
    ]


def with_updates(hosts: Iterable[str], hostvars: HostVars, name: str) -> list[str]:
    """Return the hosts that have any updates under this name."""
    return [host for host in hosts if hostvars[host].get(name)]


def held_packages(hosts: Iterable[str], hostvars: HostVars) -> list[str]:
    """Return the packages that are held back, each with its host, as the module package_updates says."""
    return [
        f"{package} on {host}"
        for host in hosts
        for name in ("__docker_upgrade", "__zookeeper_upgrade")
        for package in hostvars[host].get(name, {}).get("held", [])
    ]


def pinned_package(update: Update) -> str:
    """Return the package with its new version, as apt takes it."""
    return f"{update['package']}={update['to']}"


def updates_table(rows: Iterable[tuple[str, str, str, str]]) -> list[str]:
    """Return the lines of a table with headings."""
    lines = [_HEADINGS, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        functions = (
            named_units,
            missing_majority,
            leaders_last,
            lost_containers,
            planned_updates,
            with_updates,
            held_packages,
            pinned_package,
            updates_table,
        )
        return {function.__name__: function for function in functions}
