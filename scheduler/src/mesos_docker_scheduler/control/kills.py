"""KILL calls that are under way. A call may be lost, so each is repeated until its task has ended."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 60.0


@dataclass(slots=True)
class _Repeat:
    not_before: float
    at: float
    pause: float
    was_sent: bool = False


class Kills:
    """When to send KILL for which task next. Times are seconds of the epoch."""

    def __init__(self) -> None:
        self._repeats: dict[str, _Repeat] = {}

    def add(self, task_id: str, at: float = 0.0) -> None:
        """Kill this task from that time on."""
        self._repeats.setdefault(task_id, _Repeat(at, at, _FIRST_PAUSE))

    def remove(self, task_id: str) -> None:
        """Leave off: the task has ended."""
        self._repeats.pop(task_id, None)

    def restart(self) -> None:
        """Send all that are due at once: there is a new master to hear it."""
        for task_id in self._repeats:
            self.hurry(task_id)

    def hurry(self, task_id: str) -> None:
        """Send it as soon as it is due: whoever has missed it before can hear it now."""
        repeat = self._repeats.get(task_id)
        if repeat is not None:
            repeat.at, repeat.pause = repeat.not_before, _FIRST_PAUSE

    def due(self, now: float) -> list[str]:
        """Tasks to send KILL for now."""
        return [task_id for task_id, repeat in self._repeats.items() if now >= repeat.at]

    def __len__(self) -> int:
        """How many tasks were to stop and have not ended."""
        return len(self._repeats)

    def sent(self, task_id: str, now: float, grace_seconds: float) -> bool:
        """Note that KILL was sent: it takes effect within the grace period, or has been lost.

        Returns whether it had been sent before.
        """
        repeat = self._repeats[task_id]
        repeated, repeat.was_sent = repeat.was_sent, True
        repeat.at = now + grace_seconds + repeat.pause
        repeat.pause = min(2 * repeat.pause, _LONGEST_PAUSE)
        return repeated

    def next_at(self) -> float | None:
        """When `due` has something to say next."""
        return min((repeat.at for repeat in self._repeats.values()), default=None)
