from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.planning.resources import Pool, ResourceRequest, thousandths
from scheduler_fakes import resources


def need(
    cpus: float = 0, mem: float = 0, disk: float = 0, ports: tuple[int, ...] = (), gpus: int = 0
) -> ResourceRequest:
    return ResourceRequest(thousandths(cpus), thousandths(mem), thousandths(disk), ports, thousandths(gpus))


def cpus(value: float, **fields: Any) -> dict[str, Any]:
    return {"name": "cpus", "type": "SCALAR", "scalar": {"value": value}, **fields}


RESERVED = {"reservations": [{"type": "STATIC", "role": "web"}]}


def test_thousandths_are_exact_where_floats_drift() -> None:
    pool = Pool([cpus(0.3)])
    for _ in range(3):
        pool.take(need(cpus=0.1))
    assert pool.free("cpus") == 0


def test_takes_what_is_asked_and_leaves_the_rest() -> None:
    pool = Pool(resources(cpus=4, mem=100, ports="31000-31001"))
    taken, ports = pool.take(need(cpus=0.5, mem=60, ports=(0,)))
    assert [(part["name"], part.get("scalar", part.get("ranges"))) for part in taken] == [
        ("cpus", {"value": 0.5}),
        ("mem", {"value": 60.0}),
        ("ports", {"range": [{"begin": 31000, "end": 31000}]}),
    ]
    assert ports == (31000,)
    assert (pool.free("cpus"), pool.free("mem"), pool.free_ports()) == (3500, 40_000, 1)


def test_what_is_reserved_for_us_goes_first_and_keeps_its_reservation() -> None:
    pool = Pool([cpus(1), cpus(1, **RESERVED)])
    (taken,), _ = pool.take(need(cpus=0.5))
    assert taken == cpus(0.5, **RESERVED)


def test_what_is_reserved_for_fewest_roles_goes_first() -> None:
    refined = {"reservations": [{"type": "STATIC", "role": "web"}, {"type": "DYNAMIC", "role": "web/front"}]}
    pool = Pool([cpus(1), cpus(1, **RESERVED), cpus(1, **refined)])
    taken, _ = pool.take(need(cpus=2.5))
    assert taken == [cpus(1, **refined), cpus(1, **RESERVED), cpus(0.5)]


def test_gpus_are_a_scalar() -> None:
    pool = Pool([cpus(1), {"name": "gpus", "type": "SCALAR", "scalar": {"value": 2}}])
    taken, _ = pool.take(need(cpus=0.5, gpus=1))
    assert taken[1] == {"name": "gpus", "type": "SCALAR", "scalar": {"value": 1.0}}
    assert pool.lacks(need(gpus=2)) == "gpus"


def test_one_port_serves_tcp_and_udp() -> None:
    pool = Pool(resources(ports="53-54"))
    taken, ports = pool.take(need(ports=(53, 53, 0)))
    assert ports == (53, 53, 54)
    assert taken[-1]["ranges"]["range"] == [{"begin": 53, "end": 53}, {"begin": 54, "end": 54}]
    assert pool.free_ports() == 0


@pytest.mark.parametrize(
    ("wanted", "times"),
    [(need(cpus=1), 4), (need(cpus=1, mem=1500), 2), (need(cpus=9), 0), (need(ports=(31000,)), 1)],
)
def test_says_how_many_fit(wanted: ResourceRequest, times: int) -> None:
    assert Pool(resources()).room_for(wanted) == times


def test_a_copy_is_a_pool_of_its_own() -> None:
    pool = Pool(resources())
    copy = pool.copy()
    copy.take(need(cpus=4, ports=(0,)))
    assert (pool.free("cpus"), pool.free_ports()) == (4000, 10)
    assert (copy.free("cpus"), copy.free_ports()) == (0, 9)


def test_reserved_and_unreserved_are_taken_together_when_neither_is_enough() -> None:
    pool = Pool([cpus(1), cpus(1, **RESERVED)])
    taken, _ = pool.take(need(cpus=1.5))
    assert taken == [cpus(1, **RESERVED), cpus(0.5)]


@pytest.mark.parametrize(
    "special",
    [
        cpus(8, revocable={}),
        cpus(8, shared={}),
        {"name": "disk", "type": "SCALAR", "scalar": {"value": 8}, "disk": {"persistence": {"id": "x"}}},
        {"name": "disk", "type": "SCALAR", "scalar": {"value": 8}, "disk": {"source": {"type": "MOUNT"}}},
        {"name": "bugs", "type": "SET", "set": {"item": ["a"]}},
    ],
    ids=str,
)
def test_what_needs_a_wish_of_its_own_is_left_alone(special: dict[str, Any]) -> None:
    pool = Pool([special])
    assert (pool.free("cpus"), pool.free("disk")) == (0, 0)


