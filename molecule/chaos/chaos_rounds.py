"""One round: faults are injected and healed again, whatever happens, and what became of it is judged."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

import chaos_judge
from chaos_changes import CHANGES, Change
from chaos_deploy import DEPLOYMENTS, SERVICES, Deployment, Play, deploy
from chaos_draw import Drawn
from chaos_faults import FAULTS
from chaos_judge import SURGE, Toll, Verdict, Wanted
from chaos_lives import Life
from chaos_observer import Observer
from chaos_right import left_over, until_right
from chaos_struck import find
from lab_inventory import CommandError, Lab

# How long faults last that are over at once.
MOMENT_SECONDS = 1.0
# How long faults last at most for what is deployed meanwhile.
DEPLOYMENT_SECONDS = 60
# What can go wrong with a command on a host, or with waiting for one.
TROUBLE = (CommandError, AssertionError, OSError, LookupError)


class UnhealedError(Exception):
    """Faults that could not be taken back; says which, and why."""


class Injected:
    """The faults that are in force, in their order."""

    def __init__(self, observer: Observer) -> None:
        self.tolls: list[Toll] = []
        self._observer = observer
        self._open: list[tuple[str, AbstractContextManager[Toll], Toll]] = []

    def inject(self, what: str, fault: AbstractContextManager[Toll]) -> None:
        """Inject a fault; one that fails on the way has taken back what it did."""
        begun = self._observer.now()
        toll = fault.__enter__()
        toll.injected = begun
        self.tolls.append(toll)
        self._open.append((what, fault, toll))

    def heal(self) -> None:
        """Take all back, the last first. Raises UnhealedError when something could not be."""
        troubles = []
        while self._open:
            what, fault, toll = self._open.pop()
            try:
                fault.__exit__(None, None, None)
            except TROUBLE as error:
                troubles.append(f"{what}: {error}")
            toll.healed = self._observer.now()
        if troubles:
            raise UnhealedError("\n".join(troubles))


@dataclass
class Round:
    """A round that was lived through: what struck, in words, what should run after it, and the verdict."""

    what: str
    wanted: Wanted
    verdict: Verdict


def say(text: str) -> None:
    """Tell the operator what is being done, beside the table."""
    print(text, file=sys.stderr, flush=True)


def live_through(lab: Lab, observer: Observer, drawn: Drawn, wanted: Wanted, ephemeral: int | None) -> Round:
    """Inject what was drawn, heal it, wait until all is right, and judge.

    Raises Interrupted and UnhealedError; in any case all that can be healed is.
    """
    before, stopped, since = observer.running(), observer.stopped(), observer.now()
    observer.take_requests()
    injected = Injected(observer)
    verdict = Verdict()
    words: list[str] = []
    quick = drawn.deployment in DEPLOYMENTS
    lasts = any(FAULTS[blow.fault].lasts for blow in drawn.blows)
    seconds = drawn.seconds if lasts or quick else MOMENT_SECONDS
    new = DEPLOYMENTS[drawn.deployment](wanted, drawn.pick) if quick else wanted
    with ExitStack() as ending:
        deployment: Deployment | None = None
        change: Change | None = None
        try:
            if drawn.deployment in CHANGES:
                change = ending.enter_context(CHANGES[drawn.deployment](lab))
                deployment = _begin(lab, new, change.play, words, drawn.deployment, ending)
                lab.wait(drawn.moment * change.seconds)
            words += _inject_all(lab, observer, drawn, injected, verdict)
            if quick:
                what = f"{drawn.deployment} {new.count} of {new.image.rpartition('/')[2]}"
                deployment = _begin(lab, new, SERVICES, words, what, ending)
            words.append(f"{_hold(lab, seconds, deployment if quick else None):.0f} s")
        finally:
            say("  healing")
            injected.heal()
        if deployment is not None:
            status, _ = deployment.finish()
            say(f"  {deployment.playbook} during the fault: exit status {status}")
            for play in (SERVICES,) if change is None else (change.play, *change.after):
                status, output = deploy(lab, new, play)
                if status != 0:
                    verdict.problems.append(f"{play.playbook} afterwards: exit status {status}\n{output}")
        verdict.seconds, sentences = until_right(lab, observer, new)
        verdict.problems += [f"not right: {sentence}" for sentence in sentences]
    if verdict.seconds is not None:
        ended = {host for toll in injected.tolls for host in toll.hosts}
        left = left_over(lab, observer, stopped=stopped, ended=ended, ephemeral=ephemeral)
        verdict.problems += [f"left over: {sentence}" for sentence in left]
    _judge(observer, verdict, injected.tolls, before=before, since=since, old=wanted, new=new)
    return Round(", ".join(words), new, verdict)


def _begin(
    lab: Lab, wanted: Wanted, play: Play, words: list[str], what: str, ending: ExitStack
) -> Deployment:
    """Begin to deploy, and say so; it ends with `ending`."""
    words.append(what)
    say(f"  {what}")
    deployment = Deployment(lab, wanted, play)
    ending.callback(deployment.stop)
    return deployment


def _hold(lab: Lab, seconds: float, deployment: Deployment | None) -> float:
    """Let faults last so long, and until what is deployed has met them, unless they keep it from ending.

    Returns for how many seconds that was.
    """
    begun = time.monotonic()
    lab.wait(seconds)
    while deployment is not None and deployment.runs() and time.monotonic() - begun < DEPLOYMENT_SECONDS:
        lab.wait(1)
    return time.monotonic() - begun


def _inject_all(
    lab: Lab, observer: Observer, drawn: Drawn, injected: Injected, verdict: Verdict
) -> list[str]:
    """Inject the faults of the round; returns them in words. Those that can't be injected are problems."""
    words = []
    taken: set[str] = set()
    # A host that is off or frozen takes no commands: it comes last, and is the first to be healed.
    for blow in sorted(drawn.blows, key=lambda blow: FAULTS[blow.fault].alone):
        fault = FAULTS[blow.fault]
        try:
            struck = find(lab, blow, observer.running(), taken)
        except LookupError as error:
            words.append(f"{blow.fault} nowhere ({error})")
            continue
        words.append(f"{blow.fault} {struck.words}")
        say(f"  {words[-1]}")
        try:
            injected.inject(words[-1], fault.strike(lab, struck))
        except TROUBLE as error:
            verdict.problems.append(f"not injected: {words[-1]}: {error}")
            say(f"  {verdict.problems[-1]}")
        if fault.alone:
            taken |= set(struck.hosts)
    return words


def _judge(
    observer: Observer,
    verdict: Verdict,
    tolls: Sequence[Toll],
    *,
    before: Sequence[Life],
    since: float,
    old: Wanted,
    new: Wanted,
) -> None:
    until = observer.now()
    lives = [life for life in observer.lives() if life.ended is None or life.ended > since]
    verdict.lost = chaos_judge.lost(before, tolls, old, new)
    verdict.problems += [f"lost: {life}" for life in verdict.lost]
    updates = old.image != new.image
    most = max(old.count, new.count) + (SURGE if updates else 0)
    verdict.doubled, sentences = chaos_judge.doubled(lives, tolls, most, since, until)
    verdict.problems += [f"doubled: {sentence}" for sentence in sentences]
    verdict.asked, failures = observer.take_requests()
    verdict.failed = chaos_judge.unexplained(failures, observer.lives(), tolls)
    verdict.explained = len(failures) - len(verdict.failed)
    verdict.problems += [
        f"not answered: {failure.container[:12]} on {failure.host}, {failure.asked - since:.0f} s into the"
        f" round, after {failure.until - failure.asked:.1f} s: {failure.text}"
        for failure in verdict.failed
    ]
