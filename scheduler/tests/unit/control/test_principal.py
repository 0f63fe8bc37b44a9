"""Mesos never changes a framework's principal: what is configured later must fit it, or give way."""

from __future__ import annotations

import json

import pytest
from mesos_docker_scheduler import config
from mesos_docker_scheduler.control.principal import RECORD, as_registered
from mesos_docker_scheduler.records.store import Remembered

SECRET = "/secret"


def configured(principal: str | None, secret: str | None = None) -> config.Config:
    framework = {"principal": principal, "secret_file": secret}
    return config.parse(json.dumps({"master": "127.0.0.1:5050", "framework": framework, "services": []}))


def remembered(principal: str | None = None, framework_id: str | None = "f1") -> Remembered:
    records = {} if principal is None else {RECORD: principal}
    return Remembered(framework_id, {}, {}, (), records)


@pytest.mark.parametrize(
    ("principal", "secret", "recorded", "expected"),
    [
        ("scheduler", None, None, None),  # registered by a scheduler that kept no record of it
        ("scheduler", SECRET, None, "scheduler"),
        ("scheduler", None, "", None),
        ("scheduler", SECRET, "scheduler", "scheduler"),
        ("other", None, "scheduler", "scheduler"),
        (None, None, "scheduler", "scheduler"),
    ],
)
def test_a_framework_keeps_its_principal(
    principal: str | None, secret: str | None, recorded: str | None, expected: str | None
) -> None:
    made = as_registered(configured(principal, secret), remembered(recorded))
    assert made.framework.principal == expected


def test_a_new_framework_has_the_one_that_is_configured() -> None:
    made = as_registered(configured("scheduler"), remembered("old", framework_id=None))
    assert made.framework.principal == "scheduler"


@pytest.mark.parametrize(
    ("recorded", "words"), [("", "without a principal"), ("other", "with the principal 'other'")]
)
def test_a_credential_of_another_principal_is_refused(recorded: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"framework f1 was registered {words}"):
        as_registered(configured("scheduler", SECRET), remembered(recorded))
