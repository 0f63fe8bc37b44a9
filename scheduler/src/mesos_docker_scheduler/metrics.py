"""Counters and gauges for Prometheus (https://prometheus.io/docs/practices/naming/)."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mesos_docker_scheduler.snapshot import ServiceView, Snapshot
from mesos_docker_scheduler.tasks import TaskState

_PREFIX = "mesos_docker_scheduler"


class Metrics:
    """Written by the controller's thread, read by the web's; prometheus_client sees to the locking."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._shown: dict[str, ServiceView] = {}
        self.connected = self._gauge("connected", "1 while subscribed to a master")
        self.wanted = self._gauge("instances_wanted", "Instances that should run", ["service"])
        self.instances = self._gauge("instances", "Instances by state", ["service", "state"])
        self.converged = self._gauge("service_converged", "1 while a service is as wanted", ["service"])
        self.offers = self._counter("offers", "Offers by what became of them", ["outcome"])
        self.launches = self._counter("launches", "Instances launched", ["service"])
        self.kills = self._counter("kills", "KILL calls, repeated ones included", ["service"])
        updates = self._counter("status_updates", "Status updates received", ["state"])
        # Looked up once and for all: there is nothing that is counted as often.
        self.updates = {state: updates.labels(state.value.lower()) for state in TaskState}
        self.failures = self._counter(
            "failures", "Instances that ended unasked, by whose fault", ["service", "fault"]
        )
        self.subscriptions = self._counter("subscriptions", "Times that we subscribed to a master", [])
        self.reconciliations = self._counter("reconciliations", "RECONCILE calls", ["kind"])
        self.failed_calls = self._counter("failed_calls", "Calls that failed", ["type"])
        self.store_errors = self._counter("store_errors", "Writes to the store that failed", [])
        self.loop_seconds = Histogram(
            f"{_PREFIX}_loop_seconds", "Time per round of the controller", registry=self.registry
        )
        self.plan_seconds = Histogram(
            f"{_PREFIX}_plan_seconds", "Time per plan of what to do next", registry=self.registry
        )
        self.commit_seconds = Histogram(
            f"{_PREFIX}_store_commit_seconds", "Time per write to the store", registry=self.registry
        )

    def show(self, snapshot: Snapshot) -> None:
        """Set the gauges to what the snapshot says."""
        self.connected.set(snapshot.connected)
        before, self._shown = self._shown, {service.name: service for service in snapshot.services}
        for name in before.keys() - self._shown.keys():
            for gauge in (self.wanted, self.converged):
                gauge.remove(name)
            for state in before[name].states:
                self.instances.remove(name, state.lower())
        for name, service in self._shown.items():
            last = before.get(name)
            if last is service:
                continue
            self.wanted.labels(name).set(service.wanted)
            self.converged.labels(name).set(service.converged)
            for state in last.states.keys() - service.states.keys() if last is not None else ():
                self.instances.remove(name, state.lower())
            for state, count in service.states.items():
                self.instances.labels(name, state.lower()).set(count)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, labels: Iterable[str]) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)
