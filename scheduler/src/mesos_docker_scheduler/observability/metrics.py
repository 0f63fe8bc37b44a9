"""What Prometheus may ask (https://prometheus.io/docs/practices/naming/ and .../instrumentation/).

docs/operations.md says how to use it; monitoring/ has alert rules and a dashboard over it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from mesos_docker_scheduler import __version__
from mesos_docker_scheduler.driver.call_times import BOUNDS, CallTimes
from mesos_docker_scheduler.observability.snapshot import ConfigView, ServiceView, Snapshot
from mesos_docker_scheduler.planning import shortage
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.blame import REASONS
from mesos_docker_scheduler.records.tasks import TaskState

GONE = "(gone)"
"""Stands for all services that are configured no more; no service can be named so."""

_PREFIX = "mesos_docker_scheduler"
_WORK_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_RECONCILIATION_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
_UPDATE_SECONDS = (5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0)
_RECORDS = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)

# When a series began is nothing that anybody asks for, and would be as many series again.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Driver(Protocol):
    """What is asked of the Mesos driver, on the web's thread."""

    @property
    def calls_open(self) -> tuple[int, int]:
        """How many calls wait to be sent, and how many for an answer."""

    @property
    def call_times(self) -> CallTimes:
        """How long Mesos took to answer calls."""


