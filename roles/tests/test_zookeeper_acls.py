"""Who may change the nodes of ZooKeeper: the module zookeeper_acls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.security import make_digest_acl
from mesos_testbed import ZooKeeper

Load = Callable[[str], ModuleType]
SUPERUSER = "superusers-password"


@pytest.fixture(scope="module")
def acls(load: Load) -> ModuleType:
    return load("plugins/modules/zookeeper_acls.py")


def test_a_user_is_named_as_zookeeper_does(acls: ModuleType) -> None:
    """The example of ZooKeeper's administrator's guide."""
    assert acls.digest("super", "admin") == "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="


def test_a_users_former_passwords_are_told_from_the_current_one_and_from_others(acls: ModuleType) -> None:
    def entry(username: str, password: str) -> object:
        return acls.Entry("digest", acls.digest(username, password), acls.ALL)

    acl = frozenset(
        {acls.EVERYBODY_READS, entry("mesos", "new"), entry("mesos", "old"), entry("mesosphere", "x")}
    )
    assert acls.former_entries(acl, "mesos", acls.digest("mesos", "new")) == {entry("mesos", "old")}


@pytest.fixture
def server(acls: ModuleType, tmp_path: Path) -> Iterator[ZooKeeper]:
    settings = {"DigestAuthenticationProvider.superDigest": acls.digest("super", SUPERUSER)}
    with ZooKeeper(tmp_path, settings=settings) as zookeeper:
        yield zookeeper


@pytest.fixture
def client(server: ZooKeeper) -> Iterator[Callable[..., KazooClient]]:
    """Connect as one who has a password, or as a stranger."""
    clients = []

    def connect(*passwords: str) -> KazooClient:
        auth_data = [("digest", f"mesos:{password}") for password in passwords]
        clients.append(KazooClient(hosts=server.address, auth_data=auth_data))
        clients[-1].start(timeout=30)
        return clients[-1]

    yield connect
    for each in clients:
        each.stop()
        each.close()


def close_to_others(
    acls: ModuleType, server: ZooKeeper, password: str, keep_former: bool = False
) -> list[str]:
    """Do what the module does. Returns the nodes that were changed."""
    with acls.Client("127.0.0.1", server.port) as session:
        session.authenticate(f"super:{SUPERUSER}")
        return list(acls.close_nodes(session, "/mesos", "mesos", password, keep_former=keep_former).changed)


@pytest.mark.integration
def test_only_the_owner_makes_and_changes_nodes(
    acls: ModuleType, server: ZooKeeper, client: Callable[..., KazooClient]
) -> None:
    stranger, owner = client(), client("secret")
    stranger.create("/mesos")
    stranger.create("/mesos/log_replicas")
    assert close_to_others(acls, server, "secret") == [
        "/",
        "/zookeeper",
        "/zookeeper/quota",
        "/mesos",
        "/mesos/log_replicas",
    ]
    assert close_to_others(acls, server, "secret") == []
    for path in ("/", "/mesos", "/mesos/log_replicas", "/zookeeper", "/zookeeper/quota"):
        assert isinstance(stranger.get_children(path), list)
        with pytest.raises(NoAuthError):
            stranger.create(f"{path.rstrip('/')}/of-a-stranger")
    with pytest.raises(NoAuthError):
        stranger.delete("/mesos/log_replicas")
    with pytest.raises(NoAuthError):
        stranger.set_acls("/mesos", [make_digest_acl("mesos", "mine", all=True)])
    owner.create("/mesos/json.info_1", b"{}")
    owner.delete("/mesos/json.info_1")


@pytest.mark.integration
def test_a_password_is_changed_while_it_is_used(
    acls: ModuleType, server: ZooKeeper, client: Callable[..., KazooClient]
) -> None:
    old, new = client("old"), client("new")
    close_to_others(acls, server, "old")
    old.create("/mesos")
    close_to_others(acls, server, "old")
    assert "/mesos" in close_to_others(acls, server, "new", keep_former=True)
    old.create("/mesos/1")
    new.create("/mesos/2")
    assert "/mesos" in close_to_others(acls, server, "new")
    assert close_to_others(acls, server, "new") == []
    new.create("/mesos/3")
    with pytest.raises(NoAuthError):
        old.create("/mesos/4")


@pytest.mark.integration
def test_a_wrong_password_of_the_superuser_is_said(
    acls: ModuleType, server: ZooKeeper, client: Callable[..., KazooClient]
) -> None:
    client()  # the server serves
    with acls.Client("127.0.0.1", server.port) as session:
        session.authenticate("super:wrong")
        with pytest.raises(acls.ZooKeeperError, match="refuses"):
            session.set_acl("/zookeeper/config", frozenset({acls.EVERYBODY_READS}))


@pytest.mark.integration
def test_nodes_that_were_closed_are_opened_again(
    acls: ModuleType, server: ZooKeeper, client: Callable[..., KazooClient]
) -> None:
    client("secret").ensure_path("/mesos/log_replicas")
    host, port = server.address.split(":")
    with acls.Client(host, int(port)) as superuser:
        superuser.authenticate(f"super:{SUPERUSER}")
        acls.close_nodes(superuser, "/mesos", "mesos", "secret")
        stranger = client()
        with pytest.raises(NoAuthError):
            stranger.create("/mesos/mine")
        assert {"/", "/mesos", "/mesos/log_replicas"} <= set(acls.open_nodes(superuser, "/mesos"))
        assert acls.open_nodes(superuser, "/mesos") == []
    stranger.create("/mesos/mine")
    stranger.delete("/mesos/log_replicas")


@pytest.mark.integration
def test_private_nodes_are_nobody_elses_business(
    acls: ModuleType, server: ZooKeeper, client: Callable[..., KazooClient]
) -> None:
    stranger, owner, before = client(), client("secret"), client("former")
    host, port = server.address.split(":")

    def close(password: str, keep_former: bool = False) -> Any:
        return acls.close_nodes(
            superuser, "/schedulers", "mesos", password, private=True, keep_former=keep_former
        )

    with acls.Client(host, int(port)) as superuser:
        superuser.authenticate(f"super:{SUPERUSER}")
        assert close("former").changed == ["/schedulers"]
        assert close("former").changed == []
        before.create("/schedulers/log", acl=[make_digest_acl("mesos", "former", all=True)])
        assert close("secret", keep_former=True) == acls.Closed(["/schedulers", "/schedulers/log"], True)
        assert owner.get_children("/schedulers") == before.get_children("/schedulers") == ["log"]
        assert close("secret") == acls.Closed(["/schedulers", "/schedulers/log"], True)
        assert close("secret") == acls.Closed([], False)
        for other in (stranger, before):
            with pytest.raises(NoAuthError):
                other.get_children("/schedulers")
        stranger.create("/elsewhere")
        assert acls.open_nodes(superuser, "/schedulers", private=True) == ["/schedulers", "/schedulers/log"]
        stranger.create("/schedulers/log/1")
