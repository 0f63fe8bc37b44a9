"""The state in ZooKeeper, for several schedulers of which one leads."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from mesos_docker_scheduler.config.sections import (
    A_PATH,
    HOST_AND_PORT,
    AbsolutePath,
    Section,
    Text,
    check_ports,
)


def _zookeeper(value: str) -> str:
    match = re.fullmatch(rf"zk://({HOST_AND_PORT}(,{HOST_AND_PORT})*)(/[^/\s]+)+", value)
    if match is None:
        raise ValueError("must be zk://host:port[,host:port...]/path")
    check_ports(match[1])
    return value


class SharedState(Section):
    """Where schedulers of the same framework keep their state, and elect the one that leads."""

    zookeeper: Annotated[Text, AfterValidator(_zookeeper)] = Field(
        title="where it is", description="the servers' addresses, with the path below which it is kept"
    )
    user: str | None = Field(
        default=None,
        pattern=r"^[^:\s]+$",
        title="whose the state is in ZooKeeper; nobody else can read or change it then",
        description="a text without colons and spaces, or null to let everybody",
    )
    password_file: AbsolutePath | None = Field(
        default=None,
        title="where that user's password is; one beside it, with .previous at its end, is shown, too",
        description=f"{A_PATH}, or null",
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

    @model_validator(mode="after")
    def _user_has_a_password(self) -> SharedState:
        if (self.user is None) is not (self.password_file is None):
            raise ValueError("user and password_file must be given both, or neither")
        return self
