"""Filters that look at several hosts at once, and at what Mesos' masters say of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
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


Schedule = Mapping[str, Any]
Machine = Mapping[str, str]


def has_machine(schedule: Schedule, machine: Machine) -> bool:
    """Tell whether Mesos' maintenance schedule announces that the machine will go."""
    return any(machine in window["machine_ids"] for window in schedule.get("windows", []))


def with_machine(schedule: Schedule, machine: Machine, start: float) -> dict[str, Any]:
    """Return the schedule with a window for the machine, from that second of the epoch on, without an end."""
    window = {
        "machine_ids": [dict(machine)],
        "unavailability": {"start": {"nanoseconds": int(start) * 10**9}},
    }
    return {"windows": [*schedule.get("windows", []), window]}


def without_machine(schedule: Schedule, machine: Machine) -> dict[str, Any]:
    """Return the schedule without the machine; the other machines keep their windows."""
    windows = [
        {**window, "machine_ids": [other for other in window["machine_ids"] if other != machine]}
        for window in schedule.get("windows", [])
    ]
    return {"windows": [window for window in windows if window["machine_ids"]]}


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        functions = (mistakes, has_machine, with_machine, without_machine)
        return {function.__name__: function for function in functions}
