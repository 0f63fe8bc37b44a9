"""Our FrameworkInfo (include/mesos/v1/mesos.proto), made from the configuration."""

from __future__ import annotations

from typing import Any

from mesos_docker_scheduler.config import Config

# They give us: honest states of lost tasks; TASK_KILLING; roles as a list; resources with all reservations.
CAPABILITIES = ("PARTITION_AWARE", "TASK_KILLING_STATE", "MULTI_ROLE", "RESERVATION_REFINEMENT")


def framework_info(config: Config, framework_id: str | None) -> dict[str, Any]:
    """FrameworkInfo in v1 JSON; with an id, Mesos gives the tasks of that framework back to us."""
    settings = config.framework
    info: dict[str, Any] = {
        "user": settings.user,
        "name": settings.name,
        "roles": [settings.role],
        "failover_timeout": settings.failover_timeout_seconds,
        # The slaves write the tasks down, so that they survive a restart of the slave.
        "checkpoint": True,
        "capabilities": [{"type": capability} for capability in CAPABILITIES],
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
