"""Which agent an instance goes to, and why one finds no room."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence

from mesos_docker_scheduler.census import Census
from mesos_docker_scheduler.cluster import Accept, Agent, Launch, Offer
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.explanation import Reason
from mesos_docker_scheduler.resources import Need, Pool, thousandths
from mesos_docker_scheduler.wording import count_of, instances, is_are


class Placement:
    """The agents on offer, and what is left of them while instances are being placed."""

    def __init__(
        self,
        offers: Sequence[Offer],
        agents: Mapping[str, Agent],
        census: Census,
        now: float,
    ) -> None:
        self._offers: dict[str, list[Offer]] = {}
        for offer in offers:
            self._offers.setdefault(offer.agent_id, []).append(offer)
        self._agents = agents
        self._now = now
        self._pools = {
            agent_id: Pool(resource for offer in own for resource in offer.resources)
            for agent_id, own in self._offers.items()
        }
        self._launches: dict[str, list[Launch]] = {}
        self._census = census
        self._placed: Counter[tuple[str, str]] = Counter()
        self._placed_in_all: Counter[str] = Counter()
        self._refused: dict[str, list[str]] = {}

    def place(self, service: Service, count: int) -> int:
        """Place up to `count` instances, spread over the agents; returns how many found no room."""
        need = need_of(service)
        same_service = self._census.on_agents(service.name)
        same_version = self._census.on_agents(service.name, service.version)

        def rank(agent_id: str) -> tuple[int, int, int, str, str]:
            new = self._placed[service.name, agent_id]
            return (
                same_version[agent_id] + new,
                same_service[agent_id] + new,
                self._census.load[agent_id] + self._placed_in_all[agent_id],
                self._offers[agent_id][0].hostname,
                agent_id,
            )

        refused = self._refused[service.name] = []
        heap = []
        for agent_id in self._offers:
            problem = self._unfit(agent_id)
            if problem is None:
                heap.append(rank(agent_id))
            else:
                refused.append(problem)
        heapq.heapify(heap)
        while count and heap:
            agent_id = heapq.heappop(heap)[-1]
            lacking = self._pools[agent_id].lacks(need)
            if lacking is not None:
                refused.append(lacking)
                continue
            resources, host_ports = self._pools[agent_id].take(need)
            hostname = self._offers[agent_id][0].hostname
            self._launches.setdefault(agent_id, []).append(
                Launch(service, agent_id, hostname, tuple(resources), host_ports)
            )
            self._placed[service.name, agent_id] += 1
            self._placed_in_all[agent_id] += 1
            heapq.heappush(heap, rank(agent_id))
            count -= 1
        return count

    def _unfit(self, agent_id: str) -> str | None:
        if any(offer.in_maintenance(self._now) for offer in self._offers[agent_id]):
            return "maintenance"
        agent = self._agents.get(agent_id)
        if agent is not None and agent.avoid is not None and agent.avoid.until > self._now:
            return "avoided"
        return None

    def accepts(self) -> tuple[Accept, ...]:
        """One for each agent that gets something: all its offers, all its launches."""
        return tuple(
            Accept(
                agent_id,
                tuple(offer.id for offer in self._offers[agent_id]),
                tuple(launches),
                self._pools[agent_id],
            )
            for agent_id, launches in self._launches.items()
        )

    def unused_offers(self) -> tuple[str, ...]:
        """Offers of agents that get nothing."""
        return tuple(
            offer.id
            for agent_id, offers in self._offers.items()
            if agent_id not in self._launches
            for offer in offers
        )

    def explain(self, service: Service, missing: int) -> Reason:
        """Why `missing` instances found no room: the agents at hand, and those that we remember."""
        need = need_of(service)
        problems = Counter(self._refused[service.name])
        hopeful = 0
        pools = [(self._offers[agent_id][0].hostname, pool) for agent_id, pool in self._pools.items()]
        for agent in self._agents.values():
            if agent.id in self._offers:
                continue
            pools.append((agent.hostname, agent.free))
            if agent.in_maintenance:
                problems["maintenance"] += 1
            elif agent.avoid is not None and agent.avoid.until > self._now:
                problems["avoided"] += 1
            else:
                lacking = agent.free.lacks(need)
                if lacking is None:
                    hopeful += 1
                else:
                    problems[lacking] += 1
        subject = f"{instances(missing)} waiting for resources"
        if not pools:
            text = (
                f"{subject}: Mesos has offered none so far (is a slave registered, and has the role a share?)"
            )
            return Reason("resources", text, missing)
        parts = [_problem(kind, count, need, pools) for kind, count in sorted(problems.items())]
        if hopeful:
            parts.append(f"{hopeful} may have room, and {is_are(hopeful)} asked for")
            problems["may have room"] = hopeful
        text = f"{subject} ({_needs(need)}): of {count_of(len(pools), 'slave')} {', '.join(parts)}"
        return Reason("resources", text, missing, agents=dict(problems))


def need_of(service: Service) -> Need:
    """What one instance of a service takes."""
    return Need(
        cpus=thousandths(service.cpus),
        mem=thousandths(service.mem),
        disk=thousandths(service.disk),
        ports=service.host_ports,
    )


_UNITS = {"cpus": "cpus", "mem": "MiB of memory", "disk": "MiB of disk"}


def _amount(value: int) -> str:
    return f"{value / 1000:,.3f}".rstrip("0").rstrip(".")


def _needs(need: Need) -> str:
    parts = [f"{_amount(need.scalar(name))} {unit}" for name, unit in _UNITS.items() if need.scalar(name)]
    if need.ports:
        fixed = [str(port) for port in need.ports if port]
        parts.append(f"host port {', '.join(fixed)}" if fixed else count_of(len(need.ports), "port"))
    return f"needs {', '.join(parts)}"


def _problem(kind: str, count: int, need: Need, pools: Sequence[tuple[str, Pool]]) -> str:
    if kind == "maintenance":
        return f"{count} {is_are(count)} in or before maintenance"
    if kind == "avoided":
        return f"{count} {is_are(count)} avoided for a while after faults"
    has = "has" if count == 1 else "have"
    if kind in _UNITS:
        free, hostname = max((pool.free(kind), hostname) for hostname, pool in pools)
        most = f"the most that was offered is {_amount(free)}, on {hostname}"
        return (
            f"{count} {has} too few {_UNITS[kind]} ({most})"
            if kind == "cpus"
            else (f"{count} {has} too little {'memory' if kind == 'mem' else kind} ({most})")
        )
    if kind == "ports":
        return f"{count} {has} too few free ports"
    return f"{count} {has} {kind} not free"
