"""Sessions of the page: who has logged in with a token is known by a cookie that is no token."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mesos_docker_scheduler.records.tokens import Token, digest

IDLE_SECONDS = 30 * 60
"""A session ends when it has not been used for so long ..."""
LONGEST_SECONDS = 12 * 3600
"""... or when it is so old."""
_MOST_SESSIONS = 1_000


@dataclass(slots=True)
class Session:
    """`token`: the one it was begun with. It counts from one `address` only. Times are monotonic seconds."""

    token: Token
    address: str
    begun_at: float
    used_at: float
    ended: bool = False


class Sessions:
    """Those that have begun, by the digest of their secret: how long a look-up takes tells nothing of it.

    They live in memory: a restart of the scheduler ends them. `holds`: whether a token is still good.
    """

    def __init__(self, holds: Callable[[Token], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._holds = holds
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def begin(self, token: Token, address: str) -> str:
        """Let somebody in; returns the session's secret. If there are very many, the oldest gives way."""
        secret, now = secrets.token_urlsafe(32), self._clock()
        self._sessions[digest(secret)] = Session(token, address, now, now)
        if len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return secret

    def use(self, secret: str, address: str) -> Session | None:
        """The session with this secret, which has been used now; None if there is none from this address."""
        key = digest(secret)
        session = self._sessions.get(key)
        if session is None or session.address != address:
            return None
        if not self.lives(session):
            del self._sessions[key]
            return None
        session.used_at = self._clock()
        return session

    def lives(self, session: Session) -> bool:
        """Whether it has not ended. To ask is not to use it."""
        now = self._clock()
        return (
            not session.ended
            and now - session.used_at < IDLE_SECONDS
            and now - session.begun_at < LONGEST_SECONDS
            and self._holds(session.token)
        )

    def end(self, secret: str) -> None:
        """End the session with this secret, if there is one."""
        session = self._sessions.pop(digest(secret), None)
        if session is not None:
            session.ended = True  # streams that it has open look at it
