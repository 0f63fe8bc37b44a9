"""Which master leads: from a list in the configuration, or from ZooKeeper."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError, ConnectionLoss, NoAuthError, NoNodeError

from mesos_docker_scheduler.driver.endpoint import Endpoint, parse_endpoint
from mesos_docker_scheduler.driver.zookeeper import ZooKeeperUrl, parse_zookeeper_url, zookeeper_client

# Takes the masters that may lead (empty: nobody does; None: no news of that), and in words what was found.
Detected = Callable[[Sequence[Endpoint] | None, str], None]

_INFO_PREFIX = "json.info_"  # src/master/constants.hpp
_LOOK_AGAIN_SECONDS = 10.0
_CONNECT_SECONDS = 2.0  # before it is worth saying that there is no connection
_SESSION_SECONDS = 10.0
_MAX_RETRY_SECONDS = 15.0


def parse_master(text: str, *, tls: bool = False) -> tuple[Endpoint, ...] | ZooKeeperUrl:
    """Read the `master` setting.

    Allowed: zk://user:password@host:port,.../path, host:port,host:port, http://host:port, https://host:port.
    tls: whether addresses without a scheme mean TLS. ValueError says what is wrong, without any password.
    """
    scheme, separator, rest = text.strip().rpartition("://")
    if scheme == "zk":
        try:
            return parse_zookeeper_url(rest)
        except ValueError as error:
            raise ValueError(f"master: {error}") from error
    if separator and scheme not in ("http", "https"):
        raise ValueError(f"master: scheme {scheme!r} is not allowed; allowed are zk, http, https or none")
    tls = scheme == "https" if separator else tls
    try:
        return tuple(parse_endpoint(part, tls=tls) for part in rest.rstrip("/").split(","))
    except ValueError as error:
        raise ValueError(f"master: {error}") from error


def leader_of(nodes: Sequence[str]) -> str | None:
    """Return the node of the leading master among the children of the masters' znode: the oldest."""
    candidates = [node for node in nodes if node.startswith(_INFO_PREFIX)]
    return min(candidates, key=lambda node: node.removeprefix(_INFO_PREFIX), default=None)


def endpoint_of(master_info: bytes, *, tls: bool) -> Endpoint:
    """Read a master's node (MasterInfo as JSON). ValueError: it has no usable address."""
    try:
        info: dict[str, Any] = json.loads(master_info)
        address = info["address"]
        ip, port, name = (
            str(address["ip"]),
            int(address["port"]),
            address.get("hostname") or info.get("hostname"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"no address in the leading master's node: {master_info[:200]!r}") from error
    return Endpoint(ip, port, tls, str(name) if tls and name else None)


class Detector(Protocol):
    """Tells, from any thread, which masters may lead."""

    def start(self, detected: Detected) -> None:
        """Begin; never blocks."""

    def stop(self) -> None:
        """End; `detected` is not called afterwards."""


class StaticDetector:
    """The masters of a list. Those that don't lead redirect to the one that does."""

    def __init__(self, masters: Sequence[Endpoint]) -> None:
        self._masters = tuple(masters)

    def start(self, detected: Detected) -> None:
        """Name the list, once."""
        detected(self._masters, "")

    def stop(self) -> None:
        """Nothing to end."""


class ZooKeeperDetector:
    """Follows the leader that ZooKeeper knows.

    A thread looks at the znode whenever ZooKeeper says that something changed, and now and then anyway, so
    that nothing depends on a single watch. A missing znode is waited for. While ZooKeeper is away, what it
    said last holds.
    """

    def __init__(self, masters: ZooKeeperUrl, *, tls: bool = False) -> None:
        self._masters = masters
        self._tls = tls
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, detected: Detected) -> None:
        """Begin to follow the leader."""
        self._thread = threading.Thread(target=self._run, args=(detected,), name="zookeeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the session in the background."""
        self._stopped.set()
        self._wake.set()

    def _run(self, detected: Detected) -> None:
        client = zookeeper_client(
            self._masters.hosts,
            session_seconds=_SESSION_SECONDS,
            most_retry_seconds=_MAX_RETRY_SECONDS,
            logins=[self._masters.credentials] if self._masters.credentials else [],
        )
        client.add_listener(lambda _state: self._wake.set())
        client.start_async()
        self._wake.wait(_CONNECT_SECONDS)
        try:
            while not self._stopped.is_set():
                self._wake.clear()
                masters, finding = self._look(client)
                if not self._stopped.is_set():
                    detected(masters, finding)
                self._wake.wait(_LOOK_AGAIN_SECONDS)
        finally:
            client.stop()
            client.close()

    def _look(self, client: KazooClient) -> tuple[Sequence[Endpoint] | None, str]:
        """Return the leader, and in words what was found."""
        masters: Sequence[Endpoint] | None = None
        try:
            if not client.connected:
                raise ConnectionLoss
            masters = self._leader(client)
            finding = f"names {masters[0]} as the leading master" if masters else "names no leading master"
        except NoNodeError:
            masters, finding = (), "does not exist (yet): no master has ever used it"
        except ConnectionLoss:
            finding = "can't be reached"
        except (NoAuthError, AuthFailedError) as error:
            finding = f"may not be read with these credentials: {type(error).__name__}"
        except Exception as error:  # without this thread no other leader would ever be found
            finding = f"can't be read: {type(error).__name__} {error}"
        return masters, f"{self._masters} {finding}"

    def _leader(self, client: KazooClient) -> Sequence[Endpoint]:
        def changed(_event: object) -> None:
            self._wake.set()

        if client.exists(self._masters.path, watch=changed) is None:
            raise NoNodeError
        node = leader_of(client.get_children(self._masters.path, watch=changed))
        if node is None:
            return ()
        data, _ = client.get(f"{self._masters.path}/{node}", watch=changed)
        return (endpoint_of(data, tls=self._tls),)
