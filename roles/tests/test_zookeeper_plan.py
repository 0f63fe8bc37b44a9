from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/filter/zookeeper_ensemble.py")


def wanted(*hosts: str, **myids: int) -> dict[str, dict[str, Any]]:
    """Hosts a, b, c... at 10.0.0.1, 10.0.0.2, 10.0.0.3..."""
    return {
        host: {
            "address": address(host),
            "peer_port": 2888,
            "election_port": 3888,
            "client_port": 2181,
            "myid": myids.get(host, 0),
        }
        for host in hosts
    }


def address(host: str) -> str:
    return f"10.0.0.{ord(host) - ord('a') + 1}"


def member(host: str, role: str = "participant") -> str:
    return f"{address(host)}:2888:3888:{role};{address(host)}:2181"


def members(**numbers: int) -> dict[str, str]:
    return {str(number): member(host) for host, number in numbers.items()}


def server(
    myid: int,
    ensemble: Mapping[str, str],
    state: str = "follower",
    version: int = 7,
    has_data: bool = True,
    tls_step: int = 0,
) -> dict[str, Any]:
    return {
        "myid": myid,
        "members": dict(ensemble),
        "state": state,
        "in_sync": bool(state),
        "version": version,
        "has_data": has_data,
        "tls_step": tls_step,
    }


NOTHING = server(0, {}, "", 0, False)


def test_a_first_deployment_starts_all_at_once(plugin: ModuleType) -> None:
    plan = plugin.zookeeper_plan(wanted("a", "b", "c"), dict.fromkeys("abc", NOTHING))
    assert plan["mistakes"] == plan["postponed"] == []
    assert plan["ids"] == {"a": 1, "b": 2, "c": 3}
    assert plan["starting"] == ["a", "b", "c"]
    assert plan["initial"] == dict.fromkeys("abc", members(a=1, b=2, c=3))
    assert not plan["joining"]
    assert not plan["restart_order"]
    assert not plan["settled"]


def test_an_ensemble_is_settled_when_nobody_joins_leaves_or_must_be_stopped(plugin: ModuleType) -> None:
    ensemble = members(a=1, b=2, c=3)
    seen = {host: server(number, ensemble) for host, number in {"a": 1, "b": 2, "c": 3}.items()}
    assert plugin.zookeeper_plan(wanted("a", "b", "c"), seen)["settled"]
    assert not plugin.zookeeper_plan(wanted("a"), seen)["settled"]
    # It has left, and was not stopped.
    assert not plugin.zookeeper_plan(wanted("a", "b", "c"), {**seen, "d": server(4, ensemble, "")})["settled"]


def test_a_first_deployment_needs_every_server(plugin: ModuleType) -> None:
    plan = plugin.zookeeper_plan(wanted("a", "b", "c"), {"a": NOTHING, "c": NOTHING})
    assert plan["mistakes"] == [
        "There is no ZooKeeper ensemble yet, and b can't be reached: the first deployment needs all servers."
    ]


def test_nothing_to_do_and_the_leader_is_restarted_last(plugin: ModuleType) -> None:
    ensemble = members(a=1, b=2, c=3)
    plan = plugin.zookeeper_plan(
        wanted("a", "b", "c"),
        {"a": server(1, ensemble, "leader"), "b": server(2, ensemble), "c": server(3, ensemble)},
    )
    assert not any(
        plan[key] for key in ("mistakes", "postponed", "starting", "emptied", "leaving", "joining")
    )
    assert plan["restart_order"] == ["b", "c", "a"]


def test_numbers_stay_when_the_order_changes(plugin: ModuleType) -> None:
    ensemble = members(a=1, b=2, c=3)
    seen = {host: server(number, ensemble) for host, number in (("a", 1), ("b", 2), ("c", 3))}
    plan = plugin.zookeeper_plan(wanted("c", "a", "b"), seen)
    assert plan["ids"] == {"c": 3, "a": 1, "b": 2}
    assert not plan["joining"]


