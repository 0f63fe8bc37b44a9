"""What a master may send, and what may become of it on the way: it costs no more than itself.

The driver, the controller and the store are the real ones; only the sockets are missing.
"""

from __future__ import annotations

import copy
import itertools
import json
import queue
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.callbacks import QueueingScheduler
from mesos_docker_scheduler.control.controller import Controller, Refused
from mesos_docker_scheduler.control.framework import framework_info
from mesos_docker_scheduler.driver import SchedulerDriver
from mesos_docker_scheduler.driver.detector import StaticDetector
from mesos_docker_scheduler.driver.endpoint import Endpoint
from mesos_docker_scheduler.driver.worker import Worker
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.records.store import Event, SqliteStore
from mesos_docker_scheduler.wording import printable
from scheduler_fakes import NOW, configuration, offer_message, resources, service
from scripted_master import FRAMEWORK_ID, Answer, record, subscribed_event

Message = dict[str, Any]
M1 = Endpoint("m1")
HEAD = b"HTTP/1.1 200 OK\r\nMesos-Stream-Id: s1\r\nTransfer-Encoding: chunked\r\n\r\n"
WEB = service(
    count=2,
    constraints=[{"field": "rack", "operator": "UNLIKE", "value": "x"}],
    ports=[{"container_port": 80}],
)
FIRST_TASK = f"web.{WEB.version}.{0:016x}"
GOOD_AGENTS = ("good-1", "good-2", "good-3")
LONGEST_BACKOFF = 300
LONGEST_SELECT = 2**31 / 1000
"""What epoll can wait, in seconds."""


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


