"""The README names what is there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
PACKAGE = "mesos_docker_scheduler"


def functions() -> list[str]:
    table = README.partition("### Where is it decided ...")[2].partition("### Glossary")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "`" in line]
    return [name for row in rows for name in re.findall(r"`([a-z_.]+\.[\w.]+)`", row.split("|")[2])]


@pytest.mark.parametrize("name", functions())
def test_what_decides_is_where_the_table_says(name: str) -> None:
    parts = name.split(".")
    modules = [part for part in parts if part.lower() == part and not part.startswith("_")][:2]
    found = import_module(".".join((PACKAGE, *modules)))
    for part in parts[len(modules) :]:
        found = getattr(found, part)
    assert callable(found) or isinstance(found, property) or hasattr(found, "func")


def test_the_table_answers_a_newcomers_questions() -> None:
    assert len(functions()) > 20


def test_each_part_of_the_package_is_described() -> None:
    source = Path(__file__).parents[2] / "src" / PACKAGE
    folders = {path.parent.name for path in source.glob("*/__init__.py")}
    assert {name for name in folders if f"| `{name}/` |" not in README} == set()
