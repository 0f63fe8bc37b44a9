"""What a command says of a service, in a word."""

from __future__ import annotations

from typing import Any

import pytest
from mesos_docker_scheduler.cli.output import state_text

AS_WANTED: dict[str, Any] = {"converged": True, "waiting": [], "healthy": 2, "wanted": 2}
UNKNOWN = {**AS_WANTED, "converged": False}


@pytest.mark.parametrize(
    ("service", "connected", "word"),
    [
        (AS_WANTED, True, "healthy"),
        (UNKNOWN, True, "changing"),
        ({**UNKNOWN, "waiting": ["no slave has room"]}, True, "waiting"),
        # One that follows another scheduler knows what the leader has written.
        (UNKNOWN, False, "last known"),
        ({**UNKNOWN, "healthy": 1}, False, "not enough"),
    ],
)
def test_a_word_for_a_service(service: dict[str, Any], connected: bool, word: str) -> None:
    assert str(state_text(service, connected)) == word