class Site:
    """A scheduler without sockets and threads, and a master that is good unless a test speaks for it."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.running: dict[str, str] = {}  # the agents by task
        self.wants_offers = True
        self._numbers = itertools.count()
        self._folder = folder
        self.store = SqliteStore(folder)
        self.begin()

    def begin(self) -> None:
        """A new process, on what the store has."""
        config = configuration(WEB)
        remembered = self.store.load()
        self.inbox: list[events.AnyEvent] = []
        self.told: list[Event] = []
        self.metrics = Metrics()
        self.driver = SchedulerDriver(
            QueueingScheduler(self.inbox.append), framework_info(config, remembered.framework_id), "m1:5050"
        )
        self.subscription = self.driver._subscription
        self.worker = self.driver._worker = Worker(
            self.subscription, StaticDetector([M1]), ssl.create_default_context, self.driver, lambda: None
        )
        self.controller = Controller(
            config,
            "sha",
            self.store,
            remembered,
            self.driver,
            inbox=queue.SimpleQueue(),
            clock=lambda: self.now,
            metrics=self.metrics,
            tell=self.told.append,
            new_id=lambda name, version: f"{name}.{version}.{next(self._numbers):016x}",
        )
        self.subscription.masters_detected((M1,), "", self.now)
        self.connect()

    def connect(self) -> None:
        """Send SUBSCRIBE; nothing is answered yet."""
        self.now += 20
        assert self.subscription.next_master(self.now) == M1
        self.subscription.connected(self.now)

    def subscribe(self) -> None:
        self.hear(HEAD + chunk(record(subscribed_event())))

    def restart(self) -> None:
        self.end()
        self.store = SqliteStore(self._folder)
        self.begin()

    def end(self) -> None:
        self.worker._selector.close()
        self.worker._wakeup.close()
        self.store.close()

    def hear(self, data: bytes, after: float = 0.0) -> None:
        """Bytes of the stream, and a round of the controller."""
        self.now += after
        self.worker._hear(self.subscription.received(data, self.now))
        self.round()

    def round(self, after: float = 0.0) -> None:
        """A round of the driver, when there is nothing to read, and of the controller."""
        self.now += after
        self.worker._hear(self.subscription.check_silence(self.now))
        timeout = self.worker._timeout(self.now)
        assert timeout is None or 0 <= timeout < LONGEST_SELECT
        batch, self.inbox[:] = list(self.inbox), []
        before = self.offers_counted()
        self.controller.process(batch, self.now)
        offered = sum(len(event.offers) for event in batch if isinstance(event, events.Offers))
        assert self.offers_counted() - before == offered
        for event in self.told:
            assert event.text == printable(event.text)

    def say(self, *said: Message, after: float = 0.0) -> None:
        """Events of a good master."""
        self.hear(chunk(b"".join(map(record, said))), after)

    def calls(self) -> list[Message]:
        """What was sent since the last look; all is accepted."""
        calls = self.worker._calls
        if calls is None:
            return []
        data, found = calls.pipeline.take_requests(self.now, 10**9), []
        while data:
            head, _, rest = data.partition(b"\r\n\r\n")
            length = int(head.rpartition(b" ")[2])
            found.append(json.loads(rest[:length], parse_constant=pytest.fail))
            data = rest[length:]
        calls.pipeline.receive(Answer(202).encode() * len(found), self.now)
        return found

    def answer(self, call: Message) -> None:
        """Do what a call asks for."""
        match call["type"]:
            case "RECONCILE":
                for task in call["reconcile"]["tasks"] or [_id(one) for one in self.running]:
                    self._tell(task.get("task_id", task)["value"], "REASON_RECONCILIATION")
            case "ACCEPT":
                for operation in call["accept"]["operations"]:
                    for info in operation["launch"]["task_infos"]:
                        self.running[info["task_id"]["value"]] = info["agent_id"]["value"]
                        self._tell(info["task_id"]["value"], None)
            case "KILL":
                self.running.pop(call["kill"]["task_id"]["value"], None)
                self._tell(call["kill"]["task_id"]["value"], None)
            case "REVIVE" | "SUPPRESS":
                self.wants_offers = call["type"] == "REVIVE"

    def _tell(self, task_id: str, reason: str | None) -> None:
        agent_id = self.running.get(task_id)
        said: Message = {"task_id": {"value": task_id}}
        if agent_id is not None:
            said |= {"agent_id": {"value": agent_id}, "state": "TASK_RUNNING", "healthy": True}
        elif reason is None:
            said |= {"agent_id": {"value": "gone"}, "state": "TASK_KILLED"}
        else:
            said |= {"state": "TASK_UNKNOWN"}
        said |= {"reason": reason} if reason else {"uuid": f"uuid-{next(self._numbers)}"}
        self.say({"type": "UPDATE", "update": {"status": said}})

    def answer_all(self) -> None:
        for call in self.calls():
            self.answer(call)

    def settle(self) -> None:
        """Let a good master go on until all runs as it should."""
        for turn in range(LONGEST_BACKOFF):
            if isinstance(self.controller.outcome, Refused):
                self.restart()  # ERROR ends the process, and systemd starts it again
            if self.subscription.is_over:
                self.connect()
            if self.subscription.phase.name == "SUBSCRIBING":
                self.subscribe()
            self.answer_all()
            if self.wants_offers:
                offers = [offer_message(agent) for agent in GOOD_AGENTS]
                self.say({"type": "OFFERS", "offers": {"offers": offers}})
            if turn % 20 == 10:  # executors tell again how their tasks are
                for task_id in list(self.running):
                    self._tell(task_id, None)
            self.say({"type": "HEARTBEAT"}, after=2)
            if self.controller.snapshot.services[0].converged:
                return
        pytest.fail(f"it does not converge: {self.controller.snapshot.services[0].waiting}")

    def offers_counted(self) -> float:
        """Those that were understood, and those that were not."""
        counters = (self.metrics.offers["received"], self.metrics.messages_left_out["offer"])
        return sum(sample.value for one in counters for metric in one.collect() for sample in metric.samples)


def _id(value: str) -> Message:
    return {"value": value}


WINDOW = {"start": {"nanoseconds": int((NOW + 60) * 1e9)}, "duration": {"nanoseconds": 60 * 10**9}}
RESERVED = {
    "name": "cpus",
    "type": "SCALAR",
    "scalar": {"value": 1},
    "role": "web",
    "reservations": [{"type": "STATIC", "role": "web", "labels": {"labels": [{"key": "k"}]}}],
    "disk": {"persistence": {"id": "p"}},
    "provider_id": {"value": "p"},
}
OFFER = offer_message(
    "odd",
    more={
        "attributes": [{"name": "rack", "type": "TEXT", "text": {"value": "r1"}}],
        "unavailability": WINDOW,
        "allocation_info": {"role": "*"},
        "domain": {"fault_domain": {"region": {"name": "r"}, "zone": {"name": "z"}}},
        "url": {"scheme": "http", "address": {"hostname": "h", "ip": "10.0.0.1", "port": 5051}},
        "resources": [*resources(), RESERVED],
        "executor_ids": [{"value": "e"}],
    },
)
INVERSE_OFFER = {"id": {"value": "inverse"}, "agent_id": {"value": "good-1"}, "unavailability": WINDOW}
STATUS: Message = {
    "task_id": {"value": FIRST_TASK},
    "agent_id": {"value": "good-1"},
    "executor_id": {"value": FIRST_TASK},
    "uuid": "uuid-odd",
    "state": "TASK_FAILED",
    "reason": "REASON_COMMAND_EXECUTOR_FAILED",
    "source": "SOURCE_EXECUTOR",
    "message": "it ended",
    "healthy": False,
    "timestamp": NOW,
    "container_status": {
        "container_id": {"value": "c", "parent": {"value": "d"}},
        "network_infos": [{"ip_addresses": [{"ip_address": "10.0.0.9", "protocol": "IPv4"}]}],
    },
}
EVENTS: list[Message] = [
    subscribed_event(),
    {"type": "OFFERS", "offers": {"offers": [OFFER]}},
    {"type": "OFFERS", "offers": {"offers": [OFFER, offer_message("good-2")]}},
    {"type": "INVERSE_OFFERS", "inverse_offers": {"inverse_offers": [INVERSE_OFFER]}},
    {"type": "UPDATE", "update": {"status": STATUS}},
    {"type": "UPDATE", "update": {"status": {**STATUS, "state": "TASK_RUNNING", "healthy": True}}},
    {"type": "RESCIND", "rescind": {"offer_id": {"value": "o"}}},
    {"type": "RESCIND_INVERSE_OFFER", "rescind_inverse_offer": {"inverse_offer_id": {"value": "inverse"}}},
    {"type": "FAILURE", "failure": {"agent_id": {"value": "good-1"}}},
    {"type": "FAILURE", "failure": {"agent_id": _id("good-1"), "executor_id": _id("e"), "status": 9}},
    {"type": "MESSAGE", "message": {"agent_id": _id("a"), "executor_id": _id("e"), "data": "x"}},
    {"type": "UPDATE_OPERATION_STATUS", "update_operation_status": {"status": {"state": "OPERATION_FAILED"}}},
    {"type": "HEARTBEAT"},
    {"type": "ERROR", "error": {"message": "Framework failed over"}},
    {"type": "A_NEW_ONE", "a_new_one": {}},
]
# As they stand in the stream: what Python's JSON and orjson read differently, or not at all.
NESTED = [
    f"{begin * depth}1{end * depth}"
    for begin, end in (("[", "]"), ('{"a":', "}"))
    for depth in (260, 900, 1020)
]
RAW = [
    "NaN", "-Infinity", "1e999", '"\\ud800"', '{"\\udfff": 1}', "01", "nil", '"\xff"', '"\n"', "9" * 5000,
    *NESTED,
]  # fmt: skip
SOMETHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([10**400, 1e308, -1.0, 1e9, 2**53]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(
        ["\x00", "\x1b[2J\n", "TEXT", "SCALAR", "SET", "TASK_RUNNING", "x" * 70_000, "", "good-1"]
    ),
    st.builds(list),
    st.builds(dict),
    st.builds(lambda: [5, None]),
    st.builds(lambda: {"value": None}),
    st.sampled_from(range(len(RAW))).map("@raw{}@".format),
)


def places(message: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a message, by the keys and indices that lead there."""
    for key, part in message.items() if isinstance(message, dict) else enumerate(message):
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from places(part, (*path, key))


