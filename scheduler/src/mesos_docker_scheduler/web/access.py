"""Who may do what: the token, the limits on requests, and headers that keep browsers safe."""

from __future__ import annotations

import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import orjson
from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesos_docker_scheduler.web.hosts import Hosts

Refusal = tuple[int, str, dict[str, str]]
"""Status, text and headers."""
MOST_BODY_BYTES = 16 * 1024
"""No request needs more."""

_TOO_LARGE = (413, f"a request's body may have {MOST_BODY_BYTES} bytes at most")
# A router may see another path in one that ends in a newline than who reads it.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# What anybody may have: it tells nothing of what runs.
_HEALTH = "/healthz"
_PUBLIC = frozenset({"/", _HEALTH})
_PUBLIC_FOLDERS = ("/static/", "/services/")
_CHANGES = (10.0, 50)  # a second, and at once
_READS = (100.0, 500)
_WRONG_TOKENS = (0.2, 10)
_MOST_CLIENTS = 10_000

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
    """`token`: what changes need; None: nobody may change anything. `read`: whether reading needs it, too.

    `hosts`: by which names browsers may reach us.
    """

    token: str | None = field(default=None, repr=False)
    read: Literal["open", "token"] = "open"
    hosts: Hosts = field(default_factory=Hosts)


class Bucket:
    """Lets `burst` through at once and `rate` a second in the long run, for each client."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """How many seconds a client must wait; 0 when it need not."""
        return max(0.0, (self._level(client) + 1 - self._burst) / self._rate)

    def take(self, client: str) -> None:
        """Count one of a client's."""
        self._spent[client] = (self._level(client) + 1, self._clock())
        self._spent.move_to_end(client)
        if len(self._spent) > _MOST_CLIENTS:
            self._spent.popitem(last=False)

    def _level(self, client: str) -> float:
        level, at = self._spent.get(client, (0.0, 0.0))
        return max(0.0, level - (self._clock() - at) * self._rate)


class TokenCheck:
    """Judges the token that a request carries. The right one is always taken, after many wrong ones, too."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._wrong = Bucket(*_WRONG_TOKENS)

    def required(self, request: Request) -> None:
        """Refuse a request without the token. The dependency of routes that nobody may read without it."""
        refusal = self.refusal(request.headers, client_of(request.scope))
        if refusal is not None:
            raise HTTPException(*refusal)

    def refusal(self, headers: Headers, client: str) -> Refusal | None:
        """Say why a request that needs the token is refused: status, text and headers. None: it has it."""
        if self._access.token is None:
            return 403, "the scheduler has no token (http.token_file): this can't be done", {}
        given = headers.get("authorization")
        scheme, _, value = (given or "").partition(" ")
        token = self._access.token.encode()
        if scheme.lower() == "bearer" and hmac.compare_digest(value.strip().encode(), token):
            return None
        challenge = {"WWW-Authenticate": 'Bearer realm="mesos-docker-scheduler"'}
        if given is None:
            return 401, "this needs the token: Authorization: Bearer TOKEN", challenge
        wait = self._wrong.wait(client)
        if wait:
            return _too_many(wait)
        self._wrong.take(client)
        return 401, "the token is wrong", challenge


class Guard:
    """ASGI middleware: lets through what is allowed, and answers the rest itself.

    It judges by method and by what is public; routes that need the token besides say so themselves, by
    `TokenCheck.required`. `end_streams` ends the answers that would go on for ever, before the server stops.
    """

    def __init__(
        self, app: ASGIApp, access: Access, tokens: TokenCheck, end_streams: Callable[[], None]
    ) -> None:
        self._app = app
        self.end_streams = end_streams
        self._access = access
        self._tokens = tokens
        self._changes = Bucket(*_CHANGES)
        self._reads = Bucket(*_READS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "lifespan":  # the server begins and ends: nobody asks for anything
            await self._app(scope, receive, send)
        if scope["type"] != "http":
            return
        answer = _Answer(send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await answer.refuse(*refusal)
            return
        await self._app(scope, _LimitedBody(receive).receive, answer.send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers, client = Headers(scope=scope), client_of(scope)
        reading = scope["method"] in _READING
        problem = self._problem_of_form(scope["path"], headers, reading)
        if problem is not None:
            return problem
        if self._needs_token(scope["path"], headers, reading):
            problem = self._tokens.refusal(headers, client)
            if problem is not None:
                return problem
        if scope["path"] != _HEALTH and not scope["path"].startswith(_PUBLIC_FOLDERS):
            limit = self._reads if reading else self._changes
            wait = limit.wait(client)
            if wait:
                return _too_many(wait)
            limit.take(client)
        return None

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
        """Whether a request names us. What needs the token anyway may have any name; so may health checks."""
        if self._access.read == "token" or path == _HEALTH:
            return True
        return self._access.hosts.allow(headers.get("host"))

    def _is_from_elsewhere(self, headers: Headers) -> bool:
        """Whether a browser says that another site's page sends this."""
        site, origin, host = (headers.get(name) for name in ("sec-fetch-site", "origin", "host"))
        if site is not None:  # no page can set it
            return site not in ("same-origin", "none")
        return origin is not None and not self._access.hosts.allow_origin(origin, host)

    def _needs_token(self, path: str, headers: Headers, reading: bool) -> bool:
        """Whether a request is judged by its token. Who gives a wrong one where none is needed is told."""
        if reading and (path in _PUBLIC or path.startswith(_PUBLIC_FOLDERS)):
            return False
        if reading and self._access.read == "open":
            return self._access.token is not None and "authorization" in headers
        return True


def client_of(scope: Scope) -> str:
    """The address of who asks."""
    return str(scope["client"][0]) if scope.get("client") else ""


def _too_many(wait: float) -> Refusal:
    seconds = int(wait) + 1
    return 429, f"too many requests; try again in {seconds} s", {"Retry-After": str(seconds)}


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
    """Puts our headers on every answer."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def refuse(self, status: int, text: str, headers: dict[str, str]) -> None:
        fields = {"Content-Type": "application/json", **headers}
        if status == _TOO_LARGE[0]:
            # Only then: to close while the body is still coming can take the answer along.
            fields["Connection"] = "close"
        raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": orjson.dumps({"error": text})})
