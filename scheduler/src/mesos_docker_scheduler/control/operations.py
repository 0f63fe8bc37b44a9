"""What operators may ask for while the scheduler runs. Each is done at once and as a whole, or refused."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from mesos_docker_scheduler.config import MOST_INSTANCES, Service
from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.control.stopping import Stopping
from mesos_docker_scheduler.errors import Error
from mesos_docker_scheduler.observability.snapshot import Leader
from mesos_docker_scheduler.planning.service_planner import Kill
from mesos_docker_scheduler.records.desired import Desired
from mesos_docker_scheduler.records.failures import Failures
from mesos_docker_scheduler.records.overrides import Overrides
from mesos_docker_scheduler.records.rollout import Rollout, Rollouts, anew, made_as
from mesos_docker_scheduler.records.tasks import TaskState, wait_key
from mesos_docker_scheduler.records.tokens import MOST_TOKENS, SITE, Role, Token, Tokens
from mesos_docker_scheduler.records.versions import Versions
from mesos_docker_scheduler.wording import printable

_MOST_OF_COMMAND = 500


class RefusedError(Error):
    """What was asked for is not done; the message says why."""


class NotFoundError(RefusedError):
    """There is no such service or instance."""


class UnavailableError(RefusedError):
    """Nothing can be done at the moment."""


class NotLeadingError(RefusedError):
    """Another scheduler leads, and has to be asked; `leader` is None while nobody is known to."""

    def __init__(self, leader: Leader | None) -> None:
        where = f"the one on {leader.host} does" if leader is not None else "nobody does at the moment"
        super().__init__(f"this scheduler does not lead: {where}")
        self.leader = leader


class ChangedError(RefusedError):
    """Somebody or something was faster."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """How another scheduler comes to lead: why none can at the moment (None: one can), and what ends us."""

    problem: Callable[[], str | None]
    stop: Callable[[], None]


class Operations:
    """Carries out one request at a time, in the controller's round. Times are seconds of the epoch.

    `configured` finds a service as the file has it; what it asks for is known by the file's services alone.
    `refusals` says what a service asks for and may not have. `hand_over`, where schedulers share their state,
    says why no other one can lead (None: one can), and what has this one stop.
    """

    def __init__(
        self,
        ledger: Ledger,
        overrides: Overrides,
        rollouts: Rollouts,
        versions: Versions,
        failures: Failures,
        stopping: Stopping,
        tokens: Tokens,
        *,
        configured: Callable[[str], Service | None],
        refusals: Callable[[Service], list[str]],
        hand_over: HandOver | None = None,
    ) -> None:
        self._ledger = ledger
        self._overrides = overrides
        self._rollouts = rollouts
        self._versions = versions
        self._failures = failures
        self._stopping = stopping
        self._tokens = tokens
        self._configured = configured
        self._refusals = refusals
        self._hand_over = hand_over

    def step_down(self, by: str, now: float) -> None:
        """Stop leading, once that is durable: another one takes over at once."""
        if self._hand_over is None:
            raise RefusedError("this scheduler is the only one: nobody would take over")
        problem = self._hand_over.problem()
        if problem is not None:
            raise RefusedError(f"nobody would take over: {problem}")
        self._note(now, "this scheduler steps down", by, "")
        self._ledger.send(self._hand_over.stop)

    def expect(self, name: str, revision: str) -> None:
        """Go on only if what is asked of a service is still what somebody has seen."""
        service, rollout = self._service(name), self._rollouts.records.get(name)
        now = Desired(service, self._overrides.of(name), rollout).revision
        if revision != now:
            raise ChangedError(
                f"{name} has changed since you looked: its revision is {now}, not {revision}; look again"
            )

    def scale(self, name: str, count: int, by: str, now: float) -> None:
        """Run so many instances, until the file says another number than today."""
        if not 0 <= count <= MOST_INSTANCES:
            raise RefusedError(
                f"count: {count} is not allowed; it must be a whole number from 0 to {MOST_INSTANCES}"
            )
        service, override = self._service(name), self._overrides.of(name)
        if service.mode == "global":
            raise RefusedError(
                f'{name} can\'t be scaled: with mode "global" it has one instance on each slave'
            )
        before = self._wanted(service)
        new = None if count == service.count else count
        self._overrides.put(replace(override, count=new, configured=service.count, since=now))
        text = f"scaled from {before} to {count}"
        text += "" if new is None else f"; the configuration says {service.count}"
        self._note(now, text, by, name)

    def reset(self, name: str, by: str, now: float) -> None:
        """Run what the file says: so many instances, and of that version. Nothing happens if that is so."""
        service, override, rollout = self._service(name), self._overrides.of(name), self._rollout(name)
        if override.count is not None:
            self._overrides.put(replace(override, count=None))
            self._note(now, f"scaled back from {override.count} to {service.count}, as configured", by, name)
        if rollout is not None and rollout.stopped and rollout.by_operator:
            self.resume(name, by, now)

    def restart(self, name: str, by: str, now: float) -> None:
        """Replace all instances that run now, within the limits of an update."""
        self._service(name)
        override = self._overrides.of(name)
        # More than any instance has seen: the record is gone once the file has left the service out.
        seen = max((task.restarts for task in self._ledger.task_index.of(name)), default=0)
        self._overrides.put(replace(override, restarts=1 + max(override.restarts, seen)))
        self._note(now, "all instances are replaced, a few at a time", by, name)

    def pause(self, name: str, by: str, now: float) -> None:
        """Stop an update where it is: what is ready of it stays, the rest keeps the version before."""
        rollout = self._rollout(name)
        if rollout is None or rollout.state != "rolling" or rollout.good in (None, rollout.target):
            raise RefusedError(f"{name} is not being updated: there is nothing to pause")
        self._stop(rollout, "paused", "an operator paused it", now)
        self._note(now, "the update is paused", by, name)

    def resume(self, name: str, by: str, now: float) -> None:
        """Go on with an update that was paused, rolled back or has failed."""
        rollout = self._rollout(name)
        if rollout is None or not rollout.stopped:
            raise RefusedError(f"no update of {name} is paused or rolled back: there is nothing to resume")
        self._rollouts.put(anew(rollout, now))
        self._failures.forget(wait_key(name, rollout.target))
        self._note(now, f"the update to {self._image(name, rollout.target)} goes on", by, name)

    def roll_back(self, name: str, by: str, now: float) -> None:
        """Return to the version before, of which all were healthy; until the file asks for another."""
        rollout = self._rollout(name)
        if rollout is None or rollout.state == "rolled back":
            raise RefusedError(f"{name} has been rolled back already" if rollout else f"{name} is new")
        good = rollout.returns_to
        before = made_as(self._service(name), good, self._versions) if good is not None else None
        if good is None or before is None:
            raise RefusedError(
                f"no version of {name} before this one is on record, or its record can't be read"
            )
        refusals = self._refusals(before)
        if refusals:
            raise RefusedError(f"{name} can't be rolled back to {before.made_of}: {'; '.join(refusals)}")
        self._stop(replace(rollout, good=good, previous=None), "rolled back", "an operator asked for it", now)
        self._note(now, f"rolled back to {self._image(name, good)}", by, name)

    def kill(self, task_id: str, by: str, now: float, *, scale: bool = False) -> None:
        """Stop one instance; another takes its place, unless its service is to run one fewer (`scale`)."""
        task = self._ledger.tasks.get(task_id)
        if task is None or not task.present:
            raise NotFoundError(f'no instance "{task_id}" runs')
        if task.stopping and scale:
            raise RefusedError(
                f"{task_id} is being stopped already, and another takes its place: scale {task.service}"
                " instead"
            )
        if not task.stopping:
            if scale:
                wanted = self._wanted(self._service(task.service))
                self.scale(task.service, max(0, wanted - 1), by, now)
            self._stopping.intend(Kill(task_id, f"an operator asked for it ({by})"), now)

    def exec(
        self, task_id: str, command: Sequence[str], by: str, now: float, start: Callable[[str], None]
    ) -> None:
        """Have a command run in an instance, or without one have the instance itself looked at.

        `start` hears its agent's id, once the record is written.
        """
        task = self._ledger.tasks.get(task_id)
        if task is None or not task.present:
            raise NotFoundError(f'no instance "{task_id}" runs')
        if task.state is not TaskState.RUNNING or task.stopping:
            raise RefusedError(f"{task_id} does not run yet, or is being stopped")
        words = printable(shlex.join(command), _MOST_OF_COMMAND)
        text = f"{words} is run in the instance" if command else "somebody attaches to the instance"
        self._ledger.note(now, "operator", f"{text} ({by})", task.service, task_id)
        self._ledger.send(partial(start, task.agent_id))

    def forget_failures(self, name: str, by: str, now: float) -> None:
        """Try again at once what waits because it failed."""
        service, rollout = self._service(name), self._rollout(name)
        versions = {service.version, *((rollout.good, rollout.target) if rollout is not None else ())}
        keys = [wait_key(name, one) for one in versions if one]
        waiting = [key for key in keys if self._failures.has(key)]
        if not waiting:
            raise RefusedError(f"{name} has no failures on record: there is no back-off to reset")
        for key in waiting:
            self._failures.forget(key)
        self._note(now, "the back-off after failures is reset", by, name)

    def create_token(self, name: str, role: Role, digest: str, by: str, now: float) -> None:
        """Let somebody in with the token that has this digest."""
        if name == SITE or name in self._tokens.records:
            raise RefusedError(f'there is a token "{name}" already; revoke it first, or choose another name')
        if len(self._tokens.records) >= MOST_TOKENS:
            raise RefusedError(f"there are {MOST_TOKENS} tokens already; revoke some")
        self._tokens.keep(name, Token(name, role, digest, now, by))
        self._note(now, f'token "{name}" is made, with the role {role}', by)

    def revoke_token(self, name: str, by: str, now: float) -> None:
        """Let nobody in with this token any more."""
        if name == SITE:
            raise RefusedError(
                f'the token "{SITE}" is that of http.token_file; it changes with the file, and a restart'
            )
        if name not in self._tokens.records:
            raise NotFoundError(f'there is no token "{name}"')
        self._tokens.drop(name)
        self._note(now, f'token "{name}" is revoked', by)

    def _service(self, name: str) -> Service:
        service = self._configured(name)
        if service is None:
            raise NotFoundError(f'service "{name}" is not in the configuration')
        return service

    def _wanted(self, service: Service) -> int:
        """How many are to run now, whoever asks for them."""
        count = self._overrides.of(service.name).count
        return service.count if count is None else count

    def _rollout(self, name: str) -> Rollout | None:
        service, rollout = self._service(name), self._rollouts.records.get(name)
        return rollout if rollout is not None and rollout.target == service.version else None

    def _stop(
        self, rollout: Rollout, state: Literal["paused", "rolled back"], reason: str, now: float
    ) -> None:
        stopped = replace(rollout, state=state, reason=reason, since=now, failures=0, by_operator=True)
        self._rollouts.put(stopped)

    def _image(self, name: str, version: str) -> str:
        return self._versions.made_of(name, version) or f"version {version}"

    def _note(self, now: float, text: str, by: str, name: str = "") -> None:
        self._ledger.note(now, "operator", f"{text} ({by})", name)
