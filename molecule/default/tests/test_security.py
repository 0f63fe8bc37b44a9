"""Who is let in where, and what each may do: on the real master and slave, asked from outside."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import json
import shlex
import ssl
import time
from collections.abc import Mapping
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.security import OPEN_ACL_UNSAFE
from lab_cluster import (
    EXPORTER_PORT,
    MASTER_PORT,
    OWN_UNITS,
    SCHEDULER_PORT,
    SLAVE_PORT,
    ZOOKEEPER_PORT,
    Cluster,
    SecurityFolder,
    basic,
    eventually,
)
from lab_scan import open_ports

HOST = "lab-single"
QUORUM_PORTS = (2888, 3888)
REGISTRY_PORT = 5000  # of the lab's images
PRINCIPALS = ("operator", "maintenance", "monitoring", "scheduler", "slave")
OF_SLAVES = ("operator", "monitoring", "scheduler")
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
NOBODY = {"value": "no-such-agent"}
WINDOW = {
    "machine_ids": [{"hostname": "no-such-host", "ip": "192.0.2.1"}],
    "unavailability": {"start": {"nanoseconds": 0}},
}

# Operator calls by their type: who gets an answer, and with which status. All others get 403.
MASTER_CALLS: dict[str, tuple[dict[str, Any], Mapping[str, int]]] = {
    "UPDATE_MAINTENANCE_SCHEDULE": (
        {"update_maintenance_schedule": {"schedule": {"windows": [WINDOW]}}},
        {"operator": 200, "maintenance": 200},
    ),
    "DRAIN_AGENT": (
        {"drain_agent": {"agent_id": NOBODY}},
        {"operator": 400, "maintenance": 400},  # there is no such agent
    ),
    "DEACTIVATE_AGENT": ({"deactivate_agent": {"agent_id": NOBODY}}, {"operator": 400, "maintenance": 400}),
    "MARK_AGENT_GONE": ({"mark_agent_gone": {"agent_id": NOBODY}}, {"operator": 404}),
    "UPDATE_WEIGHTS": (
        {"update_weights": {"weight_infos": [{"role": "other", "weight": 2}]}},
        {"operator": 200},
    ),
    "SET_LOGGING_LEVEL": (
        {"set_logging_level": {"level": 0, "duration": {"nanoseconds": 10**9}}},
        {"operator": 200},
    ),
}


MASTER_PATHS: dict[str, Mapping[str, int]] = {
    "/metrics/snapshot": {"operator": 200, "monitoring": 200},
    "/flags": {"operator": 200},
    "/logging/toggle": {"operator": 200},
}
SLAVE_PATHS: dict[str, Mapping[str, int]] = {
    "/metrics/snapshot": {"operator": 200, "monitoring": 200},
    "/flags": {"operator": 200},
    "/containers": {"operator": 200},
    "/monitor/statistics": {"operator": 200},
    "/logging/toggle": {"operator": 200},
}
# Who sees frameworks, executors and tasks where all who are let in may ask for the state.
SEERS = ("operator", "maintenance", "scheduler")


class Asked:
    """An answer: its status, 0 when there was none, and its body."""

    def __init__(self, status: int, body: bytes = b"") -> None:
        self.status = status
        self.text = body.decode(errors="replace")
        with contextlib.suppress(ValueError):
            self.json = json.loads(body)


def ask(
    where: tuple[str, int],
    context: ssl.SSLContext | None,
    path: str,
    headers: Mapping[str, str] | None = None,
    call: Mapping[str, Any] | None = None,
) -> Asked:
    """Ask over TLS, or without when there is no context."""
    connection = (
        http.client.HTTPConnection(*where, timeout=10)
        if context is None
        else http.client.HTTPSConnection(*where, timeout=10, context=context)
    )
    with contextlib.closing(connection):
        try:
            body = None if call is None else json.dumps(call)
            connection.request("GET" if body is None else "POST", path, body, {**JSON, **(headers or {})})
            answer = connection.getresponse()
            return Asked(answer.status, answer.read())
        except (OSError, http.client.HTTPException):
            return Asked(0)


@functools.cache
def address() -> str:
    return Cluster.address(HOST)


@pytest.mark.parametrize("port", [MASTER_PORT, SLAVE_PORT])
class TestWhoIsNotLetIn:
    def test_without_tls(self, port: int) -> None:
        assert ask((address(), port), None, "/version").status == 0

    def test_without_a_certificate(self, security: SecurityFolder, port: int) -> None:
        assert ask((address(), port), security.context(certificate=False), "/version").status == 0

    def test_with_an_older_tls(self, security: SecurityFolder, port: int) -> None:
        context = security.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert ask((address(), port), context, "/version").status == 0

    def test_with_a_certificate_of_another_authority(
        self, security: SecurityFolder, port: int, tmp_path: Any, host: Any
    ) -> None:
        context = ssl.create_default_context(cafile=security.path / "ca.pem")
        command = (
            "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout - -subj /CN=other"
        )
        pair = tmp_path / "pair.pem"
        pair.write_text(host.check_output(f"{command} 2>/dev/null"))
        context.load_cert_chain(pair)
        assert ask((address(), port), context, "/version").status == 0

    def test_with_a_certificate_alone(self, security: SecurityFolder, port: int) -> None:
        context = security.context()
        assert ask((address(), port), context, "/state").status == 401
        assert ask((address(), port), context, "/metrics/snapshot").status == 401
        assert ask((address(), port), context, "/api/v1", call={"type": "GET_STATE"}).status == 401

    def test_with_a_wrong_password(self, security: SecurityFolder, port: int) -> None:
        wrong = basic("operator", "w" * 40)
        assert ask((address(), port), security.context(), "/state", wrong).status == 401

    def test_with_the_others_password(self, security: SecurityFolder, port: int) -> None:
        others = security.authorization(MASTER_PORT + SLAVE_PORT - port)
        assert ask((address(), port), security.context(), "/state", others).status == 401


@pytest.mark.parametrize("principal", PRINCIPALS)
@pytest.mark.parametrize("kind", MASTER_CALLS)
def test_what_each_may_do_on_the_master(
    security: SecurityFolder, cluster: Cluster, kind: str, principal: str
) -> None:
    call, allowed = MASTER_CALLS[kind]
    headers = security.authorization(MASTER_PORT, principal)
    answer = ask((address(), MASTER_PORT), security.context(), "/api/v1", headers, {"type": kind, **call})
    if kind == "UPDATE_MAINTENANCE_SCHEDULE":
        cluster.announce([])
    assert answer.status == allowed.get(principal, 403), answer.text


@pytest.mark.parametrize("principal", PRINCIPALS)
@pytest.mark.parametrize("path", MASTER_PATHS)
def test_what_each_may_read_of_the_master(security: SecurityFolder, path: str, principal: str) -> None:
    headers = security.authorization(MASTER_PORT, principal)
    answer = ask((address(), MASTER_PORT), security.context(), path, headers)
    assert answer.status == MASTER_PATHS[path].get(principal, 403)


@pytest.mark.parametrize("principal", OF_SLAVES)
@pytest.mark.parametrize("path", SLAVE_PATHS)
def test_what_each_may_read_of_the_slave(security: SecurityFolder, path: str, principal: str) -> None:
    headers = security.authorization(SLAVE_PORT, principal)
    answer = ask((address(), SLAVE_PORT), security.context(), path, headers)
    assert answer.status == SLAVE_PATHS[path].get(principal, 403)


@pytest.mark.parametrize("principal", PRINCIPALS)
def test_who_sees_what_runs(security: SecurityFolder, principal: str) -> None:
    where = (address(), MASTER_PORT)
    headers = security.authorization(MASTER_PORT, principal)
    state = ask(where, security.context(), "/state", headers).json
    assert bool(state["frameworks"]) == (principal in SEERS)
    assert state["slaves"][0]["hostname"] == HOST
    tasks = ask(where, security.context(), "/api/v1", headers, {"type": "GET_TASKS"}).json["get_tasks"]
    assert bool(tasks.get("tasks")) == (principal in SEERS)


def test_nobody_but_the_operator_ends_a_framework(security: SecurityFolder, cluster: Cluster) -> None:
    (framework,) = cluster.frameworks()
    call = {"type": "TEARDOWN", "teardown": {"framework_id": {"value": framework}}}
    for principal in set(PRINCIPALS) - {"operator"}:
        headers = security.authorization(MASTER_PORT, principal)
        assert ask((address(), MASTER_PORT), security.context(), "/api/v1", headers, call).status == 403
    assert cluster.frameworks() == [framework]


@pytest.mark.parametrize("principal", OF_SLAVES)
def test_who_reads_the_output_of_containers(
    security: SecurityFolder, cluster: Cluster, principal: str
) -> None:
    framework = cluster.status()["framework_id"]
    task = cluster.service()["instances"][0]["task_id"]
    path = f"/files/read?path=/frameworks/{framework}/executors/{task}/runs/latest/stdout&offset=0"
    headers = security.authorization(SLAVE_PORT, principal)
    answer = ask((address(), SLAVE_PORT), security.context(), path, headers)
    assert answer.status == (403 if principal == "monitoring" else 200), answer.text


def test_the_scheduler_shows_the_output_of_containers(cluster: Cluster, host: Any) -> None:
    task = cluster.service()["instances"][0]["task_id"]
    assert host.run(f"mesos-docker-scheduler logs {task}").rc == 0


def subscribed(security: SecurityFolder, principal: str, role: str) -> dict[str, Any]:
    """Register a framework for a moment, and return the first event that it gets."""
    info: dict[str, Any] = {"user": "nobody", "name": "stranger", "roles": [role], "principal": principal}
    info["capabilities"] = [{"type": "MULTI_ROLE"}]
    call = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}
    connection = http.client.HTTPSConnection(address(), MASTER_PORT, timeout=10, context=security.context())
    with contextlib.closing(connection):
        headers = JSON | security.authorization(MASTER_PORT, principal)
        connection.request("POST", "/api/v1/scheduler", json.dumps(call), headers)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            return {"type": f"HTTP {answer.status}"}
        length = answer.readline()
        return dict(json.loads(answer.read(int(length))))


@pytest.mark.parametrize(
    ("principal", "role", "may"),
    [
        ("batch", "batch", True),  # of cluster_frameworks
        ("batch", "*", False),
        ("operator", "batch", False),
        ("monitoring", "batch", False),
        ("slave", "batch", False),
    ],
)
def test_who_may_register_a_framework(
    security: SecurityFolder, principal: str, role: str, *, may: bool
) -> None:
    event = subscribed(security, principal, role)
    assert event["type"] == ("SUBSCRIBED" if may else "ERROR"), event


@pytest.mark.parametrize("principal", [*sorted(set(PRINCIPALS) - {"scheduler"}), "batch"])
@pytest.mark.parametrize("kind", ["KILL", "TEARDOWN"])
def test_nobody_speaks_for_anothers_framework(
    security: SecurityFolder, cluster: Cluster, kind: str, principal: str
) -> None:
    before = cluster.containers()
    framework = cluster.status()["framework_id"]
    task = cluster.service()["instances"][0]["task_id"]
    call = {"type": kind, "framework_id": {"value": framework}, "kill": {"task_id": {"value": task}}}
    headers = security.authorization(MASTER_PORT, principal)
    answer = ask((address(), MASTER_PORT), security.context(), "/api/v1/scheduler", headers, call)
    assert answer.status == 400
    assert f"'{principal}' does not match principal 'scheduler'" in answer.text
    assert framework in cluster.frameworks()
    assert cluster.containers().keys() == before.keys()


def test_nobody_pretends_to_be_an_executor(security: SecurityFolder, cluster: Cluster) -> None:
    call = {
        "type": "SUBSCRIBE",
        "framework_id": {"value": cluster.status()["framework_id"]},
        "executor_id": {"value": cluster.service()["instances"][0]["task_id"]},
        "subscribe": {"unacknowledged_tasks": [], "unacknowledged_updates": []},
    }
    where = (address(), SLAVE_PORT)
    assert ask(where, security.context(), "/api/v1/executor", {}, call).status == 401
    headers = security.authorization(SLAVE_PORT)
    assert ask(where, security.context(), "/api/v1/executor", headers, call).status == 403


def test_a_message_with_a_forged_sender_is_thrown_away(
    security: SecurityFolder, cluster: Cluster, host: Any
) -> None:
    """Who has a certificate, and not the master's address, can't speak in the master's name."""
    before = cluster.containers()
    agent = cluster.agent(HOST)
    master = f"master@{address()}:{MASTER_PORT}"
    connection = http.client.HTTPSConnection(address(), SLAVE_PORT, timeout=10, context=security.context())
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request(
            "POST",
            "/slave(1)/mesos.internal.ShutdownMessage",
            b"",
            {"Libprocess-From": master, "User-Agent": f"libprocess/{master}"},
        )
        connection.getresponse().read()
    time.sleep(2)
    assert cluster.agent(HOST)["agent_info"]["id"] == agent["agent_info"]["id"]
    assert host.service("mesos-slave").is_running
    assert cluster.containers().keys() == before.keys()


