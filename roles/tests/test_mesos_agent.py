"""The module that drains agents: whom it asks, which agent it takes, what of others' announcements."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any

import pytest
from masters_fake import Cluster, agent, master

Load = Callable[[str], ModuleType]
NAME, ADDRESS = "s1", "10.0.0.1:5051"
OURS = {"hostname": "s1", "ip": "10.0.0.1"}
OTHER = {"hostname": "s2", "ip": "10.0.0.2"}
LATER = {"machine_ids": [OTHER], "unavailability": {"start": {"nanoseconds": 1800000000000000000}}}


@pytest.fixture(scope="module")
def plugin(load: Load) -> ModuleType:
    return load("plugins/modules/mesos_agent.py")


@pytest.fixture(autouse=True)
def impatient(plugin: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elections are over after an instant here; the real times are for real networks."""
    for name, seconds in {"ELECTION_SECONDS": 10, "PAUSE_SECONDS": 0.02, "SETTLE_SECONDS": 0.02}.items():
        monkeypatch.setattr(plugin, name, seconds)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(agents=[agent("a1", "s1", ADDRESS), agent("a2", "s2", "10.0.0.2:5051")])


@pytest.fixture
def leader(cluster: Cluster) -> Generator[str, None, None]:
    with master(cluster) as where:
        cluster.leader = where
        yield where


@pytest.fixture
def dead() -> str:
    """Where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{unused.getsockname()[1]}"


def reach(plugin: ModuleType, state: str | None, *masters: str, **more: Any) -> tuple[bool, Any]:
    endpoints = {f"m{number}": where for number, where in enumerate(masters, 1)}
    result: tuple[bool, Any] = plugin.reach(state, plugin.Masters(endpoints, **more), NAME, ADDRESS)
    return result


def machines(cluster: Cluster) -> list[list[dict[str, str]]]:
    return [window["machine_ids"] for window in cluster.schedule.get("windows", [])]


# --- whom it asks -----------------------------------------------------------------------------------------


def test_masters_that_are_dead_or_not_known_are_left_out(
    plugin: ModuleType, cluster: Cluster, leader: str, dead: str
) -> None:
    with master(cluster) as follower:
        assert reach(plugin, None, dead, ":5050", follower)[1].agent == cluster.agents[0]
        assert reach(plugin, None, dead, ":5050", leader)[1].agent == cluster.agents[0]


def test_says_whom_it_asked_and_what_each_answered(
    plugin: ModuleType, cluster: Cluster, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin, "ELECTION_SECONDS", 0.5)
    with master(cluster) as follower, pytest.raises(plugin.UnansweredError) as unanswered:
        reach(plugin, None, dead, ":5050", follower)
    text = str(unanswered.value)
    assert "no master could say which of them leads" in text
    assert f"m1: {dead}: [Errno 111] Connection refused" in text
    assert "m2: its address is not known" in text
    assert f"m3: {follower}: status 503, it knows no leader" in text


def test_does_not_wait_when_there_is_nobody_to_ask(plugin: ModuleType) -> None:
    with pytest.raises(plugin.RefusedError, match=r"no address is known, of m1, m2: .* Set mesos_master_ip"):
        reach(plugin, None, ":5050", ":5050")


def test_asks_again_while_the_masters_elect_a_leader(
    plugin: ModuleType, cluster: Cluster, leader: str, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The follower still names the one that has died."""
    cluster.leader = dead
    pauses: list[float] = []

    def elect(seconds: float) -> None:
        pauses.append(seconds)
        cluster.leader = leader

    monkeypatch.setattr(plugin.time, "sleep", elect)
    assert reach(plugin, None, dead, leader)[1].agent == cluster.agents[0]
    assert pauses


