from __future__ import annotations

import json
from typing import Any

import pytest
from mesos_docker_scheduler.driver.detector import endpoint_of, leader_of, parse_master
from mesos_docker_scheduler.driver.endpoint import Endpoint
from mesos_docker_scheduler.driver.zookeeper import ZooKeeperUrl


@pytest.mark.parametrize(
    ("text", "masters"),
    [
        ("m1", (Endpoint("m1"),)),
        ("m1:5051", (Endpoint("m1", 5051),)),
        ("m1:5050,m2:5051", (Endpoint("m1"), Endpoint("m2", 5051))),
        ("http://m1:5051", (Endpoint("m1", 5051),)),
        ("https://m1:5051/", (Endpoint("m1", 5051, tls=True),)),
        ("[::1]:5050,[::2]", (Endpoint("::1"), Endpoint("::2"))),
    ],
)
def test_lists_of_masters_are_read(text: str, masters: tuple[Endpoint, ...]) -> None:
    assert parse_master(text) == masters


def test_addresses_without_a_scheme_use_tls_when_told_to() -> None:
    assert parse_master("m1:5050", tls=True) == (Endpoint("m1", tls=True),)
    assert parse_master("http://m1:5050", tls=True) == (Endpoint("m1"),)


@pytest.mark.parametrize(
    ("text", "hosts", "path", "credentials"),
    [
        ("zk://h1:2181/mesos", "h1:2181", "/mesos", None),
        ("zk://h1:2181,h2:2181/mesos/a/", "h1:2181,h2:2181", "/mesos/a", None),
        ("zk://mesos:s3cret@h1:2181/mesos", "h1:2181", "/mesos", "mesos:s3cret"),
        ("zk://mesos:a:b%2Fc@h1:2181,h2/mesos", "h1:2181,h2", "/mesos", "mesos:a:b/c"),
    ],
)
def test_zookeeper_urls_are_read(text: str, hosts: str, path: str, credentials: str | None) -> None:
    assert parse_master(text) == ZooKeeperUrl(hosts, path, credentials)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no address of a master"),
        ("m1,,m2", "'' is no address of a master"),
        ("ftp://m1", "scheme 'ftp' is not allowed; allowed are zk, http, https or none"),
        ("zk://h1:2181", "must end with the path"),
        ("zk://h1:2181/", "must end with the path"),
        ("zk:///mesos", "'' is no address of a ZooKeeper server"),
        ("zk://user@h1:2181/mesos", "must be user:password"),
    ],
)
def test_what_names_no_master_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_master(text)


def test_a_password_is_never_shown() -> None:
    masters = parse_master("zk://mesos:s3cret@h1:2181/mesos")
    assert "s3cret" not in f"{masters} {masters!r}"
    with pytest.raises(ValueError, match="no address of a ZooKeeper server") as refusal:
        parse_master("zk://mesos:s3cret@h1:x/mesos")
    assert "s3cret" not in str(refusal.value)


def test_the_oldest_master_leads() -> None:
    nodes = ["log_replicas", "json.info_0000000012", "json.info_0000000009", "info_0000000001"]
    assert leader_of(nodes) == "json.info_0000000009"
    assert leader_of(["log_replicas"]) is None


MASTER_INFO: dict[str, Any] = {
    "id": "x",
    "hostname": "leader.example",
    "ip": 16777343,
    "port": 5050,
    "address": {"hostname": "leader.example", "ip": "127.0.0.1", "port": 5051},
}


def test_a_master_is_reached_at_its_address_and_known_by_its_name() -> None:
    data = json.dumps(MASTER_INFO).encode()
    assert endpoint_of(data, tls=False) == Endpoint("127.0.0.1", 5051)
    assert endpoint_of(data, tls=True) == Endpoint("127.0.0.1", 5051, tls=True, server_name="leader.example")


@pytest.mark.parametrize("data", [b"", b"x", b"[]", b"{}", b'{"address": {"ip": "1.2.3.4"}}'])
def test_a_node_without_an_address_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no address in the leading master's node"):
        endpoint_of(data, tls=False)
