"""Loads Ansible plugins, which live where Ansible looks for them and not in a package."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def load() -> Callable[[str], ModuleType]:
    """Import a Python file by its path below the repository's root."""

    def load_file(path: str) -> ModuleType:
        specification = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
        assert specification
        assert specification.loader
        module = importlib.util.module_from_spec(specification)
        sys.modules[specification.name] = module  # where dataclasses look their types up
        specification.loader.exec_module(module)
        return module

    return load_file
