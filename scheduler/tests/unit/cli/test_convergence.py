"""How long waiting makes sense, and what is said when it does not."""

from __future__ import annotations

from typing import Any

import pytest
from mesos_docker_scheduler.cli.convergence import Patience, has_failed, missing, overridden

Message = dict[str, Any]


def status(**changes: Any) -> Message:
    service = {
        "name": "web",
        "image": "demo/web:1",
        "wanted": 2,
        "configured": 2,
        "scaled_since": None,
        "running": 2,
        "staging": 0,
        "healthy": 2,
        "states": {"RUNNING": 2},
        "update": None,
        "waiting": [],
        "reasons": [],
        "converged": True,
    }
    config = {"sha256": "new", "error": None}
    return {
        "connected": True,
        "leads": True,
        "leader": None,
        "config": config | changes.pop("config", {}),
        "services": [service | changes.pop("service", {})],
    } | changes


def event(kind: str, service: str = "web") -> Message:
    return {"kind": kind, "service": service}


def test_nothing_is_missing_when_all_runs() -> None:
    assert missing(status(), ()) == []
    assert missing(status(), (), current=True) == []


def test_a_status_of_the_old_configuration_does_not_count() -> None:
    old = status(config={"sha256": "old"})
    assert missing(old, (), current=False) == ["The scheduler has not read the new configuration."]
    assert missing(old, ()) == []


def test_says_why_a_configuration_was_refused() -> None:
    lines = missing(status(config={"sha256": "old", "error": "count: -1"}), (), current=False)
    assert lines == ["The scheduler refuses the configuration and keeps the old one: count: -1"]


def test_gives_the_schedulers_reasons() -> None:
    service = {"running": 0, "converged": False, "waiting": ["No slave offers 999999 MiB of memory."]}
    assert missing(status(service=service), ()) == [
        "web: 0 of 2 run. Waiting for:",
        "  - No slave offers 999999 MiB of memory.",
    ]


def test_instances_that_still_have_to_prove_themselves_are_waited_for() -> None:
    assert missing(status(service={"update": {"state": "rolling"}}), ()) == [
        "web: 2 of 2 run. Waiting for:",
        "  - the new instances to prove themselves",
    ]
    assert missing(status(service={"update": {"state": "complete"}}), ()) == []


def test_only_those_that_are_named_count() -> None:
    service = {"converged": False, "running": 0}
    assert missing(status(service=service), ("db",)) == []
    assert missing(status(service=service), ("web",)) != []


def test_a_scheduler_without_a_master_is_not_done_even_when_nothing_should_run() -> None:
    service = {"wanted": 0, "running": 0}
    assert missing(status(service=service, connected=False), ()) == [
        "The scheduler is not connected to a Mesos master."
    ]


def test_what_operators_have_changed_is_told() -> None:
    assert overridden(status(), ()) == []
    rolled_back = {"state": "rolled back", "by_operator": True}
    both = status(service={"wanted": 5, "scaled_since": 1.0, "update": rolled_back})
    assert overridden(both, ()) == [
        "web: scaled to 5 by an operator; the configuration says 2",
        "web: rolled back by an operator; the configuration says demo/web:1",
    ]
    assert overridden(status(service={"update": {"state": "paused", "by_operator": False}}), ()) == []


def test_waits_while_nothing_has_moved_for_less_than_the_limit() -> None:
    patience = Patience((), 30, now=0)
    assert patience.lost(status(), [], now=0) is None
    assert patience.lost(status(), [], now=29.9) is None
    assert patience.lost(status(), [], now=30) == "Nothing has moved for 30 seconds."


@pytest.mark.parametrize(
    ("change", "events"),
    [({"healthy": 1}, []), ({"states": {"RUNNING": 1}}, []), ({}, [event("launch")]), ({"staging": 1}, [])],
)
def test_whatever_moves_starts_the_wait_again(change: Message, events: list[Message]) -> None:
    patience = Patience((), 30, now=0)
    patience.lost(status(), [], now=0)
    assert patience.lost(status(service=change), events, now=29) is None
    assert patience.lost(status(service=change), [], now=58) is None


def test_what_moves_elsewhere_does_not_count() -> None:
    patience = Patience(("web",), 30, now=0)
    patience.lost(status(), [], now=0)
    assert patience.lost(status(), [event("launch", "db"), event("config", "")], now=30) is not None


def test_waits_for_an_instance_that_is_starting() -> None:
    patience = Patience((), 30, now=0)
    starting = status(service={"staging": 1})
    assert patience.lost(starting, [], now=0) is None
    assert patience.lost(starting, [], now=100) is None


def test_gives_up_early_when_instances_keep_failing() -> None:
    patience = Patience((), 30, now=0)
    assert patience.lost(status(), [event("ended")] * 2, now=1) is None
    assert patience.lost(status(), [event("ended")], now=5) == "3 instances have failed."


def test_does_not_wait_for_ever_for_a_scheduler_that_does_not_answer() -> None:
    patience = Patience((), 30, now=0)
    assert patience.lost(None, [], now=29) is None
    assert patience.lost(None, [], now=30) == "Nothing has moved for 30 seconds."


@pytest.mark.parametrize("kind", ["update paused", "rolled back"])
def test_gives_up_when_an_update_has_failed_and_stays_so(kind: str) -> None:
    failed = status(service={"converged": False, "reasons": [{"kind": kind}]})
    patience = Patience((), 20, 0)
    assert patience.lost(failed, [], 0) is None
    assert patience.lost(failed, [], 3) == "An update has failed."


def test_what_an_operator_rolls_back_has_not_failed() -> None:
    update = {"state": "rolled back", "by_operator": True}
    under_way = status(service={"converged": False, "reasons": [{"kind": "rolled back"}], "update": update})
    patience = Patience((), 20, 0)
    assert patience.lost(under_way, [], 0) is None
    assert patience.lost(under_way, [], 5) is None


def test_a_failed_update_that_is_tried_again_is_waited_for() -> None:
    failed = status(service={"converged": False, "reasons": [{"kind": "update paused"}]})
    patience = Patience((), 20, 0)
    assert patience.lost(failed, [], 0) is None
    assert patience.lost(status(service={"converged": False}), [], 2) is None
    assert patience.lost(failed, [], 4) is None


def test_what_an_operator_has_stopped_has_not_failed() -> None:
    assert not has_failed(status(), ())
    back_off = {"converged": False, "reasons": [{"kind": "back-off"}]}
    assert has_failed(status(service=back_off), ())
    stopped = {"converged": False, "reasons": [{"kind": "rolled back"}]}
    assert has_failed(status(service=stopped), ())
    assert not has_failed(status(service=stopped), ("db",))
    assert not has_failed(status(service={**stopped, "update": {"by_operator": True}}), ())
    assert not has_failed(status(service={**stopped, "converged": True}), ())


def test_an_update_to_the_configuration_before_says_nothing() -> None:
    failed = status(service={"converged": False, "reasons": [{"kind": "update paused"}]})
    patience = Patience((), 20, 0)
    assert patience.lost(failed, [], 0, current=False) is None
    assert patience.lost(failed, [], 4, current=False) is None
    assert patience.lost(failed, [], 5) is None
    assert patience.lost(failed, [], 9) == "An update has failed."
