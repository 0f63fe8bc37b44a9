"""How the scheduler says things: times, and how many of what."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

# Half of a pair of surrogates is no text, and can't be written as UTF-8. Control characters and those that
# change the direction of writing make a terminal, or a reader of the journal, see what is not there.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
_CUT = " [...] "
_MOST_SHOWN = 80
# What begins with a bracket is how we describe them ourselves.
_CREDENTIALS = re.compile(r"://(?!\[)[^@/\s]+@")


def printable(text: str, most: int = 1000) -> str:
    """A text of others as it can be stored and shown: of at most so many characters, the first and the last.

    Tabs and ends of lines stay; another character that is not printable becomes U+FFFD.
    """
    if len(text) > most:
        half = (most - len(_CUT)) // 2
        text = f"{text[:half]}{_CUT}{text[-half:]}"
    return _UNPRINTABLE.sub("\ufffd", text)


def printable_if_any(text: str | None) -> str | None:
    """The same, of a text that may be missing."""
    return None if text is None else printable(text)


def one_line(text: str) -> str:
    """The same, on one line and without credentials that stand in a URL."""
    return re.sub(r"[\n\t]", " ", printable(_without_credentials(text)))


def excerpt(value: Any) -> str:
    """A value that somebody has given, as JSON that is not long.

    Of a list or a dictionary nothing is shown: what stands in it may be deep, or a secret.
    """
    if isinstance(value, dict | list) and value:
        return "{...}" if isinstance(value, dict) else "[...]"
    text = _without_credentials(json.dumps(value, default=str))
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


def _without_credentials(text: str) -> str:
    return _CREDENTIALS.sub("://...@", text)


def first_problem(error: ValidationError) -> str:
    """What is wrong, by the first place where something is, and without the value."""
    detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    return f"{place}: {detail['msg']}" if place else detail["msg"]


def clock(time: float) -> str:
    """A time of the epoch as people read it."""
    return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def instances(count: int) -> str:
    """COUNT instances."""
    return count_of(count, "instance")


def count_of(count: int, noun: str) -> str:
    """COUNT of a thing, in the plural where that is due."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def is_are(count: int) -> str:
    """The verb for so many."""
    return "is" if count == 1 else "are"
