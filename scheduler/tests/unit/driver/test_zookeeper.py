"""Finding the leading master in a real ZooKeeper; the masters are scripted."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from driver_process import both_drivers, start
from kazoo.client import KazooClient
from kazoo.security import make_digest_acl
from mesos_docker_scheduler.driver.operator_api import OperatorApi, OperatorApiError
from mesos_docker_scheduler.driver.zookeeper import zookeeper_client
from mesos_testbed import ZooKeeper, eventually
from recorder import running
from scripted_master import ScriptedMaster

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
    with ZooKeeper(tmp_path_factory.mktemp("zookeeper")) as server:
        yield server


@contextmanager
def session(zookeeper: ZooKeeper) -> Iterator[KazooClient]:
    """Be a master's session: what it announces goes with it."""
    client = KazooClient(zookeeper.address, timeout=4)
    client.start()
    try:
        yield client
    finally:
        client.stop()
        client.close()


def announce(client: KazooClient, path: str, master: ScriptedMaster, **options: object) -> str:
    """Write a master's node as Mesos does; return its path."""
    client.ensure_path(path)
    info = {"address": {"hostname": "localhost", "ip": "127.0.0.1", "port": master.port}}
    return str(
        client.create(
            f"{path}/json.info_", json.dumps(info).encode(), ephemeral=True, sequence=True, **options
        )
    )


@both_drivers
def test_a_path_that_does_not_exist_yet_is_waited_for(zookeeper: ZooKeeper, kind: str) -> None:
    path = f"/later-{kind}"
    with (
        ScriptedMaster() as master,
        session(zookeeper) as client,
        start(kind, f"zk://{zookeeper.address}{path}") as driver,
    ):
        announce(client, path, master)
        driver.wait_for("registered")


@both_drivers
def test_credentials_in_the_url_are_used(zookeeper: ZooKeeper, kind: str) -> None:
    path = f"/secret-{kind}"
    with ScriptedMaster() as master, session(zookeeper) as client:
        client.add_auth("digest", "mesos:s3cret")
        acl = [make_digest_acl("mesos", "s3cret", all=True)]
        client.create(path, acl=acl)
        announce(client, path, master, acl=acl)
        with start(kind, f"zk://mesos:s3cret@{zookeeper.address}{path}") as driver:
            driver.wait_for("registered")


def test_the_leader_is_told_once_however_often_it_is_asked(
    zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    url = f"zk://{zookeeper.address}/asked"
    with ScriptedMaster() as master, session(zookeeper) as client:
        announce(client, "/asked", master)
        with running(url) as (_, recorder):
            recorder.wait_for("registered")
            for _ in range(3):
                with contextlib.suppress(OperatorApiError):  # this master knows no operators
                    OperatorApi(url).ask("GET_AGENTS")
    said = [record.message for record in caplog.records if "as the leading master" in record.message]
    assert said == [f"{url} names {master.address} as the leading master"]


def test_wrong_credentials_are_told(zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with ScriptedMaster() as master, session(zookeeper) as client:
        acl = [make_digest_acl("mesos", "s3cret", all=True)]
        client.create("/guarded", acl=acl)
        with running(f"zk://mesos:wrong@{zookeeper.address}/guarded") as (driver, _):
            message = f"zk://{zookeeper.address}/guarded may not be read with these credentials: NoAuthError"
            eventually(lambda: driver.problem == message, "the problem")
        assert message in caplog.text
        assert not master.requests
    assert "wrong@" not in caplog.text


def test_a_new_leader_is_followed(zookeeper: ZooKeeper) -> None:
    with (
        ScriptedMaster() as first,
        ScriptedMaster() as second,
        session(zookeeper) as client,
        running(f"zk://{zookeeper.address}/change") as (_, recorder),
    ):
        node = announce(client, "/change", first)
        recorder.wait_for("registered")
        announce(client, "/change", second)
        client.delete(node)
        recorder.wait_for("reregistered")
        assert [name for name, _ in recorder.heard] == ["registered", "disconnected", "reregistered"]
        assert len(second.calls("SUBSCRIBE")) == 1


def test_a_subscription_survives_the_loss_of_zookeeper(tmp_path: Path) -> None:
    with (
        ScriptedMaster() as master,
        ZooKeeper(tmp_path) as zookeeper,
        session(zookeeper) as client,
        running(f"zk://{zookeeper.address}/away") as (driver, recorder),
    ):
        announce(client, "/away", master)
        recorder.wait_for("registered")
        zookeeper.kill9()
        assert driver.suppressOffers()
        master.wait_for_calls("SUPPRESS")
        # The stream breaks meanwhile: what ZooKeeper said last still holds.
        master.drop_streams()
        recorder.wait_for("reregistered")


def test_an_unreachable_zookeeper_is_told_and_does_not_hold_up_stopping() -> None:
    with running("zk://u:pw@127.0.0.1:1,no-such-host.invalid:2181/mesos") as (driver, _):
        message = "zk://127.0.0.1:1,no-such-host.invalid:2181/mesos can't be reached"
        eventually(lambda: driver.problem == message, "the problem")


def test_another_ensemble_at_the_same_addresses_is_joined(tmp_path: Path) -> None:
    """A server refuses a client that has seen more than there is, and what was lost does not come back."""
    with ZooKeeper(tmp_path) as server:
        client = zookeeper_client(server.address, session_seconds=2, most_retry_seconds=0.5)
        client.start()
        try:
            for _ in range(20):
                client.create("/one-", sequence=True)
            server.stop()
            shutil.rmtree(tmp_path / "data")
            server.start()
            eventually(lambda: client.connected, "the client is connected", seconds=20)
            assert client.get_children("/") == ["zookeeper"]
        finally:
            client.stop()
            client.close()
