"""What is kept up to date step by step must be what counting anew would give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.planning.planner import Inputs, PlanCache, plan
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.rollout import Rollout
from mesos_docker_scheduler.records.task_index import ServiceTasks, TaskIndex
from mesos_docker_scheduler.records.tasks import Task, TaskState, wait_key
from scheduler_fakes import NOW, offer, service, task

OLD = service(image="demo/web:0")
STATES = [state for state in TaskState if not state.ended or state is TaskState.FAILED]

updates = st.fixed_dictionaries(
    {
        "number": st.integers(0, 9),
        "name": st.sampled_from(["web", "db"]),
        "old": st.booleans(),
        "agent": st.sampled_from("abc"),
        "state": st.sampled_from(STATES),
        "told": st.booleans(),
        "returned": st.booleans(),
        "doubt": st.sampled_from([None, True, False]),
        "seconds": st.sampled_from([0.0, 1.0, 5.0]),
    }
)
waits = st.sampled_from([None, Wait(3, NOW, NOW + 4, "why"), Wait(2, NOW, NOW + 2, "why")])


def updated(known: Task | None, update: dict[str, Any], now: float) -> Task:
    """A task as an update leaves it: who becomes well does so now."""
    made = service(name=update["name"], image=OLD.image if update["old"] else "demo/web:1")
    task_id = f"{update['name']}-{update['number']}"
    if known is None:
        known = task(task_id, made, update["agent"], launched_at=now, running_since=now, well_since=None)
    reason = "some reason" if update["told"] else known.kill_reason
    changed = replace(known, state=update["state"], returned=update["returned"], kill_reason=reason)
    since = known.well_since if known.in_service and known.well_since is not None else now
    return replace(changed, well_since=since if changed.in_service else None)


def counted(service_tasks: ServiceTasks) -> object:
    groups = {
        version: (
            *(set(part) for part in (group.starting, group.healthy, group.unhealthy, group.stale)),
            group.stale_healthy,
            group.returned,
            group.on_agents,
        )
        for version, group in service_tasks.versions.items()
        if len(group)
    }
    states = {state: count for state, count in service_tasks.states.items() if count}
    places = [
        set(part)
        for part in (service_tasks.tasks, service_tasks.stopping, service_tasks.drained, service_tasks.absent)
    ]
    return groups, states, places, service_tasks.on_agents, service_tasks.staying


@given(st.lists(updates, max_size=30), waits, st.integers(0, 5), st.booleans(), st.booleans())
def test_step_by_step_is_as_good_as_anew(
    history: list[dict[str, Any]], wait: Wait | None, count: int, offered: bool, paused: bool
) -> None:
    task_index, cache, tasks, stale, now = TaskIndex(), PlanCache(), dict[str, Task](), set[str](), NOW
    services = [service(name="web", count=count), service(name="db", count=2)]
    failing = {wait_key("web", services[0].version): wait} if wait is not None else {}
    state = "paused" if paused else "rolling"
    rollouts = {"web": Rollout("web", services[0].version, state, OLD.version, 3, "why", NOW)}  # type: ignore[arg-type]
    before = {"web": OLD.model_copy(update={"count": count})}
    for update in history:
        now += update["seconds"]
        changed = updated(tasks.get(f"{update['name']}-{update['number']}"), update, now)
        if changed.state.ended:
            tasks.pop(changed.id, None)
            stale.discard(changed.id)
        else:
            tasks[changed.id] = changed
        task_index.put(changed)
        if update["doubt"] and changed.id in tasks:
            task_index.mark_stale([changed])
            stale.add(changed.id)
        elif update["doubt"] is False:
            task_index.confirm(changed)
            stale.discard(changed.id)

        anew = TaskIndex(sorted(tasks.values(), key=lambda made: made.well_since or 0.0), stale)
        for name in ("web", "db"):
            assert counted(task_index.of_service(name)) == counted(anew.of_service(name))
        assert (task_index.load, task_index.services, task_index.absent) == (
            anew.load,
            anew.services,
            anew.absent,
        )
        for agent_id in "abc":
            assert task_index.here(agent_id) == anew.here(agent_id)
        offers = [offer("a"), offer("b")] if offered else []
        more: dict[str, Any] = {"rollouts": rollouts, "before": before, "going": frozenset("c")}
        first = plan(Inputs(services, task_index, offers, {}, failing, now, **more), cache=cache)
        second = plan(Inputs(services, anew, offers, {}, failing, now, **more))
        assert set(first.kills) == set(second.kills)
        assert (first.wanted, first.rollouts, first.wake_at) == (
            second.wanted,
            second.rollouts,
            second.wake_at,
        )
        assert [launch.agent_id for accept in first.accepts for launch in accept.launches] == [
            launch.agent_id for accept in second.accepts for launch in accept.launches
        ]
        for name, reasons in first.waiting.items():
            assert [reason.kind for reason in reasons] == [reason.kind for reason in second.waiting[name]]
        rollouts |= {rollout.service: rollout for rollout in first.rollouts}
