#!/usr/bin/python
"""Ansible module: take a Mesos agent out of use, or back, by the operator API of the leading master."""

from __future__ import annotations

import base64
import json
import queue
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: mesos_agent
short_description: Announce, drain and reactivate a Mesos agent
description:
  - Asks the masters which of them leads, and calls its operator API. Masters that don't answer are left out
    as long as another one knows the leader; during an election it waits.
  - Runs where the masters can be reached over HTTP. No proxy is used.
options:
  masters:
    description: Where the masters are, as C(HOST:PORT) by name; C(:PORT) where the address is not known.
    type: dict
    required: true
  principal:
    description: Who authenticates to the master, where it demands that.
    type: str
  secret:
    description: The password that belongs to O(principal).
    type: str
  tls:
    description:
      - C(ca_file), C(cert_file) and C(key_file), paths on the host, for masters that speak TLS.
      - Without it they are asked in plain text.
    type: dict
    default: {}
  hostname:
    description: The agent's name in Mesos.
    type: str
    required: true
  address:
    description: Where the agent listens, as C(IP:PORT). Another one of that name is not touched.
    type: str
    required: true
  state:
    description:
      - V(announced) announces that the agent's host goes, from now on. Schedulers may then move their tasks.
      - V(drained) takes the announcement back and has Mesos drain the agent. It stops what runs there.
      - V(active) takes both back.
      - When it is left out, the module only looks. An agent that is drained counts as announced.
    type: str
    choices: [announced, drained, active]
  list_tasks:
    description: Return the ids of the tasks that the agent has.
    type: bool
    default: false
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Announce that the host goes
  mesos_docker.cluster.mesos_agent:
    masters: {master1: "10.0.0.1:5050", master2: "10.0.0.2:5050", master3: "10.0.0.3:5050"}
    hostname: slave1
    address: 10.0.0.21:5051
    state: announced
"""

RETURN = r"""
leader:
  description: The leading master, as C(HOST:PORT).
  type: str
  returned: success
agent:
  description:
    - The agent's C(id), its C(drain_state) in Mesos (empty when it is not drained), and C(idle).
    - C(in_use) is false when it is announced to go, drained or deactivated, whoever has done that.
    - C(registered) is false when the master has lost the agent's connection, and has not given it up yet.
  type: dict
  returned: success
tasks:
  description: Ids of the tasks that run there.
  type: list
  elements: str
  returned: when O(list_tasks) is true
