"""What the master's answers say of a framework whose records are lost."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.recovery import (
    Recovery,
    Undecided,
    hidden_frameworks,
    our_framework,
    tasks_of,
    with_facts,
)
from mesos_docker_scheduler.driver.operator_api import OperatorApiError
from mesos_docker_scheduler.records.tasks import TaskState
from scheduler_fakes import NOW, service, task

Message = dict[str, Any]
NAME = "mesos-docker-scheduler"
TASK_ID = "web.0123456789.00112233445566ff"
NOBODY_AWAY: Message = {"agents": []}


def framework(framework_id: str = "f-1", name: str = NAME, connected: bool = False, **info: str) -> Message:
    return {
        "framework_info": {"id": {"value": framework_id}, "name": name, "user": "root", **info},
        "active": connected,
        "connected": connected,
        "recovered": False,
    }


def known(*frameworks: Message, **more: Any) -> Message:
    return {"frameworks": list(frameworks), **more}


def running(task_id: str = TASK_ID, **fields: Any) -> Message:
    """A Task of GET_TASKS as Mesos 1.11 gives it."""
    return {
        "name": "web",
        "task_id": {"value": task_id},
        "framework_id": {"value": "f-1"},
        "agent_id": {"value": "a1"},
        "state": "TASK_RUNNING",
        "statuses": [
            {"state": "TASK_STARTING", "timestamp": 100.5},
            {
                "state": "TASK_RUNNING",
                "timestamp": 102.5,
                "healthy": True,
                "container_status": {
                    "container_id": {"value": "c-1"},
                    "network_infos": [{"ip_addresses": [{"ip_address": "172.17.0.2"}]}],
                },
            },
        ],
        "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}},
            {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 31001}]}},
        ],
        "container": {"type": "DOCKER", "docker": {"image": "demo/web:1", "network": "HOST"}},
        "health_check": {"type": "TCP"},
        **fields,
    }


def agent(agent_id: str, hostname: str, **more: Any) -> Message:
    return {"agent_info": {"id": {"value": agent_id}, "hostname": hostname, **more}, "active": True}


AGENTS: Message = {"agents": [agent("a1", "slave1")]}


@pytest.mark.parametrize(
    ("frameworks", "found"),
    [
        (known(), None),
        (known(framework()), "f-1"),
        (known(framework("f-2", name="another"), framework()), "f-1"),
        (known(framework("f-2", principal="other", connected=True), framework()), "f-1"),
        (known(completed_frameworks=[framework()]), None),
    ],
)
def test_our_framework_has_our_name_and_nobody_connected(frameworks: Message, found: str | None) -> None:
    assert our_framework(frameworks, NOBODY_AWAY, NAME, None) == found


def test_our_framework_has_our_principal() -> None:
    frameworks = known(framework(principal="p"))
    assert our_framework(frameworks, NOBODY_AWAY, NAME, "p") == "f-1"
    assert our_framework(known(framework(connected=True)), NOBODY_AWAY, NAME, "p") is None
    with pytest.raises(Undecided, match=r"f-1 .*principal p\) has our name, but another principal than none"):
        our_framework(frameworks, NOBODY_AWAY, NAME, None)


@pytest.mark.parametrize(
    ("frameworks", "words"),
    [
        (known(framework(connected=True, hostname="h1")), r"f-1 \(connected, no principal, of host h1\) has"),
        (
            known(framework("f-2"), framework()),
            r"several frameworks are called .*: framework f-1 \(.*framework f-2",
        ),
        (known(framework("f-2", connected=True), framework()), "several frameworks"),
    ],
)
def test_does_not_guess_which_framework_is_ours(frameworks: Message, words: str) -> None:
    with pytest.raises(Undecided, match=words):
        our_framework(frameworks, NOBODY_AWAY, NAME, None)


def test_a_new_leader_does_not_know_yet_what_runs_on_slaves_that_are_away() -> None:
    away = {"recovered_agents": [{"id": {"value": "a1"}, "hostname": "slave1"}]}
    with pytest.raises(Undecided, match=r"1 of the slaves .* have not come back .*: slave1"):
        our_framework(known(), away, NAME, None)
    assert our_framework(known(framework()), away, NAME, None) == "f-1"


def test_a_new_framework_that_is_not_shown_may_not_be_the_only_one_hidden() -> None:
    shown = known(framework("f-2", connected=True))
    assert hidden_frameworks(shown, NAME, None, "f-2") is None
    assert "does not show this framework, f-2, to p" in str(hidden_frameworks(known(), NAME, "p", "f-2"))
    both = known(*shown["frameworks"], framework("f-1"))
    assert "framework f-1 of the same name has turned up" in str(hidden_frameworks(both, NAME, None, "f-2"))
    three = known(*both["frameworks"], framework("f-0"))
    assert "several frameworks" in str(hidden_frameworks(three, NAME, None, "f-2"))


def test_a_task_is_told_with_all_that_the_master_knows_of_it() -> None:
    (told,), _ = tasks_of("f-1", {"tasks": [running()]}, AGENTS, NOW)
    assert (told.id, told.service, told.version, told.image) == (TASK_ID, "web", "0123456789", "demo/web:1")
    assert (told.agent_id, told.hostname, told.host_ports) == ("a1", "slave1", (31000, 31001))
    assert (told.launched_at, told.running_since, told.state_since) == (100.5, 102.5, 102.5)
    assert (told.state, told.healthy, told.has_health_check) == (TaskState.RUNNING, True, True)
    assert (told.container, told.address, told.confirmed) == ("mesos-c-1", "172.17.0.2", True)


@pytest.mark.parametrize(
    ("mesos", "image"),
    [({}, ""), ({"image": {"type": "DOCKER", "docker": {"name": "demo/web:1"}}}, "demo/web:1")],
)
def test_a_task_without_docker_is_told_as_one(mesos: Message, image: str) -> None:
    (told,), _ = tasks_of(
        "f-1", {"tasks": [running(container={"type": "MESOS", "mesos": mesos})]}, AGENTS, NOW
    )
    assert (told.containerizer, told.image, told.container) == ("mesos", image, "c-1")


def test_the_agents_of_our_tasks_are_told_with_what_constraints_ask() -> None:
    attributes = [
        {"name": "rack", "type": "TEXT", "text": {"value": "r1"}},
        {"name": "rack", "type": "TEXT", "text": {"value": "r2"}},
        {"name": "disks", "type": "SCALAR", "scalar": {"value": 2.0}},
    ]
    domain = {"fault_domain": {"region": {"name": "r"}, "zone": {"name": "z"}}}
    agents = {"agents": [agent("a2", "slave2"), agent("a1", "slave1", attributes=attributes, domain=domain)]}
    _, (told,) = tasks_of("f-1", {"tasks": [running()]}, agents, NOW)
    assert (told.id, told.hostname, told.region, told.zone) == ("a1", "slave1", "r", "z")
    assert told.attributes["rack"] == "r1"
    assert told.attributes.keys() == {"rack", "disks"}


def test_ports_come_in_the_order_of_the_mappings() -> None:
    docker = {
        "image": "i",
        "port_mappings": [
            {"host_port": 31001, "container_port": 80},
            {"host_port": 31000, "container_port": 81},
        ],
    }
    (told,), _ = tasks_of("f-1", {"tasks": [running(container={"docker": docker})]}, AGENTS, NOW)
    assert told.host_ports == (31001, 31000)


def test_only_our_tasks_that_may_run_are_told() -> None:
    answer = {
        "tasks": [
            running(framework_id={"value": "f-2"}),
            running("somebody-elses"),
            running(state="TASK_FAILED"),
        ],
        "unreachable_tasks": [running(state="TASK_UNREACHABLE", agent_id={"value": "a2"}, statuses=[])],
        "completed_tasks": [running("web.0123456789.00112233445566fe", state="TASK_KILLED")],
    }
    (told,), _ = tasks_of("f-1", answer, AGENTS, NOW)
    assert (told.id, told.state, told.hostname, told.launched_at) == (TASK_ID, TaskState.UNREACHABLE, "", NOW)


def test_a_clock_ahead_of_ours_does_not_make_a_task_younger_than_now() -> None:
    (told,), _ = tasks_of("f-1", {"tasks": [running()]}, AGENTS, 101.0)
    assert (told.launched_at, told.running_since) == (100.5, 101.0)


def test_facts_fill_in_what_is_unknown_and_leave_the_state() -> None:
    (told,), _ = tasks_of("f-1", {"tasks": [running()]}, AGENTS, NOW)
    bare = task(TASK_ID, service(), hostname="", image="", state=TaskState.KILLING, kill_reason="surplus")
    filled = with_facts(bare, told)
    assert (filled.image, filled.hostname, filled.host_ports) == ("demo/web:1", "slave1", (31000, 31001))
    assert (filled.state, filled.kill_reason) == (TaskState.KILLING, "surplus")
    assert with_facts(filled, told) == filled


class Api:
    """Answers what a test puts in; an exception is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def ask(self, *kinds: str) -> list[Message]:
        found = [self.answers[kind] for kind in kinds]
        for answer in found:
            if isinstance(answer, Exception):
                raise answer
        return found