class Metrics:
    """Written by the controller's thread, read by the web's; prometheus_client sees to the locking.

    The rules, and what each is for:

    - A counter's name ends in `_total` and nothing else's does; seconds and bytes are the only units, and end
      the name. So everybody's tools and habits work here, too.
    - Labels have few values, all known beforehand: services of the configuration, states, kinds, and reasons
      without particulars. Task ids, agents and messages are in the journal: as labels they would fill a
      Prometheus, since each makes a series for ever.
    - A service's series are there as long as it is configured, from zero on (`expect`): so a first failure is
      an increase, and nothing remains of what is gone. What still happens to its tasks is counted as GONE.
    - Labels are looked up once, not when something is counted. `show` touches only services that changed.
      What can be found out when somebody asks is found out then, on the asker's thread (`set_function`,
      `watch_*`). So the controller hardly notices that it is measured, whatever runs.
    - What is true or false is 1 or 0, named for what is true. `..._timestamp_seconds` is subtracted from
      `time()`: how long ago something was goes on growing when nobody is there to tell it.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._services: dict[str, ServiceSeries] = {}
        self._gone: ServiceSeries | None = None
        self._config: ConfigView | None = None
        self._make_scheduler()
        self._make_services()
        self._make_mesos()
        self._make_work()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def _make_scheduler(self) -> None:
        build = self._gauge("build_info", "The version that runs; always 1", "version")
        build.labels(__version__).set(1)
        self.config_applied = self._gauge(
            "config_applied_timestamp_seconds", "When the configuration in force was applied"
        )
        self.config_refused = self._gauge(
            "config_refused", "1 while the configuration file holds something that is refused"
        )
        self.restart_needed = self._gauge(
            "config_restart_needed", "1 while parts of the configuration wait for a restart of the scheduler"
        )
        events = self._counter("events", "What happened, as the journal tells it, by kind", "kind")
        self.events = _ByLabel(events)

    def _make_services(self) -> None:
        one = "service"
        self.wanted = self._gauge("instances_wanted", "Instances that should run", one)
        self.healthy = self._gauge(
            "instances_healthy", "Those of the version that should run that are healthy", one
        )
        self.in_service = self._gauge(
            "instances_in_service", "Instances of any version that clients may be sent to", one
        )
        self.instances = self._gauge(
            "instances", "Instances by state; states of none are left out", one, "state"
        )
        self.waiting = self._gauge(
            "instances_waiting",
            "Instances that are held back, by why; reasons of none are left out",
            one,
            "reason",
        )
        self.converged = self._gauge(
            "service_converged", "1 while a service is as wanted, and Mesos says so", one
        )
        self.overridden = self._gauge(
            "service_overridden", "1 while an operator's count holds instead of the configuration's", one
        )
        self.update_state = self._gauge(
            "service_update_state",
            "1 for the state of the latest update; other states are left out",
            one,
            "state",
        )
        update_seconds = self._histogram(
            "update_seconds",
            "From an update's beginning to its end, by how it ended",
            _UPDATE_SECONDS,
            "outcome",
        )
        self._update_seconds = {
            state: update_seconds.labels(state.replace(" ", "_"))
            for state in ("complete", "paused", "rolled back")
        }
        self.launches = self._counter("launches", "Instances launched", one)
        self.kills = self._counter("kills", "KILL calls, repeated ones included", one)
        self.lost = self._counter(
            "instances_lost", "Instances of which Mesos does not know any more whether they run", one
        )
        self.failures = self._counter(
            "failures",
            "Instances that ended unasked, by whose fault and Mesos' reason",
            one,
            "fault",
            "reason",
        )

    def _make_mesos(self) -> None:
        self.leads = self._gauge("leads", "1 for the scheduler that leads, 0 for those that follow")
        self.connected = self._gauge("connected", "1 while subscribed to a master")
        self.subscriptions = self._counter("subscriptions", "Times that we subscribed to a master")
        self.disconnections = self._counter("disconnections", "Times that a master was lost")
        self.failed_calls = self._counter("failed_calls", "Calls that were refused or got no answer", "type")
        offers = self._counter("offers", "Offers by what became of them", "outcome")
        self.offers = {
            outcome: offers.labels(outcome) for outcome in ("received", "accepted", "declined", "rescinded")
        }
        unused = self._counter("offers_unused", "Offers that were looked at and given back, by why", "reason")
        self.offers_unused = {reason: unused.labels(reason) for reason in (*shortage.SHORT, "secrets")}
        updates = self._counter("status_updates", "Status updates received", "state")
        # There is nothing that is counted as often.
        self.updates = {state: updates.labels(state.value.lower()) for state in TaskState}
        left_out = self._counter("messages_left_out", "Messages of Mesos that were not understood", "kind")
        kinds = ("offer", "inverse offer", "status update")
        self.messages_left_out = {kind: left_out.labels(kind.replace(" ", "_")) for kind in kinds}
        self.agents = self._gauge("agents", "Agents that offered something, or run something of ours")
        self.agents_lost = self._counter("agents_lost", "Agents that the master removed")
        self.kills_open = self._gauge("kills_open", "Instances that were told to stop and have not ended")
        self.kills_repeated = self._counter(
            "kills_repeated", "KILL calls for instances that did not stop at the first"
        )
        reconciliations = self._counter("reconciliations", "RECONCILE calls", "kind")
        self.reconciliations = {kind: reconciliations.labels(kind) for kind in ("explicit", "implicit")}
        self.unanswered = self._gauge(
            "reconciliation_unanswered", "Instances that Mesos was asked about in vain so far"
        )
        self.settled = self._gauge(
            "reconciliation_settled", "1 while connected, and Mesos has said what it can about our instances"
        )
        self.reconciliation_seconds = self._histogram(
            "reconciliation_seconds",
            "From a subscription until it is settled what runs",
            _RECONCILIATION_SECONDS,
        )
        self.launches_held = self._gauge(
            "launches_held", "1 while nothing is launched because too much failed"
        )

    def _make_work(self) -> None:
        self.loop_seconds = self._histogram("loop_seconds", "Time per round of the controller", _WORK_SECONDS)
        self.plan_seconds = self._histogram("plan_seconds", "Time per plan of what to do next", _WORK_SECONDS)
        self.last_round = self._gauge(
            "last_round_timestamp_seconds",
            "When the controller last ended a round; it does at least every 5 s",
        )
        self.inbox = self._gauge(
            "inbox_events", "What the controller has been told and has not looked at yet"
        )
        self.commit_seconds = self._histogram(
            "store_commit_seconds", "Time per write to the store", _WORK_SECONDS
        )
        self.commit_records = self._histogram(
            "store_commit_records", "Records per write to the store", _RECORDS
        )
        self.store_errors = self._counter("store_errors", "Writes to the store that failed")
        self.store_failing = self._gauge(
            "store_failing", "1 while the store can't be written: nothing is started or stopped"
        )
        self.store_size = self._gauge("store_size_bytes", "What the store takes on the disk")

    def expect(self, names: Collection[str]) -> None:
        """Have series for these services, from zero on, and none for others."""
        for name in self._services.keys() - set(names):
            self._services.pop(name).remove()
        for name in names:
            if name not in self._services:
                self._services[name] = ServiceSeries(name, self)

    def of(self, service: str) -> ServiceSeries:
        """Where to count what happens to a service."""
        series = self._services.get(service) or self._gone
        if series is None:
            series = self._gone = ServiceSeries(GONE, self)
        return series

    def show(self, snapshot: Snapshot) -> None:
        """Set the gauges to what the snapshot says."""
        self.leads.set(snapshot.leads)
        self.connected.set(snapshot.connected)
        self.store_failing.set(snapshot.problem is not None)
        if snapshot.config is not self._config:
            self._config = snapshot.config
            self.config_applied.set(snapshot.config.applied_at)
            self.config_refused.set(snapshot.config.error is not None)
            self.restart_needed.set(bool(snapshot.config.restart_needed))
        for service in snapshot.services:
            series = self._services.get(service.name)
            if series is not None:
                series.show(service)

    def update_ended(self, state: str, seconds: float) -> None:
        """Take in that an update is complete, paused or rolled back."""
        self._update_seconds[state].observe(max(0.0, seconds))

    def watch_driver(self, driver: Driver) -> None:
        """Show the driver's calls."""
        self.registry.register(_Calls(driver))

    def watch_certificate(self, ends_at: Callable[[], float]) -> None:
        """Show when the web server's certificate ends."""
        self._gauge(
            "http_certificate_end_timestamp_seconds", "When the certificate of the page and the API ends"
        ).set_function(ends_at)

    def watch_reading(self, read_at: Callable[[], float]) -> None:
        """Show when a scheduler that follows has read last what the leader had written; 0: never."""
        self._gauge(
            "state_read_timestamp_seconds", "When one that follows has read last what the leader had written"
        ).set_function(read_at)

    def watch_waits(
        self,
        services: Callable[[], Mapping[str, Wait]],
        agents: Callable[[], Mapping[str, Wait]],
        clock: Callable[[], float],
    ) -> None:
        """Show what failed in a row, and what waits because of it."""
        self.registry.register(_Waits(services, agents, clock))

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Iterable[float], *labels: str) -> Histogram:
        return Histogram(
            f"{_PREFIX}_{name}", text, labels, registry=self.registry, buckets=tuple(map(float, buckets))
        )


