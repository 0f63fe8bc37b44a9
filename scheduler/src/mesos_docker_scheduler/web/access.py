"""What is let through: the limits on requests, who may do what, and headers that keep browsers safe."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import orjson
from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesos_docker_scheduler.web.audit import Audit
from mesos_docker_scheduler.web.bucket import Bucket
from mesos_docker_scheduler.web.callers import (
    Caller,
    Callers,
    Refusal,
    address_of,
    caller_of,
    note_caller,
    too_many,
)
from mesos_docker_scheduler.web.hosts import Hosts

MOST_BODY_BYTES = 16 * 1024
"""No request needs more."""

_TOO_LARGE = (413, f"a request's body may have {MOST_BODY_BYTES} bytes at most")
# A router may see another path in one that ends in a newline than who reads it.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# What anybody may have: it tells nothing of what runs.
_HEALTH = "/healthz"
_PUBLIC = frozenset({"/", _HEALTH})
# Logging in and out, and who one is: they judge themselves.
_SESSION = frozenset({"/v1/session", "/v1/session/begin", "/v1/session/end"})
EXEC_PATH = "/v1/exec/"
"""The sessions of commands in instances."""
_PUBLIC_FOLDERS = ("/static/", "/services/")
_CHANGES = (10.0, 50)  # a second, and at once
_READS = (100.0, 500)

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Access:
    """`token`: that of http.token_file, or None. `read`: whether reading needs one, too.

    `hosts`: by which names browsers may reach us.
    """

    token: str | None = field(default=None, repr=False)
    read: Literal["open", "token"] = "open"
    hosts: Hosts = field(default_factory=Hosts)


class Guard:
    """ASGI middleware: lets through what is allowed, answers the rest itself, and has the trail written.

    It judges by method and by what is public; routes that need a role whatever others may do say so
    themselves, by `Callers.require`. `end_streams` ends the answers that would go on for ever, before the
    server stops.
    """

    def __init__(
        self, app: ASGIApp, access: Access, callers: Callers, end_streams: Callable[[], None]
    ) -> None:
        self._app = app
        self.end_streams = end_streams
        self._access = access
        self._callers = callers
        self._audit = Audit()
        self._changes = Bucket(*_CHANGES)
        self._reads = Bucket(*_READS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "lifespan":  # the server begins and ends: nobody asks for anything
            await self._app(scope, receive, send)
        if scope["type"] != "http":
            return
        reading = scope["method"] in _READING

        def tell(status: int) -> None:
            address, method, path = address_of(scope), scope["method"], scope["path"]
            # What is typed into a command comes in many pieces, and the trail has the command.
            many = reading or (path.startswith(EXEC_PATH) and status < 300)
            self._audit.tell(caller_of(scope), address, method, path, status, reading=many)

        answer = _Answer(send, tell)
        refusal = self._refusal(scope, reading)
        if refusal is not None:
            await answer.refuse(*refusal)
            return
        await self._app(scope, _LimitedBody(receive).receive, answer.send)

    def _refusal(self, scope: Scope, reading: bool) -> Refusal | None:
        headers, address, path = Headers(scope=scope), address_of(scope), scope["path"]
        problem = self._problem_of_form(path, headers, reading)
        if problem is not None:
            return problem
        if not (reading and (path in _PUBLIC or path.startswith(_PUBLIC_FOLDERS))):
            problem = self._problem_of_caller(scope, headers, reading)
            if problem is not None:
                return problem
        if path != _HEALTH and not path.startswith(_PUBLIC_FOLDERS):
            limit = self._reads if reading or path.startswith(EXEC_PATH) else self._changes
            wait = limit.wait(address)
            if wait:
                return too_many(wait)
            limit.take(address)
        return None

    def _problem_of_caller(self, scope: Scope, headers: Headers, reading: bool) -> Refusal | None:
        """Find out who asks, and whether he may. Who gives a wrong token where none is needed is told."""
        caller: Caller | Refusal | None
        given = headers.get("authorization")
        if given is not None and self._callers.tokens:
            caller = self._callers.by_header(given, address_of(scope))
            if isinstance(caller, tuple):
                return caller
        else:
            caller = self._callers.by_session(headers, address_of(scope))
        note_caller(scope, caller)
        if scope["path"] in _SESSION or (reading and self._access.read == "open"):
            return None
        return self._callers.refusal(caller, "read" if reading else "operate")

    def _problem_of_form(self, path: str, headers: Headers, reading: bool) -> Refusal | None:
        """What is wrong with a request, whoever sends it."""
        if _CONTROL_CHARACTERS.search(path):
            return 404, "nothing has a control character in its path", {}
        if not self._is_for_us(path, headers):
            return 421, "the name in Host is none of the scheduler's; http.allowed_hosts can add it", {}
        if not reading and self._is_from_elsewhere(headers):
            return 403, "requests that change something are not taken from another site's page", {}
        if int(_number(headers.get("content-length"))) > MOST_BODY_BYTES:
            return *_TOO_LARGE, {}
        return None

    def _is_for_us(self, path: str, headers: Headers) -> bool:
        """Whether a request names us. What needs a token anyway may have any name; so may health checks."""
        if self._access.read == "token" or path == _HEALTH:
            return True
        return self._access.hosts.allow(headers.get("host"))

    def _is_from_elsewhere(self, headers: Headers) -> bool:
        """Whether a browser says that another site's page sends this."""
        site, origin, host = (headers.get(name) for name in ("sec-fetch-site", "origin", "host"))
        if site is not None:  # no page can set it
            return site not in ("same-origin", "none")
        if origin is None:
            # Browsers name it with every change. Only they have cookies, and one that hides where it comes
            # from must not use them.
            return "cookie" in headers and "authorization" not in headers
        return not self._access.hosts.allow_origin(origin, host)


def _number(text: str | None) -> str:
    return text if text is not None and text.isdecimal() else "0"


class _LimitedBody:
    """Hands on the parts of a body until it gets too large, whatever its header said."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > MOST_BODY_BYTES:
            raise HTTPException(*_TOO_LARGE)
        return message


class _Answer:
    """Puts our headers on every answer. `tell` hears its status."""

    def __init__(self, send: Send, tell: Callable[[int], None]) -> None:
        self._send = send
        self._tell = tell

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            self._tell(message["status"])
        await self._send(message)

    async def refuse(self, status: int, text: str, headers: dict[str, str]) -> None:
        fields = {"Content-Type": "application/json", **headers}
        if status == _TOO_LARGE[0]:
            # Only then: to close while the body is still coming can take the answer along.
            fields["Connection"] = "close"
        raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": orjson.dumps({"error": text})})
