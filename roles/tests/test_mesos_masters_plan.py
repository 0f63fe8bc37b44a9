from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/filter/mesos_masters.py")


def address(host: str) -> str:
    """Hosts a, b, c... are at 10.0.0.1, 10.0.0.2, 10.0.0.3..."""
    return f"10.0.0.{ord(host) - ord('a') + 1}"


def addresses(hosts: str) -> list[str]:
    return [address(host) for host in hosts]


def master(host: str, leader: str = "a", quorum: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "address": address(host),
        "hostname": address(host),
        "port": 5050,
        "quorum": quorum,
        "has_log": True,
        "ensemble": [],
        "seed": 0,
        "answers": True,
        "recovered": True,
        "has_registry": host == leader,
        "replicas": 3,
        "leader": f"{address(leader)}:5050" if leader else "",
    } | more


def new(host: str) -> dict[str, Any]:
    return master(host, leader="", quorum=0, has_log=False, answers=False, recovered=False, replicas=0)


def test_a_first_deployment(plugin: ModuleType) -> None:
    plan = plugin.mesos_masters_plan(addresses("abc"), {host: new(host) for host in "abc"}, 2)
    assert (plan["action"], plan["mistakes"], plan["leaving"]) == ("begin", [], [])
    assert not plan["settled"]


def test_a_first_deployment_needs_every_master(plugin: ModuleType) -> None:
    plan = plugin.mesos_masters_plan(addresses("abc"), {host: new(host) for host in "ab"}, 2)
    assert plan["mistakes"] == [
        "There is no mesos-master yet, and 10.0.0.3 can't be reached: the first deployment needs all masters."
    ]


def test_the_leader_is_restarted_last(plugin: ModuleType) -> None:
    present = {host: master(host, leader="b") for host in "abc"}
    plan = plugin.mesos_masters_plan(addresses("abc"), present, 2)
    assert (plan["action"], plan["mistakes"], plan["leader"]) == ("keep", [], "b")
    assert plan["restart_order"] == ["a", "c", "b"]
    assert plan["settled"]


def test_masters_that_leave_are_not_settled(plugin: ModuleType) -> None:
    present = {host: master(host) for host in "abcd"}
    assert not plugin.mesos_masters_plan(addresses("abc"), present, 2)["settled"]


def test_a_leader_is_known_by_its_name_too(plugin: ModuleType) -> None:
    present = {"a": master("a", quorum=1, replicas=1, hostname="m1.example.org", leader="")}
    present["a"]["leader"] = "m1.example.org:5050"
    assert plugin.mesos_masters_plan(addresses("a"), present, 1)["leader"] == "a"


@pytest.mark.parametrize(
    ("before", "after", "quorum"),
    [("a", "abc", 2), ("abc", "abcde", 3), ("abcde", "abc", 2), ("abc", "a", 1)],
)
def test_another_quorum_begins_with_the_leaders_log(
    plugin: ModuleType, before: str, after: str, quorum: int
) -> None:
    old = len(before) // 2 + 1
    present = {host: new(host) for host in after} | {
        host: master(host, quorum=old, replicas=len(before)) for host in before
    }
    plan = plugin.mesos_masters_plan(addresses(after), present, quorum)
    assert (plan["action"], plan["mistakes"], plan["source"]) == ("change", [], "a")
    assert plan["leaving"] == [host for host in present if host not in after]


def test_another_quorum_needs_every_master(plugin: ModuleType) -> None:
    present = {host: master(host) for host in "ab"} | {host: new(host) for host in "de"}
    plan = plugin.mesos_masters_plan(addresses("abcde"), present, 3)
    assert len(plan["mistakes"]) == 1
    assert "10.0.0.3 can't be reached: it would come back with the old quorum" in plan["mistakes"][0]


def test_a_lost_master_is_replaced_by_a_new_one_that_catches_up_first(plugin: ModuleType) -> None:
    present = {"a": master("a", replicas=2), "b": master("b", replicas=2), "d": new("d")}
    plan = plugin.mesos_masters_plan(addresses("abd"), present, 2)
    assert (plan["action"], plan["mistakes"]) == ("keep", [])
    assert plan["restart_order"] == ["d", "b", "a"]


