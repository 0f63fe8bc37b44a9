"""Ansible filters: what belongs into a host's daemon.json, and what the running engine must be told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Options = Mapping[str, Any]


def merged_daemon_options(
    existing: Options,
    recorded: Options,
    wanted: Options,
    defaults: Iterable[Options],
    flags: Iterable[str] = (),
) -> dict[str, dict[str, Any]]:
    """Return `file`, all settings of the new daemon.json, and `ours`, those that the role answers for.

    `existing` are the settings in the file, `recorded` those that the role answered for last time, `wanted`
    what the variables say, `defaults` what the role thinks right, `flags` what the command line settles.

    Who wins: the variables, then what the host's file says, then the role's defaults. A default is a group of
    settings that make sense together only (a log driver and its options); it gives way as a whole. What is
    recorded and still has that value is not the host's: it goes when nothing asks for it any more.
    """
    theirs = {
        key: value for key, value in existing.items() if not (key in recorded and recorded[key] == value)
    }
    ours: dict[str, Any] = {}
    settled = {*wanted, *flags}
    for group in defaults:
        if settled.isdisjoint(group) and all(theirs.get(key, value) == value for key, value in group.items()):
            ours |= group
    ours |= wanted
    return {"file": theirs | ours, "ours": ours}


def engine_action(
    applied: Mapping[str, Any] | None, current: Mapping[str, Any], reloadable: Iterable[str]
) -> str:
    """Return what makes the running engine take over its files: `none`, `reload` or `restart`.

    Both have `options`, the settings of daemon.json, and `proxy_sha256`; `applied`, what the engine has read,
    is None when that is not known. A setting that is gone needs a restart: on a reload dockerd keeps most.
    """
    if applied is None or applied["proxy_sha256"] != current["proxy_sha256"]:
        return "restart"
    before, now = applied["options"], current["options"]
    changed = {
        key for key in {*before, *now} if key not in before or key not in now or before[key] != now[key]
    }
    if not changed:
        return "none"
    return "reload" if changed <= {*reloadable} & now.keys() else "restart"


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"merged_daemon_options": merged_daemon_options, "engine_action": engine_action}
