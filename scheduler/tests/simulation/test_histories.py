"""Generated histories: the real controller, planner and recovery on a simulated Mesos where much goes wrong.

A failing history is named by its seed: `pytest 'test_histories.py::test_a_history_ends_well[17]'` replays it,
and its failure tells what happened last. `make test-simulation HISTORIES=10000` makes a long run.
"""

from __future__ import annotations

import os
from functools import partial

import pytest
from simulated_mesos.history import TROUBLED_SECONDS, History
from simulated_mesos.master import REREGISTER_SECONDS

HISTORIES = int(os.environ.get("SIMULATION_HISTORIES", "200"))
SWEEPS = min(HISTORIES, 4)


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_history_ends_well(seed: int) -> None:
    History(seed).tell()


@pytest.mark.parametrize("seed", range(SWEEPS))
def test_the_scheduler_may_be_killed_at_every_step_of_an_update(seed: int) -> None:
    def update(kill_at: int | None) -> int:
        """An update without other faults; returns how many steps the scheduler took."""
        history = History(1_000_000 + seed, trouble=0.0, config=None)
        history.run(60)
        history.change(history.wishes.good())
        before = history.fate.steps
        if kill_at is not None:
            history.fate.kill_at = before + kill_at
        history.tell_rest()
        return history.fate.steps - before

    steps = update(None)
    assert steps > 10
    for step in range(1, steps + 1, 1 if HISTORIES > 1000 else 7):
        update(step)


def converged(seed: int) -> History:
    """A history without faults, once all is as wished."""
    history = History(seed, trouble=0.0)
    history.change(history.wishes.good())
    history.finish()
    history.fate.counts.clear()
    return history


@pytest.mark.parametrize("seed", range(SWEEPS))
def test_what_comes_back_to_a_master_with_an_empty_registry_runs_on(seed: int) -> None:
    history = converged(2_000_000 + seed)
    master, fate = history.wire.master, history.fate
    before = {container.id for _, container in master.containers()}
    history.wire.fail_over(registry_lost=True)
    for agent in list(master.agents.values()):
        fate.later(fate.between(0.5, REREGISTER_SECONDS - 1), partial(master.reach, agent))
    history.tell_rest()
    assert {container.id for _, container in master.containers()} == before
    assert not fate.counts["launches"]
    assert not fate.counts["kills"]


@pytest.mark.parametrize("seed", range(SWEEPS))
def test_what_never_comes_back_to_it_is_replaced_once_the_time_is_over(seed: int) -> None:
    history = converged(3_000_000 + seed)
    master, fate = history.wire.master, history.fate
    busy = {agent.id for agent, _ in master.containers()}
    history.wire.fail_over(registry_lost=True)
    for agent in list(master.agents.values()):
        if agent.id == min(busy):
            agent.die()
            fate.later(5, partial(master.add, agent.machine))
        else:
            fate.later(fate.between(0.5, 40), partial(master.reach, agent))
    history.run(REREGISTER_SECONDS)
    assert not fate.counts["launches"]
    history.run(30)
    assert fate.counts["launches"]
    history.tell_rest()
    assert not fate.counts["kills"]


def test_the_simulation_makes_trouble() -> None:
    """Without faults a history proves little: schedulers die, tasks end, masters change."""
    histories = [History(seed, trouble=0.05) for seed in range(1, 41)]
    for history in histories:
        history.run(TROUBLED_SECONDS)
        history.close()
    happened = {kind for history in histories for kind in history.fate.counts}
    assert {
        "scheduler killed",
        "disk full",
        "partition",
        "fail over",
        "lose registry",
        "drain",
        "announce",
        "mark gone",
    } <= happened
    assert {
        "crash",
        "flip health",
        "offer rescinded",
        "call lost",
        "update twice",
        "launches",
        "hang",
    } <= happened


def test_the_same_seed_tells_the_same_history() -> None:
    def told(seed: int) -> str:
        history = History(seed)
        history.run(200)
        history.close()
        # Names of fences are made by chance that is not the history's.
        return "\n".join(line for line in history.fate.told(0).splitlines() if "fence" not in line)

    assert told(7) == told(7)
    assert told(7) != told(8)
