"""Finds out from the master what the store does not know: which framework is ours, and what its tasks are.

A scheduler that has lost its state must not register as a new framework: the tasks of the old one would run
on beside the new ones. Nor may it guess: as long as the master can't say for sure, nothing is begun.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.driver.operator_api import OperatorApi, OperatorApiError
from mesos_docker_scheduler.errors import Error
from mesos_docker_scheduler.planning.cluster import Agent
from mesos_docker_scheduler.planning.constraints import attribute_texts
from mesos_docker_scheduler.records.tasks import Status, Task, parse_task_id
from mesos_docker_scheduler.wording import printable, printable_if_any

Message = Mapping[str, Any]
logger = logging.getLogger(__name__)

BEGIN_ANEW = ("framework", "begin anew")
"""A record of the store: an operator has said that there is no earlier framework."""
UNSEEN = ("framework", "unseen")
"""A record of the store: the id is new, and the master has not shown yet that it shows us all frameworks."""
OLDER = ("framework", "older")
"""A record of the store: it was restored, and the master has not told yet what else runs."""

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 15.0
_NAMES_SHOWN = 5
_WAY_OUT = (
    "stop this scheduler and tell it by `mesos-docker-scheduler adopt --config FILE` with `--framework ID`"
    " (go on as that one) or `--new` (there is none)"
)


class Undecided(Error):  # noqa: N818 - a finding
    """What the master says does not tell which framework is ours; the message says why and what helps."""


def our_framework(frameworks: Message, agents: Message, name: str, principal: str | None) -> str | None:
    """Pick our framework out of GET_FRAMEWORKS (and GET_AGENTS); None when there is none.

    It has our name and principal, is not connected and not completed. Undecided: there may be one.
    """
    same_name = [one for one in frameworks.get("frameworks", ()) if one["framework_info"]["name"] == name]
    ours = [one for one in same_name if one["framework_info"].get("principal") == principal]
    # Another principal's that is connected has a scheduler of its own.
    others = [one for one in same_name if one not in ours and not one.get("connected")]
    if len(ours) + len(others) > 1:
        found = ", ".join(sorted(map(_described, [*ours, *others])))
        raise Undecided(f'several frameworks are called "{name}": {found}; {_WAY_OUT}')
    if others:
        raise Undecided(
            f"{_described(others[0])} has our name, but another principal than"
            f" {principal or 'none, which is ours'}; {_WAY_OUT}"
        )
    if ours:
        if ours[0].get("connected"):
            raise Undecided(
                f"{_described(ours[0])} has our name, and a scheduler is connected to it: that one must be"
                " stopped, or framework.name of one of the two changed"
            )
        return _id(ours[0])
    away = agents_away(agents)
    if away:
        raise Undecided(not_come_back(away))
    return None


def agents_away(agents: Message) -> tuple[str, ...]:
    """Name the hosts of agents that have yet to register with the master, out of GET_AGENTS.

    A new leader learns of frameworks and tasks as their agents come back; it gives up on those that don't
    after a while (agent_reregister_timeout).
    """
    return tuple(sorted(printable(agent["hostname"]) for agent in agents.get("recovered_agents", ())))


def not_come_back(away: Sequence[str]) -> str:
    """Say that agents are away."""
    shown = ", ".join(away[:_NAMES_SHOWN]) + (", ..." if len(away) > _NAMES_SHOWN else "")
    return (
        f"{len(away)} of the slaves that may run our tasks have not come back to the new leading master"
        f" yet: {shown}"
    )


def hidden_frameworks(frameworks: Message, name: str, principal: str | None, framework_id: str) -> str | None:
    """Say why GET_FRAMEWORKS does not prove that there is no framework of ours but this new one.

    Mesos leaves out what the principal may not see (ACL view_frameworks), without a word.
    """
    shown = frameworks.get("frameworks", ())
    if framework_id not in map(_id, shown):
        return (
            f"the master does not show this framework, {framework_id}, to {principal or 'us'}: it may hide an"
            f" earlier one as well. Allow it to view frameworks and tasks, or {_WAY_OUT}"
        )
    try:
        found = our_framework(
            {"frameworks": [one for one in shown if _id(one) != framework_id]}, {}, name, principal
        )
    except Undecided as error:
        return str(error)
    return f"framework {found} of the same name has turned up; {_WAY_OUT}" if found else None


def tasks_of(
    framework_id: str, tasks: Message, agents: Message, now: float
) -> tuple[tuple[Task, ...], tuple[Agent, ...]]:
    """Read the tasks of ours that may run, and their agents, out of GET_TASKS and GET_AGENTS."""
    infos = [*(one["agent_info"] for one in agents.get("agents", ())), *agents.get("recovered_agents", ())]
    known = {info["id"]["value"]: _agent(info) for info in infos}
    made = [
        _task(message, known, now)
        for kind in ("tasks", "unreachable_tasks")
        for message in tasks.get(kind, ())
        if message["framework_id"]["value"] == framework_id
    ]
    ours = tuple(task for task in made if task is not None and not task.state.ended)
    busy = {task.agent_id for task in ours}
    return ours, tuple(agent for agent in known.values() if agent.id in busy)


def _agent(info: Message) -> Agent:
    place = info.get("domain", {}).get("fault_domain", {})
    return Agent(
        info["id"]["value"],
        printable(info["hostname"]),
        attributes=attribute_texts(info.get("attributes", ())),
        region=printable_if_any(place.get("region", {}).get("name")),
        zone=printable_if_any(place.get("zone", {}).get("name")),
    )


def _task(message: Message, agents: Mapping[str, Agent], now: float) -> Task | None:
    task_id, agent_id = message["task_id"]["value"], message["agent_id"]["value"]
    named = parse_task_id(task_id)
    if named is None:
        return None
    service, version = named
    statuses: list[Message] = message.get("statuses", [])
    last = Status.from_message(
        {**(statuses[-1] if statuses else {}), "task_id": message["task_id"], "state": message["state"]}
    )
    ran = [one for one in statuses if one["state"] in ("TASK_RUNNING", "TASK_KILLING")]
    container: Message = message.get("container", {})
    docker: Message = container.get("docker", {})
    containerizer = "mesos" if container.get("type") == "MESOS" else "docker"
    return Task(
        id=task_id,
        service=service,
        version=version,
        image=docker.get("image", "") or _image_of_mesos(container),
        containerizer=containerizer,
        agent_id=agent_id,
        hostname=agents[agent_id].hostname if agent_id in agents else "",
        launched_at=_at(statuses[0], now) if statuses else now,
        state_since=_at(statuses[-1], now) if statuses else now,
        state=last.state,
        has_health_check="health_check" in message,
        healthy=last.healthy,
        running_since=_at(ran[0], now) if ran else None,
        container=last.container(containerizer),
        address=last.address,
        host_ports=_host_ports(message, docker),
        confirmed=True,
        reason=last.reason,
        message=last.message,
    )


def _image_of_mesos(container: Message) -> str:
    image: Message = container.get("mesos", {}).get("image", {})
    return str(image.get("docker", {}).get("name", ""))


def _at(status: Message, now: float) -> float:
    """When a status was made, by the clock of its agent: not in the future."""
    return min(now, float(status.get("timestamp", now)))


def _host_ports(task: Message, docker: Message) -> tuple[int, ...]:
    mappings = docker.get("port_mappings")
    if mappings:
        return tuple(int(mapping["host_port"]) for mapping in mappings)
    return tuple(
        port
        for resource in task.get("resources", ())
        if resource["name"] == "ports"
        for part in resource["ranges"]["range"]
        for port in range(int(part["begin"]), int(part["end"]) + 1)
    )


def with_facts(task: Task, told: Task) -> Task:
    """Fill in what was unknown of a task that was adopted by its id alone."""
    return replace(
        task,
        image=told.image or task.image,
        containerizer=told.containerizer,
        hostname=task.hostname or told.hostname,
        host_ports=task.host_ports or told.host_ports,
        launched_at=min(task.launched_at, told.launched_at),
        running_since=told.running_since or task.running_since,
        has_health_check=told.has_health_check,
        container=task.container or told.container,
        address=task.address or told.address,
    )


class Recovery:
    """Asks the master on threads of its own; what it hears goes into `put`."""

    def __init__(
        self, api: OperatorApi, name: str, principal: str | None, put: Callable[[events.AnyEvent], None]
    ) -> None:
        self._api = api
        self._name = name
        self._principal = principal
        self._put = put
        self._stopped = threading.Event()

    def find(self, go_on: Callable[[str | None], None]) -> None:
        """Find our framework, however long it takes; `go_on` gets its id, or None."""
        threading.Thread(target=self._find, args=(go_on,), name="recovery", daemon=True).start()

    def survey(self, framework_id: str, is_new: bool) -> None:
        """Ask once what runs; of a new id also whether it is our only one."""
        threading.Thread(target=self._survey, args=(framework_id, is_new), name="survey", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()

    def _find(self, go_on: Callable[[str | None], None]) -> None:
        pause, told = _FIRST_PAUSE, ""
        while not self._stopped.is_set():
            try:
                self._put(self._look(go_on))
                return
            except (OperatorApiError, Undecided) as error:
                problem = _in_words(error)
            except Exception as error:
                logger.exception("What the master answers is not understood")
                problem = f"what the master answers is not understood ({error!r})"
            if problem != told:
                told = problem
                self._put(events.Recovering(problem))
            self._stopped.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _look(self, go_on: Callable[[str | None], None]) -> events.Recovered:
        frameworks, agents = self._api.ask("GET_FRAMEWORKS", "GET_AGENTS")
        framework_id = our_framework(frameworks, agents, self._name, self._principal)
        tasks: tuple[Task, ...] = ()
        busy: tuple[Agent, ...] = ()
        if framework_id is not None:
            tasks, busy, _ = self._tasks(framework_id)
        return events.Recovered(framework_id, tasks, busy, lambda: go_on(framework_id))

    def _survey(self, framework_id: str, is_new: bool) -> None:
        try:
            problem = None
            if is_new:
                (frameworks,) = self._api.ask("GET_FRAMEWORKS")
                problem = hidden_frameworks(frameworks, self._name, self._principal, framework_id)
            tasks, busy, away = self._tasks(framework_id)
            self._put(events.Surveyed(tasks, busy, problem, away=away))
        except OperatorApiError as error:
            self._put(events.Surveyed(error=_in_words(error)))
        except Exception as error:
            logger.exception("What the master answers is not understood")
            self._put(events.Surveyed(error=f"what the master answers is not understood ({error!r})"))

    def _tasks(self, framework_id: str) -> tuple[tuple[Task, ...], tuple[Agent, ...], tuple[str, ...]]:
        # In this order: what runs on an agent that is not away by then is among the tasks.
        agents, tasks = self._api.ask("GET_AGENTS", "GET_TASKS")
        return *tasks_of(framework_id, tasks, agents, time.time()), agents_away(agents)


def _in_words(error: Exception) -> str:
    if isinstance(error, OperatorApiError) and error.status in (401, 403):
        return f"{error}. Allow this scheduler to view frameworks, tasks and agents, or {_WAY_OUT}"
    return str(error)


def _id(framework: Message) -> str:
    return str(framework["framework_info"]["id"]["value"])


def _described(framework: Message) -> str:
    info = framework["framework_info"]
    state = "connected" if framework.get("connected") else "not connected"
    details = [state, f"principal {info['principal']}" if "principal" in info else "no principal"]
    if info.get("hostname"):
        details.append(f"of host {info['hostname']}")
    return f"framework {_id(framework)} ({', '.join(details)})"
