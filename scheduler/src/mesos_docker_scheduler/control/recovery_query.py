"""What the master must tell before anything is started or stopped, because it is not on record."""

from __future__ import annotations

from dataclasses import dataclass

_PATIENCE_SECONDS = 15.0
_PAUSE_SECONDS = 30.0


@dataclass(slots=True)
class RecoveryQuery:
    """The open questions. Times are seconds of the epoch.

    `recovering`: without a framework id on record, why it can't be told yet what runs. `unseen`: the id is
    new, and why it can't be told yet whether an earlier framework of ours has tasks.
    """

    recovering: str | None = None
    unseen: str | None = None
    _wanted: bool = False
    _ask_at: float = 0.0
    _until: float | None = None

    def want(self) -> None:
        """Note that a task is there of which nothing is known but its name."""
        self._wanted = True

    def begin(self) -> None:
        """Note that an id is new."""
        self.unseen = "asking the master whether an earlier framework of ours has tasks"

    def due(self, now: float) -> bool:
        """Whether to ask the master now; if so, an answer is waited for."""
        if not (self._wanted or self.unseen is not None) or now < self._ask_at:
            return False
        self._ask_at, self._until = now + _PAUSE_SECONDS, now + _PATIENCE_SECONDS
        return True

    def answered(self, problem: str | None) -> None:
        """Take the answer; `problem`: why an earlier framework of ours may still be there."""
        self._until, self._wanted = None, False
        if self.unseen is not None:
            self.unseen = problem
        if problem is None:
            self._ask_at = 0.0

    def failed(self) -> None:
        """Note that there is no answer: it is asked again later."""
        self._until = None

    def why_not(self, now: float) -> str | None:
        """Why nothing may be started or stopped yet."""
        if self.unseen is not None:
            return self.unseen
        # Facts are worth a moment, but what runs must be looked after without them, too.
        if self._until is not None and now < self._until:
            return "asking the master about instances that were not on record"
        return None

    def next_at(self, now: float) -> float | None:
        """When it is waited no longer, or asked again."""
        if self._until is not None and now < self._until:
            return self._until
        return self._ask_at if self._wanted or self.unseen is not None else None