@st.composite
def damaged_events(draw: st.DrawFn, of: list[Message] = EVENTS) -> bytes:
    """The JSON of an event of which up to three parts are missing, added, or something else."""
    event: Any = copy.deepcopy(draw(st.sampled_from(of)))
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2, 3]))):
        *way, last = draw(st.sampled_from([*places(event), ("type",)]))
        holder: Any = event
        for key in way:
            holder = holder[key]
        match draw(st.sampled_from(["value", "value", "missing", "more"])):
            case "value":
                holder[last] = draw(SOMETHING)
            case "missing":
                holder.pop(last, None) if isinstance(holder, dict) else holder.pop(last)
            case "more" if isinstance(holder, dict):
                holder[draw(st.sampled_from(["value", "revocable", "shared", "id", "odd", "\x00"]))] = draw(
                    SOMETHING
                )
            case "more":
                holder.append(draw(SOMETHING))
    text = json.dumps(event)
    for number, raw in enumerate(RAW):
        text = text.replace(f'"@raw{number}@"', raw)
    return text.encode("latin-1")


@st.composite
def pieces(draw: st.DrawFn) -> bytes:
    """Some bytes of the stream's body: mostly records."""
    data = draw(damaged_events())
    match draw(st.sampled_from([""] * 16 + ["length", "bytes", "empty", "garbage"])):
        case "length":
            length = draw(st.sampled_from([0, 1, 2**28, 2**28 + 1, 2**63, 10**30, -1]) | st.integers(0, 200))
            return b"%d\n%s" % (length, data)
        case "bytes":
            place = draw(st.integers(0, len(data)))
            return record(data[:place] + draw(st.binary(min_size=1, max_size=4)) + data[place + 1 :])
        case "empty":
            return b"\n\n" + record(data)
        case "garbage":
            return draw(st.binary(max_size=10)) + record(data)
    return record(data)


