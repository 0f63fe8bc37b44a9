"""Which agent an instance goes to, and why one finds no room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.candidates import AgentOffers, Candidates, PlacementSearch
from mesos_docker_scheduler.planning.cluster import Accept, Agent, Launch, Offer
from mesos_docker_scheduler.planning.constraints import (
    Constraint,
    Facts,
    described,
    field_of,
    looks_at_agent_alone,
    suits,
    suits_all,
)
from mesos_docker_scheduler.planning.explanation import Reason
from mesos_docker_scheduler.planning.resources import SCALARS, Pool, ResourceRequest, thousandths
from mesos_docker_scheduler.planning.shortage import (
    AVOIDED,
    CONSTRAINT,
    HOPEFUL,
    MAINTENANCE,
    NOT_WANTED,
    Explanations,
    Shortage,
    short,
)
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.task_index import TaskIndex
from mesos_docker_scheduler.records.tasks import wait_key


class Placement:
    """The agents on offer, and what is left of them while instances are being placed.

    An offer belongs to one role (`role`: that of services without one of their own), and so does each ACCEPT.
    """

    def __init__(
        self,
        offers: Sequence[Offer],
        agents: Mapping[str, Agent],
        task_index: TaskIndex,
        now: float,
        *,
        role: str = "*",
        explanations: Explanations | None = None,
        filters: Mapping[str, str] | None = None,
        places: Mapping[str, Mapping[str, Wait]] | None = None,
        going: frozenset[str] = frozenset(),
    ) -> None:
        self._agents = agents
        self._task_index = task_index
        self._now = now
        self._role = role
        self._spared_ports: Collection[int] = ()
        self._explanations = explanations or Explanations()
        self._filters = filters or {}
        self._places = places or {}
        self._going = going
        self._lots: dict[tuple[str, str], AgentOffers] = {}
        for offer in offers:
            key = (offer.agent_id, offer.role)
            lot = self._lots.get(key)
            if lot is None:
                self._lots[key] = AgentOffers(
                    offer.agent_id, offer.hostname, offer.role, offer, [offer], offer.pool
                )
            else:
                lot.offers.append(offer)
                together = [resource for one in lot.offers for resource in one.resources]
                lot.pool = Pool(together, lot.pool.next_port, lot.pool.skipped)
        self._unfit: dict[str, str] = {}
        self._candidates: Candidates | None = None
        self._searches: dict[str, PlacementSearch] = {}

    def spare(self, ports: Collection[int]) -> None:
        """Note the ports that services need by number: who takes any gets others, if there are others."""
        self._spared_ports = ports

    def place(
        self,
        service: Service,
        count: int,
        staying: Mapping[str, int] | None = None,
        closed: Collection[str] = (),
    ) -> int:
        """Place up to `count` instances; returns how many found no room.

        `staying`: by agent, how many of the service are to stay: those which constraints count; None: all of
        its version. `closed`: agents that get none. Agents where the version has failed before it ran come
        last, and not before their time.
        """
        failed_on = self._failed_on(service)
        same_version = self._task_index.on_agents(service.name, service.version)
        search = self._searches[service.name] = PlacementSearch(
            self._prepared(),
            role_of(service, self._role),
            service.constraints,
            need_of(service),
            max(count, service.count),
            service.placement == "pack",
            same_version if staying is None else staying,
            self._task_index.on_agents(service.name),
            staying=_without(same_version, self._going),
            last=failed_on,
            closed=[
                *closed,
                *(agent_id for agent_id, wait in failed_on.items() if wait.until > self._now),
            ],
            preferences=service.preferences,
        )
        while count:
            lot = search.next()
            if lot is None:
                break
            self._launch(service, search.need, lot)
            count -= 1
        search.close()
        return count

    def _failed_on(self, service: Service) -> Mapping[str, Wait]:
        return self._places.get(wait_key(service.name, service.version), {})

    def _prepared(self) -> Candidates:
        if self._candidates is None:
            for lot in self._lots.values():
                lot.load = self._task_index.load[lot.agent_id]
                problem = self._problem_of_agent(lot.agent_id, lot.offers)
                if problem is not None:
                    self._unfit[lot.agent_id] = problem
            self._candidates = Candidates(self._lots.values(), self._agents, self._unfit, self._now)
        return self._candidates

    def _launch(self, service: Service, need: ResourceRequest, lot: AgentOffers) -> None:
        if not lot.launches and len(lot.offers) == 1:
            lot.pool = lot.pool.copy()
        resources, host_ports = lot.pool.take_checked(need, self._spared_ports)
        lot.launches.append(Launch(service, lot.agent_id, lot.hostname, tuple(resources), host_ports))

    def accepts(self) -> tuple[Accept, ...]:
        """One for each agent and role that gets something: all its offers, all its launches."""
        return tuple(
            Accept(
                lot.agent_id,
                tuple(offer.id for offer in lot.offers),
                tuple(lot.launches),
                lot.pool,
                lot.role,
            )
            for lot in self._lots.values()
            if lot.launches
        )

    def unused_offers(self) -> tuple[str, ...]:
        """Offers of agents that get nothing."""
        return tuple(offer.id for lot in self._lots.values() if not lot.launches for offer in lot.offers)

    def unused_because(self, asking: Collection[Service]) -> Mapping[str, int]:
        """How many unused offers there are for each reason, in few words (see `shortage.SHORT`).

        `asking`: the services that found too little room, the biggest first. The smallest of an offer's role
        is asked what it lacked: whatever keeps that one out keeps the others out as well, as a rule.
        """
        smallest = {role_of(service, self._role): service for service in asking}
        reasons: Counter[str] = Counter()
        for lot in self._lots.values():
            if not lot.launches:
                service = smallest.get(lot.role)
                reasons[short(NOT_WANTED if service is None else self._problem(service, lot))] += len(
                    lot.offers
                )
        return reasons

    def _problem(self, service: Service, lot: AgentOffers) -> str:
        search = self._searches[service.name]
        unfit = self._unfit.get(lot.agent_id) or self._unfit_for(service, search, lot.agent_id, lot.facts)
        return unfit or lot.pool.lacks(search.need) or HOPEFUL

    def _unfit_for(
        self, service: Service, search: PlacementSearch, agent_id: str, facts: Facts
    ) -> str | None:
        """What keeps one service off an agent, as things stand."""
        wait = self._failed_on(service).get(agent_id)
        if wait is not None and wait.until > self._now:
            return AVOIDED
        return _unmet(service.constraints, search, facts)

    def explain(self, service: Service, missing: int) -> Reason:
        """Why `missing` instances found no room: the agents at hand, and those that we remember."""
        cost = len(self._agents) + len(self._lots)
        shortage = self._explanations.known(service.name, service.version, cost, self._now)
        if shortage is None and not self._explanations.affords(cost):
            return Shortage(need_of(service), not_looked_at=cost).reason(missing)
        if shortage is None:
            shortage = self._look_for(service)
            self._explanations.found(service.name, service.version, cost, self._now, shortage)
        return shortage.reason(missing)

    def _look_for(self, service: Service) -> Shortage:
        role = role_of(service, self._role)
        search = self._searches[service.name]
        shortage = Shortage(
            search.need, filtered=self._filters.get(role), last_fault=self._last_fault(service)
        )
        offered = {agent_id: lot for (agent_id, own_role), lot in self._lots.items() if own_role == role}
        for lot in offered.values():
            problem = self._unfit.get(lot.agent_id)
            problem = problem or self._unfit_for(service, search, lot.agent_id, lot.facts)
            shortage.note(lot.hostname, lot.pool, problem)
        for agent in self._agents.values():
            if agent.id not in offered and agent.free:
                problem = self._problem_of_agent(agent.id, ())
                problem = problem or self._unfit_for(service, search, agent.id, agent)
                shortage.note(agent.hostname, agent.free.get(role), problem)
        return shortage

    def _last_fault(self, service: Service) -> str:
        """The latest cause for which an agent is avoided, by all or by this service."""
        waits = [*self._failed_on(service).values()]
        waits += [agent.avoid for agent in self._agents.values() if agent.avoid is not None]
        return max(waits, key=lambda wait: wait.last_failure).why if waits else ""

    def _problem_of_agent(self, agent_id: str, offers: Sequence[Offer]) -> str | None:
        agent = self._agents.get(agent_id)
        if any(offer.in_maintenance(self._now) for offer in offers):
            return MAINTENANCE
        if agent is None:
            return None
        if agent.in_maintenance and not offers:
            return MAINTENANCE
        return AVOIDED if agent.avoid is not None and agent.avoid.until > self._now else None


def _without(counts: Mapping[str, int], agents: Collection[str]) -> Mapping[str, int]:
    if not agents:
        return counts
    return {agent_id: count for agent_id, count in counts.items() if agent_id not in agents}


def suiting_ids(service: Service, agents: Iterable[Agent]) -> frozenset[str]:
    """The ids of the agents that a service may run on, as far as its constraints look at them alone."""
    tests = [one for one in service.constraints if looks_at_agent_alone(one)]
    return frozenset(agent.id for agent in agents if suits_all(tests, agent))


def hosts_for(
    role: str,
    agents: Mapping[str, Agent],
    suiting: Collection[str],
    task_index: TaskIndex,
    going: Collection[str],
) -> int:
    """How many hosts are to have an instance of a service with mode "global".

    Those with an agent that has offered something to the service's role, or has something of ours, is among
    those `suiting` the service, and does not go into maintenance.
    """
    return len(
        {
            agent.hostname
            for agent in agents.values()
            if agent.id in suiting
            and (role in agent.free or any(task.present for task in task_index.here(agent.id).values()))
            and not agent.in_maintenance
            and agent.id not in going
        }
    )


def biggest_first(services: Collection[Service]) -> list[Service]:
    """The order in which to place them: small ones find room in what big ones leave."""
    needs = {service.name: need_of(service) for service in services}
    most = {name: max((need.scalar(name) for need in needs.values()), default=0) or 1 for name in SCALARS}

    def size(service: Service) -> float:
        return sum(needs[service.name].scalar(name) / most[name] for name in SCALARS)

    return sorted(services, key=size, reverse=True)


def need_of(service: Service) -> ResourceRequest:
    """What one instance of a service takes."""
    return ResourceRequest(
        cpus=thousandths(service.cpus),
        mem=thousandths(service.mem),
        disk=thousandths(service.disk),
        ports=service.host_ports,
        gpus=thousandths(service.gpus),
    )


def role_of(service: Service, default: str) -> str:
    """The Mesos role whose offers it uses."""
    return service.role or default


def _unmet(constraints: Sequence[Constraint], search: PlacementSearch, facts: Facts) -> str | None:
    """Name the first constraint that keeps an agent out, as things stand."""
    for constraint in constraints:
        if not suits(constraint, field_of(facts, constraint.field)):
            return CONSTRAINT + described(constraint)
    for test in search.tests:
        if not suits(test, field_of(facts, test.field)):
            return f"{CONSTRAINT}{test.field} {test.operator}"
    for counter in search.counters:
        if not counter.allows(field_of(facts, counter.constraint.field) or ""):
            return CONSTRAINT + described(counter.constraint)
    return None
