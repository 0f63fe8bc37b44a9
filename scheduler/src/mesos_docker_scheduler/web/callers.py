"""Who asks, and whether he may: by the token that a request carries, or by the session that it belongs to."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.types import Scope

from mesos_docker_scheduler.records.tokens import SITE, Role, Token, digest
from mesos_docker_scheduler.web.bucket import Bucket
from mesos_docker_scheduler.web.sessions import Session, Sessions

Refusal = tuple[int, str, dict[str, str]]
"""Status, text and headers."""
COOKIE = "mesos-docker-scheduler-session"

_WRONG_TOKENS = (0.2, 10)  # a second, and at once
_NOT_KNOWN: Refusal = (
    503,
    "whose token this is can't be said before the state was read from ZooKeeper; try again",
    {"Retry-After": "5"},
)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="mesos-docker-scheduler"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: by which token, from which address, and in which session of the page, if in one."""

    token: Token
    address: str
    session: Session | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """The words that events have for him."""
        return f"{self.token.name}, from {self.address or 'unknown'}"


class Callers:
    """Knows all tokens: that of the configuration (None: there is none), and `made`, those of the API.

    Where `made` gives None, they are not known yet, and one that is not the configuration's may be right.
    A right token is always taken, after many wrong ones, too.
    """

    def __init__(self, site_token: str | None, made: Callable[[], Iterable[Token] | None]) -> None:
        self._site = (
            () if site_token is None else (Token(SITE, "admin", digest(site_token), by="http.token_file"),)
        )
        self._made = made
        self._wrong = Bucket(*_WRONG_TOKENS)
        self.sessions = Sessions(lambda token: token in self.tokens)

    @property
    def tokens(self) -> tuple[Token, ...]:
        """All that are good now."""
        return (*self._site, *(self._made() or ()))

    def by_header(self, authorization: str, address: str) -> Caller | Refusal:
        """Who shows this header, or why it is no good."""
        scheme, _, value = authorization.partition(" ")
        return self.by_token(value.strip() if scheme.lower() == "bearer" else "", address)

    def by_token(self, token: str, address: str) -> Caller | Refusal:
        """Who has this token, or why it is none."""
        shown = digest(token)
        found = [one for one in self.tokens if hmac.compare_digest(one.digest, shown)]
        if found:
            return Caller(found[0], address)
        if self._made() is None:
            return _NOT_KNOWN
        wait = self._wrong.wait(address)
        if wait:
            return too_many(wait)
        self._wrong.take(address)
        return 401, "the token is wrong", _CHALLENGE

    def by_session(self, headers: Headers, address: str) -> Caller | None:
        """Who has logged in; a cookie that is no good is like none."""
        secret = session_secret(headers)
        session = self.sessions.use(secret, address) if secret else None
        return None if session is None else Caller(session.token, address, session)

    def refusal(self, caller: Caller | None, role: Role) -> Refusal | None:
        """Say why he may not do what needs this role; None: he may."""
        if caller is None and not self.tokens:
            return 403, "the scheduler has no token (http.token_file): this can't be done", {}
        if caller is None:
            return 401, "this needs a token: Authorization: Bearer TOKEN", _CHALLENGE
        if not caller.token.may(role):
            text = f'the token "{caller.token.name}" has the role {caller.token.role}; this needs {role}'
            return 403, text, {}
        return None

    def require(self, role: Role) -> Callable[[Request], None]:
        """Refuse requests without this role. The dependency of routes that need it whatever others may do."""

        def required(request: Request) -> None:
            refusal = self.refusal(caller_of(request.scope), role)
            if refusal is not None:
                raise HTTPException(*refusal)

        return required

    def still(self, caller: Caller | None) -> bool:
        """Whether who was let in would be let in again: a token can be revoked, and a session end."""
        if caller is None:
            return True
        return caller.token in self.tokens if caller.session is None else self.sessions.lives(caller.session)


def address_of(scope: Scope) -> str:
    """The address of who asks."""
    return str(scope["client"][0]) if scope.get("client") else ""


def caller_of(scope: Scope) -> Caller | None:
    """Who asks, as the guard has found out; None: nobody that we know."""
    caller: Caller | None = scope.get("state", {}).get("caller")
    return caller


def note_caller(scope: Scope, caller: Caller | None) -> None:
    """Have `caller_of` know it."""
    scope.setdefault("state", {})["caller"] = caller


def session_secret(headers: Headers) -> str | None:
    """What the session's cookie holds."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE)


def too_many(wait: float) -> Refusal:
    """Refuse somebody who must wait for so many seconds."""
    seconds = int(wait) + 1
    return 429, f"too many requests; try again in {seconds} s", {"Retry-After": str(seconds)}
