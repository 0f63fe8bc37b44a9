from __future__ import annotations

import pytest
from mesos_docker_scheduler.control.offers import Demand, OfferBook
from mesos_docker_scheduler.planning.cluster import Accept
from mesos_docker_scheduler.planning.resources import Pool
from scheduler_fakes import NOW, offer_message, resources


def demand(book: OfferBook, wanted: dict[str, int], now: float) -> Demand | None:
    """The demand for the one role there is."""
    demands = book.demands({"*": wanted}, now)
    assert all(roles == ["*"] for roles in demands.values())
    return next(iter(demands), None)


@pytest.fixture
def book() -> OfferBook:
    made = OfferBook()
    made.subscribed(NOW, ())
    return made


def test_gathers_for_a_second_after_subscribing_then_no_more(book: OfferBook) -> None:
    book.add([offer_message("a")], NOW)
    assert book.gathering(NOW + 0.9)
    assert not book.gathering(NOW + 1)
    book.add([offer_message("b")], NOW + 2)
    assert not book.gathering(NOW + 2)


def test_after_reviving_it_stops_as_soon_as_all_known_agents_are_there(book: OfferBook) -> None:
    first = [offer_message("a"), offer_message("b")]
    book.add(first, NOW)
    book.gathering(NOW + 1)
    book.remove(message["id"]["value"] for message in first)
    assert demand(book, {"web": 1}, NOW + 2) is Demand.REVIVE
    book.add([offer_message("a")], NOW + 2)
    assert book.gathering(NOW + 2)
    book.add([offer_message("b")], NOW + 2.1)
    assert not book.gathering(NOW + 2.1)


def test_after_reviving_it_waits_a_quarter_of_a_second_at_most(book: OfferBook) -> None:
    book.add([offer_message("a"), offer_message("b")], NOW)
    demand(book, {"web": 1}, NOW + 2)
    book.void()
    book.add([offer_message("a")], NOW + 2)
    assert book.gathering(NOW + 2.2)
    assert not book.gathering(NOW + 2.25)


def test_suppresses_once_when_nothing_is_wanted(book: OfferBook) -> None:
    assert demand(book, {}, NOW) is Demand.SUPPRESS
    assert demand(book, {}, NOW + 1) is None
    book.suppress_failed()
    assert demand(book, {}, NOW + 2) is Demand.SUPPRESS


def test_revives_at_once_for_a_new_wish_then_ever_more_slowly(book: OfferBook) -> None:
    revived = [second for second in range(10, 300) if demand(book, {"web": 1}, NOW + second)]
    assert revived == [10, 11, 13, 17, 25, 41, 73, 133, 193, 253]
    assert demand(book, {"web": 2}, NOW + 300) is Demand.REVIVE


def test_does_not_revive_more_than_once_a_second(book: OfferBook) -> None:
    assert demand(book, {"web": 1}, NOW + 10) is Demand.REVIVE
    assert demand(book, {"web": 2}, NOW + 10.5) is None
    assert demand(book, {"web": 2}, NOW + 11) is Demand.REVIVE


def test_leaves_mesos_the_time_to_offer_by_itself_after_subscribing(book: OfferBook) -> None:
    assert demand(book, {"web": 1}, NOW) is None
    assert demand(book, {"web": 1}, NOW + 2) is Demand.REVIVE


def test_remembers_what_agents_had_and_what_was_left(book: OfferBook) -> None:
    book.add([offer_message("a", mem=100), offer_message("a", mem=50)], NOW)
    assert book.agents["a"].free["*"].free("mem") == 150_000
    book.launched(Accept("a", (), (), Pool(resources(mem=20))))
    assert book.agents["a"].free["*"].free("mem") == 20_000
    book.agent_lost("a")
    book.agent_lost("a")
    assert not book.agents["a"].free


def test_offers_whose_call_was_lost_are_declined_once_more_a_little_later(book: OfferBook) -> None:
    book.strand(["1", "2"], NOW)
    assert book.stranded(NOW + 4) == []
    assert book.stranded(NOW + 5) == ["1", "2"]
    assert book.stranded(NOW + 6) == []
    book.strand(["3"], NOW)
    book.void()
    assert book.stranded(NOW + 5) == []


def test_offers_die_with_the_connection(book: OfferBook) -> None:
    book.add([offer_message("a")], NOW)
    book.void()
    assert book.at_hand() == []
    assert not book.gathering(NOW)
