"""The state in ZooKeeper, for several schedulers of which one leads."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from mesos_docker_scheduler.config.sections import HOST_AND_PORT, Section, Text


def _zookeeper(value: str) -> str:
    if not re.fullmatch(rf"zk://([^@:/\s]+:[^@/\s]+@)?{HOST_AND_PORT}(,{HOST_AND_PORT})*(/[^/\s]+)+", value):
        raise ValueError("must be zk://[user:password@]host:port[,host:port...]/path")
    return value


class SharedState(Section):
    """Where schedulers of the same framework keep their state, and elect the one that leads."""

    zookeeper: Annotated[Text, AfterValidator(_zookeeper)] = Field(
        title="where it is", description="the servers' addresses, with the path below which it is kept"
    )
    session_seconds: Annotated[float, Field(ge=2, le=60)] = Field(
        default=6.0,
        title="how long the leader may be away before another one takes over",
        description="a number of seconds from 2 to 60",
    )
    url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+$",
        title="where followers send clients while this scheduler leads",
        description="an http(s) URL without a path, or null",
    )
