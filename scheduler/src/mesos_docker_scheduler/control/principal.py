"""The principal under which Mesos knows the framework, and never changes, whatever is configured later."""

from __future__ import annotations

from mesos_docker_scheduler.config import Config
from mesos_docker_scheduler.records.store import Remembered

RECORD = ("framework", "principal")
"""A record of the store: that principal, or nothing."""


def as_registered(config: Config, remembered: Remembered) -> Config:
    """Return the configuration with the principal that the framework has, or will have.

    Schedulers that kept no record of it had one where they had a credential. ValueError: the credential is
    another one's.
    """
    settings = config.framework
    if remembered.framework_id is None:
        return config
    known = remembered.records.get(RECORD, settings.principal if settings.secret_file else None) or None
    if settings.secret_file is not None and known != settings.principal:
        registered = f"with the principal {known!r}" if known else "without a principal"
        raise ValueError(
            f"framework.principal: {settings.principal!r} is not allowed: framework {remembered.framework_id}"
            f" was registered {registered}, and Mesos never changes that. To begin anew, end it first by"
            " `mesos-docker-scheduler teardown`, with the configuration of before"
        )
    return config.model_copy(update={"framework": settings.model_copy(update={"principal": known})})
