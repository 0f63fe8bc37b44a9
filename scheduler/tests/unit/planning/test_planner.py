"""What the planner decides. Read the tables from top to bottom: they are its specification.

`has` lists the tasks that there are, by their agent: `a` is a task of the current version that runs on agent
a; what follows a slash changes that (`a/old`, `b/staging`, `a/old+unhealthy`). They are numbered 1, 2, 3, ...
from the oldest to the newest, and `stops` names those numbers. `starts` lists the agents that get one more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.cluster import Agent, Offer
from mesos_docker_scheduler.planning.explanation import Reason, sentences
from mesos_docker_scheduler.planning.placement import need_of
from mesos_docker_scheduler.planning.planner import Inputs, Plan, plan
from mesos_docker_scheduler.planning.resources import Pool
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.rollout import Rollout
from mesos_docker_scheduler.records.task_index import TaskIndex
from mesos_docker_scheduler.records.tasks import Task, TaskState, wait_key
from scheduler_fakes import NOW, offer, offer_message, resources, service, task

CHECKED = {"health_check": {"protocol": "http", "port": 80}}
FAILING = Wait(failures=4, last_failure=NOW - 1, until=NOW + 7, why="TASK_FAILED on host-a: exit status 1")
FAILED_BEFORE = replace(FAILING, until=NOW - 0.5)


@dataclass
class Case:
    name: str
    has: str = ""
    count: int = 2
    offers: str = ""
    starts: str = ""
    stops: set[int] = field(default_factory=set)
    wait: Wait | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def tasks_of(has: str, wished: Service) -> tuple[list[Task], frozenset[str]]:
    """Make the tasks of a case; returns them and the ids of the stale ones."""
    old = wished.model_copy(update={"image": "demo/web:0"})
    tasks, stale = [], set()
    for number, word in enumerate(has.split(), 1):
        agent_id, _, marks = word.partition("/")
        made = task(
            str(number), wished, agent_id, launched_at=NOW - 3600 + number, running_since=NOW - 3600 + number
        )
        for mark in filter(None, marks.split("+")):
            if mark == "old":
                made = replace(made, version=old.version, image=old.image or "")
            elif mark == "stopping":
                made = replace(made, kill_reason="some reason")
            elif mark == "returned":
                made = replace(made, returned=True)
            elif mark in ("healthy", "unhealthy"):
                made = replace(made, healthy=mark == "healthy")
            elif mark == "fresh":
                made = replace(made, running_since=NOW - 1)
            elif mark == "stale":
                stale.add(made.id)
            else:
                made = replace(made, state=TaskState(mark.upper()))
        tasks.append(made)
    return tasks, frozenset(stale)


def decide(case: Case) -> Plan:
    wished = service(count=case.count, **case.fields)
    tasks, stale = tasks_of(case.has, wished)
    waits = {wait_key(wished.name, wished.version): case.wait} if case.wait else {}
    offers = [offer(agent_id) for agent_id in case.offers.split()]
    return plan(Inputs([wished], TaskIndex(tasks, stale), offers, {}, waits, NOW))


def starts(decided: Plan) -> list[str]:
    return sorted(launch.agent_id for accept in decided.accepts for launch in accept.launches)


def check(case: Case) -> None:
    decided = decide(case)
    assert starts(decided) == case.starts.split()
    assert {int(kill.task_id) for kill in decided.kills} == case.stops


def table(*cases: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


@table(
    Case("nothing to do", has="a b", offers="a b"),
    Case("both start, one on each agent", offers="a b", starts="a b"),
    Case("both start on the only agent there is", offers="a", starts="a a"),
    Case("four are spread evenly", count=4, offers="a b", starts="a a b b"),
    Case("the agent without one is first", has="a", offers="a b", starts="b"),
    Case("one that starts counts", has="a/staging", offers="a b", starts="b"),
    Case("one that is being stopped still takes its place", has="a b/stopping", offers="a"),
    Case("one that ended is replaced", has="a b/failed", offers="a b", starts="b"),
    Case("one that may come back is replaced meanwhile", has="a b/unreachable", offers="a", starts="a"),
    Case("so is one that Mesos does not know", has="a b/unknown", offers="a", starts="a"),
    Case("so is one of an agent that was marked gone", has="a b/gone_by_operator", offers="a", starts="a"),
    Case("one that we can't be sure of counts as there", has="a b/stale", offers="a"),
    Case("an unhealthy one is the executor's to stop", has="a b/unhealthy", offers="a", fields=CHECKED),
    Case("nothing without offers", has="a"),
)
def test_starting(case: Case) -> None:
    check(case)


@table(
    Case("the newest goes", has="a b c", stops={3}),
    Case("the newest of the fullest agent goes", has="a a b", stops={2}),
    Case("and what is left is spread out", has="a b a b", count=2, stops={3, 4}),
    Case("one that does not run yet goes first", has="a/staging b c", stops={1}),
    Case("an unhealthy one goes first", has="a/unhealthy b/healthy c/healthy", stops={1}, fields=CHECKED),
    Case("one that came back goes before its replacement", has="a/returned b c", stops={1}),
    Case("none wanted, none left", has="a b", count=0, stops={1, 2}),
    Case("what is stopping is not stopped twice", has="a b c/stopping"),
    Case("nor is what may be gone already", has="a b c/unreachable"),
    Case("nor what we can't be sure of, nor anything on its account", has="a b c/stale"),
    Case("but what is too much without it", has="a b c d/stale", stops={3}),
    Case(
        "what runs, if only since a moment, goes after what does not",
        has="a/staging b/fresh c/old",
        count=1,
        stops={1},
    ),
)
def test_stopping_surplus(case: Case) -> None:
    check(case)


@pytest.mark.parametrize(
    ("has", "count", "stops"),
    [
        ("a b c d", 2, {"2", "3"}),
        ("a b c d", 3, {"3"}),
        ("a b c d d", 3, {"3", "5"}),
        ("a/returned b d", 2, {"1"}),
    ],
)
def test_stopping_keeps_groups_even(has: str, count: int, stops: set[str]) -> None:
    """Three hosts of one rack, and d of another."""
    wished = service(count=count, constraints=[{"field": "rack", "operator": "GROUP_BY"}])
    tasks, _ = tasks_of(has, wished)
    agents = {name: Agent(name, name, attributes={"rack": "2" if name == "d" else "1"}) for name in "abcd"}
    decided = plan(Inputs([wished], TaskIndex(tasks), [], agents, {}, NOW))
    assert {kill.task_id for kill in decided.kills} == stops


SURGE_1 = {"update": {"max_surge": 1, "max_unavailable": 0}}
SURGE_2 = {"update": {"max_surge": 2, "max_unavailable": 0}}
IN_PLACE = {"update": {"max_surge": 0, "max_unavailable": 1}}


@table(
    Case(
        "one more than wanted starts, nothing stops",
        has="a/old b/old",
        offers="a b",
        starts="a",
        fields=SURGE_1,
    ),
    Case("two more, if allowed", has="a/old b/old", offers="a b", starts="a b", fields=SURGE_2),
    Case("an old one waits until the new one runs", has="a/old b/old a/staging", offers="a", fields=SURGE_1),
    Case("and has run for a moment", has="a/old b/old a/fresh", fields=SURGE_1),
    Case("then one old one goes", has="a/old b/old a", stops={2}, fields=SURGE_1),
    Case(
        "and must be gone before the next new one starts",
        has="a/old b/old+stopping a",
        offers="b",
        fields=SURGE_1,
    ),
    Case("then the next one starts where none is", has="a/old a", offers="a b", starts="b", fields=SURGE_1),
    Case("and the last old one goes", has="a/old a b", stops={1}, fields=SURGE_1),
    Case(
        "with a health check, the new one must be healthy",
        has="a/old+healthy b/old+healthy a/unhealthy",
        fields={**SURGE_1, **CHECKED},
    ),
    Case(
        "and then it counts",
        has="a/old+healthy b/old+healthy a/healthy",
        stops={2},
        fields={**SURGE_1, **CHECKED},
    ),
    Case("in place: one goes first", has="a/old b/old", offers="a b", stops={2}, fields=IN_PLACE),
    Case("in place: then its place is taken", has="a/old", offers="a b", starts="b", fields=IN_PLACE),
    Case(
        "old ones that do not work go at once",
        has="a/old+staging b/old+staging",
        stops={1, 2},
        fields=SURGE_1,
    ),
    Case("but not old ones that we can't be sure of", has="a/old+stale b/old+stale", fields=SURGE_1),
    Case("fewer wanted at the same time", has="a/old b/old a/old b/old", stops={3, 4}, fields=SURGE_1),
    Case("a failing new version stops no old one", has="a/old b/old a", wait=FAILED_BEFORE, fields=SURGE_1),
    Case(
        "but as many go as keep a new one from trying again",
        has="a/old b/old a/old b/old",
        stops={3, 4},
        wait=FAILED_BEFORE,
        fields=SURGE_1,
    ),
    Case("in place as well", has="a/old", count=1, stops={1}, wait=FAILED_BEFORE, fields=IN_PLACE),
    Case("though not before its time", has="a/old", count=1, wait=FAILING, fields=IN_PLACE),
    Case(
        "none wanted: all old ones go", has="a/old b/old", count=0, wait=FAILING, stops={1, 2}, fields=SURGE_1
    ),
)
def test_updating(case: Case) -> None:
    check(case)


@table(
    Case("nothing starts before its time", offers="a b", wait=FAILING),
    Case("and it starts when the time has come", offers="a b", wait=FAILED_BEFORE, starts="a b"),
    Case("surplus is stopped all the same", has="a b c", wait=FAILING, stops={3}),
)
def test_backing_off(case: Case) -> None:
    check(case)


def test_a_change_of_count_alone_stops_and_starts_nothing_else() -> None:
    tasks, _ = tasks_of("a b", service(count=2))
    decided = plan(Inputs([service(count=4)], TaskIndex(tasks), [offer("a"), offer("b")], {}, {}, NOW))
    assert starts(decided) == ["a", "b"]
    assert not decided.kills


@pytest.mark.parametrize(
    "change",
    [
        {"update": {"max_surge": 3}},
        {"backoff": {"max_seconds": 10}},
        {"kill_grace_seconds": 60},
        {"force_pull": True},
    ],
    ids=str,
)
def test_what_concerns_only_scheduling_restarts_nothing(change: dict[str, Any]) -> None:
    tasks, _ = tasks_of("a b", service(count=2))
    assert plan(Inputs([service(count=2, **change)], TaskIndex(tasks), [], {}, {}, NOW)).kills == ()


def test_instances_of_a_service_that_is_gone_from_the_configuration_are_stopped() -> None:
    gone = service(name="gone")
    decided = plan(
        Inputs(
            [service(count=0)],
            TaskIndex([task("1", gone), task("2", gone, state=TaskState.UNREACHABLE)]),
            [],
            {},
            {},
            NOW,
        )
    )
    assert [kill.task_id for kill in decided.kills] == ["1"]


def test_services_share_an_agent_and_its_offers_are_taken_in_one_go() -> None:
    offers = [offer("a", cpus=1, mem=64), offer("a", cpus=0, mem=64, ports="")]
    decided = plan(Inputs([service(count=1), service(name="db", count=1)], TaskIndex(), offers, {}, {}, NOW))
    (accept,) = decided.accepts
    assert accept.offer_ids == (offers[0].id, offers[1].id)
    assert [launch.service.name for launch in accept.launches] == ["web", "db"]
    assert decided.declines == ()


def test_offers_that_nobody_needs_are_declined() -> None:
    offers = [offer("a"), offer("b")]
    decided = plan(Inputs([service(count=1)], TaskIndex(), offers, {}, {}, NOW))
    assert decided.declines == (offers[1].id,)
    assert plan(Inputs([service(count=0)], TaskIndex(), offers, {}, {}, NOW)).declines == (
        offers[0].id,
        offers[1].id,
    )


def test_an_agent_in_or_before_maintenance_gets_nothing() -> None:
    soon: dict[str, Any] = {"unavailability": {"start": {"nanoseconds": int((NOW + 60) * 1e9)}}}
    over: dict[str, Any] = {
        "unavailability": {
            "start": {"nanoseconds": int((NOW - 60) * 1e9)},
            "duration": {"nanoseconds": int(30e9)},
        }
    }
    offers = [
        Offer.from_message(offer_message("a", more=soon)),
        Offer.from_message(offer_message("b", more=over)),
    ]
    assert starts(plan(Inputs([service(count=2)], TaskIndex(), offers, {}, {}, NOW))) == ["b", "b"]


def known(agent_id: str, **more: Any) -> dict[str, Agent]:
    amounts = more.pop("amounts", {})
    return {agent_id: Agent(agent_id, f"host-{agent_id}", {"*": Pool(resources(**amounts))}, **more)}


def reasons(decided: Plan) -> str:
    return "\n".join(sentences(decided.waiting["web"]))


def test_explains_that_nothing_was_offered() -> None:
    assert "2 instances waiting for resources: Mesos has offered none so far" in reasons(decide(Case("")))


def test_explains_which_resource_is_too_small_and_how_much_there_is() -> None:
    decided = plan(
        Inputs([service(count=2, mem=9999)], TaskIndex(), [offer("a"), offer("b", cpus=0.05)], {}, {}, NOW)
    )
    assert reasons(decided) == (
        "2 instances waiting for resources (needs 0.1 cpus, 9,999 MiB of memory): of 2 slaves"
        " 1 has too few cpus (the most that was offered is 4, on host-a),"
        " 1 has too little memory (the most that was offered is 4,096, on host-b)"
    )


def test_remembers_agents_whose_offers_were_declined() -> None:
    decided = plan(Inputs([service(count=1, mem=9999)], TaskIndex(), [], known("a"), {}, NOW))
    assert "of 1 slave 1 has too little memory (the most that was offered is 4,096, on host-a)" in reasons(
        decided
    )
    assert decided.wanted == {"web": 1}


def test_explains_that_a_fixed_port_is_taken() -> None:
    wished = service(count=2, ports=[{"container_port": 80, "host_port": 31000}])
    decided = plan(Inputs([wished], TaskIndex(), [offer("a")], {}, {}, NOW))
    assert starts(decided) == ["a"]
    assert "1 instance waiting for resources (needs 0.1 cpus, 64 MiB of memory, host port 31000)" in reasons(
        decided
    )
    assert "1 does not offer port 31000: it is taken, or not among the slave's ports" in reasons(decided)


def test_explains_maintenance_and_agents_that_are_avoided() -> None:
    agents = {
        **known("a", in_maintenance=True),
        **known("b", avoid=FAILING),
        **known("c", amounts={"ports": ""}),
    }
    decided = plan(
        Inputs([service(count=1, ports=[{"container_port": 80}])], TaskIndex(), [], agents, {}, NOW)
    )
    (reason,) = decided.waiting["web"]
    assert (reason.kind, reason.instances) == ("resources", 1)
    assert reason.agents == {"maintenance": 1, "avoided": 1, "ports": 1}
    assert "1 is avoided for a while after faults" in reasons(decided)
    assert "1 is in maintenance, or within an hour of it" in reasons(decided)
    assert "1 has too few free ports" in reasons(decided)


def test_an_agent_that_is_avoided_gets_nothing_until_its_time() -> None:
    offers = [offer("a")]
    assert (
        starts(plan(Inputs([service(count=1)], TaskIndex(), offers, known("a", avoid=FAILING), {}, NOW)))
        == []
    )
    assert starts(
        plan(Inputs([service(count=1)], TaskIndex(), offers, known("a", avoid=FAILED_BEFORE), {}, NOW))
    ) == ["a"]


def test_says_of_what_it_starts_that_it_is_starting() -> None:
    inputs = Inputs([service(count=2)], TaskIndex(), [offer("a")], known("a"), {}, NOW)
    ((kind, instances, _),) = (
        (made.kind, made.instances, made.until) for made in plan(inputs).waiting["web"]
    )
    assert (kind, instances) == ("starting", 2)


def test_explains_back_off_with_its_end_and_cause_and_wakes_then() -> None:
    decided = decide(Case("", wait=FAILING))
    assert reasons(decided) == (
        "2 instances held back until 1970-01-12 13:46:47 UTC after 4 failures in a row;"
        " the last: TASK_FAILED on host-a: exit status 1"
    )
    ((kind, instances, until),) = ((made.kind, made.instances, made.until) for made in decided.waiting["web"])
    assert (kind, instances, until) == ("back-off", 2, FAILING.until)
    assert decided.wake_at == FAILING.until
    assert decided.wanted == {}


def test_keeps_saying_why_it_failed_while_it_tries_again() -> None:
    assert "4 failures in a row; the last: TASK_FAILED" in reasons(
        decide(Case("", has="a b/staging", wait=FAILED_BEFORE))
    )


def test_explains_an_update_that_waits_for_a_failing_version() -> None:
    text = reasons(decide(Case("", has="a/old b/old a", wait=FAILED_BEFORE)))
    assert (
        "update to demo/web:1: 1 of 2 new, 2 old still running;"
        " none of these is stopped until a new instance runs well" in text
    )


def test_wakes_when_a_new_instance_has_proved_itself() -> None:
    assert decide(Case("", has="a/old b/old a/fresh")).wake_at == NOW + 2


def test_holds_everything_when_told_to() -> None:
    wished = service(count=1)
    tasks, _ = tasks_of("a b", wished)
    held = plan(
        Inputs([wished, service(name="db")], TaskIndex(tasks), [offer("a")], {}, {}, NOW, hold="a reason")
    )
    assert not held.accepts
    assert not held.kills
    assert held.waiting == {"web": (), "db": (Reason("held", "a reason", 1),)}


def test_says_what_holds_it_while_an_instance_is_starting() -> None:
    wished = service(count=2)
    tasks, _ = tasks_of("a a/staging", wished)
    held = plan(Inputs([wished], TaskIndex(tasks), [], {}, {}, NOW, hold="a reason"))
    assert held.waiting == {"web": (Reason("held", "a reason", 0),)}


def test_holds_one_service_when_told_to() -> None:
    wished, other = service(count=1), service(name="db")
    tasks, _ = tasks_of("a/old", wished)
    decided = plan(
        Inputs([wished, other], TaskIndex(tasks), [offer("a")], {}, {}, NOW, held={"web": "a reason"})
    )
    (accept,) = decided.accepts
    assert [launch.service.name for launch in accept.launches] == ["db"]
    assert not decided.kills
    assert decided.waiting["web"] == (Reason("held", "a reason", 0),)


def test_starts_nothing_of_a_version_before_that_may_not_be_started_any_more() -> None:
    wished = service(count=2, image="demo/web:2", update={"max_unavailable": 1})
    good = service(count=2, image="demo/web:1", privileged=True)
    rollout = Rollout("web", wished.version, "rolled back", good.version, 3, "it failed", NOW)
    inputs = Inputs(
        [wished],
        TaskIndex([task("1", good, "a"), task("2", wished, "b")]),
        [offer("a"), offer("b")],
        {},
        {},
        NOW,
        rollouts={"web": rollout},
        before={"web": good},
    )
    assert starts(plan(inputs)), "it would otherwise"
    decided = plan(replace(inputs, barred={"web": "a reason"}))
    assert not decided.accepts
    assert not decided.kills, "nothing would take its place"
    assert not decided.wanted
    assert "1 instance of the version before may not be started: a reason" in reasons(decided)
    assert {reason.kind for reason in decided.waiting["web"]} >= {"rolled back", "not allowed"}


# Generated: whatever the situation, these hold.

marks = st.sampled_from(
    [
        "",
        "old",
        "staging",
        "old+staging",
        "stopping",
        "unreachable",
        "returned",
        "unhealthy",
        "stale",
        "old+stale",
    ]
)
words = st.builds("{}/{}".format, st.sampled_from("abc"), marks)
situations = st.builds(
    Case,
    name=st.just(""),
    has=st.lists(words, max_size=12).map(" ".join),
    count=st.integers(0, 6),
    offers=st.lists(st.sampled_from("abcd"), max_size=6).map(" ".join),
    wait=st.sampled_from([None, FAILING, FAILED_BEFORE]),
    fields=st.sampled_from([SURGE_1, SURGE_2, IN_PLACE, {**SURGE_1, "cpus": 1.5}, {**SURGE_1, "mem": 3000}]),
)


@given(situations)
def test_never_starts_more_than_may_run(case: Case) -> None:
    wished = service(count=case.count, **case.fields)
    present = sum(made.present for made in tasks_of(case.has, wished)[0])
    started = len(starts(decide(case)))
    assert started == 0 or present + started <= case.count + wished.update.surge(wished.count)


@given(situations)
def test_never_stops_what_the_service_needs(case: Case) -> None:
    wished = service(count=case.count, **case.fields)
    tasks, stale = tasks_of(case.has, wished)
    serving = {made.id for made in tasks if made.in_service and made.id not in stale}
    stopped = {kill.task_id for kill in decide(case).kills}
    if stopped & serving:
        assert len(serving - stopped) >= case.count - wished.update.unavailable(wished.count)


@given(situations)
def test_stops_only_what_is_there_and_known_to_be(case: Case) -> None:
    tasks, stale = tasks_of(case.has, service(count=case.count, **case.fields))
    candidates = {made.id for made in tasks if made.present and not made.stopping and made.id not in stale}
    stopped = [kill.task_id for kill in decide(case).kills]
    assert len(stopped) == len(set(stopped))
    assert set(stopped) <= candidates


@given(situations)
def test_every_offer_is_either_used_or_declined_and_never_overdrawn(case: Case) -> None:
    wished = service(count=case.count, **case.fields)
    tasks, stale = tasks_of(case.has, wished)
    offers = [offer(agent_id, cpus=2, mem=4096) for agent_id in case.offers.split()]
    decided = plan(Inputs([wished], TaskIndex(tasks, stale), offers, {}, {}, NOW))
    used = [offer_id for accept in decided.accepts for offer_id in accept.offer_ids]
    assert sorted([*used, *decided.declines]) == sorted(made.id for made in offers)
    for accept in decided.accepts:
        offered = Pool(part for made in offers if made.agent_id == accept.agent_id for part in made.resources)
        for name in ("cpus", "mem"):
            assert accept.left.free(name) >= 0
            taken = need_of(wished).scalar(name) * len(accept.launches)
            assert offered.free(name) - taken == accept.left.free(name)


@given(situations)
def test_whatever_is_missing_has_a_reason(case: Case) -> None:
    wished = service(count=case.count, **case.fields)
    well = [
        made for made in tasks_of(case.has, wished)[0] if made.in_service and made.version == wished.version
    ]
    decided = decide(case)
    if len(well) + len(starts(decided)) < case.count and not any(
        made.stopping or made.id in tasks_of(case.has, wished)[1] for made in tasks_of(case.has, wished)[0]
    ):
        assert decided.waiting["web"]


@given(situations)
def test_repeated_rounds_come_to_rest(case: Case) -> None:
    """Kills work, launches run, time passes: after a few rounds exactly the wished ones run."""
    wished = service(count=case.count, **case.fields)
    tasks, _ = tasks_of(case.has, wished)
    now, numbers = NOW, iter(range(100, 1000))
    for _ in range(40):
        now += 10
        decided = plan(
            Inputs([wished], TaskIndex(tasks), [offer(agent_id) for agent_id in "abc"], {}, {}, now)
        )
        stopped = {kill.task_id for kill in decided.kills}
        tasks = [
            replace(made, state=TaskState.RUNNING, healthy=None, running_since=made.running_since or now)
            for made in tasks
            if made.present and not made.stopping and made.id not in stopped
        ] + [
            task(str(next(numbers)), wished, launch.agent_id, launched_at=now, running_since=now)
            for accept in decided.accepts
            for launch in accept.launches
        ]
    assert [made.version for made in tasks] == [wished.version] * case.count


def test_big_services_go_first_so_that_small_ones_leave_them_room() -> None:
    small, big = service(name="small", count=4, cpus=1, mem=10), service(name="big", count=1, cpus=4, mem=10)
    decided = plan(Inputs([small, big], TaskIndex(), [offer("a"), offer("b")], {}, {}, NOW))
    assert decided.wanted == {}
    decided = plan(Inputs([small, big], TaskIndex(), [offer("a")], {}, {}, NOW))
    assert decided.wanted == {"small": 4}
    assert decided.waiting["small"][0].agents == {"cpus": 1}


def test_what_keeps_together_leaves_agents_that_go_away() -> None:
    web = service(count=1, constraints=[{"field": "hostname", "operator": "CLUSTER"}])
    task_index = TaskIndex([task("1", web, "a")])
    agents = {**known("a"), **known("b")}
    assert starts(plan(Inputs([web], task_index, [offer("b")], agents, {}, NOW, going=frozenset("a")))) == [
        "b"
    ]