def test_ports_that_can_not_protect_themselves_are_closed_to_strangers(host: Any) -> None:
    ports = [ZOOKEEPER_PORT, *QUORUM_PORTS, EXPORTER_PORT]
    assert open_ports(HOST, ports) == set()
    for port in ports:
        # Followers connect to the first of the ensemble's ports; there are none.
        assert host.socket(f"tcp://{address()}:{port}").is_listening or port == QUORUM_PORTS[0], port


def test_strangers_reach_what_demands_a_certificate_or_a_token_alone() -> None:
    others = {REGISTRY_PORT, *range(31000, 32001)}  # containers'
    assert open_ports(HOST) - others == {MASTER_PORT, SLAVE_PORT, SCHEDULER_PORT}


def test_the_firewall_is_loaded_at_boot_and_after_all_rules_were_thrown_away(host: Any) -> None:
    assert host.service("mesos-cluster-firewall").is_enabled
    moments = host.check_output("systemctl show --property=ExecStartPost,ExecReload,ExecStopPost nftables")
    assert moments.count("argv[]=/usr/sbin/nft --file /etc/mesos-cluster-firewall.nft") == 3


ASK_ZOOKEEPER = """
import socket, ssl, sys
address, port, *certificate = sys.argv[1:]
context = ssl.create_default_context(cafile="/etc/mesos-tls/ca.pem")
if certificate:
    context.load_cert_chain(*certificate)
connection = socket.create_connection((address, int(port)), 30)
with context.wrap_socket(connection, server_hostname=address) as server:
    print(server.version())
    try:
        server.sendall(bytes([255] * 8))  # no version of the protocol: it hangs up
        print(server.recv(1))
    except ssl.SSLError as error:
        print(error.reason)
"""