def test_growing_from_one(plugin: ModuleType) -> None:
    plan = plugin.zookeeper_plan(
        wanted("a", "b", "c"), {"a": server(1, members(a=1), "leader"), "b": NOTHING, "c": NOTHING}
    )
    assert plan["starting"] == ["b", "c"]
    assert plan["joining"] == members(b=2, c=3)
    assert plan["initial"]["b"] == {"1": member("a"), "2": member("b", "observer")}
    assert plan["restart_order"] == ["a"]


def test_shrinking_takes_the_others_out(plugin: ModuleType) -> None:
    ensemble = members(a=1, b=2, c=3)
    seen = {"a": server(1, ensemble), "b": server(2, ensemble, "leader"), "c": server(3, ensemble)}
    plan = plugin.zookeeper_plan(wanted("a"), seen)
    assert (plan["leaving"], plan["joining"], plan["starting"]) == (["2", "3"], {}, [])


def test_a_dead_member_is_replaced_under_a_new_number(plugin: ModuleType) -> None:
    ensemble = members(a=1, b=2, c=3)
    plan = plugin.zookeeper_plan(
        wanted("a", "b", "d"),
        {"a": server(1, ensemble, "leader"), "b": server(2, ensemble), "d": NOTHING},
    )
    assert (plan["leaving"], plan["joining"]) == (["3"], members(d=4))
    assert plan["initial"]["d"] == {**ensemble, "4": member("d", "observer")}


def test_a_new_host_first_in_the_list_renumbers_nobody(plugin: ModuleType) -> None:
    ensemble = members(b=1, c=2, e=3)
    seen = {"b": server(1, ensemble), "c": server(2, ensemble, "leader"), "e": server(3, ensemble)}
    plan = plugin.zookeeper_plan(wanted("a", "b", "c"), seen | {"a": NOTHING})
    assert plan["ids"] == {"a": 4, "b": 1, "c": 2}
    assert (plan["leaving"], plan["joining"]) == (["3"], members(a=4))


def test_a_member_that_lost_its_disk_leaves_and_joins_again(plugin: ModuleType) -> None:
    ensemble = members(a=1, b=2, c=3)
    plan = plugin.zookeeper_plan(
        wanted("a", "b", "c"), {"a": NOTHING, "b": server(2, ensemble, "leader"), "c": server(3, ensemble)}
    )
    assert (plan["emptied"], plan["leaving"], plan["starting"]) == (["1"], [], ["a"])
    assert plan["joining"] == members(a=1)
    assert plan["initial"]["a"] == members(b=2, c=3) | {"1": member("a", "observer")}


def test_a_member_that_can_not_be_reached_stays_one(plugin: ModuleType) -> None:
    ensemble = members(a=1, b=2, c=3)
    plan = plugin.zookeeper_plan(
        wanted("a", "b", "c"), {"b": server(2, ensemble, "leader"), "c": server(3, ensemble)}
    )
    assert not any(
        plan[key] for key in ("mistakes", "postponed", "starting", "emptied", "leaving", "joining")
    )
    assert plan["ids"]["a"] == 1


def test_a_server_that_can_not_be_reached_goes_by_its_address(plugin: ModuleType) -> None:
    present = wanted("a", "b", a=4)
    servers = plugin.zookeeper_wanted([address("c"), address("a")], present)
    assert servers == {address("c"): {**present["a"], "address": address("c"), "myid": 0}, "a": present["a"]}


def test_nobody_joins_while_that_would_make_an_even_number(plugin: ModuleType) -> None:
    plan = plugin.zookeeper_plan(
        wanted("a", "b", "c"), {"a": server(1, members(a=1), "leader"), "b": NOTHING}
    )
    assert not plan["joining"]
    assert "c can't be reached" in plan["postponed"][0]
    assert plan["restart_order"] == list(plan["initial"]) == ["a"], "one that waits is left alone"


def test_without_a_majority_nothing_is_done(plugin: ModuleType) -> None:
    ensemble = members(a=1, b=2, c=3)
    plan = plugin.zookeeper_plan(wanted("a", "b", "c"), {"a": server(1, ensemble, "")})
    assert "ZooKeeper has no majority" in plan["mistakes"][0]
    assert "1 can be reached" in plan["mistakes"][0]


