"""Our FrameworkInfo (include/mesos/v1/mesos.proto), made from the configuration."""

from __future__ import annotations

from typing import Any

from mesos_docker_scheduler.config import Config
from mesos_docker_scheduler.placement import need_of, role_of

# They give us: honest states of lost tasks; TASK_KILLING; roles as a list; resources with all reservations;
# agents of other regions.
CAPABILITIES = (
    "PARTITION_AWARE",
    "TASK_KILLING_STATE",
    "MULTI_ROLE",
    "RESERVATION_REFINEMENT",
    "REGION_AWARE",
)
_GPUS = "GPU_RESOURCES"
"""Without it, Mesos keeps agents with GPUs from us; with it, everything of ours might go there."""


def roles_of(config: Config) -> list[str]:
    """All roles in use: that of the framework, and those of its services."""
    default = config.framework.role
    own = sorted({role_of(service, default) for service in config.services} - {default})
    return [default, *own]


def framework_info(config: Config, framework_id: str | None) -> dict[str, Any]:
    """FrameworkInfo in v1 JSON; with an id, Mesos gives the tasks of that framework back to us."""
    settings = config.framework
    asks_for_gpus = any(need_of(service).gpus for service in config.services)
    capabilities = (*CAPABILITIES, _GPUS) if asks_for_gpus else CAPABILITIES
    info: dict[str, Any] = {
        "user": settings.user,
        "name": settings.name,
        "roles": roles_of(config),
        "failover_timeout": settings.failover_timeout_seconds,
        # The slaves write the tasks down, so that they survive a restart of the slave.
        "checkpoint": True,
        "capabilities": [{"type": capability} for capability in capabilities],
    }
    optional = {
        "principal": settings.principal,
        "hostname": settings.hostname,
        "webui_url": settings.webui_url,
    }
    info.update({key: value for key, value in optional.items() if value is not None})
    if framework_id is not None:
        info["id"] = {"value": framework_id}
    return info