"""

Call = dict[str, Any]
Schedule = Mapping[str, Any]
Machine = Mapping[str, str]

# One request; and what may pass until the masters agree on a leader (a ZooKeeper session lasts 10 seconds).
REQUEST_SECONDS = 5.0
ELECTION_SECONDS = 30.0
PAUSE_SECONDS = 2.0
# The schedule can only be replaced as a whole, and Mesos compares nothing: of two who have read the same, the
# second to write takes out what the first one added. This module writes right after reading, so after this
# time the first one sees that, and adds its own again.
SETTLE_SECONDS = 1.0
ATTEMPTS = 10

# What a server that is away or busy with dying may bring about.
NO_ANSWER = (OSError, ValueError, HTTPException)


class UnansweredError(Exception):
    """No leader could be asked this time; another attempt may do."""


class RefusedError(Exception):
    """It can't be done, and trying again won't help."""


@dataclass
class Masters:
    """The masters of a cluster: `endpoints` is `HOST:PORT` by name, `:PORT` where the host is not known."""

    endpoints: Mapping[str, str]
    principal: str | None = None
    secret: str | None = None
    tls: ssl.SSLContext | None = None
    leader: str | None = None

    def ask(self, call: Call) -> dict[str, Any]:
        """Return the leader's answer, whoever leads by then, or raise UnansweredError."""
        start = time.monotonic()
        while True:
            try:
                return self.tell(call)
            except UnansweredError as error:
                if time.monotonic() - start > ELECTION_SECONDS:
                    raise UnansweredError(f"For {ELECTION_SECONDS:.0f} seconds {error}") from error
                time.sleep(PAUSE_SECONDS)

    def tell(self, call: Call) -> dict[str, Any]:
        """Make a call of the leader once, and return its answer. Raises UnansweredError and RefusedError."""
        if self.leader is None:
            self.leader = self._find_leader()
        leader, kind = self.leader, call["type"]
        try:
            answer = request(leader, self.tls, "POST", "/api/v1", json.dumps(call), self._authorization())
        except NO_ANSWER as error:
            problem = f"does not answer {kind}: {error or type(error).__name__}"
        else:
            if answer.status < 300:
                return dict(json.loads(answer.text)) if answer.text else {}
            problem = f"answers {kind} with status {answer.status}: {answer.text.strip()}"
            # 307: another master leads by now. 5xx: it is about to lead, or to end.
            if answer.status != 307 and answer.status < 500:
                if answer.status == 401:
                    problem += (
                        " It demands a principal and a secret: the first of mesos_master_credentials is used."
                    )
                raise RefusedError(f"The leading master {leader} {problem}")
        self.leader = None
        raise UnansweredError(f"the leading master could not be asked: {leader}, said to lead, {problem}.")

    def _find_leader(self) -> str:
        """Ask all masters at once which of them leads; return the first answer.

        Raises UnansweredError, with what each has said, and RefusedError when there is nobody to ask.
        """
        answers: queue.SimpleQueue[tuple[str, str | None, str]] = queue.SimpleQueue()
        known = {name: where for name, where in self.endpoints.items() if not where.startswith(":")}
        if not known:
            raise RefusedError(
                f"No master can be asked, because no address is known, of {', '.join(self.endpoints)}: they "
                "don't answer, and none is remembered from an earlier run. Set mesos_master_ip for them."
            )
        for name, where in known.items():
            asking = threading.Thread(
                target=lambda name=name, where=where: answers.put((name, *named_leader(where, self.tls))),
                daemon=True,
            )
            asking.start()
        found = dict.fromkeys(self.endpoints, "its address is not known")
        for _ in known:
            name, leader, said = answers.get()
            if leader is not None:
                return leader
            found[name] = f"{known[name]}: {said}"
        text = "; ".join(f"{name}: {answer}" for name, answer in found.items())
        raise UnansweredError(f"no master could say which of them leads: {text}.")

    def _authorization(self) -> dict[str, str]:
        if self.principal is None:
            return {}
        credential = base64.b64encode(f"{self.principal}:{self.secret}".encode()).decode()
        return {"Authorization": f"Basic {credential}"}


@dataclass(frozen=True)
class Answer:
    """What a server has answered; `location` is where it sends to, if it does."""

    status: int
    text: str
    location: str | None


def tls_context(files: Mapping[str, str]) -> ssl.SSLContext | None:
    """Return how to speak TLS with those files; None without any. Raises OSError when one can't be used."""
    if not files:
        return None
    context = ssl.create_default_context(cafile=files["ca_file"])
    context.load_cert_chain(files["cert_file"], files["key_file"])
    return context


