"""Which of several schedulers leads: the one whose node in ZooKeeper is the oldest.

    ROOT/election/...   a node of each candidate, which ends with its session
    ROOT/leader         who leads, or led last; its version is the fence that each write is checked against.

The leader's node is taken over in one transaction with a check that our own node is still there, so a
candidate whose session has ended meanwhile takes over nothing.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError,
    CancelledError,
    KazooException,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KazooState
from kazoo.security import ACL, OPEN_ACL_UNSAFE, make_acl, make_digest_acl

from mesos_docker_scheduler.config import SharedState
from mesos_docker_scheduler.driver.connection import ConnectionEnded
from mesos_docker_scheduler.driver.zookeeper import parse_zookeeper_url, zookeeper_client
from mesos_docker_scheduler.observability.snapshot import Leader
from mesos_docker_scheduler.records.zookeeper_store import ANSWER_SECONDS, Fence, answer

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_MOST_RETRY_SECONDS = 2.0


class Member:
    """One of the schedulers, for as long as its session with ZooKeeper lasts.

    logins: `user:password` each; what is written belongs to the first, if any, and once we lead all of it.
    `elected` is called with the fence, once. `ended` is called when the session has ended, or, once we were
    elected, may have: another one may lead from then on. `changed` is called when the connection is lost, and
    when it is there again. All are called on other threads.
    """

    def __init__(
        self,
        shared: SharedState,
        logins: Sequence[str],
        us: Leader,
        *,
        elected: Callable[[Fence], None],
        ended: Callable[[str], None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.root = root_of(shared)
        self.us = us
        self.problem: str | None = None
        """Why we can't be elected, if it is known."""
        if not logins:
            logger.warning(
                "shared_state has no user: whoever reaches ZooKeeper can read and change what is kept there"
            )
        self.client = client_of(shared, logins)
        self._session_seconds = shared.session_seconds
        self._elected = elected
        self._ended = ended
        self._changed = changed
        self._replaced = len(logins) > 1
        self._lock = self.client.Lock(f"{self.root}/election", us.host)
        self._stopped = threading.Event()
        self._away: threading.Timer | None = None
        self._thread = threading.Thread(target=self._run, name="election", daemon=True)

    def connect(self) -> None:
        """Begin to connect, in the background. Once."""
        self.client.add_listener(self._state_changed)
        self._live = self.client.start_async()

    def stand(self) -> None:
        """Stand as a candidate, once `connect` was called."""
        self._thread.start()

    def close(self) -> None:
        """Withdraw. If we lead, the next one takes over at once. May be called again."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._lock.cancel()
        self.client.remove_listener(self._state_changed)
        self._connected_again()
        self.client.stop()  # which ends the session, and with it our node
        self.client.close()
        if self._thread.is_alive():
            self._thread.join(_RETRY_SECONDS)

    def others(self) -> list[str]:
        """The other candidates' nodes. KazooException, KazooTimeoutError."""
        try:
            nodes = answer(self.client.get_children_async(self._lock.path))
        except NoNodeError:
            return []
        return [node for node in nodes if node != self._lock.node]

    def no_successor(self) -> str | None:
        """Why nobody would take over from us; None: somebody would."""
        try:
            return None if self.others() else "no other scheduler follows"
        except (KazooException, KazooTimeoutError) as error:
            return f"ZooKeeper does not answer: {error!r}"

    def leads(self, fence: Fence) -> bool:
        """Whether nobody has been elected after us. ConnectionEnded: that can't be found out now."""
        try:
            # A server that is cut off from the others would tell what was true before.
            answer(self.client.sync_async(fence.path))
            stat = answer(self.client.exists_async(fence.path))
        except (KazooException, KazooTimeoutError) as error:
            raise ConnectionEnded(f"ZooKeeper does not say whether we still lead: {error!r}") from error
        return stat is not None and bool(stat.version == fence.version)

    def _run(self) -> None:
        self._live.wait(ANSWER_SECONDS)
        while not self._stopped.is_set():
            try:
                self._make_root()
                self.problem = None
                if self._lock.is_acquired or self._lock.acquire():
                    fence = self._take_over()
                    if self._replaced:
                        self._own_all()
                    self._elected(fence)
                    return
            except CancelledError:
                return
            except (KazooException, KazooTimeoutError) as error:
                problem = in_words(error, self.root)
                if problem != self.problem:
                    logger.warning("The election can't go on: %s", problem)
                self.problem = problem
                self._stopped.wait(_RETRY_SECONDS)

    def _make_root(self) -> None:
        """Make our nodes, which are ours alone. Above them others may have nodes of their own."""
        parents = self.root.split("/")[1:-1]
        shared = [make_acl("world", "anyone", read=True, create=True)]
        for depth in range(1, len(parents) + 1):
            own, path = self.client.default_acl or OPEN_ACL_UNSAFE, "/" + "/".join(parents[:depth])
            if self.client.exists(path) is None:  # where it is, we may have no right above it
                with contextlib.suppress(NodeExistsError):
                    self.client.create(path, acl=[*own, *shared])
        self.client.ensure_path(f"{self.root}/leader")

    def _take_over(self) -> Fence:
        path, node = f"{self.root}/leader", self._lock.node
        transaction = self.client.transaction()
        transaction.check(f"{self._lock.path}/{node}", -1)
        transaction.set_data(path, orjson.dumps({"host": self.us.host, "url": self.us.url, "node": node}))
        results: list[Any] = answer(transaction.commit_async())
        for result in results:
            if isinstance(result, Exception):
                raise result
        return Fence(path, results[1].version, f"{self._lock.path}/{node}")

    def _own_all(self) -> None:
        """Let only the first login change what is there: the others are being replaced."""
        paths = [self.root]
        for name in self.client.get_children(self.root):
            path = f"{self.root}/{name}"
            paths += [path, *(f"{path}/{below}" for below in self.client.get_children(path))]
        for asked in [self.client.set_acls_async(path, self.client.default_acl) for path in paths]:
            with contextlib.suppress(NoNodeError):  # deleted meanwhile
                answer(asked)

    # kazoo's thread

    def _state_changed(self, state: str) -> None:
        if state == KazooState.LOST:
            self._ended("the session with ZooKeeper has ended")
        elif state == KazooState.SUSPENDED:
            if self._lock.is_acquired:
                # Whether the session has ended is told only once there is a connection again.
                text = f"no connection to ZooKeeper for {self._session_seconds:g} s"
                self._away = threading.Timer(self._session_seconds, self._ended, [text])
                self._away.daemon = True
                self._away.start()
            self._changed()
        else:
            self._connected_again()
            self._changed()

    def _connected_again(self) -> None:
        if self._away is not None:
            self._away.cancel()
            self._away = None


def root_of(shared: SharedState) -> str:
    """The node below which the state is."""
    return parse_zookeeper_url(shared.zookeeper).path


def client_of(shared: SharedState, logins: Sequence[str]) -> KazooClient:
    """A client that may read and change it, not connected yet. logins: as Member has them."""
    return zookeeper_client(
        parse_zookeeper_url(shared.zookeeper).hosts,
        session_seconds=shared.session_seconds,
        most_retry_seconds=_MOST_RETRY_SECONDS,
        logins=logins,
        default_acl=[_owned_by(logins[0])] if logins else None,
    )


def _owned_by(login: str) -> ACL:
    user, _, password = login.partition(":")
    acl: ACL = make_digest_acl(user, password, all=True)
    return acl


def in_words(error: Exception, root: str) -> str:
    """Say why ZooKeeper does not do what a member asks."""
    if isinstance(error, (NoAuthError, AuthFailedError)):
        return f"ZooKeeper lets this scheduler not write below {root}: {type(error).__name__}"
    return f"ZooKeeper: {error!r}"
