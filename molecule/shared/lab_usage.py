"""What the daemons of a lab hold, and what keeps its containers."""

from __future__ import annotations

from dataclasses import dataclass

from lab_inventory import Lab

UNITS = {
    "zookeepers": "zookeeper",
    "mesos_masters": "mesos-master",
    "mesos_slaves": "mesos-slave",
    "schedulers": "mesos-docker-scheduler",
}
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


def keepers(lab: Lab, slave: str) -> dict[str, int]:
    """Return how many executors and guards run on a slave, by name. Raises CommandError."""
    counts = lab.on(slave, "; ".join(f"pgrep --count --full '^{name} '" for name in _KEEPERS) + "; true")
    return dict(zip(_KEEPERS, map(int, counts.split()), strict=True))
