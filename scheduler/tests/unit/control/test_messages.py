"""Messages of Mesos that are not as expected cost no more than themselves."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore
from mesos_docker_scheduler.control import events
from scheduler_fakes import NOW, Bench, Message, offer_message, resources, service, status

SOMETHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["\ud800", "\x00", "\x1b[2J", "TEXT", "SCALAR", "RANGES", "SET", "x" * 5000]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["value", "name", "type", "range"]), st.integers(), max_size=2),
)
WINDOW = {"start": {"nanoseconds": int((NOW + 60) * 1e9)}, "duration": {"nanoseconds": 60 * 10**9}}
RESERVED = {
    "name": "cpus",
    "type": "SCALAR",
    "scalar": {"value": 1},
    "role": "web",
    "reservations": [{"type": "STATIC", "role": "web"}],
    "disk": {"persistence": {"id": "p"}},
}
OFFER = offer_message(
    more={
        "attributes": [
            {"name": "rack", "type": "TEXT", "text": {"value": "r1"}},
            {"name": "build", "type": "SCALAR", "scalar": {"value": 4711e38}},
            {"name": "span", "type": "RANGES", "ranges": {"range": [{"begin": 1, "end": 2}]}},
            {"name": "tags", "type": "SET", "set": {"item": ["a"]}},
        ],
        "unavailability": WINDOW,
        "allocation_info": {"role": "*"},
        "domain": {"fault_domain": {"region": {"name": "r"}, "zone": {"name": "z"}}},
        "url": {"scheme": "http", "address": {"hostname": "h", "ip": "10.0.0.1", "port": 5051}},
        "resources": [*resources(), RESERVED],
    }
)
INVERSE_OFFER = {"id": {"value": "inverse-1"}, "agent_id": {"value": "a"}, "unavailability": WINDOW}
FAILED: Message = {
    "reason": "REASON_COMMAND_EXECUTOR_FAILED",
    "message": "it ended",
    "healthy": False,
    "container_status": {
        "container_id": {"value": "c"},
        "network_infos": [{"ip_addresses": [{"ip_address": "10.0.0.9"}]}],
    },
}
MANY = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


def places(message: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a message, by the keys and indices that lead there."""
    parts: Any = ()
    if isinstance(message, dict):
        parts = message.items()
    elif isinstance(message, list):
        parts = enumerate(message)
    for key, part in parts:
        yield (*path, key)
        yield from places(part, (*path, key))


@st.composite
def damaged(draw: st.DrawFn, whole: Message) -> Message:
    """A message with one to three of its parts missing, or something else."""
    message = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(places(message))))
        holder: Any = message
        for key in way:
            holder = holder[key]
        if draw(st.booleans()):
            holder[last] = draw(SOMETHING)
        else:
            del holder[last]
    return message


@pytest.fixture
def site() -> Bench:
    return new_site()


def new_site() -> Bench:
    unlike = {"field": "build", "operator": "UNLIKE", "value": "x"}
    made = Bench(Path(), service(count=2, constraints=[unlike]), store=MemoryStore())
    made.subscribe()
    return made


def still_works(site: Bench) -> None:
    """Good agents get what is missing."""
    site.take(after=30)
    for info in site.launched():
        site.tell(info["task_id"]["value"], "RUNNING", info["agent_id"]["value"])
    missing = 2 - site.view.running
    site.offer("good-1", "good-2")
    assert len(site.launched()) == missing


@given(message=damaged(OFFER))
@MANY
def test_an_offer_of_any_kind_stops_nothing(message: Message) -> None:
    site = new_site()
    site.take(events.Offers((message,)))
    site.take(after=2)
    site.take(events.Offers((message,)), after=60)
    still_works(site)


@given(data=st.data())
@MANY
def test_a_status_update_of_any_kind_stops_nothing(data: st.DataObject) -> None:
    site = new_site()
    first, _ = site.launch("a", "b")
    site.take(events.Update(data.draw(damaged(status(first, "FAILED", **FAILED)))))
    still_works(site)


@given(message=damaged(INVERSE_OFFER))
@MANY
def test_an_inverse_offer_of_any_kind_stops_nothing(message: Message) -> None:
    site = new_site()
    site.launch("a", "b")
    site.take(events.InverseOffers((message,)))
    assert site.view.running == 2


