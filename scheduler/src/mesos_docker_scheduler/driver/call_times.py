"""How long Mesos takes to answer calls: a histogram for each type, cheap enough to be kept of every call."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 75.0)
"""The upper bounds of the buckets, in seconds; the last is the longest that we wait for an answer."""


class CallTimes:
    """One thread notes, any thread may read: what it reads may lack the very latest call.

    The types are those of the API, so there are few. A lock and a search by labels for each call, as metrics
    usually take them, would cost more than the rest of what is done about its answer.
    """

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def note(self, kind: str, seconds: float) -> None:
        """Count one call of this type that was answered."""
        counts = self._counts.get(kind)
        if counts is None:
            self._sums[kind] = 0.0
            counts = self._counts[kind] = [0] * (len(BOUNDS) + 1)
        counts[bisect_left(BOUNDS, seconds)] += 1
        self._sums[kind] += seconds

    def read(self) -> Iterator[tuple[str, list[int], float]]:
        """Each type with its calls by bucket (the last: slower than all bounds) and their seconds in all."""
        for kind, counts in list(self._counts.items()):
            yield kind, list(counts), self._sums[kind]