@pytest.mark.parametrize(
    ("certificate", "answer"),
    [
        ("", "TLSV13_ALERT_CERTIFICATE_REQUIRED"),
        ("/etc/mesos-tls/cert.pem /etc/mesos-tls/key.pem", "b''"),
    ],
)
def test_zookeepers_servers_demand_certificates_of_each_other(
    host: Any, certificate: str, answer: str
) -> None:
    """At the port for elections, where each of them listens."""
    program = shlex.quote(ASK_ZOOKEEPER)
    told = host.check_output(f"python3 -c {program} {address()} {QUORUM_PORTS[1]} {certificate}")
    assert told.split() == ["TLSv1.3", answer]


def test_strangers_change_nothing_in_zookeeper(cluster: Cluster) -> None:
    client = KazooClient(hosts=f"{address()}:{ZOOKEEPER_PORT}")
    client.start(timeout=10)
    try:
        leader = next(name for name in client.get_children("/mesos") if name.startswith("json.info"))
        assert client.get(f"/mesos/{leader}")[0], "slaves and schedulers read it"
        for path in ("", "/mesos", "/mesos/log_replicas", "/zookeeper", "/zookeeper/quota"):
            with pytest.raises(NoAuthError):
                client.create(f"{path}/json.info_0000000000", b"{}")
        with pytest.raises(NoAuthError):
            client.set(f"/mesos/{leader}", b"{}")
        with pytest.raises(NoAuthError):
            client.delete(f"/mesos/{leader}")
        with pytest.raises(NoAuthError):
            client.set_acls("/mesos", OPEN_ACL_UNSAFE)
    finally:
        client.stop()
        client.close()
    assert cluster.converged()


