"""What the modules read of files and answers; that they ask real servers is seen on the lab."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def zookeeper(load: Load) -> ModuleType:
    return load("plugins/modules/zookeeper_server.py")


@pytest.fixture(scope="module")
def master(load: Load) -> ModuleType:
    return load("plugins/modules/mesos_master_state.py")


def looked_at(zookeeper: ModuleType, folder: Path) -> dict[str, object]:
    """What it says of a server that does not run: nothing listens on the discard port."""
    result: dict[str, object] = zookeeper.inspect(
        folder, folder / "conf", folder / "former.cfg", "127.0.0.1", 9
    )
    return result


def test_a_host_without_zookeeper(zookeeper: ModuleType, tmp_path: Path) -> None:
    assert looked_at(zookeeper, tmp_path) == {
        "myid": 0,
        "has_data": False,
        "members": {},
        "version": 0,
        "state": "",
        "in_sync": False,
        "tls_step": 0,
    }


@pytest.mark.parametrize(
    ("config", "step"),
    [
        ("tickTime=2000\n", 0),
        ("sslQuorum=false\nportUnification=true\n", 1),
        ("sslQuorum=true\nportUnification=true\n", 2),
        ("sslQuorum=true\nportUnification=false\n", 3),
    ],
)
def test_how_a_server_speaks_with_the_others(zookeeper: ModuleType, config: str, step: int) -> None:
    assert zookeeper.tls_step(config) == step


def test_members_are_where_the_server_keeps_them(zookeeper: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "myid").write_text("2\n")
    (tmp_path / "version-2").mkdir()
    (tmp_path / "version-2" / "currentEpoch").write_text("1")
    (tmp_path / "conf").mkdir()
    dynamic = tmp_path / "conf" / "zoo.cfg.dynamic.100"
    dynamic.write_text("server.2=10.0.0.2:2888:3888:participant;10.0.0.2:2181\n")
    (tmp_path / "conf" / "zoo.cfg").write_text(f"tickTime=2000\ndynamicConfigFile={dynamic}\n")
    found = looked_at(zookeeper, tmp_path)
    assert found["myid"] == 2
    assert found["members"] == {"2": "10.0.0.2:2888:3888:participant;10.0.0.2:2181"}
    assert not found["has_data"]
    (tmp_path / "version-2" / "snapshot.0").write_text("")
    assert looked_at(zookeeper, tmp_path)["has_data"]


def test_a_former_list_of_servers_counts(zookeeper: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "former.cfg").write_text("clientPort=2181\nserver.1=10.0.0.1:2888:3888\n")
    assert looked_at(zookeeper, tmp_path)["members"] == {"1": "10.0.0.1:2888:3888"}


def test_a_server_that_was_alone_is_its_ensemble(zookeeper: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "former.cfg").write_text("clientPort=2181\n")
    assert looked_at(zookeeper, tmp_path)["members"] == {}
    (tmp_path / "myid").write_text("1\n")
    assert looked_at(zookeeper, tmp_path)["members"] == {"1": "127.0.0.1:2888:3888;127.0.0.1:9"}


def test_a_host_without_a_master(master: ModuleType, tmp_path: Path) -> None:
    assert master.on_disk(tmp_path / "unit", tmp_path) == {
        "quorum": 0,
        "ensemble": [],
        "has_log": False,
        "seed": 0,
    }


def test_what_a_master_leaves_on_the_disk(master: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "unit").write_text(
        'ExecStart=/usr/sbin/mesos-master \\\n    "--quorum=2" \\\n    "--port=5050"\n'
    )
    (tmp_path / "ensemble").write_text("10.0.0.1\n10.0.0.2\n")
    (tmp_path / "replicated_log").mkdir()
    (tmp_path / "replicated_log" / "CURRENT").write_text("")
    found = master.on_disk(tmp_path / "unit", tmp_path)
    assert found == {"quorum": 2, "ensemble": ["10.0.0.1", "10.0.0.2"], "has_log": True, "seed": 0}


def test_a_packed_log_is_void_once_the_log_was_written_to(master: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "replicated_log" / "CURRENT"
    log.parent.mkdir()
    log.write_text("")
    os.utime(log, (100, 100))
    seed = tmp_path / "seed-for-quorum-3.tar.gz"
    seed.write_text("")
    os.utime(seed, (101, 101))
    assert master.packed_for(tmp_path) == 3
    os.utime(log, (102, 102))
    assert master.packed_for(tmp_path) == 0


def test_a_master_that_does_not_answer(master: ModuleType) -> None:
    assert master.of_process(master.Masters({}, {}), "127.0.0.1:9") == {
        "answers": False,
        "recovered": False,
        "has_registry": False,
        "replicas": 0,
        "leader": "",
    }


def test_voters_are_asked_where_they_serve_clients(
    zookeeper: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        ("10.0.0.1", 2181): "zk_server_state\tleader\nzk_peer_state\tleading - broadcast\n",
        ("10.0.0.2", 2182): "zk_server_state\tfollower\nzk_peer_state\tfollowing - synchronization\n",
        ("10.0.0.5", 2181): "zk_server_state\tstandalone\n",
    }
    monkeypatch.setattr(
        zookeeper, "ask", lambda address, port, _: answers.get((address, port), "This server is not serving")
    )
    members = {
        "1": "10.0.0.1:2888:3888:participant;10.0.0.1:2181",
        "2": "10.0.0.2:2888:3888:participant;0.0.0.0:2182",
        "3": "10.0.0.3:2888:3888;2181",
        "4": "10.0.0.4:2888:3888:observer;10.0.0.4:2181",
        "5": "10.0.0.5:2888:3888",
    }
    assert zookeeper.voters(members, 2181) == {
        "10.0.0.1": True,
        "10.0.0.2": False,
        "10.0.0.3": False,
        "10.0.0.5": True,
    }
