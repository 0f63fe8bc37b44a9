"""Ansible filters: what `verify.yml` has found, as a table and as sentences.

A finding is a dictionary: `what` was looked at, what it `is`, and what is `wrong` with it, a sentence each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_FINDINGS = re.compile(r"__\w+_findings")

HostVariables = Mapping[str, Mapping[str, Any]]


def service_finding(service: Mapping[str, Any]) -> dict[str, Any]:
    """Return the finding about one service of the scheduler, as its status tells it."""
    return {
        "what": f"service {service['name']}",
        "is": f"{service['running']} of {service['wanted']} run",
        "wrong": [] if service["converged"] else service["waiting"] or ["instances are starting or ending"],
    }


def findings(hosts: Iterable[str], hostvars: HostVariables) -> list[tuple[str, str, str, list[str]]]:
    """Return what was found: host, what, what it is, and what is wrong, in the order of the hosts."""
    return [
        (host, finding["what"], finding.get("is", ""), list(finding["wrong"]))
        for host in hosts
        for name in sorted(hostvars[host])
        if _FINDINGS.fullmatch(name)
        for finding in hostvars[host][name]
    ]


def verification_table(found: Iterable[tuple[str, str, str, list[str]]]) -> list[str]:
    """Return the lines of a table."""
    rows = [
        (host, what, "wrong" if wrong else "ok", "; ".join(wrong) or what_it_is)
        for host, what, what_it_is, wrong in found
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    ]


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        functions = (service_finding, findings, verification_table)
        return {function.__name__: function for function in functions}
