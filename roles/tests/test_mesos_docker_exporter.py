"""The exporter: what it makes of the real answers in `snapshots`, of odd ones, and of none."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOTS = Path(__file__).parent / "snapshots"
PROGRAM = ROOT / "roles/monitoring/files/mesos_docker_exporter.py"
Load = Callable[[str], ModuleType]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

# What the exporter leaves out, as it is there already: shares, sums, names of earlier versions, sizes of
# windows, operations by type. What a framework calls is its own to tell.
LEFT_OUT = re.compile(
    r"(master|slave)/\w+_percent|allocator/event_queue_dispatches|allocator/mesos/resources/\w+/total"
    r"|master/slave_removals|master/slave_shutdowns_\w+|master/operations/total|master/operations/\w+/\w+"
    r"|master/frameworks/[^/]+/[^/]+/(calls|events|operations|roles)(/.*)?|.*_ms/count"
    r"|allocator/mesos/allocation_run(_latency)?_ms|containerizer/docker/image_pull_ms"
    r"|resource_provider_manager/events/\w+"
)


@pytest.fixture(scope="module")
def exporter(load: Load) -> ModuleType:
    return load(str(PROGRAM.relative_to(ROOT)))


def snapshot(name: str) -> dict[str, object]:
    values: dict[str, object] = json.loads((SNAPSHOTS / f"{name}.json").read_text())
    return values


def read(text: str) -> Samples:
    """What Prometheus' own parser for Python finds."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def translated(exporter: ModuleType, values: dict[str, object], rules: str = "MASTER_RULES") -> Samples:
    return read(exporter.rendered(exporter.samples(values, getattr(exporter, rules))))


@pytest.mark.parametrize(("name", "rules"), [("master", "MASTER_RULES"), ("agent", "AGENT_RULES")])
def test_all_that_mesos_tells_is_translated_or_left_out_on_purpose(
    exporter: ModuleType, name: str, rules: str
) -> None:
    for key in snapshot(name):
        matching = [rule for rule in getattr(exporter, rules) if rule.pattern.fullmatch(key)]
        assert len(matching) == (0 if LEFT_OUT.fullmatch(key) else 1), key


# What these daemons had no reason to tell: a quota, GPUs, a task that a master has ended, a root file system.
NOT_SEEN = re.compile(
    r"master/task_.*/reason_.*|allocator/mesos/quota/.*/(guarantee|limit)"
    r"|allocator/mesos/.*resources/(gpus|disk)/(offered_or_allocated|consumed)"
)


def test_each_rule_is_about_something_that_a_real_daemon_tells(exporter: ModuleType) -> None:
    for rules, names in (
        ("MASTER_RULES", snapshot("master")),
        ("AGENT_RULES", snapshot("agent")),
        ("ZOOKEEPER_RULES", exporter.zookeeper_values((SNAPSHOTS / "mntr-leader.txt").read_bytes())),
    ):
        for rule in getattr(exporter, rules):
            plain = re.sub(r"\(\?P<\w+>([^()|]*)[^()]*\)", r"\1", rule.pattern.pattern)
            seen = any(rule.pattern.fullmatch(name) for name in names)
            assert seen or NOT_SEEN.fullmatch(plain), rule.pattern.pattern


def test_names_types_and_units_are_as_prometheus_likes_them(exporter: ModuleType) -> None:
    families = [
        rule.family
        for rules in ("MASTER_RULES", "AGENT_RULES", "ZOOKEEPER_RULES")
        for rule in getattr(exporter, rules)
    ]
    told = {family.name: family for family in families}
    for family in families:
        assert told[family.name] == family, "two types or texts for one name"
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert re.fullmatch(r"(mesos_master|mesos_agent|zookeeper)_[a-z0-9_]+", family.name)
        assert not re.search(r"_(ms|secs|mb|percent)(_|$)", family.name), family.name
        assert family.text.endswith("."), family.name


def test_a_real_master(exporter: ModuleType) -> None:
    given = snapshot("master")
    found = translated(exporter, given)
    assert value(found, "mesos_master_elected") == 1
    assert value(found, "mesos_master_agents", state="connected") == 1
    assert value(found, "mesos_master_memory_capacity_bytes") == 1024 * 1024 * 1024
    assert value(found, "mesos_master_tasks", state="running") == 2
    assert value(found, "mesos_master_replicated_log_recovered") == 1
    p99 = given["registrar/state_store_ms/p99"]
    assert isinstance(p99, float)
    stored = value(found, "mesos_master_registry_store_seconds", quantile="0.99")
    assert stored == pytest.approx(p99 / 1000)
    (framework,) = (dict(labels) for name, labels in found if name == "mesos_master_framework_subscribed")
    assert framework["framework"] == "mesos-docker-scheduler"
    assert value(found, "mesos_master_role_offer_filters", role="*") >= 0
    assert value(found, "mesos_master_role_cpus_consumed", role="") > 0  # the role above all others


