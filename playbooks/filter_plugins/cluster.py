"""Filters that look at several hosts at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_MISTAKES = re.compile(r"__\w+_mistakes")


def addresses(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], variable: str) -> list[str]:
    """Return each host's address: that variable's value where it is set, else the default IPv4 address."""
    return [
        str(hostvars[host][variable])
        if variable in hostvars[host]
        else hostvars[host]["ansible_facts"].get("default_ipv4", {}).get("address", "")
        for host in hosts
    ]


def mistakes(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return every mistake that the preflights noted, each once, with the hosts that have it."""
    found: dict[str, list[str]] = {}
    for host in hosts:
        for name in hostvars[host]:
            if _MISTAKES.fullmatch(name):
                for message in hostvars[host][name]:
                    found.setdefault(message.strip(), []).append(host)
    return [f"{message} ({', '.join(where)})" for message, where in found.items()]


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"addresses": addresses, "mistakes": mistakes}