class ServiceSeries:
    """The series of one service. Gauges are made when there is something to show."""

    def __init__(self, name: str, metrics: Metrics) -> None:
        self._name = name
        self._metrics = metrics
        self._shown: ServiceView | None = None
        self._gauges: tuple[Gauge, ...] = ()
        self._failures: dict[tuple[str, str], Counter] = {}
        self._states = _Varying(metrics.instances, name)
        self._waiting = _Varying(metrics.waiting, name)
        self._update = _Varying(metrics.update_state, name)
        self.launches = metrics.launches.labels(name)
        self.kills = metrics.kills.labels(name)
        self.lost = metrics.lost.labels(name)
        self._failure("service", "none")  # a container's end: the usual case, so that the first one shows

    def failed(self, fault: str, reason: str | None) -> None:
        """Count an instance that ended unasked. `reason`: as Mesos says it."""
        self._failure(fault, _reason(reason)).inc()

    def show(self, view: ServiceView) -> None:
        """Set the gauges; it costs nothing when the view is the one that is shown."""
        if view is self._shown:
            return
        self._shown = view
        values = (
            view.wanted,
            view.healthy,
            view.in_service,
            view.converged,
            view.scaled_since is not None or view.configured != view.wanted,
        )
        if not self._gauges:
            self._gauges = tuple(gauge.labels(self._name) for gauge in self._plain)
        for gauge, value in zip(self._gauges, values, strict=True):
            gauge.set(value)
        self._states.show({state.lower(): count for state, count in view.states.items()})
        waiting: dict[str, int] = {}
        for reason in view.reasons:
            kind = reason.kind.replace(" ", "_").replace("-", "_")
            waiting[kind] = waiting.get(kind, 0) + reason.instances
        self._waiting.show(waiting)
        self._update.show({} if view.update is None else {view.update.state.replace(" ", "_"): 1})

    def remove(self) -> None:
        """Remove all of them."""
        metrics = self._metrics
        for varying in (self._states, self._waiting, self._update):
            varying.show({})
        for gauge in self._plain if self._gauges else ():
            gauge.remove(self._name)
        for counter in (metrics.launches, metrics.kills, metrics.lost):
            counter.remove(self._name)
        for labels in self._failures:
            metrics.failures.remove(self._name, *labels)

    @property
    def _plain(self) -> tuple[Gauge, ...]:
        metrics = self._metrics
        return metrics.wanted, metrics.healthy, metrics.in_service, metrics.converged, metrics.overridden

    def _failure(self, fault: str, reason: str) -> Counter:
        labels = fault, reason
        if labels not in self._failures:
            self._failures[labels] = self._metrics.failures.labels(self._name, *labels)
        return self._failures[labels]


