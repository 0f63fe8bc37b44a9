"""Sockets: connecting to a master, and sending and receiving without ever waiting."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable

from mesos_docker_scheduler.driver.endpoint import Endpoint
from mesos_docker_scheduler.errors import Error

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 15.0  # for each address of the master, and for the TLS handshake

# A peer that vanished (a dead host, a forgotten NAT entry) is noticed after 30 s, also without any traffic.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
)
_READ_BYTES = 256 * 1024
_MAX_READS = 8  # before the other connection gets its turn


class ConnectionEnded(Error):  # noqa: N818 - it may have ended well
    """The connection is over; the text says why."""


class SubscriptionForbidden(Error):  # noqa: N818 - nothing is wrong with the subscription
    """Nobody must subscribe any more; the text says why."""


class Channel:
    """A connected socket that never blocks, with the bytes that wait to be sent."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._unsent = bytearray()

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    @property
    def peer_address(self) -> str:
        """The IP address at the other end."""
        return str(self._socket.getpeername()[0])

    @property
    def unsent(self) -> int:
        """How many bytes wait to be sent."""
        return len(self._unsent)

    def send(self, data: bytes = b"") -> None:
        """Send what waits and then `data`, as far as the socket takes it. ConnectionEnded: it is gone."""
        self._unsent += data
        sent = 0
        with memoryview(self._unsent) as waiting:
            while sent < len(waiting):
                try:
                    sent += self._socket.send(waiting[sent:])
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    break
                except OSError as error:
                    raise ConnectionEnded(f"sending failed: {error}") from error
        del self._unsent[:sent]

    def receive(self) -> bytes:
        """Return what has arrived, empty when nothing has. ConnectionEnded: it is gone."""
        pieces: list[bytes] = []
        for _ in range(_MAX_READS):
            try:
                piece = self._socket.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as error:
                if pieces:
                    break  # it fails again next time
                raise ConnectionEnded(f"receiving failed: {error}") from error
            if not piece:
                if pieces:
                    break
                raise ConnectionEnded("the master closed the connection")
            pieces.append(piece)
        return b"".join(pieces)

    def has_buffered(self) -> bool:
        """Whether TLS holds decrypted bytes that the selector can't see."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def close(self) -> None:
        """Close the socket; a TLS close_notify would have to wait for the peer and is left out."""
        self._socket.close()


def connect(endpoint: Endpoint, tls: ssl.SSLContext | None) -> Channel:
    """Connect to the first of the endpoint's addresses (IPv4 and IPv6) that answers. Blocks.

    ConnectionEnded: none does, its name is unknown, or its certificate is not accepted.
    """
    try:
        sock = socket.create_connection((endpoint.host, endpoint.port), timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:  # ValueError: the name can't be one in DNS
        raise ConnectionEnded(f"can't connect: {error}") from error
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for level, option, value in _KEEPALIVE:
            sock.setsockopt(level, option, value)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=endpoint.certificate_name)
        return Channel(sock)
    except (OSError, ValueError) as error:
        sock.close()
        raise ConnectionEnded(f"TLS failed: {error}") from error


class Dial:
    """One attempt to connect, made in a thread of its own: names and handshakes can take long.

    `before` is called from that thread before it connects, `done` when `result()` is there.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        tls: ssl.SSLContext | None,
        done: Callable[[], None],
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self.endpoint = endpoint
        self._tls = tls
        self._done = done
        self._before = before
        self._lock = threading.Lock()
        self._outcome: Channel | ConnectionEnded | SubscriptionForbidden | None = None
        self._given_up = False
        threading.Thread(target=self._run, name=f"connect {endpoint}", daemon=True).start()

    def _run(self) -> None:
        outcome: Channel | ConnectionEnded | SubscriptionForbidden
        try:
            self._before()
            outcome = connect(self.endpoint, self._tls)
        except (ConnectionEnded, SubscriptionForbidden) as error:
            outcome = error
        except Exception as error:
            # Whatever it is: the worker waits for an outcome, and tries again.
            logger.exception("%s can't be connected to", self.endpoint)
            outcome = ConnectionEnded(f"{type(error).__name__}: {error}")
        with self._lock:
            self._outcome = outcome
            given_up = self._given_up
        if given_up and isinstance(outcome, Channel):
            outcome.close()
        self._done()

    def result(self) -> Channel | None:
        """Return the connection; None while it is being made.

        ConnectionEnded: it can't be. SubscriptionForbidden: `before` forbids it.
        """
        with self._lock:
            outcome = self._outcome
        if isinstance(outcome, ConnectionEnded | SubscriptionForbidden):
            raise outcome
        return outcome

    def give_up(self) -> None:
        """Close the connection, now or when it is there."""
        with self._lock:
            self._given_up = True
            outcome = self._outcome
        if isinstance(outcome, Channel):
            outcome.close()


class Wakeup:
    """Lets other threads end a selector's wait."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._lock = threading.Lock()
        self._set = False
        self._closed = False

    def fileno(self) -> int:
        """For selectors."""
        return self._reader.fileno()

    def set(self) -> None:
        """End the wait; may be called from any thread, also after `close`."""
        with self._lock:
            if self._set or self._closed:
                return
            self._set = True
            with contextlib.suppress(BlockingIOError):
                self._writer.send(b"\0")

    def clear(self) -> None:
        """Be ready for the next `set`."""
        with self._lock:
            self._set = False
            with contextlib.suppress(BlockingIOError):
                self._reader.recv(4096)

    def close(self) -> None:
        """Give the descriptors back."""
        with self._lock:
            self._closed = True
            self._reader.close()
            self._writer.close()
