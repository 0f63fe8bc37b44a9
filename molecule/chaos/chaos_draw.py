"""Draws from a seed what strikes in a round. The same seed and names give the same round."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Shorter than a session of ZooKeeper's clients (10 s), longer, and longer than the masters wait for a slave
# (75 s).
SECONDS, WEIGHTS = (5.0, 20.0, 100.0), (3, 4, 1)
TWO_FAULTS, WITH_DEPLOYMENT = 0.4, 0.3


@dataclass(frozen=True)
class Place:
    """Where a fault strikes: a host of a group, the one that leads in it, or the whole group.

    against: what it is cut off from, the name of a group, or everybody else.
    """

    group: str
    leads: bool = False
    whole: bool = False
    against: str = ""


@dataclass(frozen=True)
class Blow:
    """One fault of a round. `pick` chooses among the hosts or containers of its place."""

    fault: str
    place: Place
    pick: int


@dataclass(frozen=True)
class Drawn:
    """All of a round: faults that last so many seconds, and what is deployed meanwhile, if anything.

    moment: when the faults strike a change that takes long, from 0, at its begin, to 1.
    """

    seed: int
    seconds: float
    blows: tuple[Blow, ...]
    deployment: str = ""
    pick: int = 0
    moment: float = 0.0


def draw(
    seed: int,
    faults: Mapping[str, Sequence[Place]],
    deployments: Sequence[str],
    changes: Sequence[str] = (),
) -> Drawn:
    """Return the round of this seed, of faults by name with their places. Raises ValueError without any.

    changes: those that take long. If there are any, each round has one, and no other deployment.
    """
    if not faults and not deployments and not changes:
        raise ValueError("nothing to draw from")
    dice = random.Random(seed)  # noqa: S311 - it must be the same again
    number = min(2 if dice.random() < TWO_FAULTS else 1, len(faults))
    blows = tuple(
        Blow(name, dice.choice(list(faults[name])), dice.randrange(1000))
        for name in dice.sample(sorted(faults), number)
    )
    wants_deployment = dice.random() < WITH_DEPLOYMENT or not blows
    deployment = dice.choice(sorted(deployments)) if deployments and wants_deployment else ""
    if changes:
        deployment = dice.choice(sorted(changes))
    (seconds,) = dice.choices(SECONDS, WEIGHTS)
    return Drawn(seed, seconds, blows, deployment, dice.randrange(1000), dice.random())
