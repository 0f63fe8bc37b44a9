"""Decides what to do next, and has it done: gathers what a plan is made from, and carries the plan out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.control.desired_state import DesiredState
from mesos_docker_scheduler.control.framework import Registration
from mesos_docker_scheduler.control.kept_versions import KeptVersions
from mesos_docker_scheduler.control.launching import MAINTENANCE_SECONDS, Launching
from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.control.maintenance import Maintenance
from mesos_docker_scheduler.control.offers import Demand, OfferBook
from mesos_docker_scheduler.control.publisher import Publisher
from mesos_docker_scheduler.control.session import Session
from mesos_docker_scheduler.control.start_timeouts import StartTimeouts
from mesos_docker_scheduler.control.stopping import Stopping
from mesos_docker_scheduler.control.unconfirmed import Unconfirmed
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.planning.cluster import Offer
from mesos_docker_scheduler.planning.placement import hosts_for, role_of, suiting_ids
from mesos_docker_scheduler.planning.planner import Inputs, Plan, PlanCache, plan
from mesos_docker_scheduler.planning.shortage import Explanations
from mesos_docker_scheduler.records.dependencies import Dependencies
from mesos_docker_scheduler.records.failures import Failures
from mesos_docker_scheduler.records.overrides import Overrides
from mesos_docker_scheduler.records.rollout import Rollout, Rollouts
from mesos_docker_scheduler.records.tasks import wait_key
from mesos_docker_scheduler.records.versions import Versions
from mesos_docker_scheduler.wording import clock


class Driver(Protocol):
    """What is used of the Mesos driver. Calls are queued; they answer False when disconnected."""

    def suppressOffers(self, roles: Sequence[str] | None = None) -> bool:
        """SUPPRESS, for these roles or all."""

    def reviveOffers(self, roles: Sequence[str] | None = None) -> bool:
        """REVIVE, for these roles or all."""

    def updateFramework(
        self, framework: dict[str, Any], offer_constraints: dict[str, Any] | None = None
    ) -> bool:
        """UPDATE_FRAMEWORK; offer constraints stay as they are when None."""


class Decisions:
    """`plan` is the last one. `expect` hears that other services, or other counts of them, are wanted.

    Times are seconds of the epoch.
    """

    def __init__(
        self,
        ledger: Ledger,
        driver: Driver,
        metrics: Metrics,
        session: Session,
        desired: DesiredState,
        *,
        offers: OfferBook,
        maintenance: Maintenance,
        registration: Registration,
        failures: Failures,
        rollouts: Rollouts,
        overrides: Overrides,
        versions: Versions,
        kept_versions: KeptVersions,
        dependencies: Dependencies,
        unconfirmed: Unconfirmed,
        launching: Launching,
        stopping: Stopping,
        start_timeouts: StartTimeouts,
        expect: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._driver = driver
        self._metrics = metrics
        self._session = session
        self._desired = desired
        self._offers = offers
        self._maintenance = maintenance
        self._registration = registration
        self._failures = failures
        self._rollouts = rollouts
        self._overrides = overrides
        self._versions = versions
        self._kept_versions = kept_versions
        self._dependencies = dependencies
        self._unconfirmed = unconfirmed
        self._launching = launching
        self._stopping = stopping
        self._start_timeouts = start_timeouts
        self._expect = expect
        self._cache = PlanCache()
        self._explanations = Explanations()
        self._suits: dict[str, tuple[object, frozenset[str]]] = {}
        self._acting_since: float | None = None
        self.plan = Plan()

    def decide(self, now: float, publisher: Publisher) -> None:
        """Plan, and do what the plan says."""
        self._expire(now)
        gathering = self._offers.gathering(now)
        not_yet = self._session.not_yet(now)
        hold = not_yet or self._flooded(now)
        self._acting_since = None if hold else self._acting_since or now
        if self._acting_since is not None and self._session.connected:
            self._start_timeouts.enforce(self._acting_since, now)
        going = self._maintenance.going(now)
        self._follow_agents(going)
        if self._dependencies.records:
            self._dependencies.forget_except(self._desired.services.keys() | self._ledger.task_index.services)
        before = self._before()
        with self._metrics.plan_seconds.time():
            # While we only wait for a moment, offers are kept for what comes then.
            offers = [] if gathering or not_yet else self._offers.at_hand()
            inputs = self._inputs(offers, before, going, hold, now)
            self.plan = plan(inputs, self._cache, self._explanations)
        self._take_rollouts(self.plan.rollouts, now)
        publisher.tell_waiting(self.plan.waiting, now)
        self._tell_framework(before, now)
        if not_yet is None:
            self._execute(publisher, now)
            if not gathering:
                self._tell_demand(now)

    def read_anew(self, before: Mapping[str, Service], again: Collection[str]) -> None:
        """Note that there is another configuration than `before`, and that updates are tried `again`.

        While the store fails nothing is planned: what was said of the old must not stand at the new.
        """
        services = self._desired.services
        waiting = {
            name: reasons
            for name, reasons in self.plan.waiting.items()
            if services.get(name) == before[name] and name not in again
        }
        self.plan = replace(self.plan, waiting=waiting)
        self._cache.forget_except(services)
        self._suits.clear()

    def _flooded(self, now: float) -> str | None:
        until = self._failures.open_until(now)
        if until is None:
            return None
        return f"too much failed within a minute: nothing is started or stopped until {clock(until)}"

    def _inputs(
        self,
        offers: Sequence[Offer],
        before: Mapping[str, Service],
        going: frozenset[str],
        hold: str | None,
        now: float,
    ) -> Inputs:
        services = self._desired.config.services
        return Inputs(
            services,
            self._ledger.task_index,
            offers,
            self._offers.agents_avoiding(self._failures.agent_waits()),
            self._failures.waits(),
            now,
            places=self._failures.places(),
            rollouts=self._rollouts.records,
            before=before,
            barred=self._barred(before),
            going=going,
            acting_since=self._acting_since or now,
            hold=hold,
            held={**self._unsettled(now), **self._launching.held(services)},
            role=self._desired.config.framework.role,
            filters=self._registration.filters.texts,
            restarts=self._overrides.restarts(),
            unconfirmed=self._unconfirmed.reasons(now),
            dependents=self._dependencies.dependents(),
            facts_generation=self._offers.facts_generation,
        )

    def _execute(self, publisher: Publisher, now: float) -> None:
        for kill in self.plan.kills:
            if self._stopping.intend(kill, now):
                publisher.hurry()
        for accept in self.plan.accepts:
            self._launching.launch(accept, now)
        for why, count in self.plan.unused.items():
            self._metrics.offers_unused[why].inc(count)
        # When maintenance is called off, nobody says so but the next offer.
        soon = self._offers.in_maintenance(self.plan.declines, now) if self._watchers() else []
        later = [*(one for one in self.plan.declines if one not in soon), *self._offers.stranded(now)]
        if later:
            self._launching.decline(later)
        if soon:
            self._launching.decline(soon, MAINTENANCE_SECONDS)

    def _follow_agents(self, going: frozenset[str]) -> None:
        """Count the hosts on which services with mode "global" should run."""
        agents, task_index = self._offers.agents, self._ledger.task_index
        hosts = {
            service.name: hosts_for(self._role_of(service), agents, self._suiting(service), task_index, going)
            for service in self._desired.file_services.values()
            if service.mode == "global"
        }
        if self._desired.follow(hosts):
            self._expect()
            self._ledger.touch()

    def _suiting(self, service: Service) -> frozenset[str]:
        """The agents that a service's constraints allow; looked for anew when facts of any have changed."""
        made_from = service.constraints, self._offers.facts_generation
        known = self._suits.get(service.name)
        if known is None or known[0] != made_from:
            suits = suiting_ids(service, self._offers.agents.values())
            known = self._suits[service.name] = made_from, suits
        return known[1]

    def _unsettled(self, now: float) -> dict[str, str]:
        """Why nothing may be done yet for services with mode "global": too few slaves may be known."""
        if self._offers.have_come(now):
            return {}
        return {
            service.name: "asking Mesos which slaves there are"
            for service in self._desired.config.services
            if service.mode == "global"
        }

    def _expire(self, now: float) -> None:
        """Forget failures that have been lived down; see `Failures.expire`."""
        if not self._failures.waits():
            return
        runs = {}
        for service in self._desired.config.services:
            for made in (service, self._rollouts.before(service, self._versions)):
                if made is not None:
                    healthy = self._ledger.task_index.of_service(service.name).version(made.version).healthy
                    runs[wait_key(service.name, made.version)] = bool(healthy)
        self._failures.expire(runs, now)

    def _before(self) -> dict[str, Service]:
        """The good versions of services whose update may end, or has ended, without success."""
        before = {}
        for service in self._desired.config.services:
            rollout = self._rollouts.records.get(service.name)
            if rollout is not None and rollout.good not in (None, service.version):
                good = self._rollouts.before(service, self._versions)
                if good is not None:
                    before[service.name] = good
        return before

    def _barred(self, before: Mapping[str, Service]) -> dict[str, str]:
        """Why nothing of these may be started: they are older than what services may ask for now."""
        refused = {name: self._desired.refusals(good) for name, good in before.items()}
        return {name: "; ".join(refusals) for name, refusals in refused.items() if refusals}

    def _take_rollouts(self, steps: Iterable[Rollout], now: float) -> None:
        for rollout in steps:
            before = self._rollouts.records.get(rollout.service)
            service = self._desired.services[rollout.service]
            self._kept_versions.keep(service)
            self._rollouts.put(rollout)
            if before is not None and rollout.state != before.state:
                text = f"the update to {service.made_of} is {rollout.state}"
                text += f": {rollout.reason}" if rollout.reason else ""
                self._ledger.note(now, "update", text, rollout.service)

    def _tell_framework(self, before: Mapping[str, Service], now: float) -> None:
        """Tell Mesos which roles are in use and, while somebody asks for offers, which agents to offer."""
        watching = {service.name: service for service in self._watchers()}
        asking = {**watching, **self.plan.asking}
        change = self._registration.change(self._desired.config, before, asking, now)
        if change is not None:
            self._ledger.send(partial(self._driver.updateFramework, *change))

    def _watchers(self) -> list[Service]:
        """The services that should hear of agents that join, even if nothing is missing."""
        return [service for service in self._desired.config.services if service.watches_agents]

    def _role_of(self, service: Service) -> str:
        return role_of(service, self._desired.config.framework.role)

    def _tell_demand(self, now: float) -> None:
        """Ask for offers to the roles that want some, and for none to the others."""
        roles: list[str] = self._registration.info["roles"]
        by_role: dict[str, dict[str, int]] = {role: {} for role in roles}
        for name, service in self.plan.asking.items():
            # Another version asks anew, at once.
            key = wait_key(name, service.version)
            by_role[self._role_of(service)][key] = self.plan.wanted[name]
        watching = {self._role_of(service) for service in self._watchers()}
        for demand, told in self._offers.demands(by_role, now, watching).items():
            call = self._driver.reviveOffers if demand is Demand.REVIVE else self._driver.suppressOffers
            self._ledger.send(partial(call, None if len(told) == len(roles) else told))