def test_uses_no_proxy(
    plugin: ModuleType, cluster: Cluster, leader: str, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{dead}")
    monkeypatch.setenv("no_proxy", "")
    assert reach(plugin, "announced", leader)[0]


def test_a_master_may_demand_a_password(plugin: ModuleType, cluster: Cluster, leader: str) -> None:
    cluster.password = "hunter2"
    assert reach(plugin, None, leader, principal="ops", secret="hunter2")[1].agent == cluster.agents[0]
    with pytest.raises(plugin.RefusedError) as refused:
        reach(plugin, None, leader, principal="ops", secret="hunter3")
    assert f"The leading master {leader} answers GET_AGENTS with status 401" in str(refused.value)
    assert "mesos_master_credentials" in str(refused.value)
    assert "hunter" not in str(refused.value)


# --- which agent it takes ---------------------------------------------------------------------------------


def test_an_agent_of_the_same_name_elsewhere_is_not_touched(
    plugin: ModuleType, cluster: Cluster, leader: str
) -> None:
    cluster.agents = [agent("other", "s1", "10.0.0.9:5051"), agent("a1", "s1", ADDRESS)]
    assert reach(plugin, "drained", leader)[1].agent["agent_info"]["id"] == {"value": "a1"}
    assert cluster.agents[0]["active"]

    cluster.agents = [agent("other", "s1", "10.0.0.9:5051"), agent("a2", "s2", ADDRESS)]
    with pytest.raises(plugin.RefusedError) as refused:
        reach(plugin, "drained", leader)
    assert str(refused.value) == (
        "Mesos knows no agent with the hostname s1 at 10.0.0.1:5051. "
        "It knows s1 at 10.0.0.9:5051 (other, active), s2 at 10.0.0.1:5051 (a2, active). "
        "Do mesos_slave_hostname and mesos_slave_ip say the same?"
    )
    assert all(one["active"] for one in cluster.agents)


def test_of_an_agent_that_began_anew_the_old_registration_is_left_alone(
    plugin: ModuleType, cluster: Cluster, leader: str
) -> None:
    cluster.agents = [agent("old", "s1", ADDRESS, active=False), agent("new", "s1", ADDRESS)]
    assert reach(plugin, "drained", leader)[1].agent["agent_info"]["id"] == {"value": "new"}


@pytest.mark.parametrize("active", [True, False])
def test_two_that_may_be_meant_are_named(
    plugin: ModuleType, cluster: Cluster, leader: str, active: bool
) -> None:
    cluster.agents = [agent(id_, "s1", ADDRESS, active=active) for id_ in ("a1", "a2")]
    word = "active" if active else "not active"
    with pytest.raises(plugin.RefusedError, match=rf"knows 2 agents .*\(a1, {word}\), .*\(a2, {word}\)"):
        reach(plugin, "drained", leader)
    assert not cluster.calls


def test_says_why_there_is_no_agent(plugin: ModuleType, cluster: Cluster, leader: str) -> None:
    cluster.agents = [agent("a3", "s3", "10.0.0.3:5051")]
    with pytest.raises(plugin.RefusedError, match="None of its 1 agents has that name or that address"):
        reach(plugin, "drained", leader)
    cluster.recovered = [{"id": {"value": "a1"}, "hostname": "s1"}]
    with pytest.raises(plugin.RefusedError, match="has not registered again since the master was elected"):
        reach(plugin, "drained", leader)


# --- the way ----------------------------------------------------------------------------------------------


def test_the_way_to_drained_and_back(plugin: ModuleType, cluster: Cluster, leader: str) -> None:
    cluster.schedule = {"windows": [LATER]}
    assert reach(plugin, "announced", leader)[0]
    assert machines(cluster) == [[OTHER], [OURS]]
    assert reach(plugin, "announced", leader)[0] is False

    cluster.schedule["windows"].remove(LATER)
    assert reach(plugin, "drained", leader)[0]
    assert plugin.drain_state(cluster.agents[0]) == "DRAINING"
    assert cluster.schedule == {"windows": []}
    for state in ("announced", "drained"):
        assert reach(plugin, state, leader)[0] is False, "a drained agent needs no announcement"

    assert reach(plugin, "active", leader)[0]
    assert reach(plugin, "active", leader)[0] is False
    assert cluster.agents[0]["active"]
    assert cluster.calls == [
        "UPDATE_MAINTENANCE_SCHEDULE",
        "DEACTIVATE_AGENT",
        "UPDATE_MAINTENANCE_SCHEDULE",
        "DRAIN_AGENT",
        "REACTIVATE_AGENT",
    ]


@pytest.mark.parametrize("state", ["announced", "drained"])
def test_check_mode_says_that_it_would_change_something_and_does_not(
    plugin: ModuleType, cluster: Cluster, leader: str, state: str
) -> None:
    masters = plugin.Masters({"m1": leader})
    assert plugin.reach(state, masters, NAME, ADDRESS, check_mode=True)[0]
    assert not cluster.calls


def test_what_mesos_refuses_is_said(plugin: ModuleType, cluster: Cluster, leader: str) -> None:
    cluster.schedule = {"windows": [LATER]}  # this master drains nobody while something is announced
    with pytest.raises(plugin.RefusedError, match="answers DRAIN_AGENT with status 400"):
        reach(plugin, "drained", leader)


def test_tasks_are_those_of_the_agent(plugin: ModuleType, cluster: Cluster, leader: str) -> None:
    cluster.tasks = [
        {"task_id": {"value": f"t{number}"}, "agent_id": {"value": id_}}
        for number, id_ in enumerate(("a1", "a2", "a1"))
    ]
    assert plugin.tasks_of(plugin.Masters({"m1": leader}), cluster.agents[0]) == ["t0", "t2"]


# --- others' announcements --------------------------------------------------------------------------------


def test_an_announcement_that_another_has_overwritten_is_made_again(
    plugin: ModuleType, cluster: Cluster, leader: str
) -> None:
    def overwrite_once() -> None:
        cluster.after_write = lambda: None
        cluster.schedule = {"windows": [LATER]}  # made of what was there before ours

    cluster.after_write = overwrite_once
    assert reach(plugin, "announced", leader)[0]
    assert machines(cluster) == [[OTHER], [OURS]]


def test_an_announcement_that_another_has_brought_back_is_taken_back_again(
    plugin: ModuleType, cluster: Cluster, leader: str
) -> None:
    before = {"windows": [LATER, {**LATER, "machine_ids": [OURS]}]}
    cluster.schedule = before

    def overwrite_once() -> None:
        cluster.after_write = lambda: None
        cluster.schedule = before

    cluster.after_write = overwrite_once
    assert reach(plugin, "active", leader)[0]
    assert machines(cluster) == [[OTHER]]


def test_an_announcement_made_since_the_first_look_stays(
    plugin: ModuleType, cluster: Cluster, leader: str
) -> None:
    """As between the two steps of a drain, which may be ten minutes apart."""
    reach(plugin, "announced", leader)
    cluster.schedule["windows"].append(LATER)
    plugin.reach("active", plugin.Masters({"m1": leader}), NAME, ADDRESS)
    assert machines(cluster) == [[OTHER]]


def test_gives_up_when_somebody_always_overwrites_it(
    plugin: ModuleType, cluster: Cluster, leader: str
) -> None:
    def overwrite() -> None:
        cluster.schedule = {"windows": [LATER]}

    cluster.after_write = overwrite
    with pytest.raises(plugin.RefusedError, match="not announced after 10 attempts"):
        reach(plugin, "announced", leader)


def test_an_announcement_leaves_those_of_other_machines(plugin: ModuleType) -> None:
    both = plugin.with_machine(plugin.with_machine({}, OURS, 1700000000.5), OTHER, 1800000000.0)
    assert both["windows"] == [
        {"machine_ids": [OURS], "unavailability": {"start": {"nanoseconds": 1700000000000000000}}},
        LATER,
    ]
    assert plugin.has_machine(both, OURS)
    assert plugin.has_machine(both, {**OURS, "hostname": "S1"}), "names of hosts have no case"
    without = plugin.without_machine(both, OURS)
    assert not plugin.has_machine(without, OURS)
    assert without["windows"] == [LATER]
    assert not plugin.has_machine({}, OURS), "a master without announcements answers so"


def test_a_machine_leaves_a_window_that_it_shares(plugin: ModuleType) -> None:
    shared = {"windows": [{**LATER, "machine_ids": [OURS, OTHER]}]}
    assert plugin.without_machine(shared, OURS) == {"windows": [LATER]}
