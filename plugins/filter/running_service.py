"""Ansible filters: what follows from what the module running_service says of a service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Service = Mapping[str, Any]


def must_start(service: Service) -> bool:
    """Tell whether a service must be started, or started again."""
    return bool(service["outdated"]) or not (service["running"] and service["enabled"])


def must_change(service: Service) -> bool:
    """Tell whether a service must be started, or anything of it be changed."""
    return must_start(service) or bool(service["differing"])


def service_problems(service: Service) -> list[str]:
    """Return what is wrong with a service, a sentence each."""
    if not service["present"]:
        return ["it is not installed"]
    problems = [] if service["running"] else ["it does not run"]
    problems += [] if service["enabled"] else ["it does not start at boot"]
    problems += [f"a restart is due: {reason}" for reason in service["outdated"]]
    return problems + [f"{path} is not as the inventory says" for path in service["differing"]]


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        functions = (must_start, must_change, service_problems)
        return {function.__name__: function for function in functions}
