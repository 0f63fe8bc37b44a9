"""Ansible filter: how to get from the Mesos masters that run to those that the inventory describes.

Deciding is a pure function over plain data. Masters share a replicated log, and a majority of them, the
quorum, must have each entry. Masters may be exchanged while the quorum stays the same: a new one catches up
from the others. When the quorum changes, or less than a majority stays, the majorities of before and after
need not meet, so all masters stop, and all begin again with the log of the one that led: the leader's log
has every entry (Mesos, src/log/coordinator.cpp: it fills its own replica before it leads, and learns each
entry that it writes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Seen = Mapping[str, Any]


def mesos_masters_plan(
    addresses: Iterable[str], present: Mapping[str, Seen], quorum: int, log_from: str = ""
) -> dict[str, Any]:
    """Return what to do.

    addresses: of the masters that there are to be, in the inventory's order.
    present: the masters of the hosts that answer, those that are to leave included, by host: `address`,
        `hostname`, `port`, and what the module mesos_master_state says.
    quorum: how many masters are to be a majority.
    log_from: the host whose log an operator has declared to be the right one; empty for none.

    The plan:
        mistakes: why nothing can be done, a sentence each. Everything else is void then.
        action: "begin" where there is no log yet, "keep" where a majority stays, "elect" where it is all
            there but nobody leads, else "change".
        source: the host whose log all begin with, with "change"; `packed` tells whether that log
            lies there packed already, because an earlier run was interrupted.
        leader: the host that leads; empty when it is not one of those that answer.
        leaving: hosts whose master is to stop for good.
        forgetting: hosts whose log missed a change of the masters: they catch up from nothing.
        restart_order: hosts that are masters and answer: new ones first, the leader last.
        settled: whether the masters are those that there are to be, whatever they are configured with.
    """
    return _Plan(list(addresses), present, quorum, log_from).result()


def mesos_leading_host(present: Mapping[str, Seen]) -> str:
    """Return the host whose master leads; empty when it is none of those that `present` has by host."""
    led = {master["leader"] for master in present.values() if master["leader"]}
    for host, master in present.items():
        names = {f"{master['address']}:{master['port']}", f"{master['hostname']}:{master['port']}"}
        if names & led:
            return host
    return ""


class _Plan:
    """The decision, step by step."""

    def __init__(self, addresses: list[str], present: Mapping[str, Seen], quorum: int, log_from: str) -> None:
        self._present = present
        self._quorum = quorum
        self._log_from = log_from
        self._staying = [host for host, master in present.items() if master["address"] in addresses]
        self._leaving = [host for host in present if host not in self._staying]
        reached = {master["address"] for master in present.values()}
        self._absent = [address for address in addresses if address not in reached]
        self._led = sorted({master["leader"] for master in present.values() if master["leader"]})
        self._leader = mesos_leading_host(present)
        self._mistakes: list[str] = []
        self._source = ""
        self._packed = False
        self._forgetting: list[str] = []

    def result(self) -> dict[str, Any]:
        """Decide."""
        action = self._action()
        return {
            "mistakes": self._mistakes,
            "action": action,
            "source": self._source,
            "packed": self._packed,
            "leader": self._leader,
            "leaving": self._leaving,
            "forgetting": self._forgetting,
            "restart_order": sorted(
                self._staying,
                key=lambda host: (
                    host == self._leader,
                    self._present[host]["has_log"] and host not in self._forgetting,
                ),
            ),
            "settled": action == "keep" and not self._leaving and not self._forgetting,
        }

    def _action(self) -> str:
        if self._log_from:
            return self._begin_with(self._log_from)
        seeds = [host for host, master in self._present.items() if master["seed"] == self._quorum]
        if seeds and not any(master["has_registry"] for master in self._present.values()):
            self._packed = True
            return self._begin_with(seeds[0])
        if self._led:
            return self._go_on()
        if self._can_elect():
            return "elect"
        if any(master["has_log"] for master in self._present.values()):
            self._mistakes.append(
                f"No mesos-master leads. Those at {self._listed(self._present)} can be reached"
                + (f", those at {', '.join(self._absent)} can't" if self._absent else "")
                + ". Bring back as many as make a majority, then run this again. If those that are missing"
                " are lost for good, mesos_master_log_from names the host whose log the others begin with."
            )
            return "keep"
        if self._absent:
            self._mistakes.append(
                f"There is no mesos-master yet, and {', '.join(self._absent)} can't be reached:"
                " the first deployment needs all masters."
            )
        return "begin"

    def _can_elect(self) -> bool:
        """Tell whether only ZooKeeper is missing, as it is where it begins anew: all is there to elect by."""
        holding = [host for host in self._staying if self._present[host]["has_log"]]
        same = {(self._present[host]["quorum"], *sorted(self._present[host]["ensemble"])) for host in holding}
        return (
            not (self._absent or self._leaving)
            and len(holding) >= self._quorum
            and len(same) == 1
            and self._present[holding[0]]["quorum"] == self._quorum
        )

    def _go_on(self) -> str:
        """A master leads."""
        taking_part = [host for host, master in self._present.items() if master["answers"]]
        replicas = max(master["replicas"] for master in self._present.values())
        if replicas - len(taking_part) > len(self._absent):
            self._mistakes.append(
                f"{replicas} masters take part, but of those that run the inventory knows only"
                f" {self._listed(taking_part)}. One that nobody knows can break the quorum: put its host into"
                " the group `retired`, and its mesos-master is stopped."
            )
        if not self._leader:
            return self._go_on_without_the_leaders_host()
        current = self._present[self._leader]["quorum"]
        if current == self._quorum:
            self._forgetting = [host for host in self._staying if self._is_stale(host)]
            if len(self._voters()) >= self._quorum or not self._leaving:
                return "keep"
        if not self._present[self._leader]["has_registry"]:
            self._mistakes.append(
                f"The master that leads, {self._led[0]}, has no majority: bring the others back, or name the"
                " host whose log all are to begin with as mesos_master_log_from."
            )
        if self._absent:
            self._mistakes.append(
                "What the masters' majority is made of changes, which needs all of them, and"
                f" {', '.join(self._absent)} can't be reached: it would come back with the old quorum."
                " Bring it back, or replace it by another host first, with as many masters as before."
            )
        self._forgetting = []  # all get the leader's log
        self._source = self._leader
        return "change"

    def _go_on_without_the_leaders_host(self) -> str:
        """The leader runs on a host that can't be reached from here, yet the others see it."""
        if not self._absent:
            self._mistakes.append(
                f"The master that leads, {self._led[0]}, is not one that the inventory knows: put its host"
                " into the group `retired`."
            )
        # They tell the quorum.
        quorums = {self._present[host]["quorum"] for host in self._staying if self._present[host]["answers"]}
        if quorums - {self._quorum} or (self._leaving and len(self._voters()) + 1 < self._quorum):
            self._mistakes.append(
                f"So many masters can't be changed while the one that leads, {self._led[0]}, can't be"
                " reached."
            )
        return "keep"

    def _voters(self) -> list[str]:
        """Return the masters that stay and have the log."""
        return [
            host
            for host in self._staying
            if self._present[host]["has_log"]
            and self._present[host]["recovered"]
            and host not in self._forgetting
        ]

    def _is_stale(self, host: str) -> bool:
        """Tell whether the host's log missed a change of the masters, and with it perhaps what came after."""
        master, leader = self._present[host], self._present[self._leader]
        return master["has_log"] and (
            master["quorum"] != self._quorum
            or bool(leader["ensemble"] and master["ensemble"] and leader["ensemble"] != master["ensemble"])
        )

    def _begin_with(self, source: str) -> str:
        if source not in self._present or not self._present[source]["has_log"]:
            self._mistakes.append(
                f"mesos_master_log_from is {source}, which has no replicated log or can't be reached."
            )
        if self._absent:
            self._mistakes.append(
                f"All masters are to begin with the log of {source}, and {', '.join(self._absent)} can't be"
                " reached: take it out of the inventory, or bring it back."
            )
        self._source = source
        return "change"

    def _listed(self, hosts: Iterable[str]) -> str:
        return ", ".join(self._present[host]["address"] for host in hosts)


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"mesos_masters_plan": mesos_masters_plan, "mesos_leading_host": mesos_leading_host}
