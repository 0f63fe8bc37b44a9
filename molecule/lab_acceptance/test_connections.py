"""Who reaches which port: every port of every host of the cluster, from every other and from outside."""

from __future__ import annotations

import itertools

import pytest
from lab_cluster import EXPORTER_PORT, MASTER_PORT, SCHEDULER_PORT, SLAVE_PORT, ZOOKEEPER_PORT, Cluster
from lab_scan import open_ports
from lab_site import LAB

# What containers publish; Mesos gives them these.
PUBLISHED = set(range(31000, 32001))
# They protect themselves: TLS, and a certificate or a token.
TO_ALL = {LAB.master: {MASTER_PORT, SCHEDULER_PORT}, **{slave: {SLAVE_PORT} for slave in LAB.slaves}}
TO_THE_CLUSTER = {host: {EXPORTER_PORT} for host in LAB.hosts} | {LAB.master: {ZOOKEEPER_PORT, EXPORTER_PORT}}


@pytest.mark.parametrize("host", LAB.hosts)
def test_from_outside(lab: Cluster, host: str) -> None:
    assert open_ports(host) - PUBLISHED == TO_ALL[host]


@pytest.mark.parametrize(("asker", "host"), itertools.permutations(LAB.hosts, 2))
def test_from_another_host_of_the_cluster(lab: Cluster, asker: str, host: str) -> None:
    assert open_ports(host, asker=asker) - PUBLISHED == TO_ALL[host] | TO_THE_CLUSTER[host]
