"""When to ask Mesos about which tasks (docs/reconciliation.md of Mesos).

After every (re-)registration: implicitly once (tasks that we don't know), and explicitly about each task that
we know, again with growing pauses until each has been answered. Implicitly every 15 minutes as well.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

IMPLICIT_SECONDS = 15 * 60.0
_FIRST_RETRY_SECONDS = 2.0
_LONGEST_RETRY_SECONDS = 60.0
# Who asks again while the first answers are still on their way only makes more of them.
_ANSWERS_A_SECOND = 5_000

# A question about a task and an agent that never were is always answered (TASK_UNKNOWN), and answers come in
# the order of the questions: once it is answered, so is all asked before that can be answered at the moment.
_FENCE = "reconciliation-fence."


@dataclass(frozen=True, slots=True)
class Question:
    """A RECONCILE call to send: (task id, agent id) pairs; none of them asks for all tasks of ours."""

    tasks: tuple[tuple[str, str | None], ...]


class Reconciliation:
    """What is still unanswered, and when to ask next. Times are seconds of the epoch.

    `generation` changes with what is unanswered.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._unanswered: dict[str, str | None] = {}
        self._unasked: dict[str, str | None] = {}  # those of them that nobody was asked about yet
        self._fence: str | None = None
        self._started_at: float | None = None
        self._pause = _FIRST_RETRY_SECONDS
        self._next_explicit: float | None = None
        self._ask_by = 0.0
        self._next_implicit: float | None = None

    def start(self, tasks: Mapping[str, str | None], now: float) -> None:
        """Begin anew after a (re-)registration: `tasks` are task ids with their agents' ids."""
        self.generation += 1
        self._unanswered, self._unasked = dict(tasks), {}
        self._fence = f"{_FENCE}{uuid.uuid4().hex}"
        self._started_at = now
        self._pause = _FIRST_RETRY_SECONDS
        self._next_explicit = self._next_implicit = now
        self._ask_by = 0.0

    def stop(self) -> None:
        """Ask nothing until the next `start`: nobody is there to answer."""
        self._next_explicit = self._next_implicit = None

    def mark_stale(self, tasks: Iterable[tuple[str, str | None]], now: float) -> None:
        """Ask about these tasks, too: something may have happened to them that we were not told."""
        new = {task_id: agent_id for task_id, agent_id in tasks if task_id not in self._unanswered}
        if new:
            self.generation += 1
            self._unanswered.update(new)
            self._unasked.update(new)
            if self._next_explicit is not None:
                self._pause = _FIRST_RETRY_SECONDS
                self._next_explicit = min(self._next_explicit, now + self._pause)

    def ask_again(self, task_ids: Iterable[str]) -> None:
        """Ask at once about those of these that are unanswered: there may be more to be told now."""
        if self.settled:  # else the first answers are still on their way
            self._unasked |= {one: self._unanswered[one] for one in task_ids if one in self._unanswered}

    def ask_by(self, at: float) -> None:
        """Ask about what is unanswered at that time, too: then there is more to be told."""
        self._ask_by = at
        if self._next_explicit is not None:
            self._next_explicit = min(self._next_explicit, at)

    def answered(self, task_id: str) -> bool:
        """Note that Mesos said something about the task; returns whether it is a fence rather than a task."""
        self.generation += 1
        if task_id == self._fence:
            self._fence = None
        self._unanswered.pop(task_id, None)
        self._unasked.pop(task_id, None)
        return task_id.startswith(_FENCE)

    def take_seconds(self, now: float) -> float | None:
        """How long it took from `start` until it was settled; once for each, when that is so."""
        if not self.settled or self._started_at is None:
            return None
        started_at, self._started_at = self._started_at, None
        return now - started_at

    def due(self, now: float) -> list[Question]:
        """The calls to send now."""
        questions = []
        if self._next_implicit is not None and now >= self._next_implicit:
            questions.append(Question(()))
            self._next_implicit = now + IMPLICIT_SECONDS
        if self._next_explicit is None:
            return questions
        if now >= self._next_explicit:
            tasks: list[tuple[str, str | None]] = list(self._unanswered.items())
            if self._fence is not None:
                tasks.append((self._fence, self._fence))
            if tasks:
                questions.append(Question(tuple(tasks)))
                self._next_explicit = now + max(self._pause, len(tasks) / _ANSWERS_A_SECOND)
                self._pause = min(self._pause * 2, _LONGEST_RETRY_SECONDS)
                if now < self._ask_by:
                    self._next_explicit = min(self._next_explicit, self._ask_by)
        elif self._unasked:
            questions.append(Question(tuple(self._unasked.items())))
        self._unasked = {}
        return questions

    def next_at(self) -> float | None:
        """When `due` has something to say next, or None; 0 means at once."""
        if self._unasked and self._next_explicit is not None:
            return 0.0
        pending = self._unanswered or self._fence is not None
        times = [self._next_implicit, self._next_explicit if pending else None]
        return min((time for time in times if time is not None), default=None)

    @property
    def settled(self) -> bool:
        """Whether all that Mesos can tell at the moment has been told since `start`."""
        return self._fence is None

    @property
    def unanswered(self) -> frozenset[str]:
        """Tasks that Mesos has not answered for yet: what we know of them may be outdated."""
        return frozenset(self._unanswered)
