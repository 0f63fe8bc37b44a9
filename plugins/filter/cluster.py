"""Filters that look at several hosts at once."""

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


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"mistakes": mistakes}