HEADS = [
    b"",
    b"HTTP/1.1 200 OK\r\nMesos-Stream-Id: \xff\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nMesos-Stream-Id: a\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD,
    b"HTTP/1.1 307 X\r\nLocation: //[::1\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 307 X\r\nLocation: http://\xe9:99999999/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 X\r\nContent-Length: 9\r\n\r\na\x1b[2J\x00\xff\xe2\x80",
    b"HTTP/1.1 503 X\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nMesos-Stream-Id: a\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
]


@st.composite
def streams(draw: st.DrawFn) -> tuple[str, list[bytes]]:
    """When it comes, and what comes in, part by part: chunks of HTTP around pieces, cut anywhere."""
    time = draw(st.sampled_from(["nothing runs yet", "all runs", "all runs", "SUBSCRIBE was sent"]))
    data = b"".join(map(chunk, draw(st.lists(pieces(), min_size=1, max_size=4))))
    if time == "SUBSCRIBE was sent":
        first = chunk(record(draw(damaged_events(of=EVENTS[:1]))))
        data = draw(st.sampled_from([HEAD] * 3 + HEADS)) + first + data
    if draw(st.integers(0, 9)) == 0:
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(st.binary(max_size=4)) + data[place:]
    cuts = sorted({draw(st.integers(0, len(data))) for _ in range(draw(st.integers(0, 3)))})
    return time, [data[start:end] for start, end in itertools.pairwise([0, *cuts, len(data)])]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory, if there is a place for it: each case has a store of its own."""
    shared_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared_memory if shared_memory.is_dir() else None) as name:
        yield Path(name)


numbers = itertools.count()


@given(sent=streams())
def test_no_stream_ends_the_scheduler_or_what_it_does_for_others(
    folder: Path, sent: tuple[str, list[bytes]]
) -> None:
    time, stream = sent
    site = Site(folder / str(next(numbers)))
    if time == "nothing runs yet":
        site.subscribe()
        site.answer_all()  # what runs is known by now
    elif time == "all runs":
        site.settle()
    for data in stream:
        site.hear(data)
        site.round(after=2)  # by then there are no more offers to wait for
        site.answer_all()
    site.settle()
    site.restart()
    site.settle()
    assert site.controller.snapshot.framework_id == FRAMEWORK_ID
    site.end()
