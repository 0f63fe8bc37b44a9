"""The driver: pymesos' interface over a connection that is safe to depend on."""

from __future__ import annotations

import logging
import random
import reprlib
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mesos_docker_scheduler.driver import calls
from mesos_docker_scheduler.driver.call_times import CallTimes
from mesos_docker_scheduler.driver.calls import Call
from mesos_docker_scheduler.driver.credential import Credential
from mesos_docker_scheduler.driver.detector import (
    Detector,
    StaticDetector,
    ZooKeeperDetector,
    parse_master,
)
from mesos_docker_scheduler.driver.pipeline import CallFailed
from mesos_docker_scheduler.driver.protocol import (
    Ended,
    FrameworkSettings,
    Lost,
    Notice,
    Received,
    Subscribed,
    Subscription,
    text_of,
)
from mesos_docker_scheduler.driver.pymesos_base import MesosSchedulerDriver, Scheduler
from mesos_docker_scheduler.driver.tls import TlsSettings
from mesos_docker_scheduler.driver.worker import Worker
from mesos_docker_scheduler.driver.zookeeper import ZooKeeperUrl

logger = logging.getLogger(__name__)

_UNCHANGEABLE = ("user", "checkpoint", "principal")  # docs/scheduler-http-api.md, "Disallowed updates"