def test_a_master_that_is_replaced_stops(plugin: ModuleType) -> None:
    present = {host: master(host) for host in "abc"} | {"d": new("d")}
    plan = plugin.mesos_masters_plan(addresses("bcd"), present, 2)
    assert (plan["action"], plan["leaving"]) == ("keep", ["a"])


def test_a_master_that_nobody_knows_stops_everything(plugin: ModuleType) -> None:
    present = {"a": master("a"), "b": master("b"), "d": new("d")}
    plan = plugin.mesos_masters_plan(addresses("abd"), present, 2)
    assert "nobody" in plan["mistakes"][0]
    assert "group `retired`" in plan["mistakes"][0]


def test_a_master_that_can_not_be_reached_may_still_take_part(plugin: ModuleType) -> None:
    present = {"a": master("a"), "b": master("b")}
    plan = plugin.mesos_masters_plan(addresses("abc"), present, 2)
    assert (plan["action"], plan["mistakes"]) == ("keep", [])


def test_the_leader_can_not_be_reached_but_leads(plugin: ModuleType) -> None:
    present = {"a": master("a", leader="c"), "b": master("b", leader="c")}
    assert plugin.mesos_masters_plan(addresses("abc"), present, 2)["mistakes"] == []
    refused = plugin.mesos_masters_plan(addresses("a"), present, 1)
    assert any("10.0.0.3:5050, can't be" in mistake for mistake in refused["mistakes"])


def test_without_a_leader_nothing_is_done(plugin: ModuleType) -> None:
    plan = plugin.mesos_masters_plan(addresses("abc"), {"a": master("a", leader="")}, 2)
    assert "No mesos-master leads" in plan["mistakes"][0]
    assert "10.0.0.2, 10.0.0.3 can't" in plan["mistakes"][0]


def test_masters_that_only_lack_zookeeper_elect_one_of_them(plugin: ModuleType) -> None:
    one = plugin.mesos_masters_plan(addresses("a"), {"a": master("a", leader="", quorum=1)}, 1)
    assert (one["action"], one["mistakes"]) == ("elect", [])
    present = {host: master(host, leader="") for host in "ab"} | {"c": new("c")}
    three = plugin.mesos_masters_plan(addresses("abc"), present, 2)
    assert (three["action"], three["mistakes"], three["settled"]) == ("elect", [], False)


@pytest.mark.parametrize(
    "present",
    [
        {"a": master("a", leader=""), "b": new("b"), "c": new("c")},
        {"a": master("a", leader=""), "b": master("b", leader="")},
        {host: master(host, leader="", quorum=1) for host in "abc"},
        {"a": master("a", leader="", ensemble=["x"])} | {host: master(host, leader="") for host in "bc"},
        {host: master(host, leader="") for host in "abcd"},
        {"a": master("a", leader="", ensemble=["left"])} | {host: master(host, leader="") for host in "bc"},
    ],
    ids=["logs lost", "host away", "other quorum", "missed a change", "leaving", "was away"],
)
def test_whose_log_counts_must_be_said(plugin: ModuleType, present: dict[str, dict[str, Any]]) -> None:
    (mistake,) = plugin.mesos_masters_plan(addresses("abc"), present, 2)["mistakes"]
    assert "No mesos-master leads" in mistake


def test_an_interrupted_change_goes_on(plugin: ModuleType) -> None:
    present = {
        "a": master("a", leader="", quorum=1, seed=2, answers=False),
        "b": master("b", leader="", answers=False),
        "c": new("c"),
    }
    plan = plugin.mesos_masters_plan(addresses("abc"), present, 2)
    assert (plan["action"], plan["source"], plan["packed"], plan["mistakes"]) == ("change", "a", True, [])


def test_a_seed_is_void_once_a_master_leads_with_it(plugin: ModuleType) -> None:
    present = {"a": master("a", seed=2, replicas=2), "b": master("b", replicas=2), "c": new("c")}
    plan = plugin.mesos_masters_plan(addresses("abc"), present, 2)
    assert (plan["action"], plan["mistakes"]) == ("keep", [])