def test_what_is_not_understood_is_told_counted_and_given_back(site: Bench) -> None:
    odd = {**offer_message("odd"), "hostname": 5}
    for _ in range(3):
        site.take(events.Offers((odd,)), after=1)
    assert site.driver.take("decline") == [("decline", [odd["id"]["value"]], 60.0)] * 3
    told = [event.text for event in site.events if event.kind == "not understood"]
    assert told == [
        "offer of agent odd: not understood and left out: hostname: Input should be a valid string"
    ]
    counted = site.controller._metrics.registry.get_sample_value
    assert counted("mesos_docker_scheduler_messages_left_out_total", {"kind": "offer"}) == 3


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize("odd", ["\ud800", nested(300)], ids=["half a pair of surrogates", "deep"])
def test_resources_that_could_not_be_given_back_are_not_taken(site: Bench, odd: object) -> None:
    message = offer_message("odd")
    message["resources"][0]["nobody reads this"] = odd
    site.take(events.Offers((message,)))
    assert site.driver.take("decline") == [("decline", [message["id"]["value"]], 60.0)]
    (told,) = [event.text for event in site.events if event.kind == "not understood"]
    assert "resources: Value error, can't be sent back" in told
    still_works(site)


@pytest.mark.parametrize("uuid", [5, ["x"], nested(900)], ids=range(3))
def test_an_update_without_a_uuid_that_can_be_sent_is_not_acknowledged(site: Bench, uuid: object) -> None:
    first, _ = site.launch("a", "b")
    site.driver.take("acknowledge")
    site.take(events.Update({**status(first, "FAILED"), "uuid": uuid}))
    assert site.driver.take("acknowledge") == []
    still_works(site)


def test_a_status_update_that_is_not_understood_holds_no_later_one_up(site: Bench) -> None:
    first, _ = site.launch("a", "b")
    site.driver.take("acknowledge")
    odd = status(first, "RUNNING", healthy="yes")
    site.take(events.Update(odd))
    assert site.driver.take("acknowledge") == [("acknowledge", odd["uuid"])]


@pytest.mark.parametrize("field", ["task_id", "agent_id", "uuid", "container", "address"])
def test_half_a_pair_of_surrogates_stops_nothing(site: Bench, field: str) -> None:
    first, _ = site.launch("a", "b")
    odd: Message = status(first, "FAILED")
    match field:
        case "uuid":
            odd["uuid"] = "x\ud800"
        case "container":
            odd["container_status"] = {"container_id": {"value": "x\ud800"}}
        case "address":
            odd["container_status"] = {"network_infos": [{"ip_addresses": [{"ip_address": "1\ud800"}]}]}
        case _:
            odd[field] = {"value": "x\ud800"}
    site.take(events.Update(odd))
    assert site.controller.snapshot.problem is None
    still_works(site)


def test_an_agent_without_a_name_that_can_be_written_is_not_used(site: Bench) -> None:
    site.take(events.Offers((offer_message("a\ud800"),)))
    still_works(site)


def test_what_became_of_a_task_is_asked_when_its_update_is_not_understood(site: Bench) -> None:
    first, _ = site.launch("a", "b")
    site.driver.take("reconcile")
    site.take(events.Update(status(first, "FAILED", healthy=None)))
    site.take(after=5)
    asked = [task_id for _, tasks in site.driver.take("reconcile") for task_id, _ in tasks]
    assert first in asked


@pytest.mark.parametrize("field", ["start", "duration"])
def test_a_time_beyond_all_bounds_stops_nothing(site: Bench, field: str) -> None:
    window = {**WINDOW, field: {"nanoseconds": 10**400}}
    site.take(events.Offers((offer_message("a", more={"unavailability": window}),)))
    site.take(events.InverseOffers(({**INVERSE_OFFER, "unavailability": window},)))
    still_works(site)


@pytest.mark.parametrize(
    "attribute",
    [
        {"name": "build", "type": "SCALAR", "scalar": {"value": 4711e38}},
        {"name": "build", "type": "SCALAR", "scalar": {"value": 1e308}},
        {"name": "build", "type": "SCALAR", "scalar": {"value": float("inf")}},
        {"name": "build", "type": "SCALAR", "scalar": {"value": float("nan")}},
        {"name": "build", "type": "SCALAR"},
        {"name": "build", "type": "PROTOBUF"},
        {"name": "build"},
        {"type": "TEXT", "text": {"value": "without a name"}},
        {"name": 5, "type": "TEXT", "text": {"value": "x"}},
        {"name": "build", "type": "SET", "set": {"item": ["a", 5]}},
        5,
        None,
        {"name": "build", "type": "TEXT", "text": {"value": "\ud800"}},
    ],
)
def test_an_odd_attribute_costs_no_agent(attribute: Any) -> None:
    site = Bench(Path(), service(count=1), store=MemoryStore())
    site.subscribe()
    site.take(events.Offers((offer_message("a", more={"attributes": [attribute]}),)))
    site.take(after=2)
    assert len(site.launched()) == 1


def test_texts_of_others_are_cleaned_and_cut_where_they_enter(site: Bench) -> None:
    first, _ = site.launch("a", "b")
    site.tell(first, "FAILED", message="begin\ud800\x1b[2J\u2028" + "x" * 1_000_000 + "end")
    (told,) = [event.text for event in site.events if event.kind == "ended"]
    assert "begin\ufffd\ufffd[2J\ufffdxxx" in told
    assert told.endswith("xxxend")
    assert len(told) < 1100
