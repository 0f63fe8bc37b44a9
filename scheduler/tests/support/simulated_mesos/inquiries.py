"""What a scheduler asks the master beside its connection (the operator API), as recovery.py reads it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mesos_docker_scheduler.config import Framework
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.recovery import (
    Undecided,
    agents_away,
    hidden_frameworks,
    our_framework,
    tasks_of,
)
from mesos_docker_scheduler.planning import cluster
from mesos_docker_scheduler.records.tasks import Task

from simulated_mesos.agents import Container
from simulated_mesos.fate import Fate
from simulated_mesos.master import Standing, facts_of
from simulated_mesos.wire import Wire

Message = dict[str, Any]
Told = tuple[tuple[Task, ...], tuple[cluster.Agent, ...]]
_NAME = Framework().name
_PAUSE_SECONDS = 5.0


class Inquiries:
    """Those of one process of the scheduler: `end` silences what is under way."""

    def __init__(self, fate: Fate, wire: Wire) -> None:
        self._fate = fate
        self._wire = wire
        self._master = wire.master
        self._ended = False

    def end(self) -> None:
        """The process has ended."""
        self._ended = True

    def find(self) -> None:
        """Find our framework, however long it takes, and go on as that one."""
        self._later(self._find)

    def survey(self, framework_id: str, is_new: bool) -> None:
        """Ask once what runs; of a new id also whether it is our only one."""
        self._later(partial(self._survey, framework_id, is_new))

    def _later(self, ask: Callable[[], None], seconds: float = 0.0) -> None:
        self._fate.later(seconds + self._fate.between(0.01, 1), lambda: None if self._ended else ask())

    def _find(self) -> None:
        if self._fate.chance():
            self._wire.inbox.append(events.Recovering("the master does not answer"))
            self._later(self._find, _PAUSE_SECONDS)
            return
        try:
            framework_id = our_framework(self._frameworks(), self._agents(), _NAME, None)
        except Undecided as undecided:
            self._wire.inbox.append(events.Recovering(str(undecided)))
            self._later(self._find, _PAUSE_SECONDS)
            return
        told: Told = ((), ()) if framework_id is None else self._tasks(framework_id)

        def go_on() -> None:
            if not self._ended:  # before it subscribes, each looks whether it still leads
                self._wire.subscribe_as(framework_id)

        self._wire.inbox.append(events.Recovered(framework_id, *told, go_on))

    def _survey(self, framework_id: str, is_new: bool) -> None:
        if self._fate.chance():
            self._wire.inbox.append(events.Surveyed(error="the master does not answer"))
            return
        if self._fate.chance():
            return  # it takes the question, and never answers
        problem = hidden_frameworks(self._frameworks(), _NAME, None, framework_id) if is_new else None
        away = agents_away(self._agents())
        self._wire.inbox.append(events.Surveyed(*self._tasks(framework_id), problem, away=away))

    # The master's answers

    def _frameworks(self) -> Message:
        if not self._master.knows_framework():
            return {}
        info = {"id": {"value": self._master.framework_id}, "name": _NAME}
        return {"frameworks": [{"framework_info": info, "connected": self._master.subscribed}]}

    def _agents(self) -> Message:
        shown: dict[Standing, list[Message]] = {Standing.REGISTERED: [], Standing.RECOVERED: []}
        for agent in self._master.agents.values():
            info = {"id": {"value": agent.id}, **facts_of(agent.machine)}
            shown.get(self._master.standing[agent.id], []).append(info)
        return {
            "agents": [{"agent_info": info} for info in shown[Standing.REGISTERED]],
            "recovered_agents": shown[Standing.RECOVERED],
        }

    def _tasks(self, framework_id: str) -> Told:
        containers = {
            container.id: container
            for agent in self._master.agents.values()
            for container in agent.containers.values()
        }
        messages = [
            {
                **known.info,
                "framework_id": {"value": self._master.framework_id},
                "agent_id": {"value": known.agent_id},
                "state": f"TASK_{known.said}",
                "statuses": self._statuses(known.said, known.healthy, containers.get(task_id)),
            }
            for task_id, known in self._master.tasks.items()
            if known.info
        ]
        return tasks_of(framework_id, {"tasks": messages}, self._agents(), self._fate.now)

    def _statuses(self, state: str, healthy: bool | None, container: Container | None) -> list[Message]:
        if container is None or state == "STAGING":
            return []
        status: Message = {
            "task_id": {"value": container.id},
            "state": f"TASK_{state}",
            "timestamp": self._fate.now,
        }
        return [status if healthy is None else {**status, "healthy": healthy}]