class SchedulerDriver(MesosSchedulerDriver):
    """Connects a pymesos Scheduler with the leading master and keeps it connected.

    framework: FrameworkInfo in v1 JSON, with its durable `id` if it has one.
    master: `zk://user:password@h1:2181,h2:2181/mesos`, `h1:5050,h2:5050` or `http(s)://host:port`.
    credential: for Mesos' HTTP basic authentication; its principal is put into the FrameworkInfo.
    tls: its presence means TLS for masters without a scheme (a list of hosts, ZooKeeper).
    offer_constraints, suppressed_roles: sent with every SUBSCRIBE (v1/scheduler.proto).
    before_subscribe: gets the framework's id, if there is one, before every SUBSCRIBE, and whether the master
        has given the framework to somebody else since; returns the framework's labels. It may take long.
        ConnectionEnded: not now; SubscriptionForbidden: never again.

    Calls may come from any thread and never wait for the network. They return True when they are queued on a
    live subscription and False when there is none. A queued call that fails is reported to
    `callFailed(driver, call, error)`. Callbacks are made on one thread; one that raises is logged.

    Nothing but `teardown(confirm=True)` ends the framework. In every other case Mesos sees a scheduler that
    is away and keeps its tasks for `failover_timeout`.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        framework: Mapping[str, Any],
        master: str,
        *,
        credential: Credential | None = None,
        tls: TlsSettings | None = None,
        offer_constraints: Mapping[str, Any] | None = None,
        suppressed_roles: Sequence[str] = (),
        before_subscribe: Callable[[str | None, bool], Mapping[str, str]] | None = None,
    ) -> None:
        framework = dict(framework)
        framework_id = (framework.pop("id", None) or {}).get("value")
        principal = credential.principal if credential is not None else None
        if principal is not None and framework.setdefault("principal", principal) != principal:
            raise ValueError(
                f"framework principal: {framework['principal']!r} is not allowed; "
                f"it must be that of the credential, {principal!r}"
            )
        super().__init__(  # type: ignore[no-untyped-call]
            scheduler, framework, master, implicit_acknowledgements=False, failover=True
        )
        self._masters = parse_master(master, tls=tls is not None)
        self._default_tls = tls is not None
        self._tls = tls or TlsSettings()
        settings = FrameworkSettings(framework, tuple(suppressed_roles), offer_constraints)
        self._settings_before_update = settings
        self._latest_update: Call | None = None
        self._suppressed = set(suppressed_roles)
        self._subscription = Subscription(
            settings,
            framework_id,
            credential=credential,
            contests=before_subscribe is not None,
            random=random.random,
        )
        self._before_subscribe = before_subscribe
        self._worker: Worker | None = None

    # Life

    def start(self) -> None:
        """Begin to subscribe, in the background. A driver runs once."""
        with self._lock:
            if self._worker is not None:
                raise RuntimeError("this driver has been started before; make a new one")
            self._worker = Worker(
                self._subscription, self._detector(), self._tls_context, self, self._learn_labels
            )
        self._worker.start()

    def take_over(self, framework_id: str) -> None:
        """Be this framework, which Mesos knows. Only before `start`."""
        with self._lock:
            if self._worker is not None:
                raise RuntimeError("a driver that was started has a framework already")
            self._subscription.framework_id = framework_id

    def stop(self, failover: bool = True) -> None:
        """End the connection. The framework and its tasks stay, whatever `failover` says."""
        if not failover:
            logger.warning(
                "stop(failover=False) leaves the framework as it is; teardown(confirm=True) would end it"
            )
        if self._worker is not None:
            self._worker.stop()

    def abort(self) -> None:
        """Do what `stop` does."""
        self.stop()

    def join(self) -> None:
        """Wait until the driver has stopped: by `stop`, an ERROR from Mesos, or an accepted teardown."""
        if self._worker is not None:
            self._worker.join()

    def teardown(self, *, confirm: bool = False) -> bool:
        """End the framework and kill all its tasks. Only for an operator's explicit command.

        The driver stops once the master has accepted it; a refusal comes as `callFailed`.
        """
        if confirm is not True:
            raise ValueError("teardown kills all tasks of the framework and must be called with confirm=True")
        self._subscription.tearing_down = True
        return self._submit(calls.teardown())

    @property
    def aborted(self) -> bool:
        """Whether the driver is not running."""
        return self._worker is None or not self._worker.running

    @property
    def connected(self) -> bool:
        """Whether there is a live subscription."""
        return self._worker is not None and self._worker.connected

    @property
    def master(self) -> str | None:
        """`host:port` of the master that we are subscribed with."""
        master = self._subscription.master
        return str(master) if master else None

    @property
    def problem(self) -> str | None:
        """Why there is no subscription at the moment, in one line; None when there is one."""
        return self._subscription.problem

    @property
    def calls_open(self) -> tuple[int, int]:
        """How many calls wait to be sent, and how many were sent and wait for an answer."""
        return self._worker.calls_open if self._worker is not None else (0, 0)

    @property
    def call_times(self) -> CallTimes:
        """How long Mesos took to answer calls, through all subscriptions."""
        return self._worker.call_times if self._worker is not None else CallTimes()

    @property
    def framework(self) -> dict[str, Any]:
        """FrameworkInfo as it was given, with the id."""
        body = self._subscription.settings.to_json(self.framework_id, self._subscription.labels)
        info: dict[str, Any] = body["framework_info"]
        return info

    @property  # type: ignore[misc] # pymesos lets it be set; here Mesos alone does
    def framework_id(self) -> str | None:
        """The id that Mesos knows the framework by."""
        return self._subscription.framework_id

    # Calls

    def acceptOffers(
        self,
        offer_ids: Sequence[str],
        operations: Sequence[Mapping[str, Any]],
        refuse_seconds: float | None = None,
    ) -> bool:
        """Use offers (of one agent); refuse what is left of them for a while (None: Mesos' 5 s)."""
        return self._submit(calls.accept(offer_ids, operations, refuse_seconds))

    def launchTasks(
        self,
        offer_ids: Sequence[str],
        tasks: Sequence[Mapping[str, Any]],
        refuse_seconds: float | None = None,
    ) -> bool:
        """Launch TaskInfos on offers of one agent."""
        return self.acceptOffers(offer_ids, [calls.launch_operation(tasks)], refuse_seconds)

    def declineOffer(self, offer_ids: Sequence[str], refuse_seconds: float | None = None) -> bool:
        """Give offers back and refuse the like for a while."""
        return self._submit(calls.decline(offer_ids, refuse_seconds))

    def acceptInverseOffers(self, offer_ids: Sequence[str], refuse_seconds: float | None = None) -> bool:
        """Agree to vacate agents."""
        return self._submit(calls.accept_inverse_offers(offer_ids, refuse_seconds))

    def declineInverseOffer(self, offer_ids: Sequence[str], refuse_seconds: float | None = None) -> bool:
        """Say that agents can't be vacated in time."""
        return self._submit(calls.decline_inverse_offers(offer_ids, refuse_seconds))

    def suppressOffers(self, roles: Sequence[str] | None = None) -> bool:
        """Ask for no offers (to these roles) until `reviveOffers` or the next subscription."""
        with self._lock:
            self._suppressed |= set(roles or self._subscription.settings.roles)
            return self._submit(calls.suppress(roles))

    def reviveOffers(self, roles: Sequence[str] | None = None) -> bool:
        """Ask for offers (to these roles) again, also for what was declined."""
        with self._lock:
            self._suppressed -= set(roles or self._subscription.settings.roles)
            return self._submit(calls.revive(roles))

    def killTask(self, task_id: str, agent_id: str | None = None, grace_seconds: float | None = None) -> bool:
        """Kill a task. Mesos may lose this: repeat it until a terminal update comes."""
        return self._submit(calls.kill(task_id, agent_id, grace_seconds))

    def acknowledgeStatusUpdate(self, status: Mapping[str, Any]) -> bool:
        """Acknowledge a status update; one without a uuid needs none and counts as done."""
        return self._submit(calls.acknowledge(status)) if status.get("uuid") else True

    def reconcileTasks(self, tasks: Iterable[tuple[str, str | None]]) -> bool:
        """Ask for the states of (task id, agent id) pairs; [] asks for all tasks that Mesos knows."""
        return self._submit(calls.reconcile(tasks))

    def send_message(self, executor_id: str, agent_id: str, data: bytes) -> bool:
        """Send a message to an executor, as pymesos' sendFrameworkMessage does. Mesos may lose it."""
        return self._submit(calls.message(executor_id, agent_id, data))

    def updateFramework(
        self, framework: Mapping[str, Any], offer_constraints: Mapping[str, Any] | None = None
    ) -> bool:
        """Change the FrameworkInfo (and the offer constraints, unless None), now and later.

        Without a subscription (False) the next SUBSCRIBE carries it. ValueError: that field can't change.
        """
        framework = {key: value for key, value in framework.items() if key != "id"}
        with self._lock:
            current = self._subscription.settings
            for key in _UNCHANGEABLE:
                if framework.get(key) != current.info.get(key):
                    raise ValueError(
                        f"framework {key}: {framework.get(key)!r} is not allowed; "
                        f"Mesos can't change it from {current.info.get(key)!r}"
                    )
            if offer_constraints is None:
                offer_constraints = current.offer_constraints
            self._settings_before_update = current
            self._subscription.settings = FrameworkSettings(
                framework, current.suppressed_roles, offer_constraints
            )
            return self._submit_settings()

    def _submit_settings(self) -> bool:
        """Send what the framework's settings are now; what is suppressed stays so."""
        settings = self._subscription.settings
        suppressed = sorted(self._suppressed & set(settings.roles))
        settings = replace(settings, suppressed_roles=suppressed)
        body = settings.to_json(self.framework_id, self._subscription.labels)
        self._latest_update = {"type": "UPDATE_FRAMEWORK", "update_framework": body}
        return self._submit(self._latest_update)

    def _submit(self, call: Call) -> bool:
        return self._worker is not None and self._worker.submit(call)

    # What the worker tells

    def on_notice(self, notice: Notice) -> None:
        """Turn a notice of the protocol into pymesos' callbacks."""
        match notice:
            case Subscribed(first=True):
                self._subscription_begins(notice.settings)
                self._callback("registered", notice.framework_id, notice.master_info)
            case Subscribed():
                self._subscription_begins(notice.settings)
                self._callback("reregistered", notice.master_info)
            case Lost():
                self._callback("disconnected")
            case Ended():
                self._callback("error", notice.message)
            case Received():
                self._event(notice.type, notice.body)

    def on_call_failed(self, call: Call, error: CallFailed) -> None:
        """Tell the scheduler of a call that failed."""
        if call["type"] == "TEARDOWN":
            self._subscription.tearing_down = False
        with self._lock:
            if call is self._latest_update and error.status is not None:
                # What the master refuses must not stand in the next SUBSCRIBE.
                self._subscription.settings = self._settings_before_update
        if hasattr(self.sched, "callFailed"):
            self._callback("callFailed", call, error)
        else:
            logger.error("Call %s failed: %s", call["type"], error)

    def _subscription_begins(self, settings: FrameworkSettings) -> None:
        with self._lock:
            self._suppressed = set(settings.suppressed_roles)
            if settings is not self._subscription.settings:
                self._submit_settings()  # changed while SUBSCRIBE was on its way

    def _event(self, kind: str, body: dict[str, Any]) -> None:
        handler = _EVENTS.get(kind)
        if handler is None:
            logger.warning("Event of the unknown type %s left out", kind)
            return
        try:
            name, arguments = handler(body)
        except (KeyError, TypeError, AttributeError) as error:
            # A whole one may be large, or nested too deeply to be shown.
            logger.error("Event %s not understood and left out (%r): %s", kind, error, reprlib.repr(body))
            return
        self._callback(name, *arguments)

    def _callback(self, name: str, *arguments: Any) -> None:
        try:
            getattr(self.sched, name)(self, *arguments)
        except Exception:
            logger.exception("The scheduler's %s failed", name)

    # Set-up

    def _learn_labels(self) -> None:
        if self._before_subscribe is not None:
            subscription = self._subscription
            subscription.labels = self._before_subscribe(subscription.framework_id, subscription.failed_over)

    def _detector(self) -> Detector:
        if isinstance(self._masters, ZooKeeperUrl):
            return ZooKeeperDetector(self._masters, tls=self._default_tls)
        return StaticDetector(self._masters)

    def _tls_context(self) -> ssl.SSLContext:
        return self._tls.context()

    # pymesos' own ways to the network, closed: what it inherits must come through the worker or not at all.

    def _send(self, body: Any, path: str = "", method: str = "POST", headers: Any = None) -> dict[str, Any]:
        """Queue a call that an inherited method built."""
        if body["type"] == "TEARDOWN":
            raise RuntimeError("only teardown(confirm=True) may end the framework")
        self._submit({key: value for key, value in body.items() if key != "framework_id"})
        return {}

    def _teardown(self) -> None:
        raise RuntimeError("only teardown(confirm=True) may end the framework")

    def _shutdown(self) -> None:
        """Do nothing: the end of a thread is not the end of the framework."""

    def change_master(self, new_master: Any) -> None:
        """Refuse: the detector alone says who leads."""
        raise RuntimeError("the driver finds the leading master itself")


def _items(body: Mapping[str, Any], key: str) -> list[Any]:
    items = body.get(key, [])
    if not isinstance(items, list):
        raise TypeError(f"{key} is no list")
    return items


def _failure(body: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    agent_id = (body.get("agent_id") or {}).get("value")
    if "executor_id" in body:
        return "executorLost", (text_of(body, "executor_id"), agent_id, body.get("status"))
    return "slaveLost", (text_of(body, "agent_id"),)


# The callback and its arguments for each type of event (v1/scheduler.proto).
_EVENTS: dict[str, Callable[[dict[str, Any]], tuple[str, tuple[Any, ...]]]] = {
    "OFFERS": lambda body: ("resourceOffers", (_items(body, "offers"),)),
    "INVERSE_OFFERS": lambda body: ("inverseOffers", (_items(body, "inverse_offers"),)),
    "RESCIND": lambda body: ("offerRescinded", (text_of(body, "offer_id"),)),
    "RESCIND_INVERSE_OFFER": lambda body: ("inverseOfferRescinded", (text_of(body, "inverse_offer_id"),)),
    "UPDATE": lambda body: ("statusUpdate", (body["status"],)),
    "UPDATE_OPERATION_STATUS": lambda body: ("operationStatusUpdate", (body["status"],)),
    "MESSAGE": lambda body: (
        "frameworkMessage",
        (text_of(body, "executor_id"), text_of(body, "agent_id"), body.get("data", "")),
    ),
    "FAILURE": _failure,
}
