"""How the scheduler says things: times, and how many of what."""

from __future__ import annotations

from datetime import datetime, timezone


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
