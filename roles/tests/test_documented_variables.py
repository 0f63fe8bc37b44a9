from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def generator(load: Load) -> ModuleType:
    return load("docs/generate_variables.py")


@pytest.mark.parametrize("program", ["generate_variables.py", "generate_services.py"])
def test_specifications_defaults_and_documentation_agree(program: str) -> None:
    check = subprocess.run(
        [sys.executable, ROOT / "docs" / program, "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (check.returncode, check.stderr) == (0, "")


def test_every_role_is_documented(generator: ModuleType) -> None:
    assert set(generator.ROLES) == {path.parent.name for path in (ROOT / "roles").glob("*/meta")}


@pytest.mark.parametrize(
    ("options", "defaults", "problem"),
    [
        ({}, {"a": 1}, "a has a default but no specification"),
        ({"a": {"required": True, "description": "x"}}, {"a": 1}, "a is required but has a default"),
        ({"a": {"default": 1, "description": "x"}}, {}, "a is specified but has no default"),
        ({"a": {"description": "x"}}, {"a": 1}, "a has no default in its specification"),
        (
            {"a": {"default": 1, "description": "x"}},
            {"a": 2},
            "a: the specification says 1, the default is 2",
        ),
        ({"a": {"default": 1}}, {"a": 1}, "a has no description"),
    ],
)
def test_finds_drift(
    generator: ModuleType, options: dict[str, dict[str, object]], defaults: dict[str, object], problem: str
) -> None:
    assert generator.drift(options, defaults) == [problem]


def test_a_default_may_be_broken_into_lines(generator: ModuleType) -> None:
    assert generator.drift({"a": {"default": "x y", "description": "z"}}, {"a": "x\n  y"}) == []
