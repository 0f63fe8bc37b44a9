from __future__ import annotations

from mesos_docker_scheduler.records.backoff import Backoff, CircuitBreaker, Delay

DELAY = Delay(initial=1, factor=2, maximum=300)


def test_the_first_failure_costs_nothing_then_the_delay_doubles_up_to_its_limit() -> None:
    assert [DELAY.after(failures) for failures in range(12)] == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert DELAY.after(10**9) == 300


def test_failures_in_a_row_are_counted() -> None:
    backoff = Backoff()
    for second in (0, 10, 20):
        backoff.failed("web", second - 1, second, DELAY, f"why {second}")
    wait = backoff.waits()["web"]
    assert (wait.failures, wait.until, wait.why) == (3, 22, "why 20")


def test_instances_that_were_started_together_fail_as_one() -> None:
    backoff = Backoff()
    backoff.failed("web", 0, 10, DELAY, "first")
    backoff.failed("web", 0, 11, DELAY, "second")
    wait = backoff.waits()["web"]
    assert (wait.failures, wait.until, wait.why) == (1, 10, "second")


def test_a_success_counts_only_for_what_was_started_after_the_failure() -> None:
    backoff = Backoff()
    backoff.failed("web", 0, 10, DELAY, "why")
    backoff.succeeded("web", 5)
    assert "web" in backoff.waits()
    backoff.succeeded("web", 11)
    assert "web" not in backoff.waits()


def test_what_nobody_asks_for_is_forgotten() -> None:
    backoff = Backoff()
    for key in ("old", "new"):
        backoff.failed(key, 0, 10, DELAY, "why")
    backoff.forget_except({"new"})
    assert backoff.waits().keys() == {"new"}


def test_another_process_goes_on_where_the_last_one_ended() -> None:
    backoff, again = Backoff(), Backoff()
    for second in (0, 10, 20):
        backoff.failed("web", second - 1, second, DELAY, "why")
    again.restore(backoff.waits(), 21)
    assert again.waits() == backoff.waits()
    assert again.take_changes() == {}


def test_a_clock_that_was_set_back_makes_no_wait_longer() -> None:
    backoff, again = Backoff(), Backoff()
    for second in (1000, 1010, 1020):
        backoff.failed("web", second - 1, second, DELAY, "why")
    again.restore(backoff.waits(), 100)
    assert (again.waits()["web"].last_failure, again.waits()["web"].until) == (100, 102)


def test_tells_once_what_has_changed() -> None:
    backoff = Backoff()
    for key in ("a", "b", "c"):
        backoff.failed(key, 0, 10, DELAY, "why")
    assert backoff.take_changes() == backoff.waits()
    backoff.succeeded("a", 11)
    backoff.forget_except({"a", "b"})
    assert backoff.take_changes() == {"a": None, "c": None}
    assert backoff.take_changes() == {}


def test_the_breaker_opens_on_a_flood_and_closes_by_itself() -> None:
    breaker = CircuitBreaker(limit=3, window=60, pause=30)
    for second in (0, 1, 2):
        breaker.failed(second)
    assert breaker.open_until(2) is None
    breaker.failed(3)
    assert breaker.open_until(3) == 33
    assert breaker.open_until(33) is None


def test_failures_far_apart_are_no_flood() -> None:
    breaker = CircuitBreaker(limit=3, window=60, pause=30)
    for second in range(0, 1000, 30):
        breaker.failed(second)
        assert breaker.open_until(second) is None
