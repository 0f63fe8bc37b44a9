"""Which host's scheduler a framework belongs to, when there are several with its id on record.

A host that is down while its scheduler is moved away, or whose state is restored elsewhere, still has the
framework's id when it boots again, and Mesos gives the framework to whoever subscribes last. So the framework
carries a label: the host that owns it, and its term, which grows each time another host takes it over. The
label is looked up before each subscription, and a scheduler whose term is over ends.

Schedulers that share their state elect the one that owns the framework: each that is elected begins a term.
"""

from __future__ import annotations

import hashlib
import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.driver.connection import ConnectionEnded, SubscriptionForbidden
from mesos_docker_scheduler.driver.operator_api import OperatorApi, OperatorApiError

Message = Mapping[str, Any]
logger = logging.getLogger(__name__)

LABEL = "mesos-docker-scheduler.owner"
RECORD = ("framework", "owner")
"""A record of the store: the owner that its scheduler was when it subscribed last."""
BY_COMMAND = "by command"
"""Stands in that record when an operator has said that this host owns the framework, whoever is connected."""

MOVED = ("framework", "moved")
"""A record of the store, where schedulers share one: the state was moved from here to what it says."""

_MACHINE_ID = Path("/etc/machine-id")


def this_host() -> str:
    """Return what tells this host from others: a hash of its name and its machine id (machine-id(5)).

    Hosts that are copies of one machine may share the id, and hosts of different places the name.
    """
    try:
        identity = _MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        identity = ""
    named = f"mesos-docker-scheduler {identity} {socket.gethostname()}"
    return hashlib.sha256(named.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Owner:
    """A host, and how many have owned the framework before it and with it."""

    term: int
    host: str

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Read what `str` gives; None when it is something else."""
        term, _, host = text.partition(" ")
        return cls(int(term), host) if term.isascii() and term.isdigit() and host else None

    def __str__(self) -> str:
        return f"{self.term} {self.host}"


_NOBODY = Owner(0, "")


class Ownership:
    """Says before each subscription whether the framework is ours, and what label it gets.

    record: what RECORD holds. `put` hears who owns the framework from the next subscription on.
    leads: for one of several that share their state, whether it is elected still; ConnectionEnded when that
        can't be found out.
    """

    def __init__(
        self,
        api: OperatorApi,
        record: str | None,
        put: Callable[[events.AnyEvent], None],
        host: str | None = None,
        leads: Callable[[], bool] | None = None,
    ) -> None:
        self._api = api
        self._leads = leads
        self._put = put
        self._host = host or this_host()
        self._by_command = record == BY_COMMAND
        self._recorded = Owner.parse(record or "") or _NOBODY
        self._told = False

    def before_subscribe(self, framework_id: str | None, failed_over: bool = False) -> dict[str, str]:
        """Return the framework's labels.

        failed_over: whether Mesos has given the framework to somebody else since we were subscribed.
        ConnectionEnded: the master can't say now who owns it. SubscriptionForbidden: another host does.
        """
        framework = self._known(framework_id) if framework_id is not None else None
        if self._leads is not None:
            owner = self._elected(framework, self._leads())
        elif failed_over and (framework is None or _label(framework).term >= self._recorded.term):
            # An older owner that has come first, when the master knew nothing yet, is put in its place.
            raise SubscriptionForbidden(self._superseded(framework))
        else:
            owner = self._owner(framework)
        if owner != self._recorded or not self._told:
            self._recorded, self._told = owner, True
            self._put(events.Owned(str(owner)))
        return {LABEL: str(owner)}

    def _elected(self, framework: Message | None, leads: bool) -> Owner:
        """Who is elected owns the framework, whoever is connected, until somebody is elected after him."""
        labelled = _label(framework)
        if not leads or (self._told and labelled.term > self._recorded.term):
            raise SubscriptionForbidden(self._superseded(framework))
        if self._told:
            return self._recorded
        return Owner(max(labelled.term, self._recorded.term) + 1, self._host)

    def _owner(self, framework: Message | None) -> Owner:
        """Decide who owns the framework. `framework`: as GET_FRAMEWORKS tells of it."""
        labelled = _label(framework)
        if self._recorded.host == self._host:
            # A master that has just come to lead may know the framework from agents, as it was.
            if labelled.host != self._host and labelled.term >= self._recorded.term:
                raise SubscriptionForbidden(self._superseded(framework))
            return Owner(max(labelled.term, self._recorded.term), self._host)
        if labelled.host == self._host:
            return labelled
        if framework is not None and framework.get("connected") and not self._by_command:
            raise ConnectionEnded(
                f"{_place(framework)} is connected as this framework: stop it before this one takes over"
            )
        return Owner(max(labelled.term, self._recorded.term) + 1, self._host)

    def _superseded(self, framework: Message | None) -> str:
        number = _label(framework).term or "unknown"
        return (
            f"Framework failed over: {_place(framework)} has taken it over, as owner number {number};"
            f" this one was number {self._recorded.term}"
        )

    def _known(self, framework_id: str) -> Message | None:
        """Return what the master knows of the framework; None when it knows nothing, or doesn't show it."""
        try:
            (answer,) = self._api.ask("GET_FRAMEWORKS")
            frameworks: list[Message] = answer.get("frameworks", [])
            return next(
                (one for one in frameworks if one["framework_info"]["id"]["value"] == framework_id), None
            )
        except OperatorApiError as error:
            if error.status not in (401, 403):
                raise ConnectionEnded(str(error)) from error
            logger.warning("The master does not say who owns the framework: %s", error)
            return None
        except (LookupError, TypeError, AttributeError) as error:
            logger.warning("What the master says of frameworks is not understood: %r", error)
            return None


def _label(framework: Message | None) -> Owner:
    labels = (framework or {}).get("framework_info", {}).get("labels", {}).get("labels", [])
    return next(
        (Owner.parse(label.get("value", "")) or _NOBODY for label in labels if label.get("key") == LABEL),
        _NOBODY,
    )


def _place(framework: Message | None) -> str:
    host = (framework or {}).get("framework_info", {}).get("hostname")
    return f"the scheduler on {host}" if host else "a scheduler on another host"
