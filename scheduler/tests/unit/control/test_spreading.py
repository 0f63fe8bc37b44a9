"""Where instances run, and in which order services start and stop, seen over minutes on a few agents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.launching import MAINTENANCE_SECONDS, REFUSE_SECONDS
from scheduler_fakes import offer_message, service
from small_cluster import SmallCluster

UNIQUE = {"field": "hostname", "operator": "UNIQUE"}


def everywhere(**fields: Any) -> Service:
    return service(mode="global", count=1, **fields)


def put_in_racks(cluster: SmallCluster, racks: dict[str, str]) -> None:
    """Have agents say in which rack they are."""
    for name, rack in racks.items():
        text = {"name": "rack", "type": "TEXT", "text": {"value": rack}}
        cluster.offers[name] = {"more": {"attributes": [text]}}


def kinds(cluster: SmallCluster, name: str = "web") -> list[str]:
    return [reason.kind for reason in cluster.view(name).reasons]


# One on each slave


def test_a_global_service_has_an_instance_on_each_slave_and_on_those_that_join(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, everywhere(), agents="ab")
    cluster.play(10)
    assert cluster.places("web") == "ab"
    assert (cluster.view("web").wanted, cluster.view("web").converged) == (2, True)
    cluster.agents.append("c")
    cluster.play(10)
    assert cluster.places("web") == "abc"
    assert (cluster.view("web").configured, cluster.view("web").converged) == (3, True)
    # Mesos goes on to offer, or nobody would hear of a slave that joins.
    assert cluster.bench.driver.take("suppress") == []


def test_offers_are_no_more_wanted_once_no_service_is_global(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, everywhere())
    cluster.play(10)
    cluster.configure(service(count=1))
    cluster.play(10)
    assert cluster.places("web") in ("a", "b", "c")
    assert len(cluster.bench.driver.take("suppress")) == 1
    cluster.configure(everywhere())
    cluster.play(10)
    assert cluster.places("web") == "abc"


def test_a_global_service_keeps_off_slaves_that_the_constraints_exclude(tmp_path: Path) -> None:
    not_b = [{"field": "hostname", "operator": "UNLIKE", "value": "host-b"}]
    cluster = SmallCluster(tmp_path, everywhere())
    cluster.play(10)
    cluster.configure(everywhere(constraints=not_b))
    cluster.play(20)
    assert cluster.places("web") == "ac"
    assert cluster.view("web").converged


def test_a_slave_that_is_lost_is_missed_by_nobody(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, everywhere())
    cluster.play(10)
    lost = next(one for one in cluster.view("web").instances if one.agent_id == "b")
    cluster.agents.remove("b")
    cluster.bench.take(events.AgentLost("b"))
    cluster.bench.tell(lost.task_id, "UNREACHABLE", "b")
    cluster.play(10)
    assert (cluster.view("web").wanted, cluster.view("web").converged) == (2, True)
    cluster.bench.tell(lost.task_id, "RUNNING", "b")
    cluster.agents.append("b")
    cluster.play(10)
    assert (cluster.places("web"), cluster.view("web").converged) == ("abc", True)


def test_a_slave_that_is_drained_is_missed_until_it_is_offered_again(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, everywhere())
    cluster.play(10)
    drained = next(one for one in cluster.view("web").instances if one.agent_id == "b")
    cluster.agents.remove("b")
    for state in ("KILLING", "KILLED"):
        cluster.bench.tell(drained.task_id, state, "b", reason="REASON_AGENT_DRAINING")
    cluster.play(10)
    assert (cluster.places("web"), cluster.view("web").converged) == ("ac", True)
    cluster.agents.append("b")
    cluster.play(10)
    assert (cluster.places("web"), cluster.view("web").converged) == ("abc", True)


@pytest.mark.parametrize("ports", [[], [{"container_port": 80, "host_port": 31000}]])
def test_an_update_replaces_a_global_service_where_it_is_one_after_the_other(
    tmp_path: Path, ports: list[dict[str, int]]
) -> None:
    cluster = SmallCluster(tmp_path, everywhere(ports=ports))
    cluster.play(10)
    cluster.moments.clear()
    cluster.configure(everywhere(ports=ports, image="demo/web:2"))
    cluster.play(60)
    update = cluster.view("web").update
    assert update is not None
    assert update.state == "complete"
    assert (cluster.places("web"), cluster.least["web"]) == ("abc", 2)
    assert [what for what, *_ in cluster.moments] == ["stop", "start"] * 3
    agents = [agent for *_, agent in cluster.moments]
    assert agents[::2] == agents[1::2]


def test_a_slave_without_room_for_a_global_service_is_named(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, everywhere(mem=512), agents="ab")
    cluster.offers["b"] = {"mem": 100}
    cluster.play(10)
    assert (cluster.places("web"), cluster.view("web").converged) == ("a", False)
    assert "too little memory (the most that was offered is 100, on host-b)" in cluster.view("web").waiting[0]


def test_a_global_service_is_not_called_complete_before_slaves_are_known(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, everywhere(), agents="")
    assert (kinds(cluster), cluster.view("web").converged) == (["held"], False)


def test_a_global_service_loses_no_instance_but_those_on_a_slave_that_drains(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, everywhere(), service(name="other", count=3))
    cluster.play(10)
    ended = next(one for one in cluster.view("web").instances if one.agent_id == "a")
    cluster.bench.tell(ended.task_id, "FAILED", "a")
    cluster.play(90)  # the newest is on a now, and the failure has expired
    drained = next(one for one in cluster.view("other").instances if one.agent_id == "b")
    cluster.agents.remove("b")
    cluster.moments.clear()
    cluster.bench.tell(drained.task_id, "KILLING", "b", reason="REASON_AGENT_DRAINING")
    cluster.play(10)
    assert [moment for moment in cluster.moments if moment[:2] == ("stop", "web")] == [("stop", "web", "b")]
    assert cluster.places("web") == "ac"


def test_a_restarted_scheduler_waits_for_slaves_before_it_calls_a_global_service_complete(
    tmp_path: Path,
) -> None:
    cluster = SmallCluster(tmp_path, everywhere(), agents="ab")
    cluster.play(10)
    store, now = cluster.bench.store, cluster.bench.now
    again = SmallCluster(tmp_path, everywhere(), store=store, now=now, agents="abc")
    for task_id, task in cluster.bench.store.load().tasks.items():
        again.bench.tell(task_id, "RUNNING", task.agent_id)
    assert not again.view("web").converged
    again.play(10)
    assert (again.places("web"), again.view("web").converged) == ("abc", True)


def test_a_global_service_can_not_be_scaled(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, everywhere())
    cluster.play(10)
    refused = 'web can\'t be scaled: with mode "global" it has one instance on each slave'
    assert str(cluster.ask(lambda operations, now: operations.scale("web", 2, "me", now))) == refused
    task_id = cluster.view("web").instances[0].task_id
    asked = cluster.ask(lambda operations, now: operations.kill(task_id, "me", now, scale=True))
    assert str(asked) == refused
    assert cluster.ask(lambda operations, now: operations.kill(task_id, "me", now)) is None
    cluster.play(10)
    assert cluster.places("web") == "abc"


def test_a_count_that_an_operator_asked_for_is_over_once_the_service_is_global(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, service(count=1))
    cluster.ask(lambda operations, now: operations.scale("web", 5, "me", now))
    cluster.play(10)
    cluster.configure(everywhere())
    cluster.play(30)
    assert (cluster.places("web"), cluster.view("web").scaled_since) == ("abc", None)
    assert any("mode is now global: scaling to 5 is over" in event.text for event in cluster.bench.events)


# Services that depend on others

DB = service(name="db", count=2)
WEB = service(count=2, depends_on=["db"])


def test_a_service_starts_when_all_of_what_it_depends_on_is_healthy(tmp_path: Path) -> None:
    checked = service(name="db", count=2, health_check={"protocol": "tcp", "port": 80})
    cluster = SmallCluster(tmp_path, WEB, checked)
    cluster.play(10)
    assert (cluster.running("db"), cluster.running("web")) == (2, 0)
    assert cluster.view("web").waiting == ("2 instances waiting for db (0 of 2 healthy)",)
    first, second = (one.task_id for one in cluster.view("db").instances)
    where = {one.task_id: one.agent_id for one in cluster.view("db").instances}
    cluster.bench.tell(first, "RUNNING", where[first], healthy=True)
    cluster.play(10)
    assert cluster.view("web").waiting == ("2 instances waiting for db (1 of 2 healthy)",)
    cluster.bench.tell(second, "RUNNING", where[second], healthy=True)
    cluster.play(10)
    assert cluster.running("web") == 2
    assert cluster.view("web").converged


def test_an_outage_of_a_part_of_what_it_depends_on_holds_nothing_up(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, WEB, DB)
    cluster.play(10)
    down, up = cluster.view("db").instances
    ended = cluster.view("web").instances[0]
    cluster.bench.tell(down.task_id, "FAILED", down.agent_id)
    cluster.bench.tell(ended.task_id, "FAILED", ended.agent_id)
    cluster.play(20, lambda name, agent: name == "db")
    assert (cluster.running("db"), cluster.running("web")) == (1, 2)
    # Without any of it, what is missing waits; what runs is left alone.
    cluster.bench.tell(up.task_id, "FAILED", up.agent_id)
    ended = cluster.view("web").instances[0]
    cluster.bench.tell(ended.task_id, "FAILED", ended.agent_id)
    cluster.play(20, lambda name, agent: name == "db")
    assert (cluster.running("web"), kinds(cluster)) == (1, ["dependency"])


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("gone", [False, True])
def test_what_depends_on_a_service_stops_before_it(tmp_path: Path, gone: bool, restarted: bool) -> None:
    cluster = SmallCluster(tmp_path, WEB, DB)
    cluster.play(10)
    cluster.moments.clear()
    nothing = () if gone else (replace_count(WEB, 0), replace_count(DB, 0))
    cluster.configure(*nothing, service(name="other"))
    if restarted:
        kept = cluster.bench.store
        cluster = SmallCluster(tmp_path, *nothing, service(name="other"), store=kept, now=cluster.bench.now)
        for task_id, task in cluster.bench.store.load().tasks.items():
            if not task.state.ended:
                cluster.bench.tell(task_id, "RUNNING", task.agent_id)
    cluster.play(20)
    assert [name for what, name, _ in cluster.moments if what == "stop"] == ["web", "web", "db", "db"]
    assert cluster.bench.controller._ledger.task_index.services == {"other"}
    assert [key for key in cluster.bench.store.load().records if key[0] == "dependencies"] == (
        [] if gone else [("dependencies", "web")]
    )


@pytest.mark.parametrize("mode", ["replicated", "global"])
def test_what_runs_is_not_stopped_while_nothing_may_start_in_its_place(tmp_path: Path, mode: str) -> None:
    limits = {"max_unavailable": 1} if mode == "global" else {"max_surge": 0, "max_unavailable": 1}
    web = service(count=1, mode=mode, depends_on=["db"], update=limits)
    cluster = SmallCluster(tmp_path, web, DB, agents="a")
    cluster.play(20)
    cluster.ask(lambda operations, now: operations.scale("db", 0, "me", now))
    cluster.play(10)
    cluster.configure(
        service(count=1, mode=mode, depends_on=["db"], update=limits, image="demo/web:2"),
        DB.model_copy(update={"count": 2}),
    )
    cluster.play(900)
    assert cluster.places("web") == "a"
    # Nor has the update failed for that: it goes on when the other is back.
    cluster.ask(lambda operations, now: operations.scale("db", 2, "me", now))
    cluster.play(60)
    update = cluster.view("web").update
    assert update is not None
    assert (update.state, update.to_image) == ("complete", "demo/web:2")


def test_what_was_never_complete_needs_no_more_than_one_of_another_to_go_on(tmp_path: Path) -> None:
    web = service(count=3, depends_on=["db"], constraints=[UNIQUE])
    cluster = SmallCluster(tmp_path, web, DB, agents="ab")
    cluster.play(20)
    for name in ("db", "web"):
        ended = cluster.view(name).instances[0]
        cluster.bench.tell(ended.task_id, "FAILED", ended.agent_id)
    cluster.play(20, lambda name, agent: name == "db")
    assert cluster.running("web") == 2


def test_a_service_that_others_need_can_be_stopped_alone(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, WEB, DB)
    cluster.play(10)
    cluster.ask(lambda operations, now: operations.scale("db", 0, "me", now))
    cluster.play(10)
    assert (cluster.running("db"), cluster.running("web")) == (0, 2)


def replace_count(before: Service, count: int) -> Service:
    return before.model_copy(update={"count": count})


# Moving what is spread badly


def test_instances_move_one_at_a_time_to_a_slave_that_joins(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, service(count=6, rebalance=True), agents="ab")
    cluster.play(20)
    cluster.agents.append("c")
    cluster.moments.clear()
    cluster.play(120)
    assert cluster.places("web") == "aabbcc"
    assert cluster.view("web").converged
    assert cluster.least["web"] == 6
    assert [what for what, *_ in cluster.moments] == ["start", "stop"] * 2


def test_nothing_moves_unless_the_service_says_so(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, service(count=4), agents="a")
    cluster.play(20)
    cluster.agents.append("b")
    cluster.play(60)
    assert cluster.places("web") == "aaaa"


def test_instances_move_to_where_there_is_room_only(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, service(count=4, rebalance=True, mem=256), agents="a")
    cluster.play(20)
    cluster.agents.append("b")
    cluster.offers["b"] = {"mem": 128}
    cluster.moments.clear()
    cluster.play(60)
    assert (cluster.places("web"), cluster.moments) == ("aaaa", [])
    assert cluster.view("web").converged


def test_a_move_that_takes_the_last_room_is_carried_through(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, service(count=4, rebalance=True, mem=256), agents="a")
    cluster.play(20)
    cluster.agents.append("b")
    cluster.offers["b"] = {"mem": 256}
    cluster.moments.clear()
    for _ in range(60):
        cluster.play(2)
        cluster.offers["b"] = {"mem": 0 if "b" in cluster.places("web") else 256}
    assert (cluster.places("web"), len(cluster.moments)) == ("aaab", 2)
    assert cluster.view("web").converged


def test_room_that_nobody_confirms_moves_nothing(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, service(count=6, rebalance=True), agents="ab")
    cluster.play(20)
    cluster.bench.take(events.Offers((offer_message("c"),)))
    cluster.bench.take(after=1)
    cluster.bench.driver.take("accept")
    cluster.moments.clear()
    cluster.play(600)
    assert not [moment for moment in cluster.moments if moment[0] == "stop" and moment[2] != "c"]


def test_groups_take_what_group_by_lets_come(tmp_path: Path) -> None:
    by_rack = [{"field": "rack", "operator": "GROUP_BY"}]
    cluster = SmallCluster(tmp_path, service(count=9, rebalance=True, constraints=by_rack), agents="a")
    put_in_racks(cluster, dict(zip("abc", ("r1", "r2", "r3"), strict=True)))
    cluster.play(20)
    cluster.agents += ["b", "c"]
    for _ in range(150):
        cluster.play(2)
        cluster.offers["c"] = {**cluster.offers["c"], "mem": 0 if "c" in cluster.places("web") else 4096}
    assert cluster.least["web"] == 9
    assert cluster.view("web").converged
    assert "resources" not in kinds(cluster)


def test_instances_move_to_values_that_group_by_keeps_even(tmp_path: Path) -> None:
    by_rack = [{"field": "rack", "operator": "GROUP_BY"}]
    cluster = SmallCluster(tmp_path, service(count=4, rebalance=True, constraints=by_rack), agents="ab")
    put_in_racks(cluster, dict(zip("abc", ("r1", "r1", "r2"), strict=True)))
    cluster.play(20)
    assert cluster.places("web") == "aabb"
    cluster.agents.append("c")
    cluster.play(60)
    assert cluster.places("web") == "abcc"


def test_groups_that_are_even_stay_so_whatever_their_slaves_have(tmp_path: Path) -> None:
    by_rack = [{"field": "rack", "operator": "GROUP_BY"}]
    cluster = SmallCluster(tmp_path, service(count=6, rebalance=True, constraints=by_rack))
    put_in_racks(cluster, dict(zip("abc", ("r1", "r2", "r1"), strict=True)))
    cluster.play(20)
    assert cluster.places("web") in ("aabbbc", "abbbcc")
    cluster.moments.clear()
    cluster.play(60)
    assert cluster.moments == []


def test_a_slave_where_nothing_starts_is_no_reason_to_move_again_and_again(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, service(count=4, rebalance=True), agents="a")
    cluster.play(20)
    cluster.agents.append("b")
    cluster.play(300, lambda name, agent: agent == "b")
    assert cluster.places("web") == "aaaa"
    assert cluster.launches["web", "b"] <= 6
    assert cluster.least["web"] == 4


# What constraints have no place for


def paused_half_way(folder: Path) -> SmallCluster:
    """On a and b, with UNIQUE, one of two instances is new when somebody pauses, and c is gone."""
    cluster = SmallCluster(folder, service(count=3, constraints=[UNIQUE]))
    cluster.play(10)
    cluster.configure(service(count=3, constraints=[UNIQUE], image="demo/web:2"))
    while len({one.version for one in cluster.view("web").instances if one.in_service}) == 1:
        cluster.play(2)
    assert cluster.ask(lambda operations, now: operations.pause("web", "me", now)) is None
    return cluster


def test_a_paused_update_starts_nothing_beside_what_stays(tmp_path: Path) -> None:
    cluster = paused_half_way(tmp_path)
    cluster.play(20)
    lost = next(one for one in cluster.view("web").instances if one.agent_id == "c")
    cluster.agents.remove("c")
    cluster.bench.take(events.AgentLost("c"))
    cluster.bench.tell(lost.task_id, "UNREACHABLE", "c")
    cluster.moments.clear()
    cluster.play(120)
    assert cluster.places("web") == "ab"
    assert cluster.moments == []


@pytest.mark.parametrize("limit", [UNIQUE, {"field": "hostname", "operator": "MAX_PER", "value": "1"}])
@pytest.mark.parametrize("agents", ["a", "ab", "abcd"])
def test_a_tighter_constraint_and_a_new_image_leave_as_many_in_service(
    tmp_path: Path, agents: str, limit: dict[str, str]
) -> None:
    cluster = SmallCluster(tmp_path, service(count=4), agents="a")
    cluster.play(10)
    cluster.configure(service(count=4, constraints=[limit], image="demo/web:2"))
    cluster.play(60)
    cluster.agents = list(agents)
    least = cluster.least["web"]
    cluster.play(900)
    assert min(least, cluster.least["web"]) == 4
    assert cluster.view("web").update is not None
    if agents == "abcd":
        assert (cluster.places("web"), cluster.view("web").converged) == ("abcd", True)


def test_a_restart_leaves_as_many_in_service_where_a_constraint_allows_fewer(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, service(count=4), agents="a")
    cluster.play(10)
    cluster.configure(service(count=4, constraints=[UNIQUE]))
    cluster.play(20)
    cluster.ask(lambda operations, now: operations.restart("web", "me", now))
    cluster.play(120)
    assert cluster.least["web"] == 4


def test_an_update_that_has_failed_is_tried_again_when_the_service_is_run_otherwise(tmp_path: Path) -> None:
    fixed: dict[str, Any] = {"count": 1, "ports": [{"container_port": 80, "host_port": 31000}]}
    cluster = SmallCluster(tmp_path, service(**fixed), agents="a")
    cluster.play(10)
    cluster.configure(service(**fixed, image="demo/web:2"))
    cluster.offers["a"] = {"ports": "31001-31009"}
    cluster.play(700)
    assert "update.max_unavailable is 0" in " ".join(cluster.view("web").waiting)
    cluster.offers.clear()
    cluster.configure(service(**fixed, image="demo/web:2", update={"max_unavailable": 1}))
    cluster.play(60)
    update = cluster.view("web").update
    assert update is not None
    assert (update.state, cluster.view("web").converged) == ("complete", True)


def test_the_version_before_gets_offers_at_once_when_it_comes_back(tmp_path: Path) -> None:
    update = {"on_failure": "rollback", "max_failures": 9, "max_surge": 0, "max_unavailable": 1}
    cluster = SmallCluster(tmp_path, service(count=1, update=update), agents="a")
    cluster.play(10)
    cluster.configure(service(count=1, image="demo/web:2", update=update))
    while cluster.running("web") or cluster.launches["web", "a"] < 8:
        cluster.play(4, lambda name, agent: True)
    cluster.agents.clear()  # from now on Mesos offers when it is asked only
    cluster.play(60)
    cluster.bench.driver.take("revive")
    rolled_back = cluster.ask(lambda operations, now: operations.roll_back("web", "me", now))
    assert rolled_back is None
    cluster.bench.take(after=1)
    assert cluster.bench.driver.take("revive")


def test_maintenance_that_is_called_off_is_noticed_by_a_global_service(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, everywhere(), agents="ab")
    soon = {"start": {"nanoseconds": int((cluster.bench.now + 600) * 1e9)}}
    cluster.offers["b"] = {"more": {"unavailability": soon}}
    cluster.play(10)
    assert (cluster.places("web"), cluster.view("web").converged) == ("a", True)
    declined = {seconds for _, _, seconds in cluster.bench.driver.take("decline")}
    assert declined == {REFUSE_SECONDS, MAINTENANCE_SECONDS}
    cluster.offers.clear()
    cluster.play(10)
    assert cluster.places("web") == "ab"


def test_what_is_being_stopped_is_not_scaled_away_as_well(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, service(count=2))
    cluster.play(10)
    task_id = cluster.view("web").instances[0].task_id
    assert cluster.ask(lambda operations, now: operations.kill(task_id, "me", now)) is None
    refused = cluster.ask(lambda operations, now: operations.kill(task_id, "me", now, scale=True))
    assert "is being stopped already, and another takes its place: scale web instead" in str(refused)
    assert cluster.view("web").wanted == 2


def test_what_is_on_a_slave_without_the_field_of_a_constraint_moves(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, service(count=2), agents="a")
    put_in_racks(cluster, dict(zip("bc", ("r1", "r2"), strict=True)))
    cluster.play(10)
    cluster.agents = list("abc")
    cluster.configure(service(count=2, constraints=[{"field": "rack", "operator": "UNIQUE"}]))
    cluster.play(60)
    assert (cluster.places("web"), cluster.view("web").converged) == ("bc", True)


def test_what_no_longer_suits_moves_when_the_slave_says_so(tmp_path: Path) -> None:
    def rack(value: str) -> dict[str, Any]:
        return {"more": {"attributes": [{"name": "rack", "type": "TEXT", "text": {"value": value}}]}}

    on_r1 = [{"field": "rack", "operator": "IS", "value": "r1"}]
    cluster = SmallCluster(tmp_path, service(count=1, constraints=on_r1), agents="a")
    cluster.offers = {"a": rack("r1"), "b": rack("r1")}
    cluster.play(20)
    cluster.offers["a"], cluster.agents = rack("r2"), ["a", "b"]
    cluster.play(20)
    assert cluster.places("web") == "b"


def test_an_update_waits_for_what_its_service_waits_for(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"count": 3, "unreachable_seconds": 1800, "update": {"on_failure": "rollback"}}
    cluster = SmallCluster(tmp_path, service(**settings), agents="abcd")
    cluster.play(10)
    cluster.configure(service(**settings, image="demo/web:2"))
    while not any(one.image == "demo/web:2" and one.in_service for one in cluster.view("web").instances):
        cluster.play(2)
    new = next(one for one in cluster.view("web").instances if one.image == "demo/web:2" and one.in_service)
    cluster.agents.remove(new.agent_id)
    cluster.bench.take(events.AgentLost(new.agent_id))
    cluster.bench.tell(new.task_id, "UNREACHABLE", new.agent_id)
    cluster.play(2600)
    update = cluster.view("web").update
    assert update is not None
    assert (update.state, update.to_image) == ("complete", "demo/web:2")
