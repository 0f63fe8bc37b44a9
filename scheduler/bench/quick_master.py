"""A Mesos master as a process of its own that is no bottleneck: it knows what the benchmark needs, no more.

    python scheduler/bench/quick_master.py --agents 100 --tasks 1000

It offers all of its agents in one event, as Mesos' allocator does, says RUNNING of each task as soon as it
is launched, answers RECONCILE, and counts. Bodies of calls are searched rather than parsed, so it depends on
the compact JSON that our driver writes; what it sends is as long as what Mesos 1.11 sends. The port is its
first line of output; then it takes commands as lines of JSON and answers each with one line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

FRAMEWORK = "f1a6c5e0-0000-4000-8000-000000000000-0000"
_HEARTBEAT_SECONDS = 15.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TYPE = re.compile(rb'"type": ?"([A-Z_]+)"')
_TASK = re.compile(rb'"task_id":{"value":"([^"]+)"')
_AGENT = re.compile(rb'"agent_id":{"value":"([^"]+)"')
_QUESTION = re.compile(rb'{"task_id":{"value":"([^"]+)"}(?:,"agent_id":{"value":"([^"]+)"})?}')
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nDate: Tue, 24 Nov 2026 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n"
_OPENED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: stream\r\n"
    b"Date: Tue, 24 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json\r\n\r\n"
)
# What the agent sends on for the executor of one task.
_UPDATE = (
    b'{"type":"UPDATE","update":{"status":{"task_id":{"value":"%(task)s"},"state":"TASK_RUNNING",'
    b'"source":"SOURCE_EXECUTOR","agent_id":{"value":"%(agent)s"},"executor_id":{"value":"%(task)s"},'
    b'"timestamp":1795478400.123456,"uuid":"AAAAAAAAAAAAAAAAAAAAAA==",'
    b'"container_status":{"container_id":{"value":"00000000-0000-4000-8000-000000000000"},"network_infos":'
    b'[{"ip_addresses":[{"protocol":"IPv4","ip_address":"%(address)s"}]}]}}}}'
)
_ANSWER = (
    b'{"type":"UPDATE","update":{"status":{"task_id":{"value":"%(task)s"},"state":"TASK_RUNNING",'
    b'"message":"Reconciliation: Latest task state","source":"SOURCE_MASTER",'
    b'"reason":"REASON_RECONCILIATION","agent_id":{"value":"%(agent)s"},"timestamp":1795478400.123456,'
    b'"container_status":{"container_id":{"value":"00000000-0000-4000-8000-000000000000"},"network_infos":'
    b'[{"ip_addresses":[{"protocol":"IPv4","ip_address":"%(address)s"}]}]}}}}'
)
_NOT_KNOWN = (
    b'{"type":"UPDATE","update":{"status":{"task_id":{"value":"%(task)s"},"state":"TASK_UNKNOWN",'
    b'"message":"Reconciliation: Task is unknown","source":"SOURCE_MASTER",'
    b'"reason":"REASON_RECONCILIATION","timestamp":1795478400.123456}}}'
)


def framed(*events: bytes) -> bytes:
    """Frame events as RecordIO, each in a chunk of its own, as libprocess writes them."""
    parts = []
    for event in events:
        length = b"%d\n" % len(event)
        parts.append(b"%x\r\n%s%s\r\n" % (len(length) + len(event), length, event))
    return b"".join(parts)


def offers(agents: int, tasks_each: int) -> bytes:
    """One OFFERS event with all that every agent has: room for `tasks_each` tasks of 0.01 cpus and 32 MiB."""
    port_ranges = [{"begin": 10_000, "end": 10_000 + tasks_each}]
    amounts = {"cpus": tasks_each * 0.01, "mem": tasks_each * 32.0, "disk": 100_000.0}
    allocated = {"allocation_info": {"role": "*"}, "role": "*"}
    resources: list[dict[str, Any]] = [
        {"name": name, "type": "SCALAR", "scalar": {"value": amount}, **allocated}
        for name, amount in amounts.items()
    ]
    resources.append({"name": "ports", "type": "RANGES", "ranges": {"range": port_ranges}, **allocated})
    offered = [
        {
            "id": {"value": f"{FRAMEWORK}-O{number}"},
            "framework_id": {"value": FRAMEWORK},
            "agent_id": {"value": f"{FRAMEWORK}-S{number}"},
            "hostname": f"agent{number}.example",
            "url": {
                "scheme": "http",
                "address": {"hostname": f"agent{number}.example", "ip": "10.0.0.1", "port": 5051},
                "path": "/slave(1)",
            },
            "domain": {"fault_domain": {"region": {"name": "r"}, "zone": {"name": f"z{number % 3}"}}},
            "attributes": [{"name": "rack", "type": "TEXT", "text": {"value": f"rack{number % 40}"}}],
            "allocation_info": {"role": "*"},
            "resources": resources,
        }
        for number in range(agents)
    ]
    return json.dumps({"type": "OFFERS", "offers": {"offers": offered}}, separators=(",", ":")).encode()


class Master:
    """The state: tasks by id with their agents, and when what happened."""

    def __init__(self, agents: int, tasks_each: int) -> None:
        self.offers = framed(offers(agents, tasks_each))
        self.tasks: dict[bytes, bytes] = {}
        self.address = b"172.17.0.2"
        self.answers_implicitly = True
        self.calls: Counter[str] = Counter()
        self.times: dict[str, float] = {}
        self.acknowledged = 0
        self.stream: asyncio.Transport | None = None
        self.connections: set[asyncio.Transport] = set()
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def call(self, body: bytes, transport: asyncio.Transport) -> bytes:
        """Take a call; returns the response."""
        match = _TYPE.search(body)
        kind = match[1].decode() if match else "?"
        self.calls[kind] += 1
        if kind == "ACKNOWLEDGE":
            self.acknowledged += 1
        elif kind == "ACCEPT":
            self._mark("first ACCEPT")
            self._accept(body)
        elif kind == "RECONCILE":
            self._mark("first RECONCILE")
            self._reconcile(body)
        elif kind == "SUBSCRIBE":
            self._subscribe(transport)
            return b""
        elif kind == "SUPPRESS":
            self._mark("SUPPRESS")
        elif kind.startswith("GET_"):
            return self._answer(kind)
        self._look()
        return _ACCEPTED

    def lost(self, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        self.connections.discard(transport)
        if transport is self.stream:
            self.stream = None
            self._look()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that calls bring about."""
        future = asyncio.get_running_loop().create_future()
        self._waiters.append((condition, future))
        self._look()
        await future

    def _look(self) -> None:
        for waiter in self._waiters:
            condition, future = waiter
            if condition():
                future.set_result(None)
        self._waiters = [waiter for waiter in self._waiters if not waiter[1].done()]

    def _mark(self, what: str) -> None:
        self.times.setdefault(what, time.monotonic())

    def _send(self, data: bytes) -> None:
        if self.stream is not None:
            self.stream.write(data)

    def _subscribe(self, transport: asyncio.Transport) -> None:
        self.times = {"SUBSCRIBE": time.monotonic()}
        self.stream = transport
        subscribed = {
            "type": "SUBSCRIBED",
            "subscribed": {
                "framework_id": {"value": FRAMEWORK},
                "heartbeat_interval_seconds": _HEARTBEAT_SECONDS,
                "master_info": {"id": "m", "hostname": "master.example", "port": 5050, "version": "1.11.0"},
            },
        }
        offered = b"" if self.tasks else self.offers
        transport.write(_OPENED + framed(json.dumps(subscribed).encode()) + offered)
        self._mark("offers sent")

    def _answer(self, kind: str) -> bytes:
        """Answer a question of the operator API: there is no framework but the one that is subscribed."""
        info = {"id": {"value": FRAMEWORK}, "name": "mesos-docker-scheduler"}
        own = [{"framework_info": info, "connected": True}] if self.stream else []
        content = {"frameworks": own} if kind == "GET_FRAMEWORKS" else {}
        body = json.dumps({"type": kind, kind.lower(): content}).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return head % len(body) + body

    def _accept(self, body: bytes) -> None:
        agent = _AGENT.search(body)
        tasks = _TASK.findall(body)
        if agent is None:
            return
        self.tasks.update(dict.fromkeys(tasks, agent[1]))
        values = {b"agent": agent[1], b"address": self.address}
        self._send(framed(*(_UPDATE % {**values, b"task": task} for task in tasks)))

    def _reconcile(self, body: bytes) -> None:
        questions = _QUESTION.findall(body)
        if questions:
            asked = [task for task, _ in questions]
        else:
            asked = list(self.tasks) if self.answers_implicitly else []
        known = self.tasks
        for first in range(0, len(asked), 1000):
            self._send(
                framed(
                    *(
                        _ANSWER % {b"task": task, b"agent": known[task], b"address": self.address}
                        if task in known
                        else _NOT_KNOWN % {b"task": task}
                        for task in asked[first : first + 1000]
                    )
                )
            )

    async def command(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out a command of the benchmark; returns the answer."""
        match command["do"]:
            case "wait running":
                count = command["count"]
                await self.until(lambda: self.acknowledged >= count)
            case "update all":
                return await self._update_all()
            case "wait for":
                what = command["what"]
                await self.until(lambda: what in self.times)
            case "drop":
                self.answers_implicitly = command["implicit"]
                self.times = {}
                for transport in self.connections.copy():
                    transport.abort()
            case "heartbeat":
                self._send(framed(b'{"type":"HEARTBEAT"}'))
        return {"times": self.times, "calls": self.calls, "now": time.monotonic(), "tasks": len(self.tasks)}

    async def _update_all(self) -> dict[str, Any]:
        """Say of every task that its address has changed; returns how long until all was acknowledged."""
        self.address = b"172.17.0.3" if self.address == b"172.17.0.2" else b"172.17.0.2"
        goal = self.acknowledged + len(self.tasks)
        tasks = list(self.tasks.items())
        begun = time.monotonic()
        for first in range(0, len(tasks), 500):
            part = tasks[first : first + 500]
            self._send(
                framed(
                    *(
                        _UPDATE % {b"task": task, b"agent": agent, b"address": self.address}
                        for task, agent in part
                    )
                )
            )
            # Agents would not wait, but this process must read the acknowledgements meanwhile.
            await asyncio.sleep(0)
        sent = time.monotonic()
        await self.until(lambda: self.acknowledged >= goal)
        return {"seconds": time.monotonic() - begun, "sending": sent - begun}


class Connection(asyncio.Protocol):
    """One connection of the scheduler: the subscription's or that of the calls."""

    def __init__(self, master: Master) -> None:
        self._master = master
        self._buffer = bytearray()
        self._needed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        transport.set_write_buffer_limits(high=1 << 30)
        self._transport = transport
        self._master.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._master.lost(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer all requests that are complete."""
        buffer = self._buffer
        buffer += data
        if len(buffer) < self._needed:
            return
        answers = []
        position = self._needed = 0
        while (head_end := buffer.find(b"\r\n\r\n", position)) >= 0:
            length = _LENGTH.search(buffer, position, head_end)
            end = head_end + 4 + (int(length[1]) if length else 0)
            if end > len(buffer):
                self._needed = end - position
                break
            answers.append(self._master.call(bytes(buffer[head_end + 4 : end]), self._transport))
            position = end
        del buffer[:position]
        if answers:
            self._transport.write(b"".join(answers))


async def serve(agents: int, tasks_each: int) -> None:
    """Serve until the input ends."""
    loop = asyncio.get_running_loop()
    master = Master(agents, tasks_each)
    server = await loop.create_server(lambda: Connection(master), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)

    async def beat() -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            await master.command({"do": "heartbeat"})

    beating = asyncio.create_task(beat())
    async for line in commands:
        print(json.dumps(await master.command(json.loads(line))), flush=True)
    beating.cancel()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--agents", type=int, required=True)
    parser.add_argument("--tasks", type=int, required=True, help="for how many tasks there is room in all")
    options = parser.parse_args()
    # A fifth more than the tasks need.
    asyncio.run(serve(options.agents, -(-options.tasks * 12 // (options.agents * 10)) + 1))


if __name__ == "__main__":
    main()
