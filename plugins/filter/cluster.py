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


def newest_scheduler(
    hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], seen: str = "__scheduler_leaving_state"
) -> str:
    """Return the host whose scheduler has owned the framework last, of those that have its state.

    Empty for none: the state of those that share it is in ZooKeeper. A move that has failed leaves two hosts
    with a state, and so does a host that was down meanwhile. seen: the variable that has what the module
    scheduler_state says of each; by default, what leave.yml of the role has noted.
    """

    def age(host: str) -> tuple[int, int]:
        state = hostvars[host][seen]
        return state["term"], state["events"]

    having = [host for host in hosts if hostvars[host].get(seen, {}).get("framework_id")]
    return max(having, key=age, default="")


def left_behind(
    hosts: Iterable[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    schedulers: Iterable[str],
    shared: bool,
    zookeeper: str,
    switched: bool,
    lost: bool,
) -> list[str]:
    """Return why schedulers would go on without their state, a sentence each.

    hosts: those of this run that are schedulers, or that the scheduler leaves. `__scheduler_has_state` says
    whether a host has the state on its disk, `__scheduler_was_at` at which path in ZooKeeper it has it, or
    nothing. schedulers: the group. shared: whether they will share it; zookeeper: where. switched: whether
    the cluster is secured or opened in this run. lost: the operator says that there is no state any more.
    """
    hosts, schedulers = list(hosts), list(schedulers)
    sharing = {host: str(hostvars[host].get("__scheduler_was_at") or "") for host in hosts}
    paths = sorted(set(filter(None, sharing.values())))
    absent = [host for host in schedulers if host not in hosts]
    path = "/" + zookeeper.removeprefix("zk://").partition("/")[2]
    if shared and paths and paths != [path]:
        return [
            f"The schedulers' state is at {paths[0]} in ZooKeeper, and scheduler_zookeeper says {path}: it"
            " does not move from one path to another. To have it moved, bring it to the disk first, with one"
            " host in the group schedulers."
        ]
    if not shared and paths and not any(sharing[host] for host in schedulers if host in hosts):
        return [
            f"The schedulers' state is in ZooKeeper, and {', '.join(schedulers)} does not know where. Set"
            " scheduler_shared_state: true, so that it stays there, and to false in another run, if you like."
        ]
    if switched and bool(paths) is not shared and (paths or _with_state(hosts, hostvars)):
        return [
            "A cluster is secured or opened with as many schedulers as it has, or with one: change the group"
            " schedulers in another run."
        ]
    if shared and not paths and absent and not _with_state(hosts, hostvars) and not lost:
        return [
            f"{', '.join(absent)} can't be reached, or --limit leaves it out, and may have the scheduler's"
            " state. If it has none, or is lost for good: -e scheduler_state_lost=true."
        ]
    return []


def _with_state(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [host for host in hosts if hostvars[host].get("__scheduler_has_state")]


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
            "left_behind": left_behind,
            "mistakes": mistakes,
            "newest_scheduler": newest_scheduler,
            "replace_mistakes": replace_mistakes,
            "scheduler_turns": scheduler_turns,
        }
