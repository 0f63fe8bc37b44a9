"""A lab's masters and ZooKeeper servers seen from outside: who leads, who has a quorum, how long nobody."""

from __future__ import annotations

import functools
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from urllib.parse import urlsplit

from lab_cluster import MASTER_PORT, ZOOKEEPER_PORT, SecurityFolder, eventually

LOOK_SECONDS = 0.2
TIMEOUT_SECONDS = 1


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


@functools.cache
def _opener(security: SecurityFolder) -> urllib.request.OpenerDirector:
    tls = urllib.request.HTTPSHandler(context=security.context())
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), tls, _NoRedirect())


def _get(address: str, path: str, security: SecurityFolder) -> tuple[int, str]:
    """Return the master's status and Location; status 0 when nobody answers."""
    url = f"https://{address}:{MASTER_PORT}{path}"
    request = urllib.request.Request(url, headers=security.authorization(MASTER_PORT))
    try:
        with _opener(security).open(request, timeout=TIMEOUT_SECONDS) as answer:
            return int(answer.status), ""
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Location", "")
    except (OSError, HTTPException):
        return 0, ""


def leading_master(addresses: Iterable[str], security: SecurityFolder) -> str:
    """Return the address of the master that leads and has its registry; empty when there is none."""
    for address in addresses:
        _, location = _get(address, "/master/redirect", security)
        leader = urlsplit(location).hostname or ""
        # Until it has read the registry it refuses to tell what is in it.
        if leader and _get(leader, "/master/state-summary", security)[0] == 200:
            return leader
    return ""


def leading_host(addresses: Mapping[str, str], security: SecurityFolder) -> str:
    """Return the host whose master leads, of those with their addresses; waits a minute for one."""
    hosts = {address: host for host, address in addresses.items()}
    found, _ = eventually("a master leads", lambda: leading_master(hosts, security), seconds=60)
    return hosts[found]


def zookeeper(address: str, command: str = "mntr") -> str:
    """Return the server's answer to a four letter command; empty when there is none."""
    try:
        with socket.create_connection((address, ZOOKEEPER_PORT), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(command.encode())
            answer = b""
            while received := connection.recv(65536):
                answer += received
            return answer.decode()
    except OSError:
        return ""


def zookeeper_state(address: str) -> str:
    """Return leader, follower or observer; empty when the server has no quorum or does not answer."""
    for line in zookeeper(address).splitlines():
        name, _, value = line.partition("\t")
        if name == "zk_server_state":
            return value
    return ""


def zookeeper_members(address: str) -> dict[int, str]:
    """Return the addresses of the ensemble's members, by number, as this server knows them."""
    members = {}
    for line in zookeeper(address, "conf").splitlines():
        if line.startswith("server."):
            number, _, member = line.removeprefix("server.").partition("=")
            members[int(number)] = member.split(":")[0]
    return members


@dataclass
class Outages:
    """The longest times in seconds that nobody led, that ZooKeeper had no quorum, that two servers led it.

    One that has handed over goes on saying that it leads for a moment.
    """

    without_leader: float = 0.0
    without_quorum: float = 0.0
    leaders: list[str] = field(default_factory=list)
    with_two_ensembles: float = 0.0


@contextmanager
def watching_control_plane(
    addresses: Iterable[str], security: SecurityFolder
) -> Generator[Outages, None, None]:
    """Look all the time meanwhile, at every address where a master or a ZooKeeper server may be."""
    outages = Outages()
    hosts = tuple(addresses)
    over = threading.Event()
    one_ensemble = [time.monotonic()]

    def leads() -> bool:
        leader = leading_master(hosts, security)
        if leader and [leader] != outages.leaders[-1:]:
            outages.leaders.append(leader)
        return bool(leader)

    def has_quorum() -> bool:
        states = [zookeeper_state(host) for host in hosts]
        if states.count("leader") < 2:
            one_ensemble.append(time.monotonic())
        outages.with_two_ensembles = max(outages.with_two_ensembles, time.monotonic() - one_ensemble[-1])
        return any(states)

    def longest(probe: Callable[[], bool], note: Callable[[float], None]) -> None:
        last_good = time.monotonic()
        while not over.wait(LOOK_SECONDS):
            begun = time.monotonic()
            if probe():
                last_good = time.monotonic()
            note(begun - last_good)

    def note_leader(seconds: float) -> None:
        outages.without_leader = max(outages.without_leader, seconds)

    def note_quorum(seconds: float) -> None:
        outages.without_quorum = max(outages.without_quorum, seconds)

    threads = [
        threading.Thread(target=longest, args=arguments, daemon=True)
        for arguments in ((leads, note_leader), (has_quorum, note_quorum))
    ]
    for thread in threads:
        thread.start()
    try:
        yield outages
    finally:
        over.set()
        for thread in threads:
            thread.join()