def test_a_log_of_another_quorum_is_not_brought_back(plugin: ModuleType) -> None:
    present = {"a": master("a"), "b": master("b"), "c": master("c", quorum=3, leader="", answers=False)}
    present["a"]["replicas"] = present["b"]["replicas"] = 2
    plan = plugin.mesos_masters_plan(addresses("abc"), present, 2)
    assert (plan["forgetting"], plan["restart_order"][0], plan["settled"]) == (["c"], "c", False)


def test_a_master_that_was_replaced_and_comes_back_catches_up_from_nothing(plugin: ModuleType) -> None:
    old, now = sorted(addresses("abc")), sorted(addresses("bcd"))
    present = {host: master(host, leader="b", ensemble=now, replicas=4) for host in "bcd"}
    present["a"] = master("a", leader="b", ensemble=old)
    plan = plugin.mesos_masters_plan(addresses("abc"), present, 2)
    assert (plan["action"], plan["mistakes"]) == ("keep", [])
    assert (plan["forgetting"], plan["leaving"]) == (["a"], ["d"])
    assert plan["restart_order"] == ["a", "c", "b"]


def test_where_less_than_a_majority_stays_all_begin_with_the_leaders_log(plugin: ModuleType) -> None:
    present = {host: master(host) for host in "abc"} | {host: new(host) for host in "de"}
    plan = plugin.mesos_masters_plan(addresses("ade"), present, 2)
    assert (plan["action"], plan["source"], plan["mistakes"]) == ("change", "a", [])
    assert plan["leaving"] == ["b", "c"]


def test_a_log_that_is_handed_out_is_not_set_aside(plugin: ModuleType) -> None:
    present = {
        "a": master("a", ensemble=addresses("abc")),
        "b": master("b"),
        "c": master("c", ensemble=addresses("cde")),
        "d": new("d"),
    }
    plan = plugin.mesos_masters_plan(addresses("acd"), present, 2)
    assert (plan["action"], plan["source"], plan["forgetting"]) == ("change", "a", [])


def test_a_leader_that_nobody_knows_stops_everything(plugin: ModuleType) -> None:
    present = {host: master(host, leader="a") for host in "bc"} | {"d": new("d")}
    plan = plugin.mesos_masters_plan(addresses("bcd"), present, 2)
    assert "nobody knows can break" in plan["mistakes"][0]
    hidden = {host: master(host, leader="a", replicas=0) for host in "bc"} | {"d": new("d")}
    assert (
        "10.0.0.1:5050, is not one" in plugin.mesos_masters_plan(addresses("bcd"), hidden, 2)["mistakes"][0]
    )


def test_too_many_are_not_replaced_beside_a_leader_that_can_not_be_reached(plugin: ModuleType) -> None:
    present = {host: master(host, leader="a") for host in "bc"} | {host: new(host) for host in "de"}
    plan = plugin.mesos_masters_plan(addresses("ade"), present, 2)
    assert "So many masters can't be changed" in plan["mistakes"][0]


def test_an_elected_master_without_a_majority_is_no_source(plugin: ModuleType) -> None:
    present = {host: master(host, quorum=3, has_registry=False, replicas=2) for host in "ab"} | {
        "f": new("f")
    }
    plan = plugin.mesos_masters_plan(addresses("abf"), present, 2)
    assert "has no majority" in plan["mistakes"][0]


def test_a_packed_log_goes_before_an_empty_master_that_was_elected(plugin: ModuleType) -> None:
    present = {
        "a": master("a", leader="b", quorum=2, seed=3, answers=False),
        "b": master("b", leader="b", quorum=2, has_registry=False),
        "c": master("c", leader="b", quorum=2),
        "d": new("d"),
        "e": new("e"),
    }
    plan = plugin.mesos_masters_plan(addresses("abcde"), present, 3)
    assert (plan["action"], plan["source"], plan["packed"]) == ("change", "a", True)


def test_an_operator_says_whose_log_is_right(plugin: ModuleType) -> None:
    present = {
        "a": master("a", leader="", quorum=1),
        "b": master("b", leader=""),
        "c": master("c", leader=""),
    }
    plan = plugin.mesos_masters_plan(addresses("abc"), present, 2, "a")
    assert (plan["action"], plan["source"], plan["mistakes"]) == ("change", "a", [])
    refused = plugin.mesos_masters_plan(addresses("abc"), present, 2, "x")
    assert "mesos_master_log_from is x" in refused["mistakes"][0]
