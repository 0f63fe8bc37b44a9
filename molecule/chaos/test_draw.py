"""What a seed draws."""

from __future__ import annotations

import lab_example
import pytest
from chaos_changes import CHANGES
from chaos_deploy import DEPLOYMENTS
from chaos_draw import SECONDS, draw
from chaos_faults import FAULTS
from chaos_judge import Wanted

PLACES = {name: fault.places for name, fault in FAULTS.items()}


def test_a_seed_draws_the_same_again_and_another_one_something_else() -> None:
    first = [draw(seed, PLACES, list(DEPLOYMENTS)) for seed in range(50)]
    again = [draw(seed, PLACES, list(DEPLOYMENTS)) for seed in range(50)]
    assert first == again
    assert len(set(first)) == 50


def test_every_fault_place_and_time_is_drawn_sooner_or_later() -> None:
    drawn = [draw(seed, PLACES, list(DEPLOYMENTS)) for seed in range(5000)]
    assert {(blow.fault, blow.place) for each in drawn for blow in each.blows} == {
        (name, place) for name, places in PLACES.items() for place in places
    }
    assert {each.deployment for each in drawn} == {"", *DEPLOYMENTS}
    assert {each.seconds for each in drawn} == set(SECONDS)
    assert {len(each.blows) for each in drawn} == {1, 2}


def test_the_rounds_of_the_example_strike_whoever_leads() -> None:
    faults = {name: PLACES[name] for name in lab_example.FAULTS if name in PLACES}
    drawn = [
        draw(lab_example.SEED + number, faults, ["deploy-count"]) for number in range(lab_example.ROUNDS)
    ]
    assert {(blow.fault, blow.place.group) for each in drawn for blow in each.blows if blow.place.leads} == {
        ("freeze-scheduler", "schedulers"),
        ("partition", "mesos_masters"),
        ("kill-both-leaders", "mesos_masters"),
        ("cut-power-of-host", "schedulers"),
    }
    assert all(each.seconds <= 20 for each in drawn)


def test_one_fault_strikes_once_in_a_round() -> None:
    for seed in range(50):
        (blow,) = draw(seed, {"kill-container": PLACES["kill-container"]}, []).blows
        assert blow.fault == "kill-container"


def test_deployments_alone_make_rounds() -> None:
    drawn = draw(1, {}, ["deploy-count"])
    assert (drawn.blows, drawn.deployment) == ((), "deploy-count")
    with pytest.raises(ValueError, match="nothing to draw from"):
        draw(1, {}, [])


def test_where_a_change_is_named_each_round_has_one() -> None:
    drawn = [draw(seed, PLACES, list(DEPLOYMENTS), list(CHANGES)) for seed in range(100)]
    assert {each.deployment for each in drawn} == set(CHANGES)
    assert all(0 <= each.moment < 1 and each.blows for each in drawn)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_changes_something_whatever_is_picked(name: str) -> None:
    wanted = Wanted("registry:5000/demo/web:1", 6)
    assert all(DEPLOYMENTS[name](wanted, pick) != wanted for pick in range(20))