@pytest.mark.parametrize(
    ("wanted", "lacking"),
    [
        (need(cpus=4), None),
        (need(cpus=4.001), "cpus"),
        (need(mem=4097), "mem"),
        (need(disk=10_001), "disk"),
        (need(ports=(31005,)), None),
        (need(ports=(80,)), "port 80"),
        (need(ports=(0,) * 10), None),
        (need(ports=(0,) * 11), "ports"),
    ],
)
def test_names_what_is_lacking(wanted: ResourceRequest, lacking: str | None) -> None:
    assert Pool(resources()).lacks(wanted) == lacking


def test_a_fixed_port_is_not_given_to_one_that_takes_any() -> None:
    pool = Pool(resources(ports="31000-31001"))
    assert pool.take(need(ports=(0, 31000)))[1] == (31001, 31000)


def test_a_port_that_was_given_comes_last() -> None:
    pool = Pool(resources(ports="31000-31003"))
    given = [pool.take(need(ports=(0,)))[1][0], pool.take(need(ports=(31003, 0)))[1][1]]
    assert given == [31000, 31001]
    again = Pool(resources(ports="31000-31003"), pool.next_port)
    assert [again.take(need(ports=(0,)))[1][0] for _ in range(4)] == [31002, 31003, 31000, 31001]
    assert again.copy().next_port == again.next_port


def test_the_first_port_is_any_of_those_that_are_offered() -> None:
    def first(skipped: int) -> int:
        return Pool(resources(ports="80-80,31000-31003"), skipped=skipped).take(need(ports=(0,)))[1][0]

    assert [first(skipped) for skipped in range(7)] == [80, 31000, 31001, 31002, 31003, 80, 31000]


def test_a_port_that_another_needs_by_number_is_given_last() -> None:
    pool = Pool(resources(ports="31000-31004"), skipped=1)
    spared = {31001, 31002, 31004}
    given = [pool.take(need(ports=(0,)), spared)[1][0] for _ in range(5)]
    assert set(given[:2]) == {31000, 31003}
    assert sorted(given) == [31000, 31001, 31002, 31003, 31004]


def test_spared_ports_are_given_last_even_when_they_are_reserved() -> None:
    more = resources(cpus=0, mem=0, disk=0, ports="80-80")[0]
    pool = Pool([{**more, **RESERVED}, *resources(ports="31000-31001")])
    given = [pool.take(need(ports=(0,)), {80})[1][0] for _ in range(3)]
    assert given == [31000, 31001, 80]


def test_ports_come_from_several_ranges_and_reservations() -> None:
    more = resources(cpus=0, mem=0, disk=0, ports="80-80")[0]
    pool = Pool([*resources(ports="31000-31000,32000-32000"), {**more, **RESERVED}])
    taken, ports = pool.take(need(ports=(0, 0, 0)))
    assert sorted(ports) == [80, 31000, 32000]
    assert [part["ranges"]["range"] for part in taken] == [
        [{"begin": 80, "end": 80}],
        [{"begin": 31000, "end": 31000}, {"begin": 32000, "end": 32000}],
    ]


def test_taking_too_much_is_refused_and_changes_nothing() -> None:
    pool = Pool(resources(cpus=1))
    with pytest.raises(ValueError, match="lacks cpus"):
        pool.take(need(cpus=2, mem=1))
    assert pool.free("mem") == 4_096_000


needs = st.builds(
    ResourceRequest,
    cpus=st.integers(0, 3000),
    mem=st.integers(0, 3_000_000),
    ports=st.lists(
        st.sampled_from([0, 0, 31000, 31003]), max_size=3, unique_by=lambda port: port or object()
    ).map(tuple),
)


@given(st.lists(needs, max_size=10))
def test_nothing_is_ever_given_twice_or_lost(wanted: list[ResourceRequest]) -> None:
    pool = Pool(resources())
    before = {name: pool.free(name) for name in ("cpus", "mem")}
    given_ports: list[int] = []
    for one in wanted:
        if pool.lacks(one) is None:
            taken, ports = pool.take(one)
            for name in before:
                parts = [part["scalar"]["value"] for part in taken if part["name"] == name]
                assert sum(map(thousandths, parts)) == one.scalar(name)
                before[name] -= one.scalar(name)
            given_ports += ports
    assert {name: pool.free(name) for name in before} == before
    assert len(given_ports) == len(set(given_ports))
    assert pool.free_ports() == 10 - len(given_ports)