@pytest.mark.parametrize(
    ("path", "owner", "group", "mode"),
    [
        ("/etc/mesos-tls/key.pem", "root", "mesos-tls", 0o640),
        ("/etc/mesos-master/credentials.json", "mesos", "mesos", 0o400),
        ("/etc/mesos-master/zk", "mesos", "mesos", 0o400),
        ("/etc/mesos-slave/credential.json", "root", "root", 0o400),
        ("/etc/mesos-slave/http_credentials.json", "root", "root", 0o400),
        ("/etc/mesos-slave/executor_key", "root", "root", 0o400),
        ("/etc/mesos-docker-scheduler/secret", "root", "mesos-scheduler", 0o640),
        ("/etc/mesos-docker-scheduler/agent-secret", "root", "mesos-scheduler", 0o640),
    ],
)
def test_secrets_are_for_those_that_need_them(
    host: Any, path: str, owner: str, group: str, mode: int
) -> None:
    file = host.file(path)
    assert (file.user, file.group, file.mode) == (owner, group, mode)


def test_no_secret_is_shown(security: SecurityFolder, host: Any) -> None:
    """Not on a command line, in the environment of a process or a container, in the journal or the state."""
    # Processes end while they are looked at.
    shown = {
        "command lines": host.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout,
        "environments": host.run("cat /proc/[0-9]*/environ | tr '\\0' ' '").stdout,
        "the journal": host.check_output("journalctl --no-pager --all --output=cat"),
        "units": host.check_output(f"systemctl cat {' '.join(OWN_UNITS)}"),
        "containers": host.check_output("docker inspect $(docker ps --quiet)"),
    }
    for port in (MASTER_PORT, SLAVE_PORT):
        for path in ("/flags", "/state"):
            answer = ask((address(), port), security.context(), path, security.authorization(port))
            assert answer.status == 200
            shown[f"{path} at port {port}"] = answer.text
    for where, text in shown.items():
        for name, secret in security.secrets.items():
            assert secret not in text, f"{name} stands in {where}"
    # The journal could tell, and the command lines and environments be seen.
    assert "Authorizing principal 'monitoring'" in shown["the journal"]
    assert "--credentials=/etc/mesos-master/credentials.json" in shown["command lines"]
    assert "LIBPROCESS_SSL_KEY_FILE=" in shown["environments"]