def test_a_real_agent(exporter: ModuleType) -> None:
    found = translated(exporter, snapshot("agent"), "AGENT_RULES")
    assert value(found, "mesos_agent_registered") == 1
    assert value(found, "mesos_agent_container_launch_errors_total") == 0
    assert value(found, "mesos_agent_image_pull_seconds", containerizer="docker", quantile="0.5") > 0


def zookeeper(exporter: ModuleType, name: str) -> Samples:
    return read(exporter.rendered(exporter.zookeeper_samples((SNAPSHOTS / name).read_bytes())))


def test_a_real_zookeeper(exporter: ModuleType) -> None:
    leader = zookeeper(exporter, "mntr-leader.txt")
    assert value(leader, "zookeeper_serving") == 1
    assert value(leader, "zookeeper_server_state", state="leader") == 1
    assert value(leader, "zookeeper_server_state", state="follower") == 0
    assert value(leader, "zookeeper_synced_followers") == 2
    assert value(leader, "zookeeper_quorum_size") == 3
    assert value(leader, "zookeeper_info", version="3.8.0") == 1
    assert value(leader, "zookeeper_election_seconds_count") == 1
    assert value(leader, "zookeeper_election_seconds_sum") == pytest.approx(0.374)
    follower = zookeeper(exporter, "mntr-follower.txt")
    assert value(follower, "zookeeper_server_state", state="follower") == 1
    assert not [name for name, _ in follower if name == "zookeeper_synced_followers"]


def test_a_zookeeper_without_a_quorum_answers_and_does_not_serve(exporter: ModuleType) -> None:
    found = exporter.zookeeper_samples(b"This ZooKeeper instance is not currently serving requests\n")
    assert read(exporter.rendered(found)) == {("zookeeper_serving", frozenset()): 0}


@pytest.mark.parametrize(
    "answer", [b"", b"mntr is not executed because it is not in the whitelist.\n", b"\xff\x00"]
)
def test_an_answer_that_is_none_of_zookeepers(exporter: ModuleType, answer: bytes) -> None:
    with pytest.raises(ValueError, match="mntr was answered by"):
        exporter.zookeeper_samples(answer)


@pytest.mark.parametrize(
    "odd",
    [
        float("nan"),
        float("inf"),
        float("-inf"),
        10**400,  # more than a double can hold
        "NaN",
        "many",
        "",
        None,
        True,
        [1],
        {"a": 1},
    ],
)
def test_what_is_no_number_is_left_out_alone(exporter: ModuleType, odd: object) -> None:
    found = translated(exporter, {"master/elected": odd, "master/outstanding_offers": 3})
    assert found == {("mesos_master_outstanding_offers", frozenset()): 3}


@pytest.mark.parametrize("number", [0, -1, 2**53 + 0.0, 1.5e300, 1e-9, 1234567.25])
def test_numbers_arrive_as_they_are(exporter: ModuleType, number: float) -> None:
    assert (
        value(translated(exporter, {"master/outstanding_offers": number}), "mesos_master_outstanding_offers")
        == number
    )


def test_names_that_nobody_knows_are_left_out(exporter: ModuleType) -> None:
    assert translated(exporter, {"master/elected/again": 1, "xmaster/elected": 1, "": 1}) == {}


def test_names_of_frameworks_and_roles_may_be_anything(exporter: ModuleType) -> None:
    found = translated(
        exporter,
        {
            "master/frameworks/a%20%22b%22%5C%0Ac/id-1/subscribed": 1,
            'allocator/mesos/roles/eng/"back"/x/shares/dominant': 0.5,
        },
    )
    name = 'a "b"\\\nc'
    assert value(found, "mesos_master_framework_subscribed", framework=name, framework_id="id-1") == 1
    assert value(found, "mesos_master_role_dominant_share_ratio", role='eng/"back"/x') == 0.5


# --- the program ------------------------------------------------------------------------------------------


