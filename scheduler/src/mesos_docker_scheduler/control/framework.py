"""Our FrameworkInfo (include/mesos/v1/mesos.proto), made from the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any

from mesos_docker_scheduler.config import Config, Service
from mesos_docker_scheduler.planning.offer_constraints import Filters, filters_for
from mesos_docker_scheduler.planning.placement import role_of

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

_REPEAT_SECONDS = 10.0


def roles_of(config: Config, others: Iterable[Service] = ()) -> list[str]:
    """All roles in use: those of the services and of `others`; the framework's own when there are none."""
    default = config.framework.role
    return sorted({role_of(service, default) for service in (*config.services, *others)}) or [default]


def framework_info(
    config: Config, framework_id: str | None, others: Sequence[Service] = ()
) -> dict[str, Any]:
    """FrameworkInfo in v1 JSON; with an id, Mesos gives the tasks of that framework back to us.

    `others`: services that may be started beside those of the configuration.
    """
    settings = config.framework
    asks_for_gpus = any(service.gpus for service in (*config.services, *others))
    capabilities = (*CAPABILITIES, _GPUS) if asks_for_gpus else CAPABILITIES
    info: dict[str, Any] = {
        "user": settings.user,
        "name": settings.name,
        "roles": roles_of(config, others),
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


class Registration:
    """What Mesos knows of us as a framework: `info`, and the `filters` of what it offers.

    Mesos learns of a change through UPDATE_FRAMEWORK. User and principal can't change while we run.
    """

    def __init__(self, config: Config, registered: Config) -> None:
        self.info = framework_info(registered, None)
        self.filters = Filters()
        self._config, self._started_with = config, registered
        self._made_of: object = None
        self._filtering = True
        self._repeat_at = inf

    def change(
        self, config: Config, before: Mapping[str, Service], asking: Mapping[str, Service], now: float
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """What Mesos should know now (FrameworkInfo and OfferConstraints), if that is something else.

        `before`: older versions that may be started again. `asking`: services that want offers; while there
        are none, the filters stay. What Mesos may not have heard is said again.
        """
        again = now >= self._repeat_at
        made_of = [sorted((name, made.version) for name, made in them.items()) for them in (before, asking)]
        if config is self._config and made_of == self._made_of and not again:
            return None
        self._filtering |= config is not self._config
        self._config, self._made_of = config, made_of
        old = self._started_with.framework
        settings = config.framework.model_copy(update={"user": old.user, "principal": old.principal})
        fixed = config.model_copy(update={"framework": settings})
        info = framework_info(fixed, None, tuple(before.values()))
        filters = filters_for(asking.values(), settings.role) if asking else self.filters
        filters = filters.only(info["roles"] if self._filtering else ())
        if (info, filters) == (self.info, self.filters) and not again:
            return None
        self._repeat_at = inf
        self.info, self.filters = info, filters
        return info, filters.message

    def failed(self, lost_at: float | None) -> None:
        """Do without filters until the configuration changes: the master may take one for too complex.

        `lost_at`: there was no answer. Then it may have heard nothing, and would go on to offer to roles that
        are no longer in use.
        """
        if lost_at is not None:
            self._repeat_at = lost_at + _REPEAT_SECONDS
        if self.filters.message:
            self._filtering, self._made_of = False, None
