"""Ansible action: check every host's variables against the argument specifications of the roles it gets.

It runs once for all hosts, so that a mistake in a variable of the whole inventory is reported once, and it
reports all mistakes at once. Variables that look like misspelled ones of the roles are refused: they would
otherwise be ignored silently. Those of other people's roles are left alone.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()

ROOT = Path(__file__).resolve().parents[2]

# How alike two names must be for one to be a slip of the other: two letters swapped, or one left out.
MISSPELLED = 0.9
# What nobody else's roles begin their variables with.
OWN_PREFIXES = ("mesos_master_", "mesos_slave_", "scheduler_")

# What the roles note for themselves: facts of one playbook are there while the next one checks.
INTERNAL_PREFIX = "__"

# What a value must be, in words, for the types whose errors Ansible words in terms of Python.
TYPES = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "path": "a path",
    "list": "a list",
    "dict": "a dictionary",
}

Specification = dict[str, dict[str, Any]]


def load_specification(folder: str) -> Specification:
    """Return the options by variable of a role, `roles/NAME`, or of `playbooks`: those of every host."""
    text = (ROOT / folder / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    options: Specification = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return options


def misspelled_variable(name: str, known: Collection[str]) -> str | None:
    """Say which variable is meant when the name looks like a misspelled one; None when it does not."""
    if name in known or name.startswith(INTERNAL_PREFIX):
        return None
    similar = difflib.get_close_matches(name, known, n=1, cutoff=MISSPELLED)
    if not similar:
        return None
    return (
        f"{name} is no variable of these roles. Did you mean {similar[0]}? "
        f"If it belongs to another role, name it in cluster_foreign_variables."
    )


def ignored_variable(name: str, known: Collection[str]) -> str | None:
    """Say that a variable has no effect when its name begins like ours alone, and like none that there is."""
    if name in known or not name.startswith(OWN_PREFIXES):
        return None
    return (
        f"{name} is no variable of these roles, which do nothing with it. docs/variables.md has all of them. "
        f"If it belongs to another role, name it in cluster_foreign_variables."
    )


def wrong_value(name: str, value: object, option: Mapping[str, Any]) -> str | None:
    """Say what is wrong with a variable's value, or return None when the specification allows it."""
    kind = option.get("type", "str")
    shown = "its value" if option.get("no_log") else repr(value)
    wanted = f"it must be {TYPES.get(kind, kind)}"
    if "choices" in option:
        wanted += ", one of " + ", ".join(option["choices"])
    if value is None:
        return f"{name} has no value; {wanted}."
    # Ansible takes true for the whole number 1, and any dictionary or list for a text.
    if (kind in {"int", "float"} and isinstance(value, bool)) or (
        kind in {"str", "path"} and isinstance(value, (bool, list, dict))
    ):
        return f"{name}: {shown} is not allowed; {wanted}."
    errors = ArgumentSpecValidator({name: dict(option)}).validate({name: value}).error_messages
    if not errors:
        return None
    if kind in {"list", "dict"} and isinstance(value, (list, dict)):
        return f"{name}: {'; '.join(error.rstrip('.') for error in errors)}."
    return f"{name}: {shown} is not allowed; {wanted}."


class ActionModule(ActionBase):  # type: ignore[misc]
    """Check the variables of the play's hosts; `roles` is a dictionary of lists of hosts by role."""

    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return Ansible's result: failed, with all mistakes in one message, or not."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({"roles": {"type": "dict", "required": True}})
        task_vars = task_vars or {}
        everywhere = load_specification("playbooks")
        specifications = {role: load_specification(f"roles/{role}") for role in arguments["roles"]}
        known = {name for options in (everywhere, *specifications.values()) for name in options}

        found: dict[str, list[str]] = {}
        ignored: dict[str, list[str]] = {}
        misspelled = functools.cache(lambda name: misspelled_variable(name, known))
        for host in task_vars["ansible_play_hosts_all"]:
            variables = task_vars["hostvars"][host]
            problems = self._problems(variables, everywhere)
            foreign = [] if problems else variables.get("cluster_foreign_variables", [])
            for name in variables:
                if name in foreign:
                    continue
                if problem := misspelled(name):
                    problems.append(problem)
                elif problem := ignored_variable(name, known):
                    ignored.setdefault(problem, []).append(host)
            for role, options in specifications.items():
                if host in arguments["roles"][role]:
                    problems += self._problems(variables, options)
            for problem in problems:
                found.setdefault(problem, []).append(host)

        for problem, hosts in ignored.items():
            display.warning(f"{problem} ({', '.join(hosts)})")
        result["changed"] = False
        if found:
            result["failed"] = True
            result["msg"] = "\n".join(f"{problem} ({', '.join(hosts)})" for problem, hosts in found.items())
        return result

    @staticmethod
    def _problems(variables: Mapping[str, Any], options: Specification) -> list[str]:
        """Return what is wrong with one host's variables for one role."""
        problems = []
        for name, option in options.items():
            if name not in variables:
                if option.get("required"):
                    problems.append(f"{name} is not set: {option['description'].rstrip('.')}.")
                continue
            try:
                value = variables[name]
            except AnsibleError as error:
                problems.append(f"{name} can't be computed: {error.message}")
                continue
            if problem := wrong_value(name, value, option):
                problems.append(problem)
        return problems
