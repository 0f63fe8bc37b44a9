"""What is said of a new configuration before it is used."""

from __future__ import annotations

from typing import Any

import pytest
from mesos_docker_scheduler.cli.comparison import changes
from mesos_docker_scheduler.config import Service
from scheduler_fakes import configuration, service

WEB = service(count=2, env={"A": "secret-1"})


def listed(*services: Service) -> list[dict[str, Any]]:
    return [{"version": one.version, "service": one.model_dump(mode="json")} for one in services]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, []),
        ({"count": 5}, ["web: count 2 → 5: 3 instances are started"]),
        ({"count": 1}, ["web: count 2 → 1: 1 instance is stopped"]),
        (
            {"count": 3, "mem": 128, "labels": {"team": "a"}},
            [
                "web: its 2 instances are replaced (max_surge 1, max_unavailable 0), because of mem"
                " (64 → 128), labels.team (null → a)",
                "web: count 2 → 3: 1 instance is started",
            ],
        ),
        (
            {"env": {"A": "secret-2", "B": "x"}},
            [
                "web: its 2 instances are replaced (max_surge 1, max_unavailable 0), because of env.A, env.B",
            ],
        ),
        (
            {"constraints": [{"field": "hostname", "operator": "UNIQUE"}]},
            ["web: those of its instances move that the new constraints keep off their slaves"],
        ),
        (
            {"update": {"max_surge": 2}, "kill_grace_seconds": 9},
            ["web: nothing is restarted for kill_grace_seconds (5 → 9), update.max_surge (1 → 2)"],
        ),
    ],
)
def test_says_what_will_become_of_a_service(fields: dict[str, Any], said: list[str]) -> None:
    new = service(**{"count": 2, "env": {"A": "secret-1"}, **fields})
    assert sorted(changes(configuration(new), listed(WEB))) == sorted(said)


def test_services_come_and_go() -> None:
    assert changes(configuration(service(name="db", count=1)), listed(WEB)) == [
        "db: is new: 1 instance of demo/web:1 is started",
        "web: is in the file no more: its 2 instances are stopped",
    ]


def test_a_secret_that_has_changed_is_seen_by_the_versions_name() -> None:
    old, new = (service(secrets={"T": "/s"}).with_secrets({"T": value}, value) for value in "ab")
    (line,) = changes(configuration(new), listed(old))
    assert line.endswith("because of a secret")
    assert changes(configuration(old), listed(old)) == []
    # Nor can it be told where their files are not.
    assert changes(configuration(service(secrets={"T": "/s"})), listed(old)) == []


def test_what_an_earlier_release_has_named_is_the_same() -> None:
    wish = service(secrets={"T": "/s"}, constraints=[{"field": "hostname", "operator": "UNIQUE"}])
    wish = wish.with_secrets({"T": "a"}, "a")
    assert changes(configuration(wish), listed(wish.named(wish.former_version))) == []
