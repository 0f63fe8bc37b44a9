"""Ansible action: check every host's variables against the argument specifications of the roles it gets.

It runs once for all hosts, so that a mistake in a variable of the whole inventory is reported once, and it
reports all mistakes at once. Variables that begin like those of the roles but that no role knows are refused:
a misspelled name would otherwise be ignored silently.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

ROLES = Path(__file__).resolve().parents[2] / "roles"

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


def load_specification(role: str) -> Specification:
    """Return the options of the role's main entry point, by variable."""
    text = (ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    options: Specification = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return options


def unknown_variable(name: str, known: set[str]) -> str | None:
    """Say what is wrong with the name of a variable, or return None when it is fine or not ours to judge."""
    prefixes = {variable.split("_")[0] + "_" for variable in known}
    if name in known or not name.startswith(tuple(prefixes)):
        return None
    similar = difflib.get_close_matches(name, known, n=1)
    return f"{name} is no variable of these roles." + (f" Did you mean {similar[0]}?" if similar else "")


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
        specifications = {role: load_specification(role) for role in arguments["roles"]}
        known = {name for options in specifications.values() for name in options}

        found: dict[str, list[str]] = {}
        for host in task_vars["ansible_play_hosts_all"]:
            variables = task_vars["hostvars"][host]
            for name in variables:
                if problem := unknown_variable(name, known):
                    found.setdefault(problem, []).append(host)
            for role, options in specifications.items():
                if host in arguments["roles"][role]:
                    for problem in self._problems(variables, options):
                        found.setdefault(problem, []).append(host)

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