CAPTURE = """
import select, socket, sys, time
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
end = time.monotonic() + float(sys.argv[1])
with open(sys.argv[2], "wb") as file:
    while (left := end - time.monotonic()) > 0:
        if select.select([sniffer], [], [], left)[0]:
            packet = sniffer.recv(65535)
            ports = {int.from_bytes(packet[34:36]), int.from_bytes(packet[36:38])}
            if ports & {5050, 5051}:
                file.write(packet[54:])
"""


def test_what_goes_over_the_wire_is_encrypted(security: SecurityFolder, cluster: Cluster, host: Any) -> None:
    program = base64.b64encode(CAPTURE.encode()).decode()
    host.check_output(f"echo {program} | base64 --decode > /var/tmp/capture.py; rm -f /var/tmp/captured")
    host.check_output("systemd-run --unit=capture --collect python3 /var/tmp/capture.py 15 /var/tmp/captured")
    time.sleep(1)
    host.check_output("systemctl restart mesos-docker-scheduler mesos-slave")
    for port in (MASTER_PORT, SLAVE_PORT):
        ask((address(), port), security.context(), "/state", security.authorization(port))
    eventually("the capture ends", lambda: not host.service("capture").is_running, seconds=40)
    eventually("the scheduler is content", cluster.converged, seconds=60)
    captured = base64.b64decode(host.check_output("base64 --wrap=0 /var/tmp/captured"))
    host.check_output("rm -f /var/tmp/capture.py /var/tmp/captured")
    assert len(captured) > 10_000
    spoken = [b"HTTP/1.1", b"POST /", b"SUBSCRIBE", b"mesos.internal", b"framework_id", b"CRAM-MD5"]
    for name, secret in security.secrets.items():
        spoken += [secret.encode(), base64.b64encode(f"{name.rpartition('_')[2]}:{secret}".encode())]
    assert [text for text in spoken if text in captured] == []
