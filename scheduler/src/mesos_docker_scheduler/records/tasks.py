"""Tasks as we know them, and how Mesos' status updates change them.

An update may come late, twice, or from an older time than the last one: `advance` takes any of them, in any
order, and never goes back (docs/reconciliation.md and docs/high-availability-framework-guide.md of Mesos).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from mesos_docker_scheduler.wording import printable, printable_if_any

Message = Mapping[str, Any]


class TaskState(str, Enum):
    """Mesos' TaskState without its prefix."""

    STAGING = "STAGING"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    KILLING = "KILLING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    ERROR = "ERROR"
    DROPPED = "DROPPED"
    GONE = "GONE"
    LOST = "LOST"
    UNKNOWN = "UNKNOWN"
    UNREACHABLE = "UNREACHABLE"
    GONE_BY_OPERATOR = "GONE_BY_OPERATOR"

    @property
    def ended(self) -> bool:
        """Whether the task will never run again."""
        return self in _ENDED

    @property
    def absent(self) -> bool:
        """Whether nobody can say if the task runs: it may come back, and is replaced meanwhile."""
        return self in _ABSENT


_STATES = {f"TASK_{state.value}": state for state in TaskState}
_ENDED = frozenset(
    {
        TaskState.FINISHED,
        TaskState.FAILED,
        TaskState.KILLED,
        TaskState.ERROR,
        TaskState.DROPPED,
        TaskState.GONE,
    }
)
_ABSENT = frozenset({TaskState.LOST, TaskState.UNKNOWN, TaskState.UNREACHABLE, TaskState.GONE_BY_OPERATOR})
_LIFE = (TaskState.STAGING, TaskState.STARTING, TaskState.RUNNING, TaskState.KILLING)
# A task that Mesos said is not there may turn up after all; one that ended by itself can't.
_DOUBTFUL_ENDS = frozenset({TaskState.DROPPED, TaskState.GONE})


@dataclass(frozen=True, slots=True)
class Status:
    """A v1 TaskStatus, as much of it as we use."""

    task_id: str
    state: TaskState
    agent_id: str | None
    reason: str | None
    message: str
    healthy: bool | None
    container_id: str | None
    address: str | None

    @classmethod
    def from_message(cls, message: Message) -> Status:
        """Read a v1 TaskStatus; a state of a newer Mesos counts as UNKNOWN."""
        state = _STATES.get(message["state"], TaskState.UNKNOWN)
        container = message.get("container_status", {})
        container_id = container.get("container_id", {}).get("value")
        return cls(
            task_id=message["task_id"]["value"],
            state=state,
            agent_id=message.get("agent_id", {}).get("value"),
            reason=printable_if_any(message.get("reason")),
            message=printable(message.get("message", "")),
            healthy=message.get("healthy"),
            container_id=printable(container_id) if container_id else None,
            address=_address(container),
        )

    def container(self, containerizer: str) -> str | None:
        """What its containerizer calls the container."""
        if self.container_id is None or containerizer == "mesos":
            return self.container_id
        return f"mesos-{self.container_id}"

    @property
    def from_reconciliation(self) -> bool:
        """Whether this answers a question of ours, rather than telling of something that happened."""
        return self.reason == "REASON_RECONCILIATION"


