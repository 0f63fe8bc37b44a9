"""Filters that write Mesos flags: from dictionaries to the ExecStart line of a systemd unit."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Flags in Mesos' own text form "name:value;name:value", see its docs/attributes-resources.md.
NAMED_VALUES = {"attributes", "resources"}


def mesos_arguments(flags: Mapping[str, Any]) -> list[str]:
    """Return `--name=value` arguments in alphabetical order.

    True and False become true and false, lists become a,b, dictionaries JSON (`attributes` and `resources`:
    name:value;name:value). A flag whose value is None is left out, so that it can take a default away.
    """
    return [f"--{name}={_value(name, flags[name])}" for name in sorted(flags) if flags[name] is not None]


def systemd_quoted(argument: str) -> str:
    """Quote an argument as systemd.service(5) and systemd.syntax(7) want it: no expansion, C escapes."""
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + escaped.replace("%", "%%").replace("$", "$$") + '"'


def closest(name: str, known: Sequence[str]) -> str:
    """Return the known name that is spelled most like this one, or an empty text when none is similar."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), "")


def _value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        if name in NAMED_VALUES:
            return ";".join(f"{key}:{_named_value(item)}" for key, item in value.items())
        return json.dumps(value, sort_keys=True)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if all(isinstance(item, (str, int, float)) for item in value):
            return ",".join(str(item) for item in value)
        return json.dumps(value, sort_keys=True)
    return str(value)


def _named_value(value: object) -> str:
    """Write one attribute or resource: a list of ranges such as ["31000-32000"] becomes [31000-32000]."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(str(item) for item in value)}]"
    return str(value)


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"mesos_arguments": mesos_arguments, "systemd_quoted": systemd_quoted, "closest": closest}
