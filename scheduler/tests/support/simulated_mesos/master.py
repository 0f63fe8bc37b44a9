"""The leading master: what it knows of agents and tasks, what it offers, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any

from simulated_mesos.agents import ENDED, Agent, Bundle, Container, Machine
from simulated_mesos.fate import Fate

Message = dict[str, Any]
_LEAST_CPUS, _LEAST_MEM = 10, 32_000  # Mesos offers nothing smaller (MIN_CPUS, MIN_MEM), in thousandths
_PING_SECONDS = 75.0
REREGISTER_SECONDS = 600.0
_INVERSE_REFUSED = 5.0


class Standing(Enum):
    """What an agent is to the master.

    RECOVERED: it is in the registry, but has not come back since. FORGOTTEN: nor is it in the registry.
    """

    REGISTERED = "registered"
    RECOVERED = "recovered"
    FORGOTTEN = "forgotten"
    UNREACHABLE = "unreachable"
    GONE = "gone"
    REMOVED = "removed"


@dataclass(slots=True)
class Known:
    """A task as the master knows it: `said` is the state of the last update that came through it."""

    agent_id: str
    resources: Bundle
    info: Message
    said: str = "STAGING"
    uuid: str | None = None
    healthy: bool | None = None
    ended: bool = False


@dataclass(slots=True)
class _Offer:
    agent_id: str
    role: str
    bundle: Bundle
    message: Message


@dataclass(slots=True)
class _Filter:
    until: float
    refused: Bundle


@dataclass(slots=True)
class Election:
    """A master that came to lead, and the agents that have registered with it."""

    at: float
    registered: set[str] = field(default_factory=set)

    def may_still_hear_of(self, agent_id: str, now: float) -> bool:
        """Whether an agent has time left to register."""
        return now < self.at + REREGISTER_SECONDS and agent_id not in self.registered


class Master:
    """Master and allocator, for one framework. `tell` is its event stream: a type, and what is in it."""

    def __init__(self, fate: Fate, tell: Callable[[str, Any], None]) -> None:
        self._fate = fate
        self._tell = tell
        self.agents: dict[str, Agent] = {}
        self.standing: dict[str, Standing] = {}
        self.tasks: dict[str, Known] = {}
        self.roles: list[str] = ["*"]
        self.suppressed: set[str] = set()
        self.constraints: Message = {}
        self.maintenance: dict[str, tuple[float, float]] = {}
        self.draining: set[str] = set()
        self.refusals: list[str] = []
        self.subscribed = False
        self.elections: dict[str, Election] = {}
        self.framework_id: str | None = None
        self._has_subscribed = False
        self.ignorant_until = 0.0  # its registry was lost: it learns of agents as they come back
        self._killed: set[str] = set()
        self._offers: dict[str, _Offer] = {}
        self._filters: dict[tuple[str, str], _Filter] = {}
        self._inverse: dict[str, str] = {}
        self._allocation_due = False
        self._elect()

    def _elect(self) -> None:
        self.id = f"master-{self._fate.number()}"
        self.elections[self.id] = Election(self._fate.now)

    # Agents come, go and come back

    def add(self, machine: Machine) -> Agent:
        """A new agent registers."""
        agent = Agent(f"agent-{self._fate.number()}", machine, self._fate, self._hear)
        for other in list(self.agents.values()):
            if other.machine is machine and self.standing[other.id] is Standing.REGISTERED:
                self.remove(other, "a new agent registered at the same address")
        self.agents[agent.id] = agent
        self._admit(agent)
        self.kick()
        return agent

    def _admit(self, agent: Agent) -> None:
        self.standing[agent.id] = Standing.REGISTERED
        self.elections[self.id].registered.add(agent.id)

    def knows(self, agent: Agent) -> bool:
        """Whether an agent is registered."""
        return self.standing[agent.id] is Standing.REGISTERED

    def partition(self, agent: Agent) -> None:
        """Hear nothing of an agent: it is given up after 75 s."""
        agent.up = False
        self._fate.later(_PING_SECONDS, partial(self._give_up, agent))

    def _give_up(self, agent: Agent) -> None:
        if not agent.up and self.knows(agent):
            self.standing[agent.id] = Standing.UNREACHABLE
            self._lose(agent, "UNREACHABLE", "REASON_AGENT_REMOVED")

    def mark_gone(self, agent: Agent) -> None:
        """An operator says that an agent will never come back."""
        if self.standing[agent.id] in (Standing.GONE, Standing.REMOVED, Standing.FORGOTTEN):
            return
        self.standing[agent.id] = Standing.GONE
        self._lose(agent, "GONE_BY_OPERATOR", "REASON_AGENT_REMOVED_BY_OPERATOR")
        if agent.up:
            self._shut_down(agent)

    def remove(self, agent: Agent, why: str) -> None:
        """An agent is no more: a machine is switched off for maintenance, or has got a new agent."""
        if self.standing[agent.id] is Standing.REGISTERED:
            self.standing[agent.id] = Standing.REMOVED
            self._lose(agent, "GONE_BY_OPERATOR", "REASON_AGENT_REMOVED_BY_OPERATOR", why)
        self.standing[agent.id] = Standing.REMOVED
        self._shut_down(agent)

    def _shut_down(self, agent: Agent) -> None:
        agent.die()
        agent.dead = True

    def _lose(self, agent: Agent, state: str, reason: str, message: str = "") -> None:
        # The allocator forgets what frameworks refused of an agent that it removes.
        self._filters = {key: kept for key, kept in self._filters.items() if key[1] != agent.id}
        self._rescind(agent.id)
        self.draining.discard(agent.id)
        for task_id in [task_id for task_id, known in self.tasks.items() if known.agent_id == agent.id]:
            # Also of those that have ended, if nobody has acknowledged that.
            del self.tasks[task_id]
            self._say(task_id, state, agent.id, reason, message=message)
        self._tell("FAILURE", agent.id)

    def reach(self, agent: Agent) -> None:
        """An agent reaches the master again and registers."""
        if agent.dead or not agent.up:
            return
        standing = self.standing[agent.id]
        if standing in (Standing.GONE, Standing.REMOVED):
            self._shut_down(agent)
            return
        self._admit(agent)
        if standing is Standing.REGISTERED:
            self._reconcile_known(agent)
        else:
            for container in agent.containers.values():
                if container.state == "DROPPED":
                    continue
                known = Known(
                    agent.id, container.resources, container.info, container.state, ended=not container.alive
                )
                known.healthy = container.healthy
                if container.updates:
                    known.said = container.updates[0]["state"].removeprefix("TASK_")
                self.tasks[container.id] = known
                if standing is not Standing.RECOVERED and container.alive:
                    why = "REASON_AGENT_REREGISTERED"
                    self._say(container.id, container.state, agent.id, why, healthy=container.healthy)
        for container in list(agent.containers.values()):
            agent.send(container)
        if agent.id in self.draining:
            self._drain(agent)
        self.kick()

    def _reconcile_known(self, agent: Agent) -> None:
        """The agent was away for a moment: what was meant for it meanwhile is made good."""
        for task_id, known in list(self.tasks.items()):
            if known.agent_id != agent.id:
                continue
            container = agent.containers.get(task_id)
            if container is None:
                agent.drop(task_id, "REASON_RECONCILIATION")
            elif container.alive and task_id in self._killed:
                agent.stop(container)

    def fail_over(self, *, registry_lost: bool = False) -> None:
        """Another master leads: it has the registry, and learns of tasks as agents come back.

        With an empty registry it learns of agents as they come back, too: see that they do.
        """
        self._elect()
        self._has_subscribed = False
        self.tasks.clear()
        self._offers.clear()
        self._inverse.clear()
        self._filters.clear()
        self._killed.clear()
        self.suppressed.clear()
        if registry_lost:
            self.ignorant_until = self._fate.now + REREGISTER_SECONDS
            self._forget()
        for agent in self.agents.values():
            if self.standing[agent.id] is Standing.REGISTERED:
                self.standing[agent.id] = Standing.RECOVERED
                if agent.up:
                    self._fate.later(self._fate.between(0.5, 40), partial(self.reach, agent))
                self._fate.later(REREGISTER_SECONDS, partial(self._miss, agent))

    def _forget(self) -> None:
        self.maintenance.clear()
        self.draining.clear()
        for agent in self.agents.values():
            agent.draining = False
            if self.standing[agent.id] is not Standing.REMOVED:
                self.standing[agent.id] = Standing.FORGOTTEN

    def _miss(self, agent: Agent) -> None:
        if self.standing[agent.id] is Standing.RECOVERED:
            self.standing[agent.id] = Standing.UNREACHABLE
            self._tell("FAILURE", agent.id)

    # Operators

    def drain(self, agent: Agent) -> None:
        """DRAIN_AGENT: no offers of it, and all its tasks are told to stop."""
        if self.knows(agent):
            self.draining.add(agent.id)
            self._rescind(agent.id)
            if agent.up:
                self._drain(agent)

    def _drain(self, agent: Agent) -> None:
        agent.draining = True
        for container in list(agent.containers.values()):
            agent.stop(container, reason="REASON_AGENT_DRAINING")

    def reactivate(self, agent: Agent) -> None:
        """REACTIVATE_AGENT."""
        self.draining.discard(agent.id)
        agent.draining = False
        self.kick()

    def announce(self, machine: Machine, start: float, end: float) -> None:
        """A maintenance schedule with this machine."""
        self.maintenance[machine.hostname] = (start, end)
        self._rescind_machine(machine)

    def cancel(self, machine: Machine) -> None:
        """A maintenance schedule without it."""
        if self.maintenance.pop(machine.hostname, None) is not None:
            self._rescind_machine(machine)

    def _rescind_machine(self, machine: Machine) -> None:
        for agent in self.agents.values():
            if agent.machine is machine:
                self._rescind(agent.id)
                for offer_id in [one for one, agent_id in self._inverse.items() if agent_id == agent.id]:
                    del self._inverse[offer_id]
                    self._tell("RESCIND_INVERSE_OFFER", offer_id)
                self._fate.later(self._fate.between(0.1, 1), partial(self._ask_back, agent))
        self.kick()

    def _ask_back(self, agent: Agent) -> None:
        window = self.maintenance.get(agent.machine.hostname)
        if (
            not self.subscribed
            or window is None
            or not self.knows(agent)
            or agent.id in self._inverse.values()
        ):
            return
        offer_id = f"inverse-{self._fate.number()}"
        self._inverse[offer_id] = agent.id
        message = {
            "id": {"value": offer_id},
            "agent_id": {"value": agent.id},
            "unavailability": _unavailability(*window),
        }
        self._tell("INVERSE_OFFERS", (message,))

    # Subscription

    def subscribe(self, framework_id: str | None, roles: Sequence[str], constraints: Message) -> str:
        """SUBSCRIBE, as a new framework without an id: filters of the old connection are void."""
        if framework_id is None:
            framework_id = self._register_framework()
        self._has_subscribed = True
        self.roles = list(roles)
        self.suppressed = set()
        self.constraints = constraints
        self._filters.clear()
        self.subscribed = True
        self.kick(0.01)
        for agent in self.agents.values():
            self._fate.later(0.02, partial(self._ask_back, agent))
        return framework_id

    def _register_framework(self) -> str:
        for agent, container in self.containers():
            if self.standing[agent.id] in (Standing.REGISTERED, Standing.RECOVERED):
                self.refusals.append(f"a second framework while {container.id} runs")
        # What nobody could know of is nobody's any more.
        for agent in self.agents.values():
            agent.containers.clear()
        self.tasks.clear()
        self.framework_id = f"framework-{self._fate.number()}"
        return self.framework_id

    def knows_framework(self) -> bool:
        """Whether it has heard of the framework since it leads: from its scheduler, or from an agent."""
        told = (agent for agent in self.agents.values() if self.knows(agent) and agent.containers)
        return self.framework_id is not None and (self._has_subscribed or next(told, None) is not None)

    def disconnect(self) -> None:
        """The framework is away: its offers are void."""
        self.subscribed = False
        self._offers.clear()
        self._inverse.clear()

    # Offers

    def kick(self, seconds: float | None = None) -> None:
        """Allocate soon."""
        if not self._allocation_due or seconds is not None:
            self._allocation_due = True
            self._fate.later(self._fate.random.random() if seconds is None else seconds, self._allocate)

    def _allocate(self) -> None:
        self._allocation_due = False
        roles = [role for role in self.roles if role not in self.suppressed]
        if not self.subscribed or not roles:
            return
        fate = self._fate
        offers = []
        for agent in self.agents.values():
            if not self.knows(agent) or not agent.up or agent.id in self.draining:
                continue
            free = self.free(agent)
            if free.cpus < _LEAST_CPUS and free.mem < _LEAST_MEM:
                continue
            fitting = [
                role
                for role in roles
                if not self._refused(role, agent.id, free) and self._wanted(role, agent.machine)
            ]
            if fitting:
                role = fate.random.choice(fitting) if len(fitting) > 1 else fitting[0]
                offers.append(self._offer(agent, role, free))
        if offers:
            self._tell("OFFERS", tuple(offers))

    def free(self, agent: Agent, *, less_offers: bool = True) -> Bundle:
        """What the master thinks that an agent has free, less what it has offered."""
        free = agent.machine.resources
        for known in self.tasks.values():
            if known.agent_id == agent.id and not known.ended:
                free = free.less(known.resources)
        for offer in self._offers.values():
            if less_offers and offer.agent_id == agent.id:
                free = free.less(offer.bundle)
        return free

    def _refused(self, role: str, agent_id: str, free: Bundle) -> bool:
        found = self._filters.get((role, agent_id))
        return found is not None and self._fate.now < found.until and found.refused.holds(free)

    def _wanted(self, role: str, machine: Machine) -> bool:
        """Whether the framework's offer constraints let an agent through: all of one group."""
        groups = self.constraints.get("role_constraints", {}).get(role, {}).get("groups")
        return not groups or any(
            all(_lets_through(one, machine) for one in group["attribute_constraints"]) for group in groups
        )

    def _offer(self, agent: Agent, role: str, free: Bundle) -> Message:
        fate = self._fate
        offer_id = f"offer-{fate.number()}"
        machine = agent.machine
        message: Message = {
            "id": {"value": offer_id},
            "agent_id": {"value": agent.id},
            "framework_id": {"value": self.framework_id},
            "allocation_info": {"role": role},
            "resources": _resources(free, role),
            **facts_of(machine),
        }
        if machine.hostname in self.maintenance:
            message["unavailability"] = _unavailability(*self.maintenance[machine.hostname])
        self._offers[offer_id] = _Offer(agent.id, role, free, message)
        if fate.chance():
            fate.later(fate.between(0, 3), partial(self._rescind, agent.id, by_chance=True))
        return message

    def _rescind(self, agent_id: str, by_chance: bool = False) -> None:
        for offer_id in [one for one, offer in self._offers.items() if offer.agent_id == agent_id]:
            del self._offers[offer_id]
            self._tell("RESCIND", offer_id)
            if by_chance:
                self._fate.count("offer rescinded")
        self.kick()

    # Calls

    def accept(self, offer_ids: Sequence[str], infos: Sequence[Message], refuse_seconds: float) -> None:
        """ACCEPT with one LAUNCH."""
        offers = [self._offers.pop(offer_id, None) for offer_id in offer_ids]
        valid = [offer for offer in offers if offer is not None]
        if len(valid) < len(offers) or len({offer.agent_id for offer in valid}) != 1:
            for info in infos:
                task_id, agent_id = info["task_id"]["value"], info["agent_id"]["value"]
                self._say(task_id, "DROPPED", agent_id, "REASON_INVALID_OFFERS")
            self.kick()
            return
        agent = self.agents[valid[0].agent_id]
        left = Bundle()
        for offer in valid:
            left = left.plus(offer.bundle)
        for info in infos:
            task_id, agent_id = info["task_id"]["value"], info["agent_id"]["value"]
            problem, needed = _problem(info, agent, left)
            if problem is None and task_id in self.tasks:
                problem = "its id is in use"
            if problem is not None:
                self.refusals.append(f"{task_id}: {problem}")
                self._say(task_id, "ERROR", agent_id, "REASON_TASK_INVALID", message=problem)
                continue
            left = left.less(needed)
            self.tasks[task_id] = Known(agent.id, needed, info)
            self._fate.later(self._fate.between(0.001, 0.1), partial(self._run, agent, info))
        self._filter(valid[0].role, agent.id, left, refuse_seconds)

    def _run(self, agent: Agent, info: Message) -> None:
        # The agent may be away: the master finds out when it comes back.
        if agent.up and not agent.dead and self.knows(agent):
            agent.run(info)
            if info["task_id"]["value"] in self._killed:
                agent.kill(info["task_id"]["value"])
        else:
            self._fate.count("launch lost on its way to the agent")

    def decline(self, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        """DECLINE."""
        for offer_id in offer_ids:
            offer = self._offers.pop(offer_id, None)
            if offer is not None:
                self._filter(offer.role, offer.agent_id, offer.bundle, refuse_seconds)

    def _filter(self, role: str, agent_id: str, refused: Bundle, seconds: float) -> None:
        self._filters[role, agent_id] = _Filter(self._fate.now + seconds, refused)
        self.kick()
        if seconds < 600:
            self._fate.later(seconds, self.kick)

    def suppress(self, roles: Sequence[str] | None) -> None:
        """SUPPRESS."""
        self.suppressed |= set(roles or self.roles)

    def revive(self, roles: Sequence[str] | None) -> None:
        """REVIVE: the filters are void, too."""
        revived = set(roles or self.roles)
        self.suppressed -= revived
        for key in [key for key in self._filters if key[0] in revived]:
            del self._filters[key]
        self.kick(0.01)

    def update_framework(self, roles: Sequence[str], suppressed: Iterable[str], constraints: Message) -> None:
        """UPDATE_FRAMEWORK: offers to roles that are left are rescinded."""
        self.roles = list(roles)
        self.suppressed = set(suppressed)
        self.constraints = constraints
        for offer_id in [one for one, offer in self._offers.items() if offer.role not in self.roles]:
            del self._offers[offer_id]
            self._tell("RESCIND", offer_id)
        self.kick()

    def answer_inverse(self, offer_ids: Sequence[str]) -> None:
        """ACCEPT_INVERSE_OFFERS or DECLINE_INVERSE_OFFERS: Mesos asks again after a while."""
        for offer_id in offer_ids:
            agent_id = self._inverse.pop(offer_id, None)
            if agent_id is not None:
                again = _INVERSE_REFUSED + self._fate.random.random()
                self._fate.later(again, partial(self._ask_back, self.agents[agent_id]))

    def kill(self, task_id: str, agent_id: str | None) -> None:
        """KILL."""
        known = self.tasks.get(task_id)
        if known is None:
            self.reconcile([(task_id, agent_id)])
        elif agent_id is None or agent_id == known.agent_id:
            self._killed.add(task_id)
            agent = self.agents[known.agent_id]
            self._fate.later(0.1, partial(self._pass_kill, agent, task_id))

    def _pass_kill(self, agent: Agent, task_id: str) -> None:
        if agent.up and not agent.dead and self.knows(agent):
            agent.kill(task_id)

    def acknowledge(self, status: Message) -> None:
        """ACKNOWLEDGE: what has ended is forgotten with its last update."""
        task_id, uuid = status["task_id"]["value"], status["uuid"]
        agent = self.agents.get(status["agent_id"]["value"])
        if agent is None or not agent.up or not self.knows(agent):
            return
        known = self.tasks.get(task_id)
        if known is not None and known.uuid == uuid and known.said in ENDED:
            del self.tasks[task_id]
        agent.acknowledge(task_id, uuid)

    def reconcile(self, tasks: Iterable[tuple[str, str | None]]) -> None:
        """RECONCILE, explicit or implicit."""
        asked = list(tasks)
        for task_id, agent_id in asked or [(task_id, None) for task_id in self.tasks]:
            known = self.tasks.get(task_id)
            if known is not None:
                self._say(task_id, known.said, known.agent_id, "REASON_RECONCILIATION", healthy=known.healthy)
                continue
            standing = self.standing.get(agent_id or "")
            recovering = agent_id is None and Standing.RECOVERED in self.standing.values()
            if standing is Standing.RECOVERED or recovering:
                continue
            state = {
                Standing.REGISTERED: "GONE",
                Standing.UNREACHABLE: "UNREACHABLE",
                Standing.GONE: "GONE_BY_OPERATOR",
            }.get(standing or Standing.REMOVED, "UNKNOWN")
            self._say(task_id, state, agent_id, "REASON_RECONCILIATION")

    # What it tells

    def _hear(self, agent: Agent, update: Message) -> None:
        """An agent's update passes through."""
        if not self.knows(agent):
            return
        self._tell("UPDATE", update)
        known = self.tasks.get(update["task_id"]["value"])
        if known is None:
            return
        known.said = update["state"].removeprefix("TASK_")
        known.uuid = update["uuid"]
        known.healthy = update.get("healthy", known.healthy)
        container = agent.containers.get(update["task_id"]["value"])
        if (container is None or not container.alive) and not known.ended:
            known.ended = True
            self.kick()

    def _say(
        self,
        task_id: str,
        state: str,
        agent_id: str | None,
        reason: str,
        *,
        healthy: bool | None = None,
        message: str = "",
    ) -> None:
        status: Message = {"task_id": {"value": task_id}, "state": f"TASK_{state}", "reason": reason}
        if agent_id is not None:
            status["agent_id"] = {"value": agent_id}
        if healthy is not None:
            status["healthy"] = healthy
        if message:
            status["message"] = message
        self._tell("UPDATE", status)

    # For those who look from outside

    def containers(self) -> Iterable[tuple[Agent, Container]]:
        """Everything that runs, wherever it is."""
        for agent in self.agents.values():
            for container in agent.containers.values():
                if container.alive:
                    yield agent, container


def facts_of(machine: Machine) -> Message:
    """What an offer and an AgentInfo tell of a machine."""
    return {
        "hostname": machine.hostname,
        "attributes": [
            {"name": name, "type": "TEXT", "text": {"value": value}}
            for name, value in machine.attributes.items()
        ],
        "domain": {"fault_domain": {"region": {"name": machine.region}, "zone": {"name": machine.zone}}},
    }


def _lets_through(constraint: Message, machine: Machine) -> bool:
    selector, ((predicate, wanted),) = constraint["selector"], constraint["predicate"].items()
    if "attribute_name" in selector:
        value = machine.attributes.get(selector["attribute_name"])
    else:
        value = machine.field(
            {"HOSTNAME": "hostname", "REGION": "@region", "ZONE": "@zone"}[selector["pseudoattribute_type"]]
        )
    if predicate in ("text_equals", "text_matches") and value is None:
        return False
    match predicate:
        case "text_equals":
            return bool(value == wanted["value"])
        case "text_matches":
            return re.fullmatch(wanted["regex"], value or "") is not None
        case "text_not_matches":
            return value is None or re.fullmatch(wanted["regex"], value) is None
    raise ValueError(f"{predicate} is not known")


def _problem(info: Message, agent: Agent, left: Bundle) -> tuple[str | None, Bundle]:
    if info["agent_id"]["value"] != agent.id:
        return "it names another agent", Bundle()
    try:
        needed = Bundle.of(info["resources"])
    except ValueError as error:
        return str(error), Bundle()
    return None if left.holds(needed) else f"it takes {needed}, but {left} is left", needed


def _resources(bundle: Bundle, role: str) -> list[Message]:
    allocated = {"allocation_info": {"role": role}}
    result: list[Message] = [
        {"name": name, "type": "SCALAR", "scalar": {"value": amount / 1000}, **allocated}
        for name, amount in (("cpus", bundle.cpus), ("mem", bundle.mem), ("disk", bundle.disk))
        if amount
    ]
    if bundle.ports:
        spans: list[Message] = []
        for port in sorted(bundle.ports):
            if spans and spans[-1]["end"] == port - 1:
                spans[-1]["end"] = port
            else:
                spans.append({"begin": port, "end": port})
        result.append({"name": "ports", "type": "RANGES", "ranges": {"range": spans}, **allocated})
    return result


def _unavailability(start: float, end: float) -> Message:
    return {
        "start": {"nanoseconds": round(start * 1e9)},
        "duration": {"nanoseconds": round((end - start) * 1e9)},
    }
