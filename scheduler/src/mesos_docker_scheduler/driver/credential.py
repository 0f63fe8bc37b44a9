"""A principal and a secret that may be replaced while they are in use."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

Secret = str | Callable[[], str]
"""A secret, or what reads it anew each time: OSError or ValueError when it can't be read."""


_KEPT = 2


def basic_authorization(principal: str, secret: str) -> str:
    """Build the value of an Authorization header (RFC 7617, UTF-8)."""
    return "Basic " + base64.b64encode(f"{principal}:{secret}".encode()).decode("ascii")


class Credential:
    """What to show as a principal; nothing without one, or without a secret. May be used from any thread.

    A secret is replaced on both sides, and never at the same moment: for a while, some of those that we speak
    to know only the one of before, and some the next one already. So there are up to three: the two that were
    accepted last, and the one that is to be shown from now on.
    """

    def __init__(self, principal: str | None, secret: Secret | None) -> None:
        self._principal = principal
        self._secret = secret
        self._lock = threading.Lock()
        self._newest: str | None = None
        self._accepted: list[str] = []  # the last one first

    def authorizations(self) -> tuple[str | None, ...]:
        """Values of the Authorization header, to be tried in this order; None: do without."""
        newest = self._read()
        with self._lock:
            self._newest = newest or self._newest
            known = dict.fromkeys((*self._accepted, self._newest))
        return tuple(known)

    def accepted(self, authorization: str | None) -> None:
        """Note that somebody to whom it was shown knows this one."""
        if authorization is None:
            return
        with self._lock:
            others = [other for other in self._accepted if other != authorization]
            self._accepted = [authorization, *others][:_KEPT]

    def _read(self) -> str | None:
        if self._principal is None or self._secret is None:
            return None
        try:
            secret = self._secret() if callable(self._secret) else self._secret
        except (OSError, ValueError) as error:
            # What was read before may still do.
            logger.warning("The secret of %s can't be read: %s", self._principal, error)
            return None
        return basic_authorization(self._principal, secret)