def test_an_ensemble_written_in_zoo_cfg_is_taken_over(plugin: ModuleType) -> None:
    former = {"1": "10.0.0.1:2888:3888", "2": "10.0.0.2:2888:3888", "3": "10.0.0.3:2888:3888"}
    seen = {host: server(number, former, version=0) for host, number in (("a", 1), ("b", 2), ("c", 3))}
    plan = plugin.zookeeper_plan(wanted("a", "b", "c"), seen)
    assert not plan["joining"]
    assert plan["initial"]["b"] == members(a=1, b=2, c=3)


def test_a_changed_port_is_a_change_of_the_member(plugin: ModuleType) -> None:
    hosts = wanted("a")
    hosts["a"]["client_port"] = 2182
    plan = plugin.zookeeper_plan(hosts, {"a": server(1, members(a=1), "leader")})
    assert plan["joining"] == {"1": "10.0.0.1:2888:3888:participant;10.0.0.1:2182"}
    assert not plan["starting"]


def test_a_number_is_never_changed(plugin: ModuleType) -> None:
    plan = plugin.zookeeper_plan(wanted("a", a=7), {"a": server(1, members(a=1), "leader")})
    assert "can't be changed" in plan["mistakes"][0]
    assert plugin.zookeeper_plan(wanted("a", a=7), {"a": NOTHING})["ids"] == {"a": 7}


def test_not_all_leave_at_once(plugin: ModuleType) -> None:
    seen = {"a": server(1, members(a=1), "leader"), "b": NOTHING}
    assert "keep one" in plugin.zookeeper_plan(wanted("b"), seen)["mistakes"][0]


def test_the_data_folder_of_servers_that_run_is_not_changed(plugin: ModuleType) -> None:
    seen = {"a": server(0, members(a=1), "leader", has_data=False)}
    assert "zookeeper_data_dir" in plugin.zookeeper_plan(wanted("a"), seen)["mistakes"][0]


def test_a_number_is_given_once(plugin: ModuleType) -> None:
    plan = plugin.zookeeper_plan(wanted("a", "b", "c", a=2, b=2), dict.fromkeys("abc", NOTHING))
    assert "a and b have the same zookeeper_myid, 2" in plan["mistakes"][0]


@pytest.mark.parametrize(
    ("now", "then", "between"),
    [
        ([0, 0, 0], 0, []),
        ([3, 3, 3], 3, []),
        ([0, 0, 0], 3, [1, 2]),
        ([1, 0, 1], 3, [1, 2]),  # an earlier run has ended on the way
        ([2, 2, 1], 3, [2]),
        ([3, 2, 3], 3, []),
        ([3, 3, 3], 0, [2, 1]),
    ],
)
def test_servers_learn_to_speak_another_way_step_by_step(
    plugin: ModuleType, now: list[int], then: int, between: list[int]
) -> None:
    three = members(a=1, b=2, c=3)
    seen = {host: server(ord(host) - 96, three, tls_step=step) for host, step in zip("abc", now, strict=True)}
    assert plugin.zookeeper_plan(wanted(*"abc"), seen, then)["tls_steps"] == between


def test_a_server_that_is_alone_or_down_needs_no_step_between(plugin: ModuleType) -> None:
    alone = {"a": server(1, members(a=1), "leader")}
    assert plugin.zookeeper_plan(wanted("a"), alone, 3)["tls_steps"] == []
    three = members(a=1, b=2, c=3)
    seen = {"a": server(1, three, tls_step=3), "b": server(2, three, tls_step=3), "c": server(3, three, "")}
    assert plugin.zookeeper_plan(wanted(*"abc"), seen, 3)["tls_steps"] == []
    assert plugin.zookeeper_plan(wanted(*"abc"), dict.fromkeys("abc", NOTHING), 3)["tls_steps"] == []


def test_nobody_leaves_while_the_others_learn_to_speak_another_way(plugin: ModuleType) -> None:
    three = members(a=1, b=2, c=3)
    seen = {host: server(ord(host) - 96, three) for host in "abc"}
    plan = plugin.zookeeper_plan(wanted("a"), seen, 3)
    assert plan["mistakes"] == [
        "ZooKeeper's servers are to speak with each other another way, and some are to leave: one after the"
        " other. Keep those that leave for this run."
    ]
