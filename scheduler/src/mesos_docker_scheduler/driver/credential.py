"""A principal with its secrets: the one that holds, and others while it is being replaced."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

Secrets = Callable[[], Sequence[str]]
"""Gives the current secret, and then those that may still hold. OSError, ValueError: they can't be read."""


def basic_authorization(principal: str, secret: str) -> str:
    """Build the value of an Authorization header (RFC 7617, UTF-8)."""
    return "Basic " + base64.b64encode(f"{principal}:{secret}".encode()).decode("ascii")


class Credential:
    """What to send as a principal. May be used from any thread.

    A secret is replaced on both sides, and never at the same moment: for a while, some peers know only the
    previous one, and some the new one already. So secrets are tried in turn, beginning with the one that was
    accepted last.
    """

    def __init__(self, principal: str, secrets: Secrets) -> None:
        self.principal = principal
        self._secrets = secrets
        self._lock = threading.Lock()
        self._read: tuple[str, ...] = ()
        self._accepted: str | None = None

    def authorizations(self) -> tuple[str, ...]:
        """Values of the Authorization header, in the order in which to try them."""
        try:
            read = tuple(basic_authorization(self.principal, secret) for secret in self._secrets())
        except (OSError, ValueError) as error:
            # What was read before may still do.
            logger.warning("The secret of %s can't be read: %s", self.principal, error)
            read = ()
        with self._lock:
            self._read = read or self._read
            accepted = (self._accepted,) if self._accepted is not None else ()
            return tuple(dict.fromkeys((*accepted, *self._read)))

    def accepted(self, authorization: str) -> None:
        """Note that a peer has accepted this one."""
        with self._lock:
            self._accepted = authorization
