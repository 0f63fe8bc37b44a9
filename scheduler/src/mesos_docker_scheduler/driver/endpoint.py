"""Where a master listens."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

DEFAULT_PORT = 5050

_HOST_PORT = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True)
class Endpoint:
    """One master's address. `server_name` is what its certificate must be for, when that is not `host`."""

    host: str
    port: int = DEFAULT_PORT
    tls: bool = False
    server_name: str | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def certificate_name(self) -> str:
        """The name or address to check the master's certificate against."""
        return self.server_name or self.host

    def at(self, address: str) -> Endpoint:
        """Return the same master, reached at this IP address without another look-up of its name."""
        return replace(self, host=address, server_name=self.certificate_name)


def parse_endpoint(text: str, *, tls: bool = False) -> Endpoint:
    """Read `host`, `host:port`, `[ipv6]` or `[ipv6]:port`; ValueError says what is wrong."""
    match = _HOST_PORT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no address of a master; allowed is host:port or [ipv6 address]:port")
    port = int(match["port"] or DEFAULT_PORT)
    if not 0 < port < 65536:
        raise ValueError(f"{text!r}: port {port} is not allowed; it must be 1 to 65535")
    return Endpoint(match["ipv6"] or match["host"], port, tls)


def redirect_target(location: str, sender: Endpoint) -> Endpoint:
    """Read the Location of a 307 that `sender` gave.

    Mesos sends it without a scheme (`//host:port/path`, src/master/http.cpp), its documentation shows
    `host:port` alone. ValueError: it can't be read, or leads from TLS to plain HTTP.
    """
    parts = urlsplit(location if "//" in location else f"//{location}")
    if parts.scheme not in ("", "http", "https"):
        raise ValueError(f"redirected to {location!r}, which is not HTTP")
    tls = parts.scheme == "https" if parts.scheme else sender.tls
    if sender.tls and not tls:
        raise ValueError(f"redirected from TLS to {location!r} without; not followed")
    return parse_endpoint(parts.netloc, tls=tls)
