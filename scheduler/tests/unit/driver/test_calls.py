"""Each call as it stands in docs/scheduler-http-api.md and v1/scheduler.proto."""

from __future__ import annotations

import pytest
from mesos_docker_scheduler.driver import calls


def test_accept_and_launch() -> None:
    task = {"name": "web", "task_id": {"value": "t1"}}
    assert calls.accept(["o1", "o2"], [calls.launch_operation([task])], 3600) == {
        "type": "ACCEPT",
        "accept": {
            "offer_ids": [{"value": "o1"}, {"value": "o2"}],
            "operations": [{"type": "LAUNCH", "launch": {"task_infos": [task]}}],
            "filters": {"refuse_seconds": 3600.0},
        },
    }


def test_decline_leaves_the_time_to_mesos_when_none_is_given() -> None:
    assert calls.decline(["o1"], None) == {"type": "DECLINE", "decline": {"offer_ids": [{"value": "o1"}]}}


def test_refusing_for_ever_means_a_year() -> None:
    assert calls.decline([], float("inf"))["decline"]["filters"] == {"refuse_seconds": 31536000.0}


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_impossible_times_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"refuse_seconds: .* is not allowed; it must be 0 or more"):
        calls.decline(["o1"], seconds)
    with pytest.raises(ValueError, match=r"grace_seconds: .* is not allowed; it must be 0 or more"):
        calls.kill("t1", None, seconds)


def test_an_acknowledgement_repeats_the_ids_alone() -> None:
    status = {
        "task_id": {"value": "t1", "odd": [[[]]]},
        "agent_id": {"value": "a1", "odd": "\ud800"},
        "uuid": "AAAA",
        "state": "TASK_RUNNING",
    }
    assert calls.acknowledge(status)["acknowledge"] == {
        "task_id": {"value": "t1"},
        "agent_id": {"value": "a1"},
        "uuid": "AAAA",
    }


def test_inverse_offers() -> None:
    ids = [{"value": "i1"}]
    filters = {"refuse_seconds": 0.0}
    assert calls.accept_inverse_offers(["i1"], 0) == {
        "type": "ACCEPT_INVERSE_OFFERS",
        "accept_inverse_offers": {"inverse_offer_ids": ids, "filters": filters},
    }
    assert calls.decline_inverse_offers(["i1"], 0) == {
        "type": "DECLINE_INVERSE_OFFERS",
        "decline_inverse_offers": {"inverse_offer_ids": ids, "filters": filters},
    }


def test_suppress_and_revive_name_roles_only_when_given() -> None:
    assert calls.suppress(None) == {"type": "SUPPRESS"}
    assert calls.suppress(["web"]) == {"type": "SUPPRESS", "suppress": {"roles": ["web"]}}
    assert calls.revive([]) == {"type": "REVIVE"}
    assert calls.revive(["web"]) == {"type": "REVIVE", "revive": {"roles": ["web"]}}


def test_kill_says_only_what_is_known() -> None:
    assert calls.kill("t1", None, None) == {"type": "KILL", "kill": {"task_id": {"value": "t1"}}}
    assert calls.kill("t1", "a1", 0.0)["kill"] == {
        "task_id": {"value": "t1"},
        "agent_id": {"value": "a1"},
        "kill_policy": {"grace_period": {"nanoseconds": 0}},
    }


def test_reconcile() -> None:
    assert calls.reconcile([]) == {"type": "RECONCILE", "reconcile": {"tasks": []}}
    assert calls.reconcile([("t1", "a1"), ("t2", None)])["reconcile"]["tasks"] == [
        {"task_id": {"value": "t1"}, "agent_id": {"value": "a1"}},
        {"task_id": {"value": "t2"}},
    ]
