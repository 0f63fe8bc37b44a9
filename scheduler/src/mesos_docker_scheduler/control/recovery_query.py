"""What the master must tell before anything is started or stopped, because it is not on record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mesos_docker_scheduler.control.leader import REREGISTER_SECONDS

_PATIENCE_SECONDS = 15.0
# From a question, and from its answer, to the next: each is answered with all tasks there are.
_PAUSE_SECONDS = 30.0
_COME_BACK_SECONDS = 5.0


@dataclass(slots=True)
class RecoveryQuery:
    """The open questions. Times are seconds of the epoch.

    `recovering`: without a framework id on record, why it can't be told yet what runs. `unseen`: the id is
    new, and why it can't be told yet whether an earlier framework of ours has tasks. `older`: the state was
    restored, and why it can't be told yet what else runs.
    """

    recovering: str | None = None
    unseen: str | None = None
    older: str | None = None
    _wanted: set[str] = field(default_factory=set)
    _unanswered: bool = False
    _ask_at: float = 0.0
    _until: float | None = None
    _hold_at: float = 0.0
    _older_until: float | None = None

    def want(self, task_id: str) -> None:
        """Note that a task is there of which nothing is known but its name."""
        self._wanted.add(task_id)

    def begin(self) -> None:
        """Note that an id is new."""
        self.unseen = "asking the master whether an earlier framework of ours has tasks"

    def begin_older(self) -> None:
        """Note that the state was restored: something may run that is younger than it is."""
        self.older = "asking the master what runs since the state was saved that was restored"

    def due(self, now: float) -> bool:
        """Whether to ask the master now; if so, an answer is waited for, unless one was lately."""
        if not self._is_open or now < self._ask_at:
            return False
        # An answer may be older than what is wanted from now on.
        self._wanted.clear()
        self._unanswered = True
        if self.older is not None:
            self._older_until = self._older_until or now + REREGISTER_SECONDS
        self._ask_at = now + _PAUSE_SECONDS
        if self.unseen is None and self.older is None and now >= self._hold_at:
            # Agents come back to a new master one after the other: each must not hold everything anew.
            self._until, self._hold_at = now + _PATIENCE_SECONDS, now + REREGISTER_SECONDS
        return True

    def answered(self, problem: str | None, told: Iterable[str], now: float, away: str | None = None) -> None:
        """Take the answer; `problem`: why an earlier framework of ours may still be there.

        `told`: the tasks of which more is known now. Of those that were asked for, nobody can tell more.
        `away`: why there may be others.
        """
        self._until, self._unanswered = None, False
        self._wanted.difference_update(told)
        if self.older is not None:
            self.older = away
        if self.unseen is not None:
            self.unseen = problem
            self._ask_at = 0.0 if problem is None else self._ask_at
            return
        self._ask_at = now + (_PAUSE_SECONDS if self.older is None else _COME_BACK_SECONDS)

    def failed(self) -> None:
        """Note that there is no answer: it is asked again later."""
        self._until, self._unanswered = None, True

    def why_not(self, now: float) -> str | None:
        """Why nothing may be started or stopped yet."""
        if self.unseen is not None:
            return self.unseen
        if self.older is not None and (self._older_until is None or now < self._older_until):
            return self.older
        # Facts are worth a moment, but what runs must be looked after without them, too.
        if self._until is not None and now < self._until:
            return "asking the master about instances that were not on record"
        return None

    def next_at(self, now: float) -> float | None:
        """When it is waited no longer, or asked again."""
        if self._until is not None and now < self._until:
            return self._until
        return self._ask_at if self._is_open else None

    @property
    def _is_open(self) -> bool:
        return bool(self._wanted or self._unanswered or self.unseen or self.older)
