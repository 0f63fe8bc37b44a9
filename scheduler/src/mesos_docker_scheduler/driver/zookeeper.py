"""Where ZooKeeper is, and clients of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from kazoo.client import KazooClient
from kazoo.protocol.states import KazooState

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
    client = KazooClient(
        hosts,
        timeout=session_seconds,
        connection_retry={"max_tries": -1, "delay": _FIRST_RETRY_SECONDS, "max_delay": most_retry_seconds},
        auth_data=[("digest", login) for login in logins],
        logger=log,
        **more,
    )
    client.add_listener(_Memory(client, session_seconds).state_changed)
    return client


class _Memory:
    """What a client has seen of ZooKeeper, which is forgotten when it has had no connection for a session.

    Servers refuse who has seen more than they have. An ensemble that was made anew, because the former one is
    lost, would refuse a client for ever.
    """

    def __init__(self, client: KazooClient, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        self._timer: threading.Timer | None = None

    def state_changed(self, state: str) -> None:
        """Hear of the connection; on kazoo's thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if state == KazooState.SUSPENDED:
            self._timer = threading.Timer(self._seconds, self._forget)
            self._timer.daemon = True
            self._timer.start()

    def _forget(self) -> None:
        if not self._client.connected:
            self._client.last_zxid = 0
