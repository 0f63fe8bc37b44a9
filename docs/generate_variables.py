#!/usr/bin/env python3
"""Writes docs/variables.md from the argument specifications of the playbooks and the roles.

python docs/generate_variables.py           writes the file
python docs/generate_variables.py --check   fails when specifications, defaults and the file disagree
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
# As operators care.
ROLES = (
    "scheduler",
    "mesos",
    "mesos_master",
    "mesos_slave",
    "docker",
    "zookeeper",
    "security",
    "firewall",
    "monitoring",
)
PAGE = ROOT / "docs" / "variables.md"
INTRODUCTION = """\
# Variables

Everything that can be set, role by role. Set it in the inventory: for all hosts (`group_vars/all/`), a group,
or one host. A variable whose name looks like a misspelled one of these stops the playbook before anything
changes; `cluster_foreign_variables` lists those that are meant.

This page is generated from `playbooks/meta` and `roles/*/meta` by `docs/generate_variables.py`.
"""

Options = dict[str, dict[str, Any]]


def load(path: Path) -> Any:
    """Read a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def specification(folder: str) -> dict[str, Any]:
    """Return the main entry point of a role, or of the playbooks: its short description and its options."""
    entry: dict[str, Any] = load(ROOT / folder / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    return entry


def drift(options: Options, defaults: dict[str, Any]) -> list[str]:
    """Return where a role's specification and its defaults disagree, a sentence each."""
    problems = [f"{name} has a default but no specification" for name in defaults.keys() - options.keys()]
    for name, option in options.items():
        if option.get("required"):
            if name in defaults:
                problems.append(f"{name} is required but has a default")
        elif name not in defaults:
            problems.append(f"{name} is specified but has no default")
        elif "default" not in option:
            problems.append(f"{name} has no default in its specification")
        elif _joined(option["default"]) != _joined(defaults[name]):
            problems.append(
                f"{name}: the specification says {option['default']!r}, the default is {defaults[name]!r}"
            )
        if not option.get("description"):
            problems.append(f"{name} has no description")
    return problems


def section(heading: str, entry: dict[str, Any]) -> str:
    """Render one role: a heading, what it is, and the table of its variables."""
    lines = [f"\n## {heading}\n", f"{entry['short_description']}.\n"]
    lines += ["| variable | type | default | what it is |", "| --- | --- | --- | --- |"]
    lines += [row for name, option in entry["options"].items() for row in _rows(name, option)]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Render the whole page."""
    roles = "".join(section(role, specification(f"roles/{role}")) for role in ROLES)
    return INTRODUCTION + section("Every host", specification("playbooks")) + roles


def _rows(name: str, option: dict[str, Any]) -> list[str]:
    """Render a variable and the keys of its dictionaries."""
    default = (
        "**required**" if option.get("required") else _code(option["default"]) if "default" in option else ""
    )
    rows = [f"| `{name}` | {_type(option)} | {default} | {_text(option['description'])} |"]
    marker = "[]." if option.get("type") == "list" else "."
    for key, suboption in option.get("options", {}).items():
        rows += _rows(f"{name}{marker}{key}", suboption)
    return rows


def _type(option: dict[str, Any]) -> str:
    if "choices" in option:
        return ", ".join(f"`{choice}`" for choice in option["choices"])
    kind: str = option.get("type", "str")
    return f"list of {option['elements']}" if kind == "list" else kind


def _text(description: str | list[str]) -> str:
    """Turn Ansible's markup (C(code), V(value), RV(variable)) into Markdown."""
    text = " ".join(description) if isinstance(description, list) else description
    return re.sub(r"\b(?:C|V|RV)\(((?:[^()]|\([^()]*\))*)\)", r"`\1`", _cell(text))


def _code(value: object) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value)
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _joined(value: Any) -> Any:
    """Make texts equal that differ only in where their lines are broken."""
    return " ".join(value.split()) if isinstance(value, str) else value


def main() -> int:
    """Write the page, or check it."""
    problems = [
        f"roles/{role}: {problem}"
        for role in ROLES
        for problem in drift(
            specification(f"roles/{role}")["options"],
            load(ROOT / "roles" / role / "defaults" / "main.yml") or {},
        )
    ]
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        problems.append(
            "docs/variables.md is not what the specifications say: run python docs/generate_variables.py"
        )
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
