"""Generated histories: the real controller, planner and recovery on a simulated Mesos where much goes wrong.

A failing history is named by its seed: `pytest 'test_histories.py::test_a_history_ends_well[17]'` replays it.
SIMULATION_HISTORIES=10000 makes a long run.
"""

from __future__ import annotations

import os

import pytest
from mesos_docker_scheduler import events
from mesos_docker_scheduler.config import Config
from mesos_docker_scheduler.controller import Controller
from scheduler_fakes import configuration, service
from simulated_mesos import BAD_IMAGE, SchedulerKilledError, SimulatedMesos

HISTORIES = int(os.environ.get("SIMULATION_HISTORIES", "60"))
TROUBLED_SECONDS = 600
QUIET_SECONDS = 1500  # the longest back-off, an implicit reconciliation, and time to act on both


class History:
    def __init__(self, seed: int) -> None:
        self.mesos = SimulatedMesos(seed)
        self.random = self.mesos.random
        self.config = self.some_config()
        self.controller = self.mesos.start_scheduler(self.config)
        self.restarts = 0
        self.rounds_at_once = 0
        self.mesos.tick()

    def some_config(self, good: bool = False) -> Config:
        """What an operator may wish: it always fits on the agents, but an image may be bad."""
        images = ["demo/web:1", "demo/web:2", "demo/web:3"] + ([] if good else [BAD_IMAGE])
        update = self.random.choice(
            [{"max_surge": 1}, {"max_surge": 2}, {"max_surge": 0, "max_unavailable": 1}]
        )
        services = [service(count=self.random.randint(0, 6), image=self.random.choice(images), update=update)]
        if self.random.random() < 0.5:
            services.append(
                service(name="db", count=self.random.randint(0, 3), image=self.random.choice(images))
            )
        return configuration(*services)

    def run(self, seconds: float) -> None:
        mesos = self.mesos
        end = mesos.now + seconds
        while mesos.now < end:
            before = mesos.now
            mesos.advance(min(mesos.next_at, self.controller.wake_at, end))
            self.rounds_at_once = self.rounds_at_once + 1 if mesos.now == before else 0
            assert self.rounds_at_once < 100, "the scheduler does not sleep"
            try:
                batch, mesos.inbox = mesos.inbox, []
                if batch or mesos.now >= self.controller.wake_at:
                    self.controller.process(batch, mesos.now)
            except SchedulerKilledError:
                self.restart()
            if mesos.trouble:
                self.trouble()

    def restart(self) -> None:
        self.restarts += 1
        self.controller = self.mesos.start_scheduler(self.config)

    def trouble(self) -> None:
        """Now and then something goes wrong, or somebody changes his mind."""
        mesos = self.mesos
        if self.random.random() > 0.02:
            return
        agent = self.random.choice(list(mesos.agents.values()))
        tasks = [task for task in agent.tasks.values() if task.alive]
        what = self.random.choice(
            ["crash", "partition", "heal", "fail over", "disconnect", "restart", "change"]
        )
        if what == "crash" and tasks:
            mesos.crash(self.random.choice(tasks), agent)
        elif what == "partition":
            mesos.partition(agent)
        elif what == "heal":
            mesos.heal(agent)
        elif what == "fail over":
            mesos.fail_over()
        elif what == "disconnect":
            mesos.lose_connection()
        elif what == "restart":
            self.restart()
        elif what == "change":
            self.change(self.some_config())

    def change(self, config: Config) -> None:
        self.config = self.mesos.config = config
        self.mesos.inbox.append(events.ConfigRead(config, "sha"))

    def calm_down(self) -> None:
        self.mesos.trouble = 0
        for agent in self.mesos.agents.values():
            self.mesos.heal(agent)
        self.change(self.some_config(good=True))


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_history_ends_well(seed: int) -> None:
    history = History(seed)
    history.run(TROUBLED_SECONDS)
    history.calm_down()
    history.run(QUIET_SECONDS)
    assert history.mesos.violations == []
    for wished in history.config.services:
        alive = history.mesos.alive(wished.name)
        assert [task.state for task in alive] == ["RUNNING"] * wished.count
        assert {task.version for task in alive} <= {wished.version}
    for view in history.controller.snapshot.services:
        assert view.converged, view.waiting
    if len(history.config.services) == 1:
        assert history.mesos.alive("db") == []


def test_the_simulation_makes_trouble() -> None:
    """Without faults a history proves little: schedulers die, tasks end, masters change."""
    histories = [History(seed) for seed in range(10)]
    for history in histories:
        history.run(TROUBLED_SECONDS)
    assert sum(history.restarts for history in histories) > 10
    ended = [
        task.state
        for history in histories
        for agent in history.mesos.agents.values()
        for task in agent.tasks.values()
    ]
    assert {"KILLED", "FAILED", "RUNNING"} <= set(ended)


def test_the_same_seed_tells_the_same_history() -> None:
    def told(controller: Controller) -> list[tuple[str, str]]:
        return [(event.kind, event.text) for event in controller.snapshot.events]

    first, second = History(7), History(7)
    first.run(200)
    second.run(200)
    assert told(first.controller) == told(second.controller)
