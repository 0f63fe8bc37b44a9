"""Decides whether waiting for services makes sense, and says what is missing. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mesos_docker_scheduler.config import A_COMMAND

Message = dict[str, Any]

FAILURES = 3
"""So many failures can't be bad luck. The scheduler goes on trying, but the operator should know now."""

# An update that has failed is tried again by a reload: the scheduler gets a moment to hear of it.
_STOPPED = frozenset({"update paused", "rolled back"})
_STOPPED_SECONDS = 3.0
_MOVES = frozenset({"launch", "running", "kill", "stopped", "ended", "lost", "adopted", "update"})


def awaited(status: Message, names: Collection[str]) -> list[Message]:
    """The services to wait for: those of these names, or all."""
    return [service for service in status["services"] if not names or service["name"] in names]


def missing(status: Message, names: Collection[str], *, current: bool = True) -> list[str]:
    """What the status lacks, a sentence each; nothing when all is as wanted.

    `current`: whether the configuration that is waited for is in use.
    """
    config = status["config"]
    if config["error"]:
        return [f"The scheduler refuses the configuration and keeps the old one: {config['error']}"]
    if not current:
        return ["The scheduler has not read the new configuration."]
    if not status["leads"]:
        leader = status["leader"]
        if leader is None:
            return ["No scheduler leads at the moment."]
        return [f"The scheduler on {leader['host']} leads, and alone knows whether all is as wanted."]
    lines = []
    for service in awaited(status, names):
        update = service["update"]
        # What runs, but has not run for long enough yet, may still fail: no deploy has come true with that.
        proving = update is not None and update["state"] == "rolling"
        if proving or not service["converged"]:
            moving = "the new instances to prove themselves" if proving else "instances that start or end"
            waiting = service["waiting"] or [moving]
            lines.append(f"{service['name']}: {service['running']} of {service['wanted']} run. Waiting for:")
            lines.extend(f"  - {' '.join(reason.split())}" for reason in waiting)
    if not lines and not status["connected"]:  # else the services' reasons say so
        lines.append("The scheduler is not connected to a Mesos master.")
    return lines


def overridden(status: Message, names: Collection[str]) -> list[str]:
    """Where operators have asked for something else than the configuration says, a sentence each."""
    lines = []
    for service in awaited(status, names):
        name, update = service["name"], service["update"]
        if service["scaled_since"] is not None:
            lines.append(
                f"{name}: scaled to {service['wanted']} by an operator; the configuration says"
                f" {service['configured']}"
            )
        if update is not None and update["by_operator"]:
            configured = service["image"] or A_COMMAND
            lines.append(f"{name}: {update['state']} by an operator; the configuration says {configured}")
    return lines


def has_failed(status: Message, names: Collection[str]) -> bool:
    """Whether a service waits because something has failed: for long, or until it is asked to try again."""
    return any(
        _waits_for(service, _STOPPED | {"back-off"}) and not _by_operator(service)
        for service in awaited(status, names)
    )


def _waits_for(service: Message, kinds: Collection[str]) -> bool:
    return not service["converged"] and any(reason["kind"] in kinds for reason in service["reasons"])


def _by_operator(service: Message) -> bool:
    return bool((service["update"] or {}).get("by_operator"))


class Patience:
    """Decides how long waiting makes sense: while something moves, and while instances don't keep failing.

    `idle_seconds`: how long nothing may move. Times are monotonic seconds.
    """

    def __init__(self, names: Collection[str], idle_seconds: float, now: float) -> None:
        self._names = names
        self._idle_seconds = idle_seconds
        self._moved_at = now
        self._seen: object = None
        self._failed = 0
        self._stopped_since: float | None = None

    def lost(
        self, status: Message | None, events: list[Message], now: float, *, current: bool = True
    ) -> str | None:
        """Say why there is nothing more to wait for, or return None.

        `status`: None when the scheduler does not answer; `events`: what has happened since the last look.
        `current`: whether the configuration that is waited for is in use; what the one before has led to says
        nothing.
        """
        if status is not None:
            services = awaited(status, self._names)
            self._failed += sum(self._concerns(event, "ended") for event in events)
            if self._failed >= FAILURES:
                return f"{self._failed} instances have failed."
            if current and self._has_stopped(services, now):
                return "An update has failed."
            seen = [(one["states"], one["healthy"], one["update"]) for one in services]
            moves = any(self._concerns(event, *_MOVES) for event in events)
            if moves or seen != self._seen or any(one["staging"] for one in services):
                self._seen, self._moved_at = seen, now
        if now - self._moved_at >= self._idle_seconds:
            return f"Nothing has moved for {self._idle_seconds:g} seconds."
        return None

    def _concerns(self, event: Message, *kinds: str) -> bool:
        return event["kind"] in kinds and (not self._names or event["service"] in self._names)

    def _has_stopped(self, services: list[Message], now: float) -> bool:
        if not any(_waits_for(one, _STOPPED) and not _by_operator(one) for one in services):
            self._stopped_since = None
            return False
        self._stopped_since = now if self._stopped_since is None else self._stopped_since
        return now - self._stopped_since >= _STOPPED_SECONDS
