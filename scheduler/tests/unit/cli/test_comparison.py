"""What is said of a new configuration before it is used."""

from __future__ import annotations

from typing import Any

import pytest
from mesos_docker_scheduler.cli.comparison import changes
from mesos_docker_scheduler.config import Service
from scheduler_fakes import configuration, service

WEB = service(count=2, env={"A": "secret-1"})


def listed(*services: Service, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "version": one.version,
            "service": one.model_dump(mode="json"),
            "wanted": one.count,
            "scaled": False,
            "stopped": None,
            "by_operator": False,
            "running": {one.version: one.count},
            **more,
        }
        for one in services
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, []),
        ({"count": 5}, ["web: count 2 → 5; 3 instances are started"]),
        ({"count": 1}, ["web: count 2 → 1; 1 instance is stopped"]),
        (
            {"count": 3, "mem": 128, "labels": {"team": "a"}},
            [
                "web: its 2 instances are replaced (max_surge 1, max_unavailable 0), because of mem"
                " (64 → 128), labels.team (null → a)",
                "web: count 2 → 3; 1 instance is started",
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
            ["web: instances move that the new constraints keep off their slaves"],
        ),
        (
            {"constraints": [{"field": "hostname", "operator": "UNIQUE"}], "mem": 1_048_577},
            [
                "web: its 2 instances are replaced (max_surge 1, max_unavailable 0), because of mem"
                " (64 → 1048577)",
                "web: instances move that the new constraints keep off their slaves",
            ],
        ),
        (
            {"command": "app --password hunter2", "parameters": [{"key": "env", "value": "PW=hunter2"}]},
            [
                "web: its 2 instances are replaced (max_surge 1, max_unavailable 0), because of command,"
                " parameters",
            ],
        ),
        (
            {"user": "me\ndb: is in the file no more"},
            [
                "web: its 2 instances are replaced (max_surge 1, max_unavailable 0), because of user"
                " (null → me db: is in the file no more)",
            ],
        ),
        ({"count": 0}, ["web: count 2 → 0; 2 instances are stopped"]),
        (
            {"count": 1, "mode": "global"},
            ["web: mode replicated → global: one instance runs on each slave that suits, others are stopped"],
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
        "db: is new; 1 instance is started, of demo/web:1",
        "web: is in the file no more; 2 instances are stopped",
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


def test_what_operators_have_asked_for_is_no_news_unless_it_is_taken_back() -> None:
    scaled = listed(WEB, wanted=5, scaled=True, running={WEB.version: 5})
    assert changes(configuration(WEB), scaled) == []
    back = ["web: count 5, what an operator asked for, → 2; 3 instances are stopped"]
    assert changes(configuration(WEB), scaled, reset=True) == back
    # Another count of the file ends it.
    three = service(count=3, env={"A": "secret-1"})
    assert changes(configuration(three), scaled) == [
        "web: count 5, what an operator asked for, → 3; 2 instances are stopped"
    ]


def test_what_runs_counts_not_what_the_file_said_last() -> None:
    new = service(count=2, env={"A": "secret-1"}, image="demo/web:2")
    rolled_back = listed(new, stopped="rolled back", by_operator=True, running={WEB.version: 2})
    assert changes(configuration(new), rolled_back) == []
    assert changes(configuration(new), rolled_back, reset=True) == [
        "web: its update goes on, which an operator has rolled back: 2 instances are replaced"
    ]
    assert changes(configuration(WEB), rolled_back) == [
        "web: its instances are as configured already: nothing of them is replaced"
    ]


def test_a_service_of_which_nothing_runs_is_said_to_be_so() -> None:
    none = service(count=0)
    assert changes(configuration(none), []) == ["web: is new; nothing is started, of demo/web:1"]
    assert changes(configuration(), listed(none)) == ["web: is in the file no more; nothing is stopped"]
    everywhere = service(mode="global", count=1)
    assert changes(configuration(everywhere), []) == [
        "web: is new: an instance of demo/web:1 is started on each slave that suits"
    ]


def test_an_update_that_has_failed_goes_on_when_its_service_is_run_otherwise() -> None:
    new = service(count=2, env={"A": "secret-1"}, image="demo/web:2")
    failed = listed(new, stopped="paused", running={WEB.version: 2})
    again = "web: its update goes on, which has failed: 2 instances are replaced"
    assert changes(configuration(new), failed) == []
    assert changes(configuration(new), failed, reset=True) == [again]
    otherwise = new.model_copy(update={"kill_grace_seconds": 9.0})
    assert again in changes(configuration(otherwise), failed)


def test_what_moves_without_being_replaced_is_said() -> None:
    assert changes(configuration(WEB.model_copy(update={"rebalance": True})), listed(WEB)) == [
        "web: instances move, one at a time, to slaves that have at least two fewer"
    ]
    everywhere = WEB.model_copy(update={"mode": "global", "count": 1})
    assert changes(configuration(WEB), listed(everywhere, wanted=2)) == [
        "web: mode global → replicated: 2 instances are kept or started"
    ]


def test_a_scheduler_of_before_can_be_asked() -> None:
    (known,) = listed(WEB)
    fields = {
        name: value for name, value in known["service"].items() if name not in ("containerizer", "fetch")
    }
    old = {"version": known["version"], "service": fields}
    assert changes(configuration(WEB), [old]) == []
    (said,) = changes(configuration(service(count=2, env={"A": "secret-1"}, fetch=["https://h/x"])), [old])
    assert "because of fetch" in said