class _Varying:
    """A gauge of one service by a second label, without the values that do not apply."""

    def __init__(self, gauge: Gauge, service: str) -> None:
        self._gauge = gauge
        self._service = service
        self._shown: dict[str, Gauge] = {}

    def show(self, values: Mapping[str, float]) -> None:
        for label in self._shown.keys() - values.keys():
            self._gauge.remove(self._service, label)
            del self._shown[label]
        for label, value in values.items():
            if label not in self._shown:
                self._shown[label] = self._gauge.labels(self._service, label)
            self._shown[label].set(value)


class _ByLabel(dict[str, Counter]):
    """The counters of one label, each looked up when it is first needed: the code alone gives the values."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __missing__(self, label: str) -> Counter:
        made = self[label] = self._counter.labels(label)
        return made


class _Calls(Collector):
    """The driver's calls, at the moment and so far."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def collect(self) -> Iterator[Metric]:
        queued, in_flight = self._driver.calls_open
        yield GaugeMetricFamily(f"{_PREFIX}_calls_queued", "Calls that wait to be sent", queued)
        yield GaugeMetricFamily(
            f"{_PREFIX}_calls_in_flight", "Calls that were sent and not answered", in_flight
        )
        times = HistogramMetricFamily(
            f"{_PREFIX}_call_seconds", "From sending a call to its answer", labels=["type"]
        )
        bounds = [*map(str, BOUNDS), "+Inf"]
        for kind, counts, seconds in self._driver.call_times.read():
            times.add_metric([kind], list(zip(bounds, accumulate(counts), strict=True)), seconds)
        yield times


class _Waits(Collector):
    """Failures in a row, and what is left alone for a while because of them."""

    def __init__(
        self,
        services: Callable[[], Mapping[str, Wait]],
        agents: Callable[[], Mapping[str, Wait]],
        clock: Callable[[], float],
    ) -> None:
        self._services = services
        self._agents = agents
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        now, services, agents = self._clock(), self._services(), self._agents()
        in_a_row = GaugeMetricFamily(
            f"{_PREFIX}_service_consecutive_failures",
            "Failures in a row that have not been lived down; services without any are left out",
            labels=["service"],
        )
        for name, wait in services.items():
            in_a_row.add_metric([name], wait.failures)
        yield in_a_row
        for what, waits in (("services", services), ("agents", agents)):
            yield GaugeMetricFamily(
                f"{_PREFIX}_{what}_backing_off",
                f"How many {what} get nothing new for a while because of failures",
                sum(wait.until > now for wait in waits.values()),
            )


def _reason(reason: str | None) -> str:
    """Mesos' reason as a label."""
    if reason is None:
        return "none"
    # What a newer Mesos adds is "other": a label must not take whatever somebody sends.
    return reason.removeprefix("REASON_").lower() if reason in REASONS else "other"
