"""By which names browsers may reach the scheduler.

A page from elsewhere can't read our answers, unless its own name is made to lead to our address ("DNS
rebinding"): for the browser we are that site then. Such a name is never an address, nor one of ours.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterable
from urllib.parse import urlsplit


class Hosts:
    """The names: `named` by the configuration, this machine's own, and all addresses."""

    def __init__(self, named: Iterable[str] = ()) -> None:
        self._named = frozenset(map(_plain, named))
        host = _plain(socket.gethostname())
        self._own = frozenset(("localhost", host, host.partition(".")[0]))
        # On a thread of its own: a resolver that does not answer would keep us from starting.
        threading.Thread(target=self._learn, name="own name", daemon=True).start()

    def _learn(self) -> None:
        self._own |= {_plain(socket.getfqdn())}

    def allow(self, host: str | None) -> bool:
        """Whether a request with this Host header may be answered. Browsers always send one."""
        if not host:
            return True
        name = _name(f"//{host}")
        return name is not None and (name in self._named or name in self._own or _is_address(name))

    def allow_origin(self, origin: str, host: str | None) -> bool:
        """Whether a page is ours: it comes from where it asks, or from a named host.

        A proxy may ask us by another name than it has itself. Other ports of our own host serve other pages.
        """
        _, _, place = origin.partition("://")
        if not place:
            return False
        name = _name(origin)
        return place == host or (name in self._named and name not in self._own and name != _name(f"//{host}"))


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
