"""Tells systemd how we are (sd_notify(3)); does nothing when systemd did not start us."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable


def notify(state: str) -> None:
    """Send a state such as `READY=1` to the service manager, if it hears: without a word if not.

    Without a free descriptor, or a manager, there is nobody to tell, and work goes on.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link,
    ):
        link.setblocking(False)
        link.connect(address)
        link.sendall(state.encode())


def watchdog_seconds() -> float | None:
    """How long systemd waits for a sign of life before it restarts us; None when it does not watch."""
    microseconds = os.environ.get("WATCHDOG_USEC")
    return int(microseconds) / 1e6 if microseconds else None


def beat() -> Callable[[], None]:
    """What is to be called after each round: of hundreds a second some give systemd a sign of life."""
    patience = watchdog_seconds()
    if patience is None:
        return lambda: None
    pause, next_at = patience / 4, 0.0

    def tell() -> None:
        nonlocal next_at
        now = time.monotonic()
        if now >= next_at:
            next_at = now + pause
            notify("WATCHDOG=1")

    return tell
