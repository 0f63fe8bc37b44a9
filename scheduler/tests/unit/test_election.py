"""Which of several schedulers leads, by a real ZooKeeper."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.security import make_acl, make_digest_acl
from mesos_docker_scheduler.config import SharedState
from mesos_docker_scheduler.driver.connection import ConnectionEnded
from mesos_docker_scheduler.election import Member
from mesos_docker_scheduler.observability.snapshot import Leader
from mesos_docker_scheduler.records.store import Change
from mesos_docker_scheduler.records.zookeeper_store import Fence, Replica, ZooKeeperStore
from mesos_testbed import ZooKeeper, eventually

pytestmark = pytest.mark.integration


class Candidate(Member):
    """A member that keeps what it hears."""

    def __init__(self, zookeeper: ZooKeeper, name: str, *logins: str, root: str = "/schedulers/web") -> None:
        self.fences: queue.SimpleQueue[Fence] = queue.SimpleQueue()
        self.ended: list[str] = []
        super().__init__(
            SharedState(zookeeper=f"zk://{zookeeper.address}{root}", session_seconds=2.0),
            logins,
            Leader(name, f"http://{name}"),
            elected=self.fences.put,
            ended=self.ended.append,
        )
        self.connect()
        self.stand()

    def elected(self, seconds: float = 10.0) -> Fence:
        """Wait until it leads."""
        return self.fences.get(timeout=seconds)


@pytest.fixture
def zookeeper(tmp_path: Path) -> Iterator[ZooKeeper]:
    with ZooKeeper(tmp_path) as server:
        yield server


@pytest.fixture
def candidate(zookeeper: ZooKeeper) -> Iterator[Callable[..., Candidate]]:
    with ExitStack() as stack:

        def stand(name: str, *logins: str) -> Candidate:
            return stack.enter_context(closing(Candidate(zookeeper, name, *logins)))

        yield stand


def test_they_lead_one_after_the_other(candidate: Callable[..., Candidate]) -> None:
    first = candidate("a")
    fence = first.elected()
    assert first.no_successor() == "no other scheduler follows"
    second = candidate("b")
    eventually(lambda: first.no_successor() is None, "a successor")
    assert second.fences.empty()
    assert first.leads(fence)

    first.close()
    after = second.elected(1.0)  # at once: nobody waits for the end of a session
    assert after.version > fence.version
    assert second.leads(after)
    assert not second.leads(fence)
    replica = Replica(second.client, second.root)
    ZooKeeperStore(second.client, second.root, after, replica).load()
    replica.catch_up()
    assert replica.leader == second.us


def test_a_session_that_ends_is_told_and_another_one_leads(
    zookeeper: ZooKeeper, candidate: Callable[..., Candidate]
) -> None:
    first = candidate("a")
    fence = first.elected()
    second = candidate("b")
    eventually(lambda: first.no_successor() is None, "a successor")
    session, password = first.client.client_id
    with closing(KazooClient(zookeeper.address, client_id=(session, password))) as thief:
        thief.start()
        thief.stop()  # which ends the session: as if it had timed out
    after = second.elected()
    eventually(lambda: first.ended, "the end of the session")
    assert not second.leads(fence)
    assert second.leads(after)


def test_a_zookeeper_that_is_away_leaves_it_open_who_leads(
    zookeeper: ZooKeeper, candidate: Callable[..., Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesos_docker_scheduler.records.zookeeper_store.ANSWER_SECONDS", 1.0)
    member = candidate("a")
    fence = member.elected()
    zookeeper.kill9()
    with pytest.raises(ConnectionEnded, match="does not say whether we still lead"):
        member.leads(fence)
    assert str(member.no_successor()).startswith("ZooKeeper does not answer")
    zookeeper.start()


def test_what_is_written_belongs_to_the_user(
    zookeeper: ZooKeeper, candidate: Callable[..., Candidate]
) -> None:
    member = candidate("a", "user:pass/word:1")
    store = ZooKeeperStore(member.client, member.root, member.elected())
    store.load()
    acls = {
        path: [acl.id.scheme for acl in member.client.get_acls(f"{member.root}/{path}")[0]]
        for path in ("leader", "state", "log", "election")
    }
    assert acls == {path: ["digest"] for path in acls}


def test_a_password_is_replaced_while_schedulers_run(
    zookeeper: ZooKeeper, candidate: Callable[..., Candidate]
) -> None:
    """One that knows both reads what one that knows only the former has written, and takes it over."""
    former, new = "user:former", "user:new"
    leader = candidate("a", former)
    store = ZooKeeperStore(leader.client, leader.root, leader.elected())
    store.load()
    follower = candidate("b", new, former)
    store.commit(Change("framework"))
    leader.close()
    after = ZooKeeperStore(follower.client, follower.root, follower.elected())
    assert after.load().framework_id == "framework"
    after.commit(Change("framework", records={("a", "b"): "c"}))
    only = make_digest_acl("user", "new", all=True)
    folders = ["", "/election", "/leader", "/state", "/log"]
    nodes = [f"/log/{name}" for name in follower.client.get_children(f"{follower.root}/log")]
    assert len(nodes) == 2
    for node in (*folders, *nodes):
        assert follower.client.get_acls(follower.root + node)[0] == [only], node


def test_another_users_schedulers_may_be_beside_ours(
    zookeeper: ZooKeeper, candidate: Callable[..., Candidate]
) -> None:
    candidate("a", "one:secret").elected()
    other = Candidate(zookeeper, "b", "two:secret", root="/schedulers/other")
    with closing(other):
        other.elected()


def test_who_may_not_write_is_told_why(zookeeper: ZooKeeper, candidate: Callable[..., Candidate]) -> None:
    candidate("a", "one:secret").elected()
    stranger = candidate("b", "two:secret")
    eventually(lambda: stranger.problem, "the reason")
    assert stranger.problem == "ZooKeeper lets this scheduler not write below /schedulers/web: NoAuthError"


def test_a_leader_that_has_lost_the_connection_for_as_long_as_its_session_ends(
    zookeeper: ZooKeeper, candidate: Callable[..., Candidate]
) -> None:
    member = candidate("a")
    member.elected()
    zookeeper.kill9()
    eventually(lambda: member.ended, "its end", 10)
    assert member.ended == ["no connection to ZooKeeper for 2 s"]
    zookeeper.start()


def test_withdraws_before_it_has_begun(zookeeper: ZooKeeper) -> None:
    with ExitStack() as stack:
        member = stack.enter_context(
            closing(
                Member(
                    SharedState(zookeeper=f"zk://{zookeeper.address}/a", session_seconds=2.0),
                    [],
                    Leader("a", None),
                    elected=lambda fence: None,
                    ended=lambda why: None,
                )
            )
        )
        assert not member.client.connected


def test_a_follower_outlives_a_zookeeper_that_is_away(
    zookeeper: ZooKeeper, candidate: Callable[..., Candidate]
) -> None:
    """It has nothing to give up, and goes on showing what it has."""
    first = candidate("a")
    first.elected()
    second = candidate("b")
    eventually(lambda: first.no_successor() is None, "a successor")
    zookeeper.kill9()
    eventually(lambda: first.ended, "the leader's end", 10)
    time.sleep(1)
    assert second.ended == []
    zookeeper.start()


def test_what_is_above_its_nodes_need_not_be_its_own(zookeeper: ZooKeeper) -> None:
    admin = KazooClient(zookeeper.address, auth_data=[("digest", "admin:secret")])
    admin.start()
    admin.create("/given", acl=[make_digest_acl("user", "secret", all=True)])
    admin.set_acls(
        "/", [make_digest_acl("admin", "secret", all=True), make_acl("world", "anyone", read=True)]
    )
    admin.stop()
    admin.close()
    with closing(Candidate(zookeeper, "a", "user:secret", root="/given/web")) as member:
        member.elected()