class Daemon(ThreadingHTTPServer):
    """Answers like a Mesos that demands a credential, if there is one."""

    daemon_threads = True

    def __init__(self, body: bytes, credential: str = "") -> None:
        self.body, self.credential, self.asked = body, credential, 0
        super().__init__(("127.0.0.1", 0), _Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answer(BaseHTTPRequestHandler):
    server: Daemon

    def do_GET(self) -> None:
        self.server.asked += 1
        allowed = self.headers.get("Authorization", "") == self.server.credential
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(self.server.body if allowed else b"")

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def listener(answer: bytes | None) -> Iterator[tuple[str, int]]:
    """A daemon that takes one connection at a time, and answers or, with None, hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            hanging = []
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    if answer is None:
                        hanging.append(connection)
                        continue
                    with connection:
                        connection.recv(4096)
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Exporter:
    """The program in a process of its own."""

    def __init__(self, folder: Path, targets: dict[str, tuple[str, int]], **more: Any) -> None:
        self.port = free_port()
        self.token = str(more.get("token", ""))
        config = folder / "exporter.json"
        asked = {name: {"address": address, "port": port} for name, (address, port) in targets.items()}
        given = {
            "address": "127.0.0.1",
            "port": self.port,
            "token": "",
            "targets": asked,
            "credentials": {},
            **more,
        }
        config.write_text(json.dumps(given))
        self.journal = folder / "journal"
        with self.journal.open("w") as journal:
            self.process = subprocess.Popen(
                [sys.executable, "-I", PROGRAM, "--config", config], stderr=journal
            )
        deadline = time.monotonic() + 10
        while "listens on" not in self.journal.read_text():
            assert self.process.poll() is None, self.journal.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def __enter__(self) -> Exporter:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def get(self, path: str = "/metrics", token: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            token = self.token if token is None else token
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def metrics(self) -> Samples:
        status, body = self.get()
        assert status == 200
        return read(body)


def test_daemons_that_do_not_answer_cost_the_others_nothing(tmp_path: Path) -> None:
    mntr = (SNAPSHOTS / "mntr-follower.txt").read_bytes()
    with listener(None) as hanging, listener(mntr) as zookeeper_address:
        targets = {
            "mesos_master": hanging,
            "mesos_agent": ("127.0.0.1", free_port()),
            "zookeeper": zookeeper_address,
        }
        with Exporter(tmp_path, targets) as exporter:
            began = time.monotonic()
            found = exporter.metrics()
            # Less than Prometheus' ten seconds, and the hanging one has had its five.
            assert 4 < time.monotonic() - began < 8
            assert value(found, "mesos_master_up") == 0
            assert value(found, "mesos_agent_up") == 0
            assert value(found, "zookeeper_up") == 1
            assert value(found, "zookeeper_serving") == 1
            assert value(found, "mesos_docker_exporter_target_seconds", target="mesos_master") > 4
            time.sleep(1.1)
            exporter.metrics()
            # Once, however often it is asked.
            journal = exporter.journal.read_text()
            assert journal.count("the Mesos agent") == 1
            assert re.search(r"the Mesos agent \(127\.0\.0\.1:\d+\) gives no metrics: .*refused", journal)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{'a':",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"\xff\xfe",
        b"",
    ],
)
def test_an_answer_that_is_none_of_mesos(tmp_path: Path, answer: bytes) -> None:
    with listener(answer) as address, Exporter(tmp_path, {"mesos_master": address}) as exporter:
        found = exporter.metrics()
        assert value(found, "mesos_master_up") == 0
        assert not [name for name, _ in found if name == "mesos_master_elected"]


def test_an_answer_without_an_end_is_cut_off(exporter: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "MAX_ANSWER_BYTES", 100_000)
    with listener(b"x" * 200_000) as address, pytest.raises(OSError, match="longer than 100000 bytes"):
        exporter.exchange(address, b"mntr")


def test_an_answer_that_trickles_in_is_not_waited_for(exporter: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            connection, _ = server.accept()
            with contextlib.suppress(OSError), connection:
                while True:
                    connection.sendall(b"zk_x\t1\n")
                    time.sleep(0.05)

        threading.Thread(target=trickle, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            exporter.exchange(server.getsockname(), b"mntr", seconds=0.5)
        assert time.monotonic() - began < 2


def test_a_daemon_that_wants_a_credential_gets_it(tmp_path: Path) -> None:
    daemon = Daemon(b'{"slave/registered": 1}', "Basic b3BzOnMzY3JldMO8")  # ops:s3cretü
    targets = {"mesos_agent": ("127.0.0.1", daemon.server_address[1])}
    credentials = {"mesos_agent": {"principal": "ops", "secret": "s3cretü"}}
    with Exporter(tmp_path, targets, credentials=credentials) as exporter:
        assert value(exporter.metrics(), "mesos_agent_registered") == 1
    with Exporter(tmp_path, targets) as exporter:
        assert value(exporter.metrics(), "mesos_agent_up") == 0
        assert "the answer is 401" in exporter.journal.read_text()
    daemon.shutdown()


def test_a_daemon_that_speaks_tls_shows_when_its_certificate_ends(tmp_path: Path) -> None:
    pair = tmp_path / "pair.pem"
    command = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=agent -days 3"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "-", "-out", "-"]
    pair.write_bytes(subprocess.run([*command.split(), *names], check=True, capture_output=True).stdout)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pair))
    context.load_cert_chain(pair)
    context.verify_mode = ssl.CERT_REQUIRED
    daemon = Daemon(b'{"slave/registered": 1}')
    daemon.socket = context.wrap_socket(daemon.socket, server_side=True)
    targets = {"mesos_agent": ("127.0.0.1", daemon.server_address[1])}
    tls = dict.fromkeys(("ca_file", "cert_file", "key_file"), str(pair))
    with Exporter(tmp_path, targets, tls=tls) as exporter:
        found = exporter.metrics()
        assert value(found, "mesos_agent_registered") == 1
        end = value(found, "mesos_agent_certificate_end_timestamp_seconds")
        assert abs(end - time.time() - 3 * 86_400) < 60
    with Exporter(tmp_path, targets) as exporter:
        assert value(exporter.metrics(), "mesos_agent_up") == 0
    daemon.shutdown()


def test_many_who_ask_at_once_are_one_to_mesos(tmp_path: Path) -> None:
    daemon = Daemon(b'{"slave/registered": 1}')
    with Exporter(tmp_path, {"mesos_agent": ("127.0.0.1", daemon.server_address[1])}) as exporter:
        for _ in range(5):
            exporter.metrics()
        assert daemon.asked <= 2
        time.sleep(1.1)
        before = daemon.asked
        exporter.metrics()
        assert daemon.asked == before + 1
    daemon.shutdown()


def test_it_wants_the_token_where_there_is_one(tmp_path: Path) -> None:
    with Exporter(tmp_path, {"mesos_agent": ("127.0.0.1", free_port())}, token="open-sesame") as exporter:
        assert exporter.get(token="")[0] == 401
        assert exporter.get(token="open-sesam")[0] == 401
        assert exporter.get()[0] == 200


def test_other_paths_say_where_the_metrics_are(tmp_path: Path) -> None:
    with Exporter(tmp_path, {"mesos_agent": ("127.0.0.1", free_port())}) as exporter:
        assert exporter.get("/")[0] == 200
        assert exporter.get("/metrics/snapshot") == (
            404,
            "There is nothing here. The metrics are at /metrics.\n",
        )


def test_clients_that_say_nothing_do_not_pile_up(tmp_path: Path) -> None:
    with Exporter(tmp_path, {"mesos_agent": ("127.0.0.1", free_port())}) as exporter:
        before = value(exporter.metrics(), "process_open_fds")
        with contextlib.ExitStack() as silent:
            for _ in range(30):
                silent.enter_context(socket.create_connection(("127.0.0.1", exporter.port), 5))
            time.sleep(0.3)
            descriptors = len(list(Path(f"/proc/{exporter.process.pid}/fd").iterdir()))
            assert descriptors < before + 15
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                exporter.metrics()
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_it_does_not_grow(exporter: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "REUSE_SECONDS", 0.0)
    daemon = Daemon((SNAPSHOTS / "master.json").read_bytes())
    collector = exporter.Collector(
        {
            "mesos_master": {"address": "127.0.0.1", "port": daemon.server_address[1]},
            "mesos_agent": {"address": "127.0.0.1", "port": free_port()},
        },
        {},
    )

    def used(looks: int) -> tuple[int, float, int]:
        for _ in range(looks):
            page = collector.page()
        gc.collect()
        (files,) = re.findall(r"(?m)^process_open_fds (\d+)$", page.decode())
        return tracemalloc.get_traced_memory()[0], int(files), threading.active_count()

    tracemalloc.start()
    try:
        memory, files, threads = used(20)
        more_memory, more_files, more_threads = used(80)
    finally:
        tracemalloc.stop()
        daemon.shutdown()
    assert daemon.asked == 100
    assert more_memory - memory < 40_000  # 500 bytes a look would be a leak
    assert more_files - files <= 2  # the daemon's own connections; those of tests before may end meanwhile
    assert more_threads - threads <= 2


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = tmp_path / "exporter.json"
        given = {"address": "127.0.0.1", "port": taken.getsockname()[1], "token": "", "credentials": {}}
        config.write_text(
            json.dumps({**given, "targets": {"zookeeper": {"address": "127.0.0.1", "port": 1}}})
        )
        done = subprocess.run(
            [sys.executable, "-I", PROGRAM, "--config", config],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    assert done.returncode != 0
    assert "Address already in use" in done.stderr
