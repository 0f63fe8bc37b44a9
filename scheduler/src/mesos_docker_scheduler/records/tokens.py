"""Who may use the API: tokens by name. Only a digest of each is kept: nobody can read a token from the store.

A digest without salt and without delay will do, as tokens are long and random.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

from mesos_docker_scheduler.records.record_book import RecordBook

RECORD = "token"
"""The kind of the store's records that hold tokens."""
SITE = "site"
"""The name of the token in `http.token_file`. It is not on record here, and no other may have its name."""
MOST_TOKENS = 100

Role = Literal["read", "operate", "admin"]
"""Each includes those before it."""
_ROLES: tuple[Role, ...] = ("read", "operate", "admin")


@dataclass(frozen=True, slots=True)
class Token:
    """One of them. `since`, in seconds of the epoch, and `by`: when and by whom it was made."""

    name: str
    role: Role
    digest: str
    since: float = 0.0
    by: str = ""

    def may(self, role: Role) -> bool:
        """Whether its role includes this one."""
        return _ROLES.index(self.role) >= _ROLES.index(role)


class Tokens(RecordBook[Token]):
    """The tokens that were made over the API, as records of the store."""

    def __init__(self) -> None:
        super().__init__(RECORD, Token)

    @property
    def all(self) -> tuple[Token, ...]:
        """Those that hold now. Any thread may ask."""
        return tuple(self.records.copy().values())


def new_token() -> str:
    """A token that nobody guesses: 256 random bits."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is kept of a token: its SHA-256, in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()
