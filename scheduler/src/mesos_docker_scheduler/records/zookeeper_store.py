"""The state in ZooKeeper: a log of changes, and now and then a snapshot of what they come to.

    ROOT/leader         who may write: its version is the fence
    ROOT/state          which snapshot counts, and with which change the log goes on after it
    ROOT/log/N          a change, or which parts it consists of
    ROOT/parts/N-A-P    part P of change N, as attempt A has written it
    ROOT/snapshots/N-A-P  part P of what the changes before N come to

Every write carries a check of the leader's node, and of our own, in the same transaction: once another has
taken it over, or our session has ended, nothing can be written any more, and so nothing be acted on. A change
counts with its node in the log, which only one can make; whether one whose answer was lost is there is looked
up before the next.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

import orjson
from kazoo.client import KazooClient, TransactionRequest
from kazoo.exceptions import (
    BadVersionError,
    ConnectionLoss,
    KazooException,
    NoNodeError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.interfaces import IAsyncResult

from mesos_docker_scheduler.observability.snapshot import Leader
from mesos_docker_scheduler.records.content import Content
from mesos_docker_scheduler.records.store import (
    CURE,
    Change,
    Event,
    Remembered,
    StoreError,
    read_task,
    task_record,
)

logger = logging.getLogger(__name__)

# A packet of ZooKeeper's is limited to 1 MiB (jute.maxbuffer).
_PART_BYTES = 512 * 1024
_COMPACT_AFTER_BYTES = 4 * 1024 * 1024
_COMPACT_AFTER_CHANGES = 2_000
_FORMAT = 1
_DIGITS = 12
_DELETED_AT_ONCE = 500
ANSWER_SECONDS = 10.0
_WHOLE, _IN_PARTS = b"w", b"p"
_FRAME_RECORDS = 1_000
_MOST_TRIES = 10
_COMPACT_AGAIN_SECONDS = 60.0


Value = TypeVar("Value")


class FencedError(StoreError):
    """Another one leads: nothing can be written here any more."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The leader's node, as it was when we took it over, and our own in the election.

    Ours ends with our session. It tells us from a leader of the same version in an ensemble made anew.
    """

    path: str
    version: int
    ours: str


@dataclass(frozen=True, slots=True)
class _State:
    """What counts: a snapshot (None: there is none yet), and the first change that is not in it.

    `epoch` is another one after all was discarded: what was read before counts no more.
    """

    epoch: str
    snapshot: str | None
    parts: int
    next: int

    def encode(self) -> bytes:
        return orjson.dumps({"format": _FORMAT, **asdict(self)})

    @classmethod
    def decode(cls, data: bytes) -> _State:
        values = orjson.loads(data)
        if values["format"] > _FORMAT:
            raise StoreError(
                f"the state in ZooKeeper has format {values['format']}, this scheduler knows {_FORMAT} and"
                " older: it was written by a newer version of the scheduler, which must be installed again"
            )
        return cls(values["epoch"], values["snapshot"], int(values["parts"]), int(values["next"]))


class Replica:
    """What stands in ZooKeeper, as it was when it was looked at last. Any number may look.

    `written` hears, once after each look and on another thread, that there is more.
    """

    def __init__(self, client: KazooClient, root: str, written: Callable[[], None] = lambda: None) -> None:
        self._client = client
        self._root = root
        self._written = written
        self._epoch: str | None = None
        self.content = Content()
        self.leader: Leader | None = None
        """Who leads; None while nobody does."""
        self.next = -1
        """The change that comes after the last one that is in the content."""
        self.snapshot_bytes = 0
        self.log_bytes = 0
        """What the snapshot and the log take in ZooKeeper."""

    def catch_up(self) -> None:
        """Take in what was written since. StoreError."""
        with _said(self._client, self._root, "read"):
            if answer(self._client.exists_async(f"{self._root}/state", watch=self._tell)) is None:
                return  # nobody has ever led
            self.leader = self._who_leads()
            for _ in range(_MOST_TRIES):
                with contextlib.suppress(NoNodeError):  # what was to be read is in another snapshot by now
                    if self._read_on():
                        return
            raise LookupError(f"something of it is missing; {CURE}")

    @property
    def generation(self) -> tuple[str | None, int]:
        """Changes with the content."""
        return self._epoch, self.next

    def _who_leads(self) -> Leader | None:
        data, _ = answer(self._client.get_async(f"{self._root}/leader", watch=self._tell))
        if not data:
            return None
        told = orjson.loads(data)
        node = f"{self._root}/election/{told['node']}"
        if answer(self._client.exists_async(node, watch=self._tell)) is None:
            return None  # its session has ended
        return Leader(told["host"], told["url"])

    def _tell(self, event: object) -> None:
        self._written()

    def _read_on(self) -> bool:
        """Take in what is there; False if something of it has been replaced meanwhile."""
        state = _State.decode(answer(self._client.get_async(f"{self._root}/state"))[0])
        if self.next < state.next or self._epoch != state.epoch:
            self.content = self._snapshot(state)
            self._epoch, self.next, self.log_bytes = state.epoch, state.next, 0
        watched = self._client.get_children_async(f"{self._root}/log", watch=self._tell)
        names = sorted(answer(watched))
        numbers = [number for number in map(int, names) if number >= self.next]
        if numbers != list(range(self.next, self.next + len(numbers))):
            return False
        for number, data in zip(numbers, self._all(f"{self._root}/log", map(_name, numbers)), strict=True):
            whole = self._whole(number, data)
            self.content.apply(_decoded(whole))
            self.next = number + 1
            self.log_bytes += len(whole)
        return True

    def _whole(self, number: int, data: bytes) -> bytes:
        if data[:1] != _IN_PARTS:
            return data[1:]
        attempt, count = orjson.loads(data[1:])
        return b"".join(self._all(f"{self._root}/parts", _part_names(number, attempt, count)))

    def _snapshot(self, state: _State) -> Content:
        content = Content()
        if state.snapshot is not None:
            parts = self._all(f"{self._root}/snapshots", _part_names(state.next, state.snapshot, state.parts))
            for frame in _frames(b"".join(parts)):
                content.apply(_decoded(frame))
            self.snapshot_bytes = sum(map(len, parts))
        return content

    def _all(self, folder: str, names: Iterable[str]) -> list[bytes]:
        asked = [self._client.get_async(f"{folder}/{name}") for name in names]
        return [answer(one)[0] for one in asked]


class ZooKeeperStore:
    """The leader's side of it. `replica` may know some of it already."""

    def __init__(
        self,
        client: KazooClient,
        root: str,
        fence: Fence,
        replica: Replica | None = None,
        fenced: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._root = root
        self._fence = fence
        self._replica = replica or Replica(client, root)
        self._fenced = fenced
        self._unsure = False  # whether the last change may have been written, though we were told nothing
        self._begins = 0
        self._compact_at = 0.0
        self._compaction: threading.Thread | None = None
        self._closed = False

    def check(self) -> None:
        """StoreError when nothing could be written now."""
        with _said(self._client, self._root, "written"):
            pass

    def load(self) -> Remembered:
        """Read everything."""
        with _said(self._client, self._root, "read"):
            self._prepare()
            answer(self._client.sync_async(self._root))
        self._replica.catch_up()
        with _said(self._client, self._root, "written"):
            self._sweep()
        return self._replica.content.remembered()

    def commit(self, change: Change) -> None:
        """Append the change to the log."""
        with _said(self._client, self._root, "written"):
            try:
                data = zlib.compress(_encoded(change), 1)
            except TypeError as error:
                raise ValueError(str(error)) from error
            if self._unsure:
                self._replica.catch_up()  # what is there now was ours: nobody else can write
                self._unsure = False
            self._append(self._replica.next, data)
            self._replica.content.apply(change)
            self._replica.next += 1
            self._replica.log_bytes += len(data)
        self._compact_if_due()

    def discard(self) -> None:
        """Forget everything at once, then delete it: others that know of it see that it counts no more."""
        with _said(self._client, self._root, "written"):
            number = self._replica.next
            if self._unsure:
                number += 1  # there may be one more
            self._set_state(_State(secrets.token_hex(4), None, 0, number))
            self._sweep()

    @property
    def place(self) -> str:
        """The node."""
        return place_of(self._client, self._root)

    @property
    def size_bytes(self) -> int:
        """What it takes in ZooKeeper, compressed. Any thread may ask."""
        return self._replica.snapshot_bytes + self._replica.log_bytes

    def close(self) -> None:
        """Write nothing more. The connection is its owner's."""
        self._closed = True
        if self._compaction is not None:
            self._compaction.join(ANSWER_SECONDS)

    # What the log is made of

    def _prepare(self) -> None:
        for name in ("log", "parts", "snapshots"):
            self._client.ensure_path(f"{self._root}/{name}")
        if answer(self._client.exists_async(f"{self._root}/state")) is None:
            transaction = self._transaction()
            transaction.create(f"{self._root}/state", _State(secrets.token_hex(4), None, 0, 0).encode())
            self._commit(transaction)

    def _append(self, number: int, data: bytes) -> None:
        head = _WHOLE + data
        if len(data) > _PART_BYTES:
            attempt, parts = secrets.token_hex(4), _parts(data)
            self._write_parts("parts", number, attempt, parts)
            head = _IN_PARTS + orjson.dumps([attempt, len(parts)])
        transaction = self._transaction()
        transaction.create(f"{self._root}/log/{_name(number)}", head)
        self._unsure = True
        self._commit(transaction)
        self._unsure = False

    def _write_parts(self, folder: str, number: int, attempt: str, parts: Sequence[bytes]) -> None:
        names = _part_names(number, attempt, len(parts))
        for name, part in zip(names, parts, strict=True):
            if self._closed:
                raise StoreError("it is being closed")
            transaction = self._transaction()
            transaction.create(f"{self._root}/{folder}/{name}", part)
            self._commit(transaction)

    def _transaction(self) -> TransactionRequest:
        transaction = TransactionRequest(self._client)
        transaction.check(self._fence.path, self._fence.version)
        transaction.check(self._fence.ours, -1)
        return transaction

    def _commit(self, transaction: TransactionRequest) -> None:
        """Have all of it done, or nothing. FencedError, KazooException."""
        results = answer(transaction.commit_async())
        if any(isinstance(result, (BadVersionError, NoNodeError)) for result in results[:2]):
            self._fenced()
            raise FencedError("another scheduler leads by now")
        failures = [result for result in results if isinstance(result, Exception)]
        for failure in failures:
            if not isinstance(failure, (RolledBackError, RuntimeInconsistency)):  # these say no more
                raise failure
        if failures:
            raise KazooException("the transaction was rolled back")

    def _state(self) -> tuple[_State, int]:
        data, stat = answer(self._client.get_async(f"{self._root}/state"))
        return _State.decode(data), stat.version

    # Snapshots

    def _compact_if_due(self) -> None:
        replica = self._replica
        if self._compaction is not None and self._compaction.is_alive():
            return
        if replica.next - self._begins < _COMPACT_AFTER_CHANGES and replica.log_bytes < _COMPACT_AFTER_BYTES:
            return
        if time.monotonic() < self._compact_at:
            return
        self._compact_at = time.monotonic() + _COMPACT_AGAIN_SECONDS
        arguments = replica.content.remembered(), replica.next, replica.log_bytes
        self._compaction = threading.Thread(
            target=self._compact, args=arguments, name="compaction", daemon=True
        )
        self._compaction.start()

    def _compact(self, remembered: Remembered, number: int, log_bytes: int) -> None:
        """Write a snapshot of what the changes before this one come to, and delete what it replaces."""
        try:
            attempt = secrets.token_hex(4)
            parts = _parts(b"".join(map(_framed, _changes(remembered))))
            self._write_parts("snapshots", number, attempt, parts)
            self._set_state(_State(self._state()[0].epoch, attempt, len(parts), number))
            self._begins, self._compact_at = number, 0.0
            self._replica.snapshot_bytes = sum(map(len, parts))
            self._replica.log_bytes -= log_bytes
        except (KazooException, KazooTimeoutError, StoreError) as error:
            if self._closed:
                return
            logger.warning(
                "The snapshot of the state in ZooKeeper failed: %s; next attempt in %g s",
                _reason(error),
                _COMPACT_AGAIN_SECONDS,
            )
            return
        try:
            self._sweep()
        except (KazooException, KazooTimeoutError, StoreError) as error:
            logger.warning("What a snapshot replaces in ZooKeeper is deleted later: %s", _reason(error))

    def _set_state(self, state: _State) -> None:
        _, version = self._state()
        transaction = self._transaction()
        transaction.set_data(f"{self._root}/state", state.encode(), version)
        self._commit(transaction)

    def _sweep(self) -> None:
        """Delete what does not count: before the snapshot, and of attempts that have failed."""
        state, _ = self._state()
        self._begins = state.next
        kept = f"{_name(state.next)}-{state.snapshot}-"
        for folder in ("log", "parts", "snapshots"):
            names = answer(self._client.get_children_async(f"{self._root}/{folder}"))
            old = [
                name
                for name in names
                if (not name.startswith(kept) if folder == "snapshots" else int(name[:_DIGITS]) < state.next)
            ]
            self._delete(f"{self._root}/{folder}/{name}" for name in old)

    def _delete(self, paths: Iterable[str]) -> None:
        for some in _some(paths, _DELETED_AT_ONCE):
            if self._closed:
                return
            transaction = self._transaction()
            for path in some:
                transaction.delete(path)
            self._commit(transaction)


def _name(number: int) -> str:
    return f"{number:0{_DIGITS}d}"


def _part_names(number: int, attempt: str, count: int) -> list[str]:
    return [f"{_name(number)}-{attempt}-{part:04d}" for part in range(count)]


def _parts(data: bytes) -> list[bytes]:
    return [data[begin : begin + _PART_BYTES] for begin in range(0, len(data), _PART_BYTES)]


def answer(asked: IAsyncResult) -> Any:
    """Wait for what ZooKeeper answers. KazooException, KazooTimeoutError."""
    return asked.get(timeout=ANSWER_SECONDS)


@contextlib.contextmanager
def _said(client: KazooClient, root: str, what: str) -> Iterator[None]:
    """Say of each failure where it happened."""
    where = place_of(client, root)
    try:
        if not client.connected:
            raise ConnectionLoss("there is no connection")
        yield
    except FencedError as error:
        raise FencedError(f"{where}: can't be {what}: {error}") from error
    except (KazooException, KazooTimeoutError) as error:
        raise StoreError(f"{where}: can't be {what}: {_reason(error)}") from error
    except (zlib.error, ValueError, TypeError, LookupError) as error:
        raise StoreError(f"{where}: can't be {what}: {error}") from error


def place_of(client: KazooClient, root: str) -> str:
    """Name a node for people, without credentials."""
    return f"zk://{','.join(f'{host}:{port}' for host, port in client.hosts or ())}{root}"


def _reason(error: Exception) -> str:
    if isinstance(error, KazooTimeoutError):
        return f"no answer in {ANSWER_SECONDS:g} s"
    return f"{type(error).__name__} {error}".rstrip()


# Changes as bytes

_EVENT_FIELDS = frozenset(field.name for field in fields(Event))


def _encoded(change: Change) -> bytes:
    return orjson.dumps(
        {
            "framework_id": change.framework_id,
            "tasks": [task_record(task) for task in change.tasks.values()],
            "forget": list(change.forget),
            "versions": [[*name, value] for name, value in change.versions.items()],
            "records": [[*name, value] for name, value in change.records.items()],
            "events": change.events,
        }
    )


def _decoded(data: bytes) -> Change:
    values = orjson.loads(zlib.decompress(data))
    tasks = map(read_task, values["tasks"])
    return Change(
        framework_id=values["framework_id"],
        tasks={task.id: task for task in tasks},
        forget=set(values["forget"]),
        versions={(service, version): value for service, version, value in values["versions"]},
        events=[
            Event(**{key: value for key, value in event.items() if key in _EVENT_FIELDS})
            for event in values["events"]
        ],
        records={(kind, key): value for kind, key, value in values["records"]},
    )


def _changes(remembered: Remembered) -> Iterator[Change]:
    """Changes that come to all of it, none of them large: nobody is to wait long for one to be written."""
    yield Change(framework_id=remembered.framework_id)
    for tasks in _some(remembered.tasks.items(), _FRAME_RECORDS):
        yield Change(tasks=dict(tasks))
    for versions in _some(remembered.versions.items(), _FRAME_RECORDS):
        yield Change(versions=dict(versions))
    for records in _some(remembered.records.items(), _FRAME_RECORDS):
        yield Change(records=dict(records))
    for events in _some(remembered.events, _FRAME_RECORDS):
        yield Change(events=events)


def _some(values: Iterable[Value], most: int) -> Iterator[list[Value]]:
    left = iter(values)
    while some := list(itertools.islice(left, most)):
        yield some


def _framed(change: Change) -> bytes:
    data = zlib.compress(_encoded(change), 1)
    return len(data).to_bytes(4, "big") + data


def _frames(data: bytes) -> Iterator[bytes]:
    begin = 0
    while begin < len(data):
        end = begin + 4 + int.from_bytes(data[begin : begin + 4], "big")
        yield data[begin + 4 : end]
        begin = end
