"""Filters that look at several hosts at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_MISTAKES = re.compile(r"__\w+_mistakes")


def mistakes(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return every mistake that the preflights noted, each once, with the hosts that have it."""
    found: dict[str, list[str]] = {}
    for host in hosts:
        for name in hostvars[host]:
            if _MISTAKES.fullmatch(name):
                for message in hostvars[host][name]:
                    found.setdefault(message.strip(), []).append(host)
    return [f"{message} ({', '.join(where)})" for message, where in found.items()]


def newest_scheduler(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the host whose scheduler has owned the framework last, of those that leave with their state.

    Empty for none: those whose state is in ZooKeeper leave with nothing.
    A move that has failed leaves two hosts with a scheduler: what leave.yml of the role has noted tells.
    """

    def age(host: str) -> tuple[int, int]:
        state = hostvars[host].get("__scheduler_leaving_state", {})
        return state.get("term", 0), state.get("events", 0)

    leaving = [
        host for host in hosts if hostvars[host].get("__scheduler_leaving_state", {}).get("framework_id")
    ]
    return max(leaving, key=age, default="")


def scheduler_turns(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the hosts in the order in which their schedulers are changed.

    First those that have the state on their disks (`__scheduler_has_state`): they move it to where the others
    look for it. Last the one that leads (`__scheduler_leads`), so that there is one fail-over, to one that
    was changed already.
    """
    return sorted(
        hosts,
        key=lambda host: (
            not hostvars[host].get("__scheduler_has_state"),
            bool(hostvars[host].get("__scheduler_leads")),
        ),
    )


def replace_mistakes(groups: Mapping[str, Sequence[str]], old: str, new: str) -> list[str]:
    """Return why the inventory does not say that a master is replaced, a sentence each.

    groups: the inventory's. old, new: hosts, as the operator names them.
    """
    masters, zookeepers = groups.get("mesos_masters", []), groups.get("zookeepers", [])
    found = [
        f"{name} is empty; it must name a host."
        for name, host in (("old_master", old), ("new_master", new))
        if not host
    ]
    if found:
        return found
    if old == new:
        found.append(f"old_master and new_master are both {old}.")
    if new not in masters:
        found.append(
            f"new_master is {new}, which is not in the group mesos_masters ({', '.join(masters)}):"
            " put it there."
        )
    for group, members in (("mesos_masters", masters), ("zookeepers", zookeepers)):
        if old in members:
            found.append(
                f"old_master is {old}, which still is in the group {group}: put {new} in its place, and"
                f" {old} into the group retired, or nowhere when it is lost for good."
            )
    return found


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "mistakes": mistakes,
            "newest_scheduler": newest_scheduler,
            "replace_mistakes": replace_mistakes,
            "scheduler_turns": scheduler_turns,
        }
