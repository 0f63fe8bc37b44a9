"""By which names browsers may reach the scheduler.

A page from elsewhere can't read our answers, unless its own name is made to lead to our address ("DNS
rebinding"): for the browser we are that site then. Such a name is never an address, nor one of ours.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit


class Hosts:
    """The names: `named` by the configuration, this machine's own, and all addresses."""

    def __init__(self, named: Iterable[str] = ()) -> None:
        self._named = frozenset(map(_plain, named))
        # Without its domain: a resolver that does not answer would keep us from starting.
        self._own = frozenset(map(_plain, ("localhost", socket.gethostname())))

    def allow(self, host: str | None) -> bool:
        """Whether a request with this Host header may be answered. Browsers always send one."""
        if host is None:
            return True
        name = _name(f"//{host}")
        return name is not None and (name in self._named or name in self._own or _is_address(name))

    def allow_origin(self, origin: str, host: str | None) -> bool:
        """Whether a page is ours: it comes from the host that it asks, or from a named one.

        A proxy may ask us by another name than it has itself.
        """
        return origin.partition("://")[2] == host or _name(origin) in self._named


def _name(url: str) -> str | None:
    try:
        name = urlsplit(url).hostname
    except ValueError:
        return None
    return None if name is None else _plain(name)


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
