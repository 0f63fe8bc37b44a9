"""Who may do what: the token, the limits on requests, and headers that keep browsers safe."""

from __future__ import annotations

import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import orjson
from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY_BYTES = 16 * 1024
"""No request needs more."""

_TOO_LARGE = (413, f"a request's body may have {MOST_BODY_BYTES} bytes at most")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# What anybody may have: it tells nothing of what runs.
_PUBLIC = frozenset({"/", "/healthz"})
_PUBLIC_FOLDERS = ("/static/", "/services/")
# What instances write may hold secrets.
_PRIVATE = re.compile(r"/v1/instances/[^/]+/log/?")
_CHANGES = (10.0, 50)  # a second, and at once
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
    """`token`: what changes need; None: nobody may change anything. `read`: whether reading needs it, too."""

    token: str | None = field(default=None, repr=False)
    read: Literal["open", "token"] = "open"


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


class Guard:
    """ASGI middleware: lets through what is allowed, and answers the rest itself.

    `end_streams` ends the answers that would go on for ever, before the server stops.
    """

    def __init__(self, app: ASGIApp, access: Access, end_streams: Callable[[], None]) -> None:
        self._app = app
        self.end_streams = end_streams
        self._access = access
        self._changes = Bucket(*_CHANGES)
        self._wrong_tokens = Bucket(*_WRONG_TOKENS)

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

    def _refusal(self, scope: Scope) -> tuple[int, str] | tuple[int, str, dict[str, str]] | None:
        headers = Headers(scope=scope)
        client = scope["client"][0] if scope.get("client") else ""
        reading = scope["method"] in _READING
        if not reading and _is_from_elsewhere(headers):
            return 403, "requests that change something are not taken from another site's page"
        if int(_number(headers.get("content-length"))) > MOST_BODY_BYTES:
            return _TOO_LARGE
        problem = self._token_problem(scope["path"], headers, reading, client)
        if problem is not None:
            return problem
        if not reading:
            wait = self._changes.wait(client)
            if wait:
                return _too_many(wait)
            self._changes.take(client)
        return None

    def _token_problem(
        self, path: str, headers: Headers, reading: bool, client: str
    ) -> tuple[int, str, dict[str, str]] | None:
        given = headers.get("authorization")
        is_open = reading and self._access.read == "open" and _PRIVATE.fullmatch(path) is None
        if reading and (path in _PUBLIC or path.startswith(_PUBLIC_FOLDERS)):
            return None
        if is_open and (given is None or self._access.token is None):
            return None
        if self._access.token is None:
            return 403, "the scheduler has no token (http.token_file): this can't be done", {}
        return self._refuse_token(self._access.token, given, client)

    def _refuse_token(
        self, token: str, given: str | None, client: str
    ) -> tuple[int, str, dict[str, str]] | None:
        wait = self._wrong_tokens.wait(client)
        if wait:
            return _too_many(wait)
        scheme, _, value = (given or "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(value.strip().encode(), token.encode()):
            return None
        challenge = {"WWW-Authenticate": 'Bearer realm="mesos-docker-scheduler"'}
        if given is None:
            return 401, "this needs the token: Authorization: Bearer TOKEN", challenge
        self._wrong_tokens.take(client)
        return 401, "the token is wrong", challenge


def _too_many(wait: float) -> tuple[int, str, dict[str, str]]:
    seconds = int(wait) + 1
    return 429, f"too many requests; try again in {seconds} s", {"Retry-After": str(seconds)}


def _is_from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another site's page sends this."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


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

    async def refuse(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        fields = {"Content-Type": "application/json", **(headers or {})}
        if status == _TOO_LARGE[0]:
            # Only then: to close while the body is still coming can take the answer along.
            fields["Connection"] = "close"
        raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": orjson.dumps({"error": text})})
