"""Where instances go: constraints, spread and pack, roles; and what is said when there is no room."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.cluster import Agent, Offer
from mesos_docker_scheduler.planning.constraints import SpreadCounter, field_of, looks_at_agent_alone, suits
from mesos_docker_scheduler.planning.placement import Placement, need_of
from mesos_docker_scheduler.planning.resources import Pool
from mesos_docker_scheduler.planning.shortage import Explanations
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.task_index import TaskIndex
from mesos_docker_scheduler.records.tasks import wait_key
from scheduler_fakes import NOW, offer_message, resources, service, task


def wished(*constraints: tuple[str, ...], **fields: Any) -> Service:
    limits = [dict(zip(("field", "operator", "value"), one, strict=False)) for one in constraints]
    return service(constraints=limits, **fields)


def offer(
    agent_id: str, *, role: str = "*", zone: str | None = None, rack: str | None = None, **more: Any
) -> Offer:
    extra: dict[str, Any] = {"allocation_info": {"role": role}}
    if zone is not None:
        extra["domain"] = {"fault_domain": {"region": {"name": "eu"}, "zone": {"name": zone}}}
    if rack is not None:
        extra["attributes"] = [
            {"name": "rack", "type": "TEXT", "text": {"value": rack}},
            {"name": "rack", "type": "TEXT", "text": {"value": "second"}},
        ]
    return Offer.from_message(offer_message(agent_id, more=extra, **more))


def placed(placement: Placement) -> str:
    return " ".join(sorted(launch.agent_id for accept in placement.accepts() for launch in accept.launches))


RACKS = [offer("a", rack="1"), offer("b", rack="1"), offer("c", rack="2"), offer("d")]


@pytest.mark.parametrize(
    ("constraints", "count", "has", "where"),
    [
        ([("hostname", "UNIQUE")], 6, "", "a b c d"),
        ([("hostname", "UNIQUE")], 4, "a", "b c d"),
        ([("rack", "UNIQUE")], 4, "", "a c"),
        ([("rack", "UNIQUE")], 4, "b", "c"),
        ([("rack", "MAX_PER", "2")], 9, "", "a b c c"),
        ([("rack", "GROUP_BY")], 5, "", "a a b c c"),
        ([("rack", "GROUP_BY", "3")], 5, "", "a c"),
        ([("rack", "GROUP_BY")], 2, "a b", "c c"),
        ([("hostname", "GROUP_BY")], 2, "a b a", "c d"),
        ([("rack", "CLUSTER")], 4, "", "a a b b"),
        ([("rack", "CLUSTER")], 2, "c", "c c"),
        ([("rack", "CLUSTER", "2")], 2, "", "c c"),
        ([("hostname", "CLUSTER")], 3, "", "a a a"),
        ([("rack", "LIKE", "[2-9]")], 1, "", "c"),
        ([("rack", "UNLIKE", "1")], 4, "", "c c d d"),
        ([("rack", "IS", "1"), ("hostname", "UNIQUE")], 4, "", "a b"),
        ([("rack", "GROUP_BY"), ("hostname", "UNIQUE")], 4, "", "a b c"),
        ([("@zone", "UNIQUE")], 4, "", ""),
        ([("hostname", "LIKE", "host-[bd]")], 2, "", "b d"),
    ],
    ids=str,
)
def test_constraints(constraints: list[tuple[str, ...]], count: int, has: str, where: str) -> None:
    web = wished(*constraints)
    task_index = TaskIndex(task(str(number), web, agent_id) for number, agent_id in enumerate(has.split()))
    placement = Placement(RACKS, {}, task_index, NOW)
    missing = placement.place(web, count)
    assert placed(placement) == where
    assert missing == count - len(where.split())


@pytest.mark.parametrize(
    ("preferences", "fields", "count", "has", "where"),
    [
        ([("rack", "IS", "1")], {}, 3, "", "a a b"),
        ([("rack", "IS", "1")], {}, 5, "", "a a b b c"),
        ([("rack", "IS", "2")], {}, 4, "c c", "a a b d"),
        ([("rack", "IS", "9")], {}, 4, "", "a b c d"),
        ([("rack", "UNLIKE", "1"), ("hostname", "LIKE", "host-[cd]")], {}, 3, "", "c c d"),
        ([("rack", "LIKE", "."), ("hostname", "IS", "host-c")], {}, 3, "", "a c c"),
        ([("rack", "IS", "1")], {"placement": "pack"}, 5, "", "a a b b c"),
        ([("rack", "IS", "2")], {"constraints": [("hostname", "UNIQUE")]}, 2, "", "a c"),
        ([("hostname", "IS", "host-a")], {"constraints": [("rack", "GROUP_BY")]}, 4, "", "a a c c"),
    ],
    ids=str,
)
def test_agents_that_meet_more_preferences_are_filled_first(
    preferences: list[tuple[str, ...]], fields: dict[str, Any], count: int, has: str, where: str
) -> None:
    limits = fields.get("constraints", ())
    names = ("field", "operator", "value")
    fields = {**fields, "preferences": [dict(zip(names, one, strict=True)) for one in preferences]}
    fields.pop("constraints", None)
    web = wished(*limits, **fields, cpus=1)
    offers = [
        offer("a", rack="1", cpus=2),
        offer("b", rack="1", cpus=2),
        offer("c", rack="2", cpus=2 - len(has.split())),
        offer("d", cpus=2),
    ]
    task_index = TaskIndex(task(str(number), web, agent_id) for number, agent_id in enumerate(has.split()))
    placement = Placement(offers, {}, task_index, NOW)
    placement.place(web, count)
    assert placed(placement) == where


@pytest.mark.parametrize(("room", "where"), [(10, "a a a b b b"), (1, "a b b")])
def test_groups_stay_even_beside_an_agent_where_it_has_failed(room: int, where: str) -> None:
    web = wished(("rack", "GROUP_BY"), count=6, cpus=1)
    failed = {wait_key("web", web.version): {"a": Wait(1, NOW - 5, NOW - 1, "no space left on device")}}
    offers = [offer("a", rack="r0", cpus=room), offer("b", rack="r1", cpus=10)]
    placement = Placement(offers, {}, TaskIndex(), NOW, places=failed)
    placement.place(web, 6)
    assert placed(placement) == where


def test_old_instances_keep_no_new_one_off_their_agent() -> None:
    web = wished(("hostname", "UNIQUE"))
    old = web.model_copy(update={"image": "demo/web:0"})
    task_index = TaskIndex([task("1", old, "a", version="old"), task("2", old, "b", version="old")])
    placement = Placement([offer("a"), offer("b")], {}, task_index, NOW)
    assert placement.place(web, 1) == 0


def test_instances_on_agents_that_are_not_offered_count_by_what_is_remembered_of_them() -> None:
    web = wished(("rack", "UNIQUE"))
    task_index = TaskIndex([task("1", web, "gone")])
    agents = {"gone": Agent("gone", "host-gone", attributes={"rack": "1"})}
    placement = Placement(RACKS, agents, task_index, NOW)
    placement.place(web, 2)
    assert placed(placement) == "c"


def test_a_cluster_goes_where_all_of_it_has_room() -> None:
    web = wished(("hostname", "CLUSTER"), cpus=1)
    placement = Placement([offer("a", cpus=1), offer("b", cpus=3), offer("c", cpus=2)], {}, TaskIndex(), NOW)
    assert placement.place(web, 3) == 0
    assert placed(placement) == "b b b"


def test_a_new_version_is_kept_together_where_all_of_it_will_have_room() -> None:
    old, new = wished(image="demo/web:1"), wished(("rack", "CLUSTER"), image="demo/web:2", count=3, cpus=1)
    task_index = TaskIndex(task(str(number), old, agent_id) for number, agent_id in enumerate("bb"))
    # Rack 1 has the emptiest agent, and room for one; rack 2 has two, and gets back another two.
    offers = [offer("a", rack="1", cpus=1), offer("b", rack="2", cpus=2)]
    placement = Placement(offers, {}, task_index, NOW)
    assert placement.place(new, 1) == 0
    assert placed(placement) == "b"


def test_what_keeps_together_leaves_agents_that_go_away() -> None:
    web = wished(("rack", "CLUSTER"), count=2)
    task_index = TaskIndex(task(str(number), web, "a") for number in range(2))
    offers = [offer("b", rack="2")]
    agents = {"a": Agent("a", "host-a", attributes={"rack": "1"})}
    assert Placement(offers, agents, task_index, NOW).place(web, 1, {}) == 1
    placement = Placement(offers, agents, task_index, NOW, going=frozenset("a"))
    assert placement.place(web, 1, {}) == 0


DAY = 86_400


def going_away(agent_id: str, days: float, **more: Any) -> Offer:
    start = {"nanoseconds": int((NOW + days * DAY) * 1e9)}
    window = {"start": start, "duration": {"nanoseconds": 3600 * 10**9}}
    return Offer.from_message(offer_message(agent_id, more={"unavailability": window}, **more))


@pytest.mark.parametrize("strategy", ["spread", "pack"])
def test_maintenance_that_is_far_away_only_ranks_an_agent_lower(strategy: str) -> None:
    offers = [going_away("a", 20), going_away("b", 27), going_away("c", 1 / 25), going_away("d", 34)]
    for count, where in ((1, "d"), (2, "b d"), (3, "a b d"), (9, "a b d")):
        placement = Placement(offers, {}, TaskIndex(), NOW)
        web = wished(("hostname", "UNIQUE"), placement=strategy)
        assert placement.place(web, count) == max(0, count - 3)
        assert placed(placement) == where


def test_packs_what_is_loaded_most_first_then_what_has_least_memory() -> None:
    web = wished(placement="pack", mem=1000)
    task_index = TaskIndex([task("1", service(name="db"), "c")])
    offers = [offer("a", mem=4000), offer("b", mem=2000), offer("c", mem=3000)]
    placement = Placement(offers, {}, task_index, NOW)
    placement.place(web, 6)
    assert placed(placement) == "a b b c c c"


def test_an_offer_serves_its_role_alone() -> None:
    offers = [offer("a", role="web"), offer("a", role="db"), offer("b", role="web")]
    placement = Placement(offers, {}, TaskIndex(), NOW, role="web")
    assert placement.place(wished(), 2) == 0
    assert placement.place(wished(name="db", role="db"), 1) == 0
    assert [(accept.role, accept.offer_ids) for accept in placement.accepts()] == [
        ("web", (offers[0].id,)),
        ("db", (offers[1].id,)),
        ("web", (offers[2].id,)),
    ]
    assert placement.place(wished(name="other", role="other"), 1) == 1


def test_agents_with_gpus_are_for_those_who_ask_for_some() -> None:
    gpus = [{"name": "gpus", "type": "SCALAR", "scalar": {"value": 1}}]
    with_gpu = Offer.from_message(offer_message("a", more={"resources": [*resources(), *gpus]}))
    placement = Placement([with_gpu, offer("b")], {}, TaskIndex([task("1", service(name="db"), "b")]), NOW)
    placement.place(wished(), 1)
    assert placed(placement) == "b"
    assert placement.place(wished(name="gpu", gpus=1), 2) == 1
    assert placed(placement) == "a b"


def test_what_one_service_passes_over_is_there_for_the_next() -> None:
    offers = [offer(agent_id, mem=mem) for agent_id, mem in (("a", 100), ("b", 900), ("c", 100))]
    placement = Placement(offers, {}, TaskIndex(), NOW)
    assert placement.place(wished(name="big", mem=800), 2) == 1
    assert placement.place(wished(name="small", mem=50), 5) == 0
    assert placed(placement) == "a a b b c c"


@pytest.mark.parametrize("strategy", ["spread", "pack"])
def test_agents_where_it_failed_come_last_and_not_before_their_time(strategy: str) -> None:
    web = wished(placement=strategy, cpus=2)
    failed = {"a": Wait(2, NOW, NOW - 1, "why"), "b": Wait(2, NOW, NOW + 1, "why")}
    places = {wait_key(web.name, web.version): failed}
    offers = [offer(agent_id, cpus=4) for agent_id in "abc"]
    placement = Placement(offers, {}, TaskIndex(), NOW, places=places)
    assert placement.place(web, 2) == 0
    assert placed(placement) == "c c"
    placement = Placement(offers, {}, TaskIndex(), NOW, places=places)
    assert placement.place(web, 6) == 2
    assert placed(placement) == "a a c c"
    # Only this version waits: others may use what it was kept off.
    assert placement.place(wished(name="other", placement=strategy, cpus=2), 2) == 0
    assert placed(placement) == "a a b b c c"
    (reason,) = [placement.explain(web, 2)]
    assert "1 is avoided for a while after faults (the last: why)" in reason.text


@pytest.mark.parametrize(
    ("until", "room", "where"),
    [
        (1, 4, "b b c c"),  # rack 1 is empty, and nothing may start there yet
        (-1, 4, "b b c c"),
        (1, 1, "b c"),
        (-1, 1, "a a a a"),  # it may start there again, and only there is room for all
    ],
)
def test_a_cluster_leaves_an_agent_where_it_has_failed(until: int, room: int, where: str) -> None:
    web = wished(("rack", "CLUSTER"), count=4, cpus=1)
    places = {wait_key(web.name, web.version): {"a": Wait(2, NOW, NOW + until, "why")}}
    task_index = TaskIndex(task(one, wished(name="other"), one) for one in "bc")
    offers = [offer("a", rack="1", cpus=9), offer("b", rack="2", cpus=room), offer("c", rack="2", cpus=room)]
    placement = Placement(offers, {}, task_index, NOW, places=places)
    placement.place(web, 4)
    assert placed(placement) == where


def test_a_cluster_that_may_start_nowhere_yet_waits_for_the_agent_where_it_has_failed() -> None:
    web = wished(("rack", "CLUSTER"), count=1)
    places = {wait_key(web.name, web.version): {"a": Wait(2, NOW, NOW + 1, "why")}}
    placement = Placement([offer("a", rack="1")], {}, TaskIndex(), NOW, places=places)
    assert placement.place(web, 1) == 1
    assert "1 is avoided for a while after faults (the last: why)" in placement.explain(web, 1).text


def test_what_nobody_has_room_for_is_not_looked_for_again() -> None:
    placement = Placement([offer("a", mem=100)], {}, TaskIndex(), NOW)
    assert placement.place(wished(name="big", mem=800), 1) == 1
    assert placement.place(wished(name="bigger", mem=801, cpus=0.2), 1) == 1
    assert placement.place(wished(name="wide", mem=50, cpus=3), 1) == 0


def test_explains_which_constraint_keeps_agents_out() -> None:
    web = wished(("rack", "LIKE", "[12]"), ("hostname", "UNIQUE"), ("rack", "GROUP_BY"), mem=3000)
    placement = Placement([*RACKS, offer("e", rack="2", mem=1000)], {}, TaskIndex(), NOW)
    missing = placement.place(web, 9)
    reason = placement.explain(web, missing)
    assert dict(reason.agents) == {"constraint hostname UNIQUE": 3, "constraint rack LIKE [12]": 1, "mem": 1}
    assert "1 does not meet constraint rack LIKE [12]" in reason.text
    assert "1 has too little memory (the most that was offered is 1,000, on host-e)" in reason.text


def test_explains_that_gpus_and_a_role_are_missing() -> None:
    placement = Placement([offer("a")], {}, TaskIndex(), NOW)
    gpu = wished(gpus=1)
    assert placement.explain(gpu, placement.place(gpu, 1)).agents == {"gpus": 1}
    db = wished(name="db", role="db")
    assert "Mesos has offered none so far" in placement.explain(db, placement.place(db, 1)).text


def test_looks_at_many_agents_once_a_second_at_most() -> None:
    agents = {str(n): Agent(str(n), f"h{n}", {"*": Pool(resources(mem=10))}) for n in range(2000)}
    explanations = Explanations()
    web = wished()

    def explain(now: float) -> dict[str, int]:
        placement = Placement([], agents, TaskIndex(), now, explanations=explanations)
        return dict(placement.explain(web, placement.place(web, 1)).agents)

    assert explain(NOW) == {"mem": 2000}
    del agents["0"]
    assert explain(NOW + 0.5) == {"mem": 2000}
    assert explain(NOW + 1.5) == {"mem": 1999}


def test_looks_at_many_agents_for_many_services_bit_by_bit() -> None:
    agents = {str(n): Agent(str(n), f"h{n}", {"*": Pool(resources(mem=10))}) for n in range(2000)}
    explanations = Explanations()
    waiting = [wished(name=f"s{number}") for number in range(150)]

    def explained(now: float) -> int:
        placement = Placement([], agents, TaskIndex(), now, explanations=explanations)
        reasons = [placement.explain(one, placement.place(one, 1)) for one in waiting]
        assert all(reason.agents == {"mem": 2000} or "in a moment" in reason.text for reason in reasons)
        return sum(bool(reason.agents) for reason in reasons)

    assert explained(NOW) == 100
    assert explained(NOW + 0.1) == 103
    assert explained(NOW + 10) == 150


# Generated: whatever is on offer and whatever is there, these hold.

limits = st.sampled_from(
    [
        ("hostname", "UNIQUE"),
        ("hostname", "MAX_PER", "2"),
        ("hostname", "GROUP_BY"),
        ("hostname", "CLUSTER"),
        ("rack", "UNIQUE"),
        ("rack", "MAX_PER", "3"),
        ("rack", "GROUP_BY"),
        ("rack", "GROUP_BY", "2"),
        ("rack", "CLUSTER"),
        ("rack", "LIKE", "[12]"),
        ("@zone", "GROUP_BY"),
        ("@zone", "MAX_PER", "4"),
        ("@zone", "UNLIKE", "y"),
    ]
)
agents_on_offer = st.lists(
    st.tuples(st.sampled_from(["1", "2", "3", None]), st.sampled_from(["x", "y", None]), st.integers(1, 4)),
    min_size=1,
    max_size=8,
)
wishes = st.lists(
    st.tuples(
        st.lists(limits, max_size=3, unique=True), st.integers(1, 9), st.sampled_from(["spread", "pack"])
    ),
    min_size=1,
    max_size=3,
)


@given(agents_on_offer, wishes, st.integers(0, 99))
def test_no_constraint_is_ever_violated_and_no_room_is_left_unused(
    agents: list[tuple[str | None, str | None, int]],
    services: list[tuple[list[tuple[str, ...]], int, str]],
    seed: int,
) -> None:
    offers = [
        offer(f"agent-{number}", rack=rack, zone=zone, cpus=cpus)
        for number, (rack, zone, cpus) in enumerate(agents)
    ]
    facts = {one.agent_id: one for one in offers}
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    made = [
        wished(*constraints, name=f"s{number}", cpus=1, mem=10, placement=strategy)
        for number, (constraints, _, strategy) in enumerate(services)
    ]
    there = {
        one.name: [agent_id for agent_id in facts if chance.random() < 0.1 and not one.constraints]
        for one in made
    }
    task_index = TaskIndex(
        task(f"{one.name}-{agent_id}", one, agent_id) for one in made for agent_id in there[one.name]
    )
    # Where a version has failed before it ran it comes last, and not before its time.
    waits = {
        wait_key(one.name, one.version): {
            agent_id: Wait(2, NOW, NOW + chance.choice([-1, 1]), "why")
            for agent_id in facts
            if chance.random() < 0.3
        }
        for one in made
    }
    placement = Placement(offers, {}, task_index, NOW, places=waits)
    missing = {
        one.name: placement.place(one, count) for one, (_, count, _) in zip(made, services, strict=True)
    }
    accepts = {accept.agent_id: accept for accept in placement.accepts()}
    free = {
        agent_id: accepts[agent_id].left if agent_id in accepts else one.pool
        for agent_id, one in facts.items()
    }
    for one, (_, count, _) in zip(made, services, strict=True):
        started = [
            launch.agent_id
            for accept in accepts.values()
            for launch in accept.launches
            if launch.service.name == one.name
        ]
        assert len(started) + missing[one.name] == count
        last = waits[wait_key(one.name, one.version)]
        closed = {agent_id for agent_id, wait in last.items() if wait.until > NOW}
        resorted_to = last.keys() & started
        assert not closed & set(started)
        constraints = one.constraints
        for constraint in constraints:
            values = [field_of(facts[agent_id], constraint.field) for agent_id in started]
            assert all(suits(constraint, value) for value in values)
            counts = Counter(filter(None, values))
            most, least = max(counts.values(), default=0), min(counts.values(), default=0)
            if constraint.operator in ("UNIQUE", "MAX_PER"):
                assert most <= int(constraint.value or 1)
            elif constraint.operator == "CLUSTER":
                assert len(counts) <= 1
            elif constraint.operator == "GROUP_BY":
                # What comes last is not waited for.
                assert resorted_to or most - least <= 1
        uneven = any(limit.operator in ("CLUSTER", "GROUP_BY") for limit in constraints)
        if (missing[one.name] or resorted_to) and not uneven:
            # Room is only ever taken, never given back: what has room now had it then.
            counters = [
                SpreadCounter(
                    limit,
                    Counter(str(field_of(facts[agent_id], limit.field)) for agent_id in started).items(),
                )
                for limit in constraints
                if not looks_at_agent_alone(limit)
            ]
            for agent_id, pool in free.items():
                values = [field_of(facts[agent_id], limit.field) for limit in constraints]
                if all(suits(limit, value) for limit, value in zip(constraints, values, strict=True)):
                    open_to = all(
                        counter.allows(str(field_of(facts[agent_id], counter.constraint.field)))
                        for counter in counters
                    )
                    excused = agent_id in (closed if missing[one.name] else last)
                    assert excused or not open_to or pool.lacks(need_of(one)) is not None


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 40))
def test_group_by_is_even_where_there_is_room(racks: int, hosts: int, count: int) -> None:
    offers = [
        offer(f"{rack}-{host}", rack=str(rack), cpus=40, ports="")
        for rack in range(racks)
        for host in range(hosts)
    ]
    placement = Placement(offers, {}, TaskIndex(), NOW)
    assert placement.place(wished(("rack", "GROUP_BY"), ("hostname", "GROUP_BY")), count) == 0
    where = placed(placement).split()
    for groups, number in ((Counter(name[0] for name in where), racks), (Counter(where), racks * hosts)):
        sizes = [*groups.values(), *[0] * (number - len(groups))]
        assert max(sizes) - min(sizes) <= 1
