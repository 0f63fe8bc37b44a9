"""Masters and agents that find each other through ZooKeeper, with credentials and without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from mesos_testbed import Agent, Master, PrivateDocker, ZooKeeper, eventually

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
    with ZooKeeper(tmp_path_factory.mktemp("zookeeper")) as server:
        yield server


def ha_flags(folder: Path, zk: str, quorum: int) -> dict[str, str | int | bool]:
    return {
        "registry": "replicated_log",
        "work_dir": str(folder),
        "quorum": quorum,
        "zk": zk,
        "zk_session_timeout": "5secs",
        "log_auto_initialize": True,
    }


def test_credentials_protect_what_masters_write(
    folder: Path, engine: PrivateDocker, zookeeper: ZooKeeper
) -> None:
    url = folder / "zk-url"
    url.write_text(f"zk://mesos:pass@{zookeeper.address}/protected/mesos\n")
    url.chmod(0o600)
    flags = ha_flags(folder / "work", f"file://{url}", 1)
    with Master(folder / "master", flags) as master:
        eventually(lambda: master.get("/state").get("elected_time"), "a leader")
        with Agent(folder / "agent", f"file://{url}", engine, {"containerizers": "mesos"}) as agent:
            agent.wait_registered(master)
        assert "pass" not in str(master.get("/flags"))

        stranger = KazooClient(zookeeper.address)
        stranger.start()
        try:
            contenders = [
                name for name in stranger.get_children("/protected/mesos") if name.startswith("json.info")
            ]
            replicas = stranger.get_children("/protected/mesos/log_replicas")
            assert len(contenders) == len(replicas) == 1
            for node in (contenders[0], f"log_replicas/{replicas[0]}"):
                rules, _ = stranger.get_acls(f"/protected/mesos/{node}")
                assert {(rule.id.scheme, rule.acl_list[0]) for rule in rules} == {
                    ("world", "READ"),
                    ("digest", "ALL"),
                }
                with pytest.raises(NoAuthError):
                    stranger.delete(f"/protected/mesos/{node}")
        finally:
            stranger.stop()
            stranger.close()


def test_three_masters_and_the_death_of_the_leader(
    folder: Path, engine: PrivateDocker, zookeeper: ZooKeeper
) -> None:
    url = f"zk://{zookeeper.address}/three"

    def leader(masters: list[Master]) -> Master | None:
        # Masters that don't lead redirect to the one that does.
        answers = {master.get("/state")["leader"] for master in masters}
        return next((master for master in masters if answers == {f"master@{master.address}"}), None)

    def has_log(master: Master) -> bool:
        return bool(master.get("/metrics/snapshot").get("registrar/log/recovered"))

    with ExitStack() as stack:
        masters = [Master(folder / str(i), ha_flags(folder / str(i) / "work", url, 2)) for i in range(3)]
        for master in masters:
            stack.enter_context(master)
        first = eventually(lambda: leader(masters), "a leader")
        agent = stack.enter_context(Agent(folder / "agent", url, engine, {"containerizers": "mesos"}))
        agent.wait_registered(first)
        [known] = first.agents()
        # Two of three have the log at first. The third joins when all three answer: not after a death.
        eventually(lambda: all(map(has_log, masters)), "all masters have the log")

        first.kill9()
        others = [master for master in masters if master is not first]
        second = eventually(lambda: leader(others), "another leader")
        agent.wait_registered(second)
        assert [slave["id"] for slave in second.agents()] == [known["id"]]
