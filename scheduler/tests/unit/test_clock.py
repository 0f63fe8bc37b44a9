from __future__ import annotations

import pytest
from mesos_docker_scheduler.clock import SteadyClock

NOW = 1_700_000_000.0


class Machine:
    """A clock that can be set, and the time that passes."""

    def __init__(self) -> None:
        self.wall, self.since_boot = NOW, 1000.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.since_boot += seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def clock(machine: Machine) -> SteadyClock:
    return SteadyClock(lambda: machine.wall, lambda: machine.since_boot)


def test_tells_the_time(machine: Machine, clock: SteadyClock) -> None:
    assert clock() == NOW
    machine.pass_(86_400)
    assert clock() == NOW + 86_400


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_does_not_jump_when_the_clock_is_set_but_follows(
    machine: Machine, clock: SteadyClock, step: float
) -> None:
    machine.wall += step
    assert clock() == NOW
    machine.pass_(10)
    assert clock() == pytest.approx(NOW + 10 + (1 if step > 0 else -1))
    for _ in range(40_000):
        machine.pass_(1)
        before = clock()
        assert before - machine.wall <= max(0.0, -step)
    assert clock() == pytest.approx(machine.wall, abs=0.6)


def test_never_goes_back(machine: Machine, clock: SteadyClock) -> None:
    seen = clock()
    for step in (-7200, 0, 3600, -1, 0.2, -0.2):
        machine.wall += step
        machine.pass_(0.01)
        assert clock() > seen
        seen = clock()
        assert clock() == seen


def test_a_clock_that_was_days_behind_is_followed_at_once(machine: Machine, clock: SteadyClock) -> None:
    machine.wall += 50 * 365 * 86_400
    assert clock() == machine.wall


def test_catches_up_no_further_than_the_clock_is(machine: Machine, clock: SteadyClock) -> None:
    machine.wall += 1
    machine.pass_(1000)
    assert clock() == pytest.approx(machine.wall)


def test_the_time_of_this_machine_passes() -> None:
    clock = SteadyClock()
    first = clock()
    assert clock() > first
