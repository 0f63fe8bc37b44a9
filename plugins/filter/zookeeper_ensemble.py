"""Ansible filter: how to get from the ZooKeeper ensemble that runs to the one that the inventory describes.

Deciding is a pure function over plain data. A server's number is kept on its host and never changed;
servers join and leave by ZooKeeper's own reconfiguration, which never leaves the ensemble without a
majority that is in sync.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

MOST_SERVERS = 255

Seen = Mapping[str, Any]


def zookeeper_member(server: Seen) -> str:
    """Return a server as ZooKeeper's configuration writes it.

    `server` has `address`, `peer_port`, `election_port` and `client_port`.
    """
    address = server["address"]
    return (
        f"{address}:{server['peer_port']}:{server['election_port']}:participant"
        f";{address}:{server['client_port']}"
    )


def zookeeper_wanted(addresses: Iterable[str], present: Mapping[str, Seen]) -> dict[str, Seen]:
    """Return the servers that there are to be, by host.

    A server whose host can't be reached goes by its address, and is taken to be set up like the others.
    `present` describes the servers of the hosts that answer, those that are to leave included.
    """
    hosts = {server["address"]: host for host, server in present.items()}
    like = next(iter(present.values()))
    return {
        hosts.get(address, address): present[hosts[address]]
        if address in hosts
        else {**like, "address": address, "myid": 0}
        for address in addresses
    }


def zookeeper_plan(wanted: Mapping[str, Seen], seen: Mapping[str, Seen], tls_step: int = 0) -> dict[str, Any]:
    """Return what to do.

    wanted: the servers that there are to be, by host, in the inventory's order: `address`, `peer_port`,
        `election_port`, `client_port`, `myid` (0: the next one that is free).
    seen: what the module zookeeper_server says, of the hosts that answer; also of hosts that are to leave.
    tls_step: how the servers are to speak with each other, as the module says it.

    The plan:
        mistakes: why nothing can be done, a sentence each. Everything else is void then.
        postponed: why servers don't join or leave now, a sentence each.
        ids: each host's number, as far as it is known.
        initial: by host, the members that its server knows when it is first started, by number: a new one
            knows the ensemble that it joins, and itself as an observer.
        starting: hosts whose server is new: they start beside the ensemble, or all at once where there is
            none.
        emptied: numbers to take out before that: their servers have lost their disk.
        leaving, joining: numbers to take out and members to take in, by number, in one change.
        through: a host whose server serves and stays one, to ask for these changes.
        tls_steps: the steps that all members take before, one after the other, because only neighbours
            understand each other.
        restart_order: hosts that are members and answer, the leader last.
        settled: whether the ensemble is as it is to be, whatever its servers are configured with.
    """
    return _Plan(wanted, seen, tls_step).result()


class _Plan:
    """The decision, step by step."""

    def __init__(self, wanted: Mapping[str, Seen], seen: Mapping[str, Seen], tls_step: int) -> None:
        self._wanted = wanted
        self._seen = seen
        self._tls_step = tls_step
        self._absent = [host for host in wanted if host not in seen]
        self._mistakes: list[str] = []
        self._postponed: list[str] = []
        self._members = self._known_members()
        self._ids = self._assigned_ids()
        self._new: set[str] = set()  # hosts whose server is no member yet, or has lost its disk
        self._starting: list[str] = []
        self._emptied: list[str] = []
        self._leaving: list[str] = []
        self._joining: dict[str, str] = {}

    def result(self) -> dict[str, Any]:
        """Decide."""
        if self._members:
            self._change()
        else:
            self._begin()
        tls_steps = self._tls_steps()
        return {
            "mistakes": self._mistakes,
            "postponed": self._postponed,
            "ids": self._ids,
            "initial": self._initial(),
            "starting": self._starting,
            "emptied": self._emptied,
            "leaving": self._leaving,
            "joining": self._joining,
            "through": self._through(),
            "tls_steps": tls_steps,
            "restart_order": sorted(
                (host for host in self._wanted if host in self._seen and host not in self._new),
                key=lambda host: self._seen[host]["state"] == "leader",
            ),
            "settled": not (self._starting or self._emptied or self._leaving or self._joining)
            and self._wanted.keys() >= self._seen.keys(),
        }

    def _known_members(self) -> dict[str, str]:
        """Return the ensemble as the server knows it that serves, else as the newest configuration says."""
        known = [server for server in self._seen.values() if server["members"]]
        best = max(known, key=lambda server: (bool(server["state"]), server["version"]), default=None)
        return {number: self._complete(member) for number, member in best["members"].items()} if best else {}

    def _complete(self, member: str) -> str:
        """Add the address for clients, which stands elsewhere where the members are in zoo.cfg itself."""
        if ";" in member:
            return member
        address = _address(member)
        ports = ":".join(member.split(":")[1:3])
        client_port = next(
            server["client_port"]
            for server in [
                *(s for s in self._wanted.values() if s["address"] == address),
                *self._wanted.values(),
            ]
        )
        return f"{address}:{ports}:participant;{address}:{client_port}"

    def _is_member(self, host: str, number: int) -> bool:
        member = self._members.get(str(number), "")
        return bool(member) and _address(member) == self._wanted[host]["address"]

    def _assigned_ids(self) -> dict[str, int]:
        """Return each host's number: its own, a member's at its address, the operator's, or a new one."""
        ids: dict[str, int] = {}
        for host, server in self._wanted.items():
            own = self._seen[host]["myid"] if host in self._seen else 0
            by_address = [
                int(number)
                for number, member in self._members.items()
                if _address(member) == server["address"]
            ]
            if number := own or next(iter(by_address), 0) or server["myid"]:
                ids[host] = number
            if own and server["myid"] and own != server["myid"]:
                self._mistakes.append(
                    f"zookeeper_myid is {server['myid']} for {host}, whose server is {own}: a server's number"
                    " can't be changed. Leave it out, and the host keeps its number."
                )
        used = {*map(int, self._members), *ids.values(), *(server["myid"] for server in self._seen.values())}
        for host in self._wanted:
            if host not in ids and host in self._seen:
                ids[host] = _free_number(used)
                used.add(ids[host])
        for number in sorted({number for number in ids.values() if list(ids.values()).count(number) > 1}):
            hosts = [host for host in ids if ids[host] == number]
            self._mistakes.append(
                f"{' and '.join(hosts)} have the same zookeeper_myid, {number}; each needs its own."
            )
        return ids

    def _begin(self) -> None:
        """There is no ensemble yet."""
        if self._absent:
            self._mistakes.append(
                f"There is no ZooKeeper ensemble yet, and {', '.join(self._absent)} can't be reached:"
                " the first deployment needs all servers."
            )
        self._new = set(self._wanted)
        self._starting = list(self._wanted)

    def _change(self) -> None:
        """There is an ensemble: see whether it serves, who joins and who leaves."""
        serving = [host for host in self._seen if self._seen[host]["state"] and self._seen[host]["in_sync"]]
        if not serving:
            answering = sum(bool(server["members"]) for server in self._seen.values())
            self._mistakes.append(
                f"ZooKeeper has no majority: of its {len(self._members)} servers"
                f" ({', '.join(sorted(map(_address, self._members.values())))}) {answering} can be reached,"
                " and none"
                " of them serves. Bring back as many as make a majority, then run this again."
            )
            return
        new = self._new = {
            host
            for host in self._wanted
            if host in self._seen
            and (not self._is_member(host, self._ids[host]) or not self._seen[host]["has_data"])
        }
        if all(host in new for host in serving if host in self._wanted) and not set(serving) - set(
            self._wanted
        ):
            self._mistakes.append(
                "The ZooKeeper servers serve, but none of them has data in zookeeper_data_dir: it can't be"
                " changed while they run."
            )
            return
        at_known_address = {server["address"] for server in self._wanted.values()}
        leaving = [
            number
            for number, member in self._members.items()
            if _address(member) not in at_known_address
            and int(number) not in (self._ids[host] for host in self._ids if host not in new)
        ]
        # A member that has lost its disk must not vote before it has caught up: it leaves, and joins again.
        emptied = [
            str(self._ids[host])
            for host in self._wanted
            if host in new and self._is_member(host, self._ids[host])
        ]
        if leaving and len(leaving) + len(emptied) == len(self._members):
            self._mistakes.append(
                "All ZooKeeper servers would leave at once, and masters and slaves know only these: keep one"
                " for this run, and let it leave in the next."
            )
            return
        after = len(self._members) - len(leaving) - len(emptied) + len(new)
        if (new or leaving) and after % 2 == 0:
            self._postponed.append(
                f"ZooKeeper's servers stay as they are, because {', '.join(self._absent) or 'a server'}"
                " can't be"
                f" reached, and {after} servers tolerate no more failures than {after - 1}."
            )
            return
        self._starting = [host for host in self._wanted if host in new]
        self._emptied = emptied
        self._leaving = leaving
        self._joining = {
            str(number): zookeeper_member(self._wanted[host])
            for host, number in self._ids.items()
            if host in self._seen and self._members.get(str(number)) != zookeeper_member(self._wanted[host])
        } | {str(self._ids[host]): zookeeper_member(self._wanted[host]) for host in new}

    def _tls_steps(self) -> list[int]:
        """Return the steps between how the slowest member speaks and how all are to speak."""
        members = [server for server in self._seen.values() if server["members"] and server["in_sync"]]
        if len(self._members) < 2 or not members:
            return []
        steps = [server["tls_step"] for server in members]
        between = (
            range(min(steps) + 1, self._tls_step)
            if min(steps) < self._tls_step
            else range(max(steps) - 1, self._tls_step, -1)
        )
        if between and self._absent:
            self._mistakes.append(
                "ZooKeeper's servers are to speak with each other another way, and must all take part:"
                f" {', '.join(self._absent)} can't be reached, or --limit leaves them out."
            )
        if between and self._leaving:
            self._mistakes.append(
                "ZooKeeper's servers are to speak with each other another way, and some are to leave: one"
                " after the other. Keep those that leave for this run."
            )
        return list(between)

    def _through(self) -> str:
        serving = [host for host in self._seen if self._seen[host]["in_sync"] and host not in self._new]
        return min(serving, key=lambda host: host not in self._wanted, default="")

    def _initial(self) -> dict[str, dict[str, str]]:
        """Return by host what its server is to know when it is first started."""
        if not self._members:
            everybody = {
                str(number): zookeeper_member(self._wanted[host]) for host, number in self._ids.items()
            }
            return dict.fromkeys(self._starting, everybody)
        ensemble = {number: member for number, member in self._members.items() if number not in self._emptied}
        return {
            host: ensemble
            | (
                {
                    str(self._ids[host]): zookeeper_member(self._wanted[host]).replace(
                        ":participant", ":observer"
                    )
                }
                if host in self._starting
                else {}
            )
            for host in self._wanted
            if host in self._seen and (host in self._starting or host not in self._new)
        }


def _address(member: str) -> str:
    """Return the address in a server's entry, HOST:PORT:PORT[:ROLE];[HOST:]PORT."""
    return member.split(":", 1)[0]


def _free_number(used: Iterable[int]) -> int:
    """Return the number after the highest, or the lowest that is free when that is too high."""
    taken = set(used)
    following = max(taken, default=0) + 1
    if following <= MOST_SERVERS:
        return following
    return next(number for number in range(1, MOST_SERVERS + 1) if number not in taken)


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        functions = (zookeeper_member, zookeeper_plan, zookeeper_wanted)
        return {function.__name__: function for function in functions}
