"""Where ZooKeeper is, and clients of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from kazoo.client import KazooClient

from mesos_docker_scheduler.driver.endpoint import parse_endpoint

_FIRST_RETRY_SECONDS = 0.1


@dataclass(frozen=True)
class ZooKeeperUrl:
    """`zk://[user:password@]host:port,.../path`."""

    hosts: str
    path: str
    credentials: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"zk://{self.hosts}{self.path}"


def parse_zookeeper_url(text: str) -> ZooKeeperUrl:
    """Read a URL. ValueError says what is wrong, without any password."""
    authority, slash, path = text.removeprefix("zk://").partition("/")
    credentials, _, hosts = authority.rpartition("@")
    path = slash + path.rstrip("/")
    if len(path) < 2:
        raise ValueError("a zk:// URL must end with the path that its users agree on, like /mesos")
    if credentials and not all(credentials.partition(":")):
        raise ValueError("the credentials of a zk:// URL must be user:password")
    for host in hosts.split(","):
        try:
            parse_endpoint(host)
        except ValueError:
            raise ValueError(f"{host!r} is no address of a ZooKeeper server; allowed is host:port") from None
    return ZooKeeperUrl(hosts, path, unquote(credentials) or None)


def zookeeper_client(
    hosts: str, *, session_seconds: float, most_retry_seconds: float, logins: Sequence[str] = (), **more: Any
) -> KazooClient:
    """A client that tries to connect for ever.

    logins: `user:password` each; ZooKeeper grants what any of them may. more: KazooClient's own settings.
    """
    log = logging.getLogger(f"{__name__}.kazoo")
    log.setLevel(logging.ERROR)  # what matters of it is said by those who use it
    return KazooClient(
        hosts,
        timeout=session_seconds,
        connection_retry={"max_tries": -1, "delay": _FIRST_RETRY_SECONDS, "max_delay": most_retry_seconds},
        auth_data=[("digest", login) for login in logins],
        logger=log,
        **more,
    )
