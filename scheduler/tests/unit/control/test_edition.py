"""Which configuration is the newer one."""

from __future__ import annotations

from pathlib import Path

import pytest
from mesos_docker_scheduler.config import Config, Service
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.edition import Edition, Editions, recorded
from scheduler_fakes import NOW, Bench, configuration, service

WEB = service(count=2)


def edition(config: Config, written_at: float = NOW) -> Edition:
    return Edition.of(config, written_at)


@pytest.mark.parametrize(
    ("ours", "is_older"),
    [
        (edition(configuration(WEB), NOW - 1), False),  # the same, which came to this host first
        (edition(configuration(WEB, master="other:5050"), NOW - 1), False),  # each host has its own
        (edition(configuration(service(count=3)), NOW + 1), False),
        (edition(configuration(service(count=3)), NOW - 1), True),
        (edition(configuration(WEB.with_secrets({"A": "b"}, "digest")), NOW - 1), True),
    ],
)
def test_which_one_is_older(ours: Edition, is_older: bool) -> None:
    assert ours.is_older_than(edition(configuration(WEB))) is is_older
    assert not ours.is_older_than(None)


def test_what_an_operator_puts_in_place_is_newer_whatever_its_time() -> None:
    former, ours = edition(configuration(WEB), NOW), edition(configuration(service(count=3)), NOW - 1000)
    editions = Editions(former)
    editions.take(ours)
    now = recorded({key: str(value) for key, value in editions.take_records().items()})
    assert now is not None
    assert now.digest == ours.digest
    assert former.is_older_than(now)
    assert editions.take_records() == {}
    editions.take(edition(configuration(service(count=3)), NOW - 500))
    assert editions.take_records() == {}, "it is the same"


def test_what_the_leader_acts_on_is_written_down(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WEB)
    bench.take()
    assert recorded(bench.store.load().records) == edition(configuration(WEB), 0.0)
    newer = configuration(service(count=3))
    bench.take(events.ConfigRead(newer, "sha", written_at=NOW + 5))
    assert recorded(bench.store.load().records) == edition(newer, NOW + 5)


def test_fields_that_a_newer_scheduler_knows_change_nothing() -> None:
    """A follower that is upgraded first must be able to lead."""

    class Newer(Service):
        a_new_field: bool = False

    newer = Newer.model_validate(WEB.model_dump())
    assert newer.version == WEB.version
    assert edition(configuration(newer)).digest == edition(configuration(WEB)).digest
