"""What must not pile up: ephemeral nodes of dead processes, files and memory of daemons."""

from __future__ import annotations

from collections.abc import Mapping

from lab_control_plane import zookeeper
from lab_inventory import Lab
from lab_usage import Usage

# A daemon may hold so many times what it held first, and so much more: caches fill, and the Java heap grows
# to its limit.
FACTOR, MORE_FILES, MORE_MEGABYTES = 1.5, 50, 100


def grown(first: Mapping[str, Usage], last: Mapping[str, Usage]) -> list[str]:
    """Return which daemons hold more than they may, a sentence each."""
    sentences = []
    for daemon, now in last.items():
        before = first.get(daemon, now)
        if now.files > before.files * FACTOR + MORE_FILES:
            sentences.append(f"{daemon} holds {now.files} open files, and {before.files} at first")
        if now.megabytes > before.megabytes * FACTOR + MORE_MEGABYTES:
            sentences.append(f"{daemon} holds {now.megabytes} MiB, and {before.megabytes} MiB at first")
    return sentences


def ephemeral_nodes(lab: Lab) -> int | None:
    """Return how many nodes of living sessions ZooKeeper has; None when it does not serve."""
    for host in lab.groups["zookeepers"]:
        for line in zookeeper(lab.addresses[host]).splitlines():
            name, _, value = line.partition("\t")
            if name == "zk_ephemerals_count":
                return int(value)
    return None