@dataclass(frozen=True, slots=True)
class Task:
    """An instance of a service, from the intent to launch it until it ended. Times: seconds of the epoch."""

    id: str
    service: str
    version: str
    image: str
    agent_id: str
    hostname: str
    launched_at: float
    state_since: float
    state: TaskState = TaskState.STAGING
    has_health_check: bool = False
    healthy: bool | None = None
    running_since: float | None = None
    well_since: float | None = None
    container: str | None = None
    address: str | None = None
    host_ports: tuple[int, ...] = ()
    containerizer: str = "docker"
    confirmed: bool = False  # Mesos has told us something about it
    returned: bool = False  # it was absent, and came back
    kill_reason: str | None = None  # why we want it gone
    kill_at: float | None = None  # KILL is sent no earlier: until then it has only left the list
    reason: str | None = None
    message: str = ""
    restarts: int = 0  # how many restarts of its service had been asked for when it was launched

    def by(self, now: float) -> Task:
        """The same, with no time after this one."""
        late: dict[str, Any] = {
            name: now
            for name in ("launched_at", "state_since", "running_since", "well_since")
            if (getattr(self, name) or 0.0) > now
        }
        return replace(self, **late) if late else self

    @property
    def where(self) -> str:
        """On which host it is, in words."""
        return f"on {self.hostname or self.agent_id}"

    @property
    def present(self) -> bool:
        """Whether it runs or is about to, as far as we know."""
        return not self.state.ended and not self.state.absent

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self.present and (self.kill_reason is not None or self.state is TaskState.KILLING)

    @property
    def drained(self) -> bool:
        """Whether Mesos is stopping it because its agent is drained."""
        return (
            self.state is TaskState.KILLING
            and self.kill_reason is None
            and self.reason == "REASON_AGENT_DRAINING"
        )

    @property
    def in_service(self) -> bool:
        """Whether it runs, and its health check, if it has one, says that it is healthy."""
        checked = self.healthy is True if self.has_health_check else self.healthy is not False
        return self.state is TaskState.RUNNING and checked and not self.stopping


def advance(task: Task, status: Status, now: float) -> Task:
    """Apply an update; returns the same task when the update says nothing new or something outdated."""
    if task.state.ended and not (task.state in _DOUBTFUL_ENDS and status.state in _LIFE):
        return task
    if _is_outdated(task.state, status):
        return task if task.confirmed else replace(task, confirmed=True)
    runs = status.state in (TaskState.RUNNING, TaskState.KILLING)
    answer, same_state = status.from_reconciliation, status.state is task.state
    came_back = status.state in _LIFE and (task.state.absent or task.state.ended)
    healthy = task.healthy if status.healthy is None else status.healthy
    changed = replace(
        task,
        state=status.state,
        state_since=task.state_since if same_state else now,
        # The same text over again would take memory for each task.
        agent_id=task.agent_id if status.agent_id in (None, task.agent_id) else status.agent_id,
        healthy=healthy,
        well_since=_well_since(task, status.state, healthy, now),
        running_since=now if runs and task.running_since is None else task.running_since,
        container=status.container(task.containerizer) or task.container,
        address=status.address or task.address,
        confirmed=True,
        returned=task.returned or came_back,
        # Answers to our own questions carry no news of what happened: the last real words stay.
        reason=task.reason if answer and (same_state or task.reason) else status.reason,
        message=task.message if answer and (same_state or task.message) else status.message,
    )
    return task if changed == task else changed


def _well_since(task: Task, state: TaskState, healthy: bool | None, now: float) -> float | None:
    checked = healthy is True if task.has_health_check else healthy is not False
    if state is not TaskState.RUNNING or not checked or task.kill_reason is not None:
        return None
    return task.well_since if task.in_service and task.well_since is not None else now


def _is_outdated(state: TaskState, status: Status) -> bool:
    if state not in _LIFE or status.state not in _LIFE:
        return False
    return _LIFE.index(status.state) < _LIFE.index(state)


def _address(container_status: Message) -> str | None:
    for network in container_status.get("network_infos", ()):
        for address in network.get("ip_addresses", ()):
            if "ip_address" in address:
                return printable(str(address["ip_address"]))
    return None


_TASK_ID = re.compile(r"(?P<service>[a-z0-9]([-a-z0-9]*[a-z0-9])?)\.(?P<version>[0-9a-f]{10})\.[0-9a-f]{16}")


def new_task_id(service: str, version: str) -> str:
    """A name never used before, which tells what the task is even to a scheduler without records."""
    return f"{service}.{version}.{secrets.token_hex(8)}"


def parse_task_id(task_id: str) -> tuple[str, str] | None:
    """The service and version in a name made by `new_task_id`; None for any other."""
    match = _TASK_ID.fullmatch(task_id)
    return (match["service"], match["version"]) if match else None


def wait_key(service: str, version: str) -> str:
    """Under which failures of a service's version are counted."""
    return f"{service}.{version}"


def service_of_wait(key: str) -> str:
    """The service in a `wait_key`: no name of one has a dot."""
    return key.partition(".")[0]