def request(
    where: str,
    tls: ssl.SSLContext | None,
    method: str,
    path: str,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Ask HOST:PORT, by no proxy and following no redirect. Raises what is in NO_ANSWER."""
    if tls is None:
        connection = HTTPConnection(where, timeout=REQUEST_SECONDS)
    else:
        connection = HTTPSConnection(where, timeout=REQUEST_SECONDS, context=tls)
    try:
        json_only = {"Content-Type": "application/json", "Accept": "application/json"}
        connection.request(method, path, body, {**json_only, **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode(errors="replace"), answer.getheader("Location"))
    finally:
        connection.close()


def named_leader(where: str, tls: ssl.SSLContext | None = None) -> tuple[str | None, str]:
    """Return whom the master at HOST:PORT calls the leader, as HOST:PORT, and else what it says instead."""
    try:
        answer = request(where, tls, "GET", "/master/redirect")
    except NO_ANSWER as error:
        return None, str(error) or type(error).__name__
    if answer.status == 307 and answer.location:
        # Mesos leaves the scheme out: //10.0.0.1:5050
        return urlsplit(answer.location).netloc, ""
    return None, f"status {answer.status}, it knows no leader"


def has_machine(schedule: Schedule, machine: Machine) -> bool:
    """Tell whether the maintenance schedule announces that the machine goes."""
    return any(
        _same(machine, other) for window in schedule.get("windows", []) for other in window["machine_ids"]
    )


def with_machine(schedule: Schedule, machine: Machine, start: float) -> dict[str, Any]:
    """Return the schedule with a window for the machine, from that second of the epoch on, without an end."""
    window = {
        "machine_ids": [dict(machine)],
        "unavailability": {"start": {"nanoseconds": int(start) * 10**9}},
    }
    return {"windows": [*schedule.get("windows", []), window]}


def without_machine(schedule: Schedule, machine: Machine) -> dict[str, Any]:
    """Return the schedule without the machine; the other machines keep their windows."""
    windows = [
        {**window, "machine_ids": [other for other in window["machine_ids"] if not _same(machine, other)]}
        for window in schedule.get("windows", [])
    ]
    return {"windows": [window for window in windows if window["machine_ids"]]}


def _same(one: Machine, other: Machine) -> bool:
    """Compare as Mesos does: names of hosts have no case."""
    return (one.get("hostname", "").lower(), one.get("ip")) == (
        other.get("hostname", "").lower(),
        other.get("ip"),
    )


def find_agent(known: Mapping[str, Any], hostname: str, address: str) -> dict[str, Any]:
    """Return the agent of that name at that address from the answer to GET_AGENTS.

    Raises RefusedError, with what was found instead, when there is none, or more than one that may be meant.
    """
    agents = known.get("agents", [])
    found = [agent for agent in agents if _name(agent) == hostname and _address(agent) == address]
    if len(found) > 1:
        # An agent that has begun anew may be there twice for a while. The old registration is not active, and
        # nobody has deactivated it.
        in_use = [agent for agent in found if agent.get("active") or agent.get("deactivated")]
        found = in_use or found
    if len(found) == 1:
        return dict(found[0])
    if found:
        raise RefusedError(
            f"Mesos knows {len(found)} agents with the hostname {hostname} at {address}, and it is not clear "
            f"which is meant: {_described(found)}. Wait until it has forgotten those that are gone."
        )
    similar = [agent for agent in agents if _name(agent) == hostname or _address(agent) == address]
    text = f"Mesos knows no agent with the hostname {hostname} at {address}."
    if similar:
        text += f" It knows {_described(similar)}. Do mesos_slave_hostname and mesos_slave_ip say the same?"
    elif any(_name(agent) == hostname for agent in known.get("recovered_agents", [])):
        text += " The agent has not registered again since the master was elected; try again in a minute."
    else:
        text += f" None of its {len(agents)} agents has that name or that address."
    raise RefusedError(text)


def _name(agent: Mapping[str, Any]) -> str:
    # Recovered agents are plain AgentInfos.
    return str(agent.get("agent_info", agent)["hostname"])


def _address(agent: Mapping[str, Any]) -> str:
    """Return where the agent listens: its pid is slave(1)@IP:PORT."""
    return str(agent["pid"]).rpartition("@")[2]


def _described(agents: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(
        f"{_name(agent)} at {_address(agent)} ({agent['agent_info']['id']['value']}, "
        f"{'active' if agent.get('active') else 'not active'})"
        for agent in agents
    )


def next_call(state: str | None, agent: Mapping[str, Any], schedule: Schedule, now: float) -> Call | None:
    """Return the next call on the agent's way to the state; None when it is there."""
    agent_id = {"agent_id": agent["agent_info"]["id"]}
    machine = {"hostname": _name(agent), "ip": _address(agent).rpartition(":")[0]}
    draining = bool(drain_state(agent))
    announced = has_machine(schedule, machine)
    call: Call | None = None
    if state == "announced" and not announced and not draining:
        call = _replacing(with_machine(schedule, machine, now))
    elif state == "drained" and not draining:
        # Mesos drains no agent that is announced to go. So that nothing starts meanwhile, it first gets no
        # offers any more.
        if not agent.get("deactivated"):
            call = {"type": "DEACTIVATE_AGENT", "deactivate_agent": agent_id}
        elif announced:
            call = _replacing(without_machine(schedule, machine))
        else:
            call = {"type": "DRAIN_AGENT", "drain_agent": agent_id}
    elif state == "active" and announced:
        call = _replacing(without_machine(schedule, machine))
    elif state == "active" and (draining or agent.get("deactivated")):
        call = {"type": "REACTIVATE_AGENT", "reactivate_agent": agent_id}
    return call


def drain_state(agent: Mapping[str, Any]) -> str:
    """Return how far Mesos has drained the agent: DRAINING, DRAINED, or nothing."""
    return str(agent.get("drain_info", {}).get("state", ""))


def _replacing(schedule: Schedule) -> Call:
    return {"type": "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule": {"schedule": schedule}}


@dataclass(frozen=True)
class Look:
    """What the leader says of the agent, and of all announcements."""

    agent: Mapping[str, Any]
    schedule: Schedule


def look(masters: Masters, hostname: str, address: str) -> Look:
    """Ask for the agent, and then for the schedule, so that what is written next is made of what is there."""
    known = masters.ask({"type": "GET_AGENTS"})["get_agents"]
    agent = find_agent(known, hostname, address)
    answer = masters.ask({"type": "GET_MAINTENANCE_SCHEDULE"})
    return Look(agent, answer["get_maintenance_schedule"]["schedule"])


def reach(
    state: str | None,
    masters: Masters,
    hostname: str,
    address: str,
    *,
    check_mode: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[bool, Look]:
    """Bring the agent to the state; return whether that changed anything, and what is there now.

    Looks again after each call: a master may have died, and somebody else may have replaced the schedule.
    """
    changed = False
    for _ in range(ATTEMPTS):
        seen = look(masters, hostname, address)
        call = next_call(state, seen.agent, seen.schedule, time.time())
        if call is None:
            return changed, seen
        changed = True
        if check_mode:
            return changed, seen
        try:
            masters.tell(call)
        except UnansweredError:
            sleep(PAUSE_SECONDS)
        if call["type"] == "UPDATE_MAINTENANCE_SCHEDULE":
            sleep(SETTLE_SECONDS)
    raise RefusedError(
        f"The agent {hostname} is not {state} after {ATTEMPTS} attempts. Does something else change Mesos' "
        f"maintenance schedule at the same time? It is now {json.dumps(seen.schedule)}."
    )


def tasks_of(masters: Masters, agent: Mapping[str, Any]) -> list[str]:
    """Return the ids of the tasks that the agent has."""
    tasks = masters.ask({"type": "GET_TASKS"})["get_tasks"].get("tasks", [])
    return sorted(task["task_id"]["value"] for task in tasks if task["agent_id"] == agent["agent_info"]["id"])


def main() -> None:
    """Do what Ansible asks."""
    module = AnsibleModule(
        argument_spec={
            "masters": {"type": "dict", "required": True},
            "principal": {"type": "str"},
            "secret": {"type": "str", "no_log": True},
            "tls": {"type": "dict", "default": {}},
            "hostname": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["announced", "drained", "active"]},
            "list_tasks": {"type": "bool", "default": False},
        },
        required_together=[["principal", "secret"]],
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        masters = Masters(
            wanted["masters"], wanted["principal"], wanted["secret"], tls_context(wanted["tls"])
        )
    except OSError as error:
        module.fail_json(msg=f"One of {', '.join(wanted['tls'].values())} can't be used: {error}")
    try:
        changed, seen = reach(
            wanted["state"], masters, wanted["hostname"], wanted["address"], check_mode=module.check_mode
        )
        agent = {
            "id": seen.agent["agent_info"]["id"]["value"],
            "drain_state": drain_state(seen.agent),
            "idle": not seen.agent.get("allocated_resources"),
            "in_use": next_call("active", seen.agent, seen.schedule, 0) is None,
            "registered": bool(seen.agent.get("active") or seen.agent.get("deactivated")),
        }
        tasks = {"tasks": tasks_of(masters, seen.agent)} if wanted["list_tasks"] else {}
    except (UnansweredError, RefusedError) as error:
        text = str(error)
        module.fail_json(msg=text[:1].upper() + text[1:])
    module.exit_json(changed=changed, leader=masters.leader, agent=agent, **tasks)


if __name__ == "__main__":
    main()
