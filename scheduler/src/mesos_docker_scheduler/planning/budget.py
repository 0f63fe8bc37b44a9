"""How many instances of a service may be started and stopped at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """Keeps two inequalities, whatever is replaced.

    - present + started <= count + surge, where `present` are all that take a place, also while they stop;
    - ready - stopped >= count - unavailable, where `ready` are those that serve and have proved themselves.

    `kept`: those that stay, whatever they are; what is missing of `count` is started. What is to be replaced
    stops when it can be spared, that is, as others become ready.
    """

    count: int
    surge: int
    unavailable: int
    kept: int
    ready: int

    @property
    def missing(self) -> int:
        """How many are to be started in the end; below 0: so many are too many."""
        return self.count - self.kept

    @property
    def spare(self) -> int:
        """How many that serve may stop now; below 0: so many too few serve."""
        return self.ready - max(0, self.count - self.unavailable)

    def startable(self, present: int, awaited: int) -> int:
        """How many may start now. `awaited`: those that can't be reached, and may come back."""
        return max(0, min(self.missing - awaited, self.count + self.surge - present))
