"""Ansible filters: which backups are kept, whether one can be restored, and whether hosts may be given back.

Each is a pure function over plain data; the sentences that they return are for operators.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

_COMPLETE = re.compile(r"\d{8}T\d{6}Z")
# One that was broken off; it never gets its name.
_PARTIAL = re.compile(r"\.(\d{8}T\d{6}Z)")

_GROUPS = ("zookeepers", "mesos_masters", "mesos_slaves", "schedulers")
STATE = "scheduler/state.sqlite"


def backups_to_remove(names: Iterable[str], keep: int, today: str) -> list[str]:
    """Return the backups beyond the latest `keep`, and those that were broken off before today.

    names: of the folders that there are; those that are no backups don't count.
    today: as in the names, such as 20250102.
    """
    there = list(names)
    complete = sorted(name for name in there if _COMPLETE.fullmatch(name))
    broken_off = [name for name in there if (match := _PARTIAL.fullmatch(name)) and match[1] < today]
    return [*complete[: max(0, len(complete) - keep)], *sorted(broken_off)]


def backup_content(
    groups: Mapping[str, Sequence[str]], hostvars: Mapping[str, Mapping[str, Any]], leader: str, created: str
) -> dict[str, Any]:
    """Return what the manifest says besides the files, of what the roles have remembered of their hosts."""
    of_leader = hostvars[leader]
    of_masters = {host: hostvars[host].get("__mesos_master_self") for host in groups["mesos_masters"]}
    content = {
        "created": created,
        "versions": {"mesos": of_leader["__mesos_master_version"]["stdout"].split()[-1]},
        "groups": {name: list(groups.get(name, [])) for name in _GROUPS},
        # Those that could be reached.
        "masters": {
            host: {"address": master["address"], "port": master["port"]}
            for host, master in of_masters.items()
            if master
        },
        "leader": leader,
        "agents": of_leader["__mesos_master_log_copy"]["agents"],
    }
    for host in groups.get("schedulers", []):
        of_scheduler = hostvars[host]
        if "__scheduler_state_copy" not in of_scheduler:
            continue  # one of them has copied what they share
        content["versions"]["scheduler"] = of_scheduler["__scheduler_version"]["stdout"].split()[-1]
        state = of_scheduler["__scheduler_state_copy"]
        content["scheduler"] = {key: state[key] for key in ("framework_id", "schema")}
    return content


def backup_summary(manifest: Mapping[str, Any], folder: str) -> list[str]:
    """Say what a backup holds, in a few lines."""
    agents, leader = manifest["agents"], manifest["leader"]
    lines = [
        f"The backup: {folder}",
        f"The registry of {len(agents)} agents, of {leader}: {', '.join(sorted(agents.values()))}",
    ]
    if "scheduler" in manifest:
        lines.append(
            f"The scheduler's state, of framework {manifest['scheduler']['framework_id'] or '(none yet)'}"
        )
    return lines


def foreign_nodes(nodes: Iterable[str], own: Iterable[str]) -> list[str]:
    """Return the nodes below ZooKeeper's root that are neither its own nor have any of our own below them."""
    return sorted(
        {f"/{node}" for node in nodes if node} - {"/zookeeper", *(f"/{path.split('/')[1]}" for path in own)}
    )


def restore_plan(
    backup: Mapping[str, Any],
    masters: Mapping[str, Mapping[str, Any]],
    schedulers: Mapping[str, str],
    quorum: int,
    answering: Sequence[str],
    mesos_version: str,
    schema: int,
) -> dict[str, Any]:
    """Return `mistakes`, why nothing can be restored, and `begun`, whether an earlier run has placed the log.

    backup: what the module backup_manifest says.
    masters: what the module mesos_master_state says, by host.
    schedulers: the SHA-256 of each scheduler's state, by host; empty where there is none.
    quorum: how many masters are to be a majority.
    answering: where a mesos-master answers, of the backup's masters and of the inventory's.
    mesos_version: what is to be installed; empty where the hosts bring their own.
    schema: the newest schema of a state that the scheduler to be installed can read; 0 when unknown.
    """
    manifest = backup["manifest"]
    if backup["mistakes"]:
        return {"mistakes": list(backup["mistakes"]), "begun": False}
    if answering:
        return {
            "mistakes": [
                f"A mesos-master answers at {', '.join(answering)}; a restore is for when all are lost."
                " If this is what an earlier run has restored, go on with site.yml."
                " If it is to be given up, stop every mesos-master of it, and run this again."
            ],
            "begun": False,
        }
    begun = any(master["seed"] == quorum for master in masters.values())
    mistakes = _too_new(manifest, mesos_version, schema)
    with_log = [host for host, master in masters.items() if master["has_log"]]
    if with_log and not begun:
        mistakes.append(
            f"{', '.join(with_log)} has a replicated log of its own; a restore is for hosts that have none."
            " If it is worth nothing, playbooks/reset.yml removes it."
            " If it is the cluster's, site.yml starts with it."
        )
    if STATE in manifest["files"]:
        if not schedulers:
            mistakes.append("The backup holds a scheduler's state, and the group schedulers is empty.")
        mistakes += [
            f"{host} has a scheduler's state of its own; a restore is for hosts that have none."
            " If it is worth nothing, playbooks/reset.yml removes it."
            for host, sha256 in schedulers.items()
            if sha256 not in ("", manifest["files"][STATE])
        ]
    return {"mistakes": mistakes, "begun": begun}


def _too_new(manifest: Mapping[str, Any], mesos_version: str, schema: int) -> list[str]:
    """Return which parts of the backup only newer programs can read."""
    mistakes = []
    made_with = manifest["versions"]["mesos"]
    if mesos_version and _numbers(made_with) > _numbers(mesos_version):
        mistakes.append(
            f"The backup is of Mesos {made_with}; what is to be installed, {mesos_version}, is older."
        )
    written = manifest.get("scheduler", {}).get("schema", 0)
    if schema and written > schema:
        mistakes.append(
            f"The scheduler's state in the backup has schema version {written}; the scheduler of this"
            f" checkout reads {schema} and older. Take the checkout that made the backup, or a newer one."
        )
    return mistakes


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def addresses_to_ask(manifest: Mapping[str, Any], masters: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return where a mesos-master may be: the backup's, and the inventory's, each as ADDRESS:PORT."""
    known = [*manifest.get("masters", {}).values(), *masters.values()]
    return sorted({f"{master['address']}:{master['port']}" for master in known})


def reset_mistakes(hosts: Collection[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return why these hosts can't be given back while the others go on, a sentence each."""
    mistakes = []
    for group in ("mesos_masters", "zookeepers"):
        members = groups.get(group, [])
        gone = [host for host in members if host in hosts]
        # How many of the others are alive does not stand in the inventory.
        if gone and len(gone) < len(members):
            mistakes.append(
                f"{', '.join(gone)} would be given back, and the rest of the {group} goes on: take hosts out"
                " of the group first, put them into retired, and run site.yml; or reset all of the group."
            )
    return mistakes


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        functions = (
            backups_to_remove,
            backup_content,
            backup_summary,
            foreign_nodes,
            restore_plan,
            addresses_to_ask,
            reset_mistakes,
        )
        return {function.__name__: function for function in functions}
