"""The store in a real ZooKeeper keeps the contract of all stores, and lets one scheduler write alone."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.handlers.threading import KazooTimeoutError
from mesos_docker_scheduler.records import zookeeper_store
from mesos_docker_scheduler.records.content import Content
from mesos_docker_scheduler.records.store import Change, Event, StoreError
from mesos_docker_scheduler.records.zookeeper_store import Fence, FencedError, Replica, ZooKeeperStore
from mesos_testbed import ZooKeeper
from scheduler_fakes import NOW, service, task
from store_contract import StoreContract

pytestmark = pytest.mark.integration

WEB = service()
ROOTS = (f"/schedulers/{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
    with ZooKeeper(tmp_path_factory.mktemp("zookeeper")) as server:
        yield server


@pytest.fixture(scope="module")
def client(zookeeper: ZooKeeper) -> Iterator[KazooClient]:
    client = KazooClient(zookeeper.address, timeout=4)
    client.start()
    yield client
    client.stop()
    client.close()


class Root:
    """A node below which a store stays. Who opens it leads from then on."""

    def __init__(self, client: KazooClient) -> None:
        self.client = client
        self.path = next(ROOTS)
        self.opened: list[ZooKeeperStore] = []
        client.create(f"{self.path}/leader", makepath=True)
        self.ours = client.create(f"{self.path}/ours")

    def open(self) -> ZooKeeperStore:
        version = self.client.set(f"{self.path}/leader", b"").version
        store = ZooKeeperStore(self.client, self.path, Fence(f"{self.path}/leader", version, self.ours))
        store.load()
        self.opened.append(store)
        return store

    def names(self, folder: str) -> list[str]:
        return sorted(self.client.get_children(f"{self.path}/{folder}"))


@pytest.fixture
def root(client: KazooClient) -> Root:
    return Root(client)


class TestZooKeeperStore(StoreContract):
    @pytest.fixture
    def make(self, client: KazooClient) -> Callable[[], Root]:
        return lambda: Root(client)


def test_who_is_no_candidate_any_more_writes_nothing(root: Root) -> None:
    store = root.open()
    store.commit(Change("one"))
    root.client.delete(root.ours)
    with pytest.raises(FencedError):
        store.commit(Change("two"))
    root.client.create(root.ours)
    assert root.open().load().framework_id == "one"


def test_a_leader_of_before_writes_nothing_any_more(root: Root) -> None:
    before = root.open()
    before.commit(Change("one"))
    after = root.open()
    for _ in range(2):
        with pytest.raises(FencedError, match=r"can't be written: another scheduler leads by now"):
            before.commit(Change("two"))
    after.commit(Change(records={("k", "1"): "1"}))
    assert (root.open().load().framework_id, len(root.names("log"))) == ("one", 2)


@pytest.mark.parametrize("size", [10_000, 2_000_000])
def test_a_change_larger_than_a_packet_is_written_as_a_whole_or_not_at_all(root: Root, size: int) -> None:
    noise = random.Random(1).randbytes(size).hex()  # noqa: S311 - repeatable, not secret
    root.open().commit(Change("one", {"1": task("1", WEB, message=noise)}))
    assert root.open().load().tasks["1"].message == noise
    assert bool(root.names("parts")) is (size > 1_000_000)


def test_another_may_follow_it(root: Root) -> None:
    store = root.open()
    replica = Replica(root.client, root.path)
    for number in range(5):
        store.commit(Change(str(number), events=[Event(NOW, "kind", str(number))]))
        replica.catch_up()
        assert (replica.content.framework_id, len(replica.content.events)) == (str(number), number + 1)


def test_the_log_is_replaced_by_a_snapshot_now_and_then(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zookeeper_store, "_COMPACT_AFTER_CHANGES", 10)
    monkeypatch.setattr(zookeeper_store, "_FRAME_RECORDS", 3)
    store = root.open()
    late = Replica(root.client, root.path)
    for number in range(95):
        tasks = {str(number): task(str(number), WEB)}
        store.commit(Change("one", tasks, {str(number - 20)}, events=[Event(NOW, "kind", str(number))]))
        if number == 5:
            late.catch_up()
    store.close()
    late.catch_up()
    found = root.open().load()
    assert late.content.remembered() == found
    assert list(found.tasks) == [str(number) for number in range(75, 95)]
    assert [event.text for event in found.events] == [str(number) for number in range(95)]
    assert len(root.names("log")) < 30
    assert len({name.split("-")[0] for name in root.names("snapshots")}) <= 2


def test_a_change_whose_answer_was_lost_is_not_written_twice(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = root.open()
    store.commit(Change("one"))
    answer = zookeeper_store.answer

    def lost(asked: object) -> object:
        answer(asked)  # type: ignore[arg-type]
        raise KazooTimeoutError

    change = Change("two", events=[Event(NOW, "kind", "1", id=1)])
    with monkeypatch.context() as patch:
        patch.setattr(zookeeper_store, "answer", lost)
        with pytest.raises(StoreError, match="no answer in 10 s"):
            store.commit(change)
    change.events.append(Event(NOW, "kind", "2", id=2))
    store.commit(change)
    found = root.open().load()
    assert (found.framework_id, [event.text for event in found.events]) == ("two", ["1", "2"])


def test_a_zookeeper_that_is_away_is_told_and_what_was_written_is_there_afterwards(tmp_path: Path) -> None:
    with ZooKeeper(tmp_path) as server:
        client = KazooClient(server.address, timeout=4)
        client.start()
        root = Root(client)
        store = root.open()
        store.commit(Change("one"))
        server.kill9()
        with pytest.raises(StoreError, match=r"zk://127\.0\.0\.1:\d+/.*: can't be written"):
            store.commit(Change("two"))
        server.start()
        client.stop()
        client.close()
        again = KazooClient(server.address, timeout=4)
        again.start()
        root.client = again
        assert root.open().load().framework_id in ("one", "two")
        again.stop()
        again.close()


def test_who_has_read_what_is_discarded_sees_that_it_counts_no_more(root: Root) -> None:
    store = root.open()
    for number in range(5):
        store.commit(Change("one", {str(number): task(str(number), WEB)}))
    replica = Replica(root.client, root.path)
    replica.catch_up()
    store.discard()
    assert (root.names("log"), root.names("parts"), root.names("snapshots")) == ([], [], [])
    replica.catch_up()
    assert replica.content.remembered() == Content().remembered()
    version = root.client.set(f"{root.path}/leader", b"").version
    after = ZooKeeperStore(root.client, root.path, Fence(f"{root.path}/leader", version, root.ours), replica)
    after.load()
    after.commit(Change("two"))
    assert root.open().load().framework_id == "two"


@pytest.mark.parametrize("compacted", [False, True])
def test_discarding_may_be_interrupted_anywhere(
    root: Root, monkeypatch: pytest.MonkeyPatch, compacted: bool
) -> None:
    if compacted:
        monkeypatch.setattr(zookeeper_store, "_COMPACT_AFTER_CHANGES", 2)
    store = root.open()
    for number in range(5):
        store.commit(Change("one", {str(number): task(str(number), WEB)}))
    store.close()
    again = root.open()

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(again, "_delete", end)
        with pytest.raises(KeyboardInterrupt):
            again.discard()
    assert root.open().load() == Content().remembered()
    assert root.names("log") == []


def test_a_snapshot_that_fails_is_tried_again(
    root: Root, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(zookeeper_store, "_COMPACT_AFTER_CHANGES", 3)
    monkeypatch.setattr(zookeeper_store, "_COMPACT_AGAIN_SECONDS", 0.0)
    store = root.open()

    def write_parts(*_: object) -> None:
        raise StoreError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(store, "_write_parts", write_parts)
        for number in range(5):
            store.commit(Change(str(number)))
        assert store._compaction is not None
        store._compaction.join()
    assert "The snapshot of the state in ZooKeeper failed: StoreError no room" in caplog.text
    store.commit(Change("last"))
    store._compaction.join()
    assert len(root.names("snapshots")) == 1
    assert root.open().load().framework_id == "last"