@pytest.fixture
def heard() -> queue.SimpleQueue[Any]:
    return queue.SimpleQueue()


def recovery(api: Api, heard: queue.SimpleQueue[Any]) -> Recovery:
    return Recovery(api, NAME, None, heard.put)  # type: ignore[arg-type]


def test_waits_until_the_master_can_tell_and_says_each_problem_once(
    heard: queue.SimpleQueue[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesos_docker_scheduler.control.recovery._FIRST_PAUSE", 0.01)
    api = Api(GET_FRAMEWORKS=OperatorApiError("no master leads"), GET_TASKS={"tasks": [running()]})
    api.answers["GET_AGENTS"] = AGENTS
    gone_on: list[str | None] = []
    asking = recovery(api, heard)
    asking.find(gone_on.append)
    assert heard.get(timeout=10) == events.Recovering("no master leads")
    api.answers["GET_FRAMEWORKS"] = OperatorApiError("HTTP 403: no", 403)
    problem = heard.get(timeout=10).problem
    assert "403: no. Allow this scheduler to view frameworks" in problem
    assert "mesos-docker-scheduler adopt" in problem
    api.answers["GET_FRAMEWORKS"] = {"frameworks": [{}]}
    assert "not understood (KeyError" in heard.get(timeout=10).problem
    api.answers["GET_FRAMEWORKS"] = known(framework())
    found = heard.get(timeout=10)
    assert found.framework_id == "f-1"
    assert [told.id for told in found.tasks] == [TASK_ID]
    assert gone_on == []
    found.go_on()
    assert gone_on == ["f-1"]
    assert heard.empty()


def test_a_master_that_knows_nothing_of_us_gets_a_new_framework(heard: queue.SimpleQueue[Any]) -> None:
    recovery(Api(GET_FRAMEWORKS={}, GET_AGENTS={}), heard).find(lambda framework_id: None)
    found = heard.get(timeout=10)
    assert (found.framework_id, found.tasks) == (None, ())


def test_a_survey_tells_the_tasks_or_why_not(heard: queue.SimpleQueue[Any]) -> None:
    api = Api(GET_FRAMEWORKS=known(), GET_TASKS={"tasks": [running()]}, GET_AGENTS=AGENTS)
    recovery(api, heard).survey("f-1", False)
    answer = heard.get(timeout=10)
    assert ([told.id for told in answer.tasks], answer.problem, answer.error) == ([TASK_ID], None, None)
    recovery(api, heard).survey("f-1", True)
    assert "does not show this framework" in heard.get(timeout=10).problem
    api.answers["GET_TASKS"] = OperatorApiError("no master leads")
    recovery(api, heard).survey("f-1", False)
    assert heard.get(timeout=10).error == "no master leads"
