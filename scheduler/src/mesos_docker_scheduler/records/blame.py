"""Whose fault the end of a task was: one table of Mesos' reasons, and what else tells.

What failed before it ran may be the fault of either, of what was to be started or of where: a command that
does not exist, a disk that is full. Only the comparison with other agents and services tells; see `failures`.
"""

from __future__ import annotations

from enum import Enum

from mesos_docker_scheduler.records.tasks import Task, TaskState


class Fault(Enum):
    """Who is to blame for the end of a task."""

    NOBODY = "nobody"
    SERVICE = "service"
    INFRASTRUCTURE = "infrastructure"
    UNCLEAR = "unclear"


_SERVICE, _INFRASTRUCTURE, _UNCLEAR = Fault.SERVICE, Fault.INFRASTRUCTURE, Fault.UNCLEAR

# TaskStatus.Reason of include/mesos/v1/mesos.proto: whose fault it is before the task ran, and afterwards.
_REASONS: dict[str, tuple[Fault, Fault]] = {
    "REASON_COMMAND_EXECUTOR_FAILED": (_UNCLEAR, _SERVICE),
    "REASON_CONTAINER_LAUNCH_FAILED": (_UNCLEAR, _SERVICE),
    "REASON_CONTAINER_LIMITATION": (_SERVICE, _SERVICE),
    "REASON_CONTAINER_LIMITATION_DISK": (_SERVICE, _SERVICE),
    "REASON_CONTAINER_LIMITATION_MEMORY": (_SERVICE, _SERVICE),
    "REASON_CONTAINER_PREEMPTED": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_CONTAINER_UPDATE_FAILED": (_UNCLEAR, _SERVICE),
    "REASON_MAX_COMPLETION_TIME_REACHED": (_SERVICE, _SERVICE),
    "REASON_EXECUTOR_REGISTRATION_TIMEOUT": (_UNCLEAR, _SERVICE),
    "REASON_EXECUTOR_REREGISTRATION_TIMEOUT": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_EXECUTOR_TERMINATED": (_UNCLEAR, _INFRASTRUCTURE),
    "REASON_EXECUTOR_UNREGISTERED": (_UNCLEAR, _SERVICE),
    "REASON_FRAMEWORK_REMOVED": (_UNCLEAR, _SERVICE),
    "REASON_GC_ERROR": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_INVALID_FRAMEWORKID": (_UNCLEAR, _SERVICE),
    "REASON_INVALID_OFFERS": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_IO_SWITCHBOARD_EXITED": (_UNCLEAR, _SERVICE),
    "REASON_MASTER_DISCONNECTED": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_RECONCILIATION": (_UNCLEAR, _SERVICE),
    "REASON_RESOURCES_UNKNOWN": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_AGENT_DISCONNECTED": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_AGENT_DRAINING": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_AGENT_REMOVED": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_AGENT_REMOVED_BY_OPERATOR": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_AGENT_REREGISTERED": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_AGENT_RESTARTED": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_AGENT_UNKNOWN": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_TASK_CHECK_STATUS_UPDATED": (_SERVICE, _SERVICE),
    "REASON_TASK_GROUP_INVALID": (_SERVICE, _SERVICE),
    "REASON_TASK_GROUP_UNAUTHORIZED": (_SERVICE, _SERVICE),
    "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED": (_SERVICE, _SERVICE),
    "REASON_TASK_INVALID": (_SERVICE, _SERVICE),
    "REASON_TASK_KILLED_DURING_LAUNCH": (_INFRASTRUCTURE, _INFRASTRUCTURE),
    "REASON_TASK_UNAUTHORIZED": (_SERVICE, _SERVICE),
    "REASON_TASK_UNKNOWN": (_UNCLEAR, _SERVICE),
}
REASONS = frozenset(_REASONS)
"""All reasons that Mesos 1.11 has."""


def blame(task: Task) -> Fault:
    """Whose fault the end of a task is. NOBODY: it was told to stop, by us or by somebody else."""
    if task.kill_reason is not None:
        return Fault.NOBODY
    before, after = _REASONS.get(task.reason or "", (_UNCLEAR, _SERVICE))
    fault = before if task.running_since is None else after
    match task.state:
        case TaskState.FINISHED | TaskState.ERROR:
            return Fault.SERVICE
        case TaskState.FAILED:
            return fault
        case TaskState.KILLED:
            # The executor kills what fails its health check.
            unhealthy = task.healthy is False and fault is not Fault.INFRASTRUCTURE
            return Fault.SERVICE if unhealthy else Fault.NOBODY
    return Fault.INFRASTRUCTURE
