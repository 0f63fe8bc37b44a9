"""Tasks of the role zookeeper: what they must agree on, and what they do to the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROLE = Path(__file__).resolve().parents[1] / "zookeeper"


def inquiry(file: str) -> dict[str, Any]:
    """Return what a task file asks of the server's service."""
    tasks = yaml.safe_load((ROLE / "tasks" / file).read_text())
    (asked,) = (task[name] for task in tasks for name in task if name.endswith("running_service"))
    return dict(asked)


def test_verify_finds_the_restarts_that_site_would_make() -> None:
    for given in ("configuration", "read_at_start"):
        assert inquiry("verify.yml")[given] == inquiry("due.yml")[given]
