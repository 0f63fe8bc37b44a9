"""What must not pile up: ephemeral nodes of dead processes, executors and containers, files, memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chaos_lab import Lab
from lab_control_plane import zookeeper

UNITS = {
    "zookeepers": "zookeeper",
    "mesos_masters": "mesos-master",
    "mesos_slaves": "mesos-slave",
    "schedulers": "mesos-docker-scheduler",
}
# A daemon may hold so many times what it held first, and so much more: caches fill, and the Java heap grows
# to its limit.
FACTOR, MORE_FILES, MORE_MEGABYTES = 1.5, 50, 100
_USAGE = (
    "pid=$(systemctl show --property=MainPID --value {unit});"
    " ls /proc/$pid/fd | wc -l; sed -n 's/^VmRSS:[[:space:]]*\\([0-9]*\\) kB/\\1/p' /proc/$pid/status"
)
# Each container has one of both.
_KEEPERS = ("mesos-docker-executor", "container-guard")


@dataclass(frozen=True)
class Usage:
    """What a daemon holds: open files, and megabytes of memory."""

    files: int
    megabytes: int


def usage(lab: Lab) -> dict[str, Usage]:
    """Return what each daemon holds, by "unit on host". Raises CommandError when one does not run."""
    found = {}
    for group, unit in UNITS.items():
        for host in lab.groups[group]:
            files, kilobytes = lab.on(host, _USAGE.format(unit=unit)).split()
            found[f"{unit} on {host}"] = Usage(int(files), int(kilobytes) // 1024)
    return found


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


def keepers(lab: Lab, slave: str) -> dict[str, int]:
    """Return how many executors and guards run on a slave, by name. Raises CommandError."""
    counts = lab.on(slave, "; ".join(f"pgrep --count --full '^{name} '" for name in _KEEPERS) + "; true")
    return dict(zip(_KEEPERS, map(int, counts.split()), strict=True))
