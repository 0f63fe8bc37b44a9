"""Which master leads, and whether a task that it doesn't know is gone.

A master knows from its registry which agents may come back, and says nothing of their tasks until they do, or
until it gives up on them. When the registry is new, or an old copy, agents are missing in it: until they
register, the master answers TASK_UNKNOWN at once for what runs there (`reconcile` in Mesos' master.cpp). So
that answer counts once the master knows the task's agent, or has led for as long as it would wait itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from mesos_docker_scheduler.records.store import read_record
from mesos_docker_scheduler.records.tasks import Status, TaskState

Message = Mapping[str, Any]

REREGISTER_SECONDS = 600.0
"""How long agents may take to register with a new master: the default of Mesos' agent_reregister_timeout."""
RECORD = ("framework", "master")
"""A record of the store: the master that we were subscribed to last, and since when we know that it leads."""

# The master may say these of a task on an agent that it doesn't know.
_NO_PROOF = frozenset({TaskState.UNKNOWN, TaskState.LOST, TaskState.DROPPED, TaskState.ERROR})


class _Known(TypedDict):
    id: str | None
    since: float


_KNOWN = TypeAdapter(_Known)


class Leader:
    """The master that we are or were subscribed to. Times are seconds of the epoch.

    A master's id is new with each of its processes, and one that loses the lead ends: from our first
    subscription to it on it has led, and no question or other host's clock is needed to know that.
    """

    def __init__(self) -> None:
        self.address: str | None = None
        self._id: str | None = None
        self._since = 0.0
        self._agents: set[str] = set()
        self._changes: dict[tuple[str, str], str | None] = {}

    def restore(self, records: Mapping[tuple[str, str], str], now: float) -> None:
        """Take in what an earlier process has written. StoreError when it is damaged."""
        if RECORD in records:
            known = read_record(_KNOWN, RECORD, records[RECORD])
            # The clock may have been set back.
            self._id, self._since = known["id"], min(now, known["since"])

    def take_records(self) -> dict[tuple[str, str], str | None]:
        """Return what is to be written of the changes since the last call."""
        changes, self._changes = self._changes, {}
        return changes

    def subscribed(self, master: Message, now: float) -> None:
        """Note the MasterInfo of a subscription."""
        self.address = _address(master)
        master_id = _text(master.get("id"))
        if master_id is None or master_id != self._id:
            self._id, self._since = master_id, now
            self._agents.clear()
            self._changes[RECORD] = json.dumps({"id": self._id, "since": now})

    @property
    def sure_at(self) -> float:
        """From when on what it doesn't know is gone."""
        return self._since + REREGISTER_SECONDS

    def is_sure(self, agent_id: str, now: float) -> bool:
        """Whether a task of this agent is gone if the master doesn't know it."""
        return agent_id in self._agents or now >= self.sure_at

    def heard_of(self, agent_id: str) -> bool:
        """Note that the master knows an agent; returns whether that is news."""
        if agent_id in self._agents:
            return False
        self._agents.add(agent_id)
        return True

    @property
    def agents_known(self) -> int:
        """How many agents it is known to know."""
        return len(self._agents)


def proves_agent(status: Status, sent_by_agent: bool) -> bool:
    """Whether the master that passed on or made this update knows the task's agent."""
    return sent_by_agent or status.state not in _NO_PROOF


def _address(master: Message) -> str | None:
    told = master.get("address")
    address = told if isinstance(told, Mapping) else {}
    host = _text(address.get("hostname")) or _text(address.get("ip")) or _text(master.get("hostname"))
    port = address.get("port") or master.get("port")
    return f"{host}:{port}" if host and isinstance(port, int) else None


def _text(value: object) -> str | None:
    """What it says of itself, as far as it can be written down."""
    return value if isinstance(value, str) and value.isprintable() else None
