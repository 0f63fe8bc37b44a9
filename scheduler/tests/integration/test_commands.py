"""Services that Mesos itself runs, and files that are fetched, on real Mesos: as with Docker, and instead."""

from __future__ import annotations

import base64
import contextlib
import io
import tarfile
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import images
import pytest
from mesos_testbed import Agent, PrivateDocker, eventually
from scheduler_process import Cluster, Scheduler
from secret_hunt import Processes, files, shows, told_by

Message = dict[str, Any]
pytestmark = pytest.mark.integration

# Both slaves share this machine's ports: all instances go to one of them.
HERE = [{"field": "hostname", "operator": "IS", "value": "slave1"}]
ALLOWED = {"host_network": True, "host_commands": True, "privileged": True}
PAGES = (
    "/v1/status",
    "/v1/instances",
    "/v1/definitions",
    "/v1/events?limit=1000",
    "/v1/explain",
    "/metrics",
    "/",
)


class Server(BaseHTTPRequestHandler):
    """Gives /site.tar.gz to all, and /page to whoever has the password and the token."""

    password = ""

    def do_GET(self) -> None:
        wanted = base64.b64encode(f"ann:{self.password}".encode()).decode()
        body = None
        if self.path == "/site.tar.gz":
            body = site()
        elif self.headers.get("Authorization") == f"Basic {wanted}" and self.path.startswith("/page?token="):
            body = b"a secret page\n"
        self.send_response(200 if body is not None else 403)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def site() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("www/index.html")
        info.size = len(content := b"a page\n")
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Where files are: host and port."""
    Server.password = uuid.uuid4().hex
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def _open_to_users(cluster: Cluster, tmp_path: Path) -> None:
    """Let a service's user go to its sandbox, which is below a folder that pytest closes for each test."""
    work_dir = Path(str(cluster.agents[0].flags["work_dir"]))
    for folder in (work_dir, *work_dir.parents[:4]):
        folder.chmod(0o755)


def web(server: str, **fields: Any) -> Message:
    """A web server as a command, with its pages from elsewhere."""
    return {
        "name": "web",
        "containerizer": "mesos",
        "network": "host",
        "user": "nobody",
        "mem": 32,
        "kill_grace_seconds": 1,
        "constraints": HERE,
        "fetch": [f"http://{server}/site.tar.gz"],
        "command": 'echo "$GREETING"; exec busybox httpd -f -p "$PORT_HTTP" -h www',
        "env": {"GREETING": "hello = world"},
        "ports": [{"name": "http", "container_port": 0}],
        "health_check": {"protocol": "http", "port_name": "http", "interval_seconds": 0.5},
        **fields,
    }


def in_docker(server: str) -> Message:
    """The same service, with the pages of the image."""
    command = 'echo "$GREETING"; exec httpd -f -p "$PORT_HTTP" -h /www'
    others = ("containerizer", "user", "fetch")
    wish = {name: value for name, value in web(server).items() if name not in others}
    return {**wish, "image": "demo/web:1", "command": command}


@contextlib.contextmanager
def running(folder: Path, cluster: Cluster, wish: Message, **allowed: Any) -> Iterator[Scheduler]:
    token = folder / "http-token"
    token.write_text(uuid.uuid4().hex)
    token.chmod(0o600)
    scheduler = Scheduler(folder, cluster, {"read": "token", "token_file": str(token)})
    scheduler.wish["services"] = [wish]
    scheduler.wish["allowed"] |= {**ALLOWED, **allowed}
    scheduler.change()
    with scheduler:
        yield scheduler


def converged(scheduler: Scheduler) -> list[Message]:
    """Wait until the service is as wanted; returns its instances."""
    eventually(lambda: scheduler.web["converged"], "the service", 60)
    return list(scheduler.web["instances"])


def page(port: int, path: str = "/") -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return bytes(answer.read())


def test_a_command_with_fetched_pages(tmp_path: Path, cluster: Cluster, server: str) -> None:
    with running(tmp_path, cluster, web(server, count=2)) as scheduler:
        instances = converged(scheduler)
        assert [page(one["ports"][0]) for one in instances] == [b"a page\n"] * 2
        shown = scheduler.web
        assert (shown["containerizer"], shown["image"], shown["update"]["to_image"]) == (
            "mesos",
            None,
            "a command",
        )
        first = instances[0]
        assert first["healthy"] is True
        assert not first["container"].startswith("mesos-")
        log = scheduler.get(f"/v1/instances/{first['task_id']}/log")
        assert log["data"].endswith("hello = world\n")
        scheduler.restart()
        assert [one["task_id"] for one in converged(scheduler)] == [one["task_id"] for one in instances]


@pytest.mark.parametrize("containerizer", ["docker", "mesos"])
def test_what_is_secret_shows_nowhere(
    tmp_path: Path, cluster: Cluster, server: str, containerizer: str
) -> None:
    token, key = uuid.uuid4().hex, uuid.uuid4().hex
    (tmp_path / "uri").write_text(f"http://ann:{Server.password}@{server}/page?token={token}\n")
    (tmp_path / "key").write_text(key)
    wish = web(server) if containerizer == "mesos" else in_docker(server)
    serve = wish["command"].partition("exec ")[2].partition(" -h ")[0]
    wish |= {
        "command": f'test -n "$KEY" && exec {serve} -h "$MESOS_SANDBOX/in"',
        "fetch": [{"uri_secret": f"{tmp_path}/uri", "output_file": "in/page.html"}],
        "secrets": {"KEY": f"{tmp_path}/key"},
        "health_check": {
            "protocol": "http",
            "port_name": "http",
            "path": "/page.html",
            "interval_seconds": 0.5,
        },
    }
    with Processes(token, b"httpd") as processes, running(tmp_path, cluster, wish) as scheduler:
        (instance,) = converged(scheduler)
        assert page(instance["ports"][0], "/page.html") == b"a secret page\n"
        agent = cluster.agents[0]
        everywhere = {
            **{f"scheduler {path}": scheduler.read(path) for path in PAGES},
            **files(tmp_path, "config.json", "state", "scheduler.log"),
            **told_by(cluster, "master"),
            **told_by(cluster, "agent"),
            **files(Path(str(agent.flags["work_dir"])), "."),
            **{daemon.name: daemon.log_path.read_bytes() for daemon in (cluster.master, agent)},
        }
    assert instance["task_id"].encode() in everywhere["agent GET_EXECUTORS"]
    for secret in (token, key, Server.password):
        assert [place for place, content in everywhere.items() if shows(content, secret)] == []
    assert processes.seen_words
    assert processes.seen_secret == []


class Client:
    """Asks all instances in service all the time, as a load balancer with the scheduler's list would."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.answers: set[bytes] = set()
        self.asked = 0
        self.failures: list[str] = []

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(0.02):
            there = [one for one in self._scheduler.web["instances"] if one["in_service"]]
            if not there:
                self.failures.append("nothing is in service")
            for one in there:
                self.asked += 1
                try:
                    self.answers.add(page(one["ports"][0]))
                except OSError as error:
                    self.failures.append(f"{one['task_id']}: {error}")


def shows_image(scheduler: Scheduler, image: str | None) -> bool:
    return bool(scheduler.web["image"] == image)


def test_from_docker_to_mesos_and_back_without_a_failed_request(
    tmp_path: Path, cluster: Cluster, server: str
) -> None:
    with running(tmp_path, cluster, {**in_docker(server), "count": 2}) as scheduler:
        before = converged(scheduler)
        with Client(scheduler) as client:
            for wish, image in ((web(server), None), (in_docker(server), "demo/web:1")):
                scheduler.wish["services"] = [{**wish, "count": 2}]
                scheduler.change()
                eventually(partial(shows_image, scheduler, image), "the change read", 30)
                after = converged(scheduler)
                assert {one["task_id"] for one in before}.isdisjoint(one["task_id"] for one in after)
                before = after
        assert client.answers == {b"demo 1\n", b"a page\n"}
        assert client.asked > 100
        assert client.failures == []


def test_a_file_that_is_not_there_is_the_reason(tmp_path: Path, cluster: Cluster, server: str) -> None:
    (tmp_path / "uri").write_text(f"http://ann:wrong@{server}/page")
    missing = {"uri_secret": f"{tmp_path}/uri", "output_file": "page"}
    with running(tmp_path, cluster, web(server, fetch=[missing])) as scheduler:
        reason = "The task's files can't be fetched: Failed to fetch 'page': the server answered with 403"
        eventually(lambda: reason in str(scheduler.web["waiting"]), "the reason", 30)


def test_an_image_on_a_slave_that_has_no_isolators_for_it(
    tmp_path: Path, cluster: Cluster, server: str
) -> None:
    with running(tmp_path, cluster, web(server, image="demo/web:1", fetch=[])) as scheduler:
        reason = "Failed to launch container: Unsupported container image type: DOCKER"
        eventually(lambda: reason in str(scheduler.web["waiting"]), "the reason", 30)
        assert "held back until" in str(scheduler.web["waiting"])


@pytest.fixture
def slave_of_images(tmp_path: Path, cluster: Cluster) -> Iterator[Agent]:
    """A third slave: of cgroup version 1, with what an image without Docker Engine needs."""
    images.write_archive(tmp_path / "images")
    root = f"test-{uuid.uuid4().hex[:8]}"  # no other slave of this machine has it
    flags = {
        "hostname": "slave3",
        "launcher": "linux",
        "cgroups_root": root,
        "isolation": "cgroups/cpu,cgroups/mem,filesystem/linux,docker/runtime",
        "image_providers": "docker",
        "image_provisioner_backend": "copy",
        "docker_registry": tmp_path / "images",
        "docker_store_dir": tmp_path / "store",
        "appc_store_dir": tmp_path / "appc",
    }
    private_mounts = ["unshare", "--mount", "--propagation", "private"]
    with (
        PrivateDocker(tmp_path / "engine", name="dockerd3") as engine,
        Agent(tmp_path / "agent3", cluster.url, engine, flags, wrapper=private_mounts) as agent,
    ):
        agent.wait_registered(cluster.master, 3)
        yield agent
    for group in Path("/sys/fs/cgroup").glob(f"*/{root}"):
        if not group.parent.is_symlink():
            group.rmdir()  # the containers' own are gone


def changed(scheduler: Scheduler, wish: Message) -> Message:
    """Have a service of one instance run otherwise; returns the new one."""
    before = {one["task_id"] for one in scheduler.web["instances"]}
    scheduler.wish["services"] = [wish]
    scheduler.change()
    eventually(partial(shows_image, scheduler, wish["image"]), "the change read", 30)
    (instance,) = converged(scheduler)
    assert instance["task_id"] not in before
    assert instance["healthy"] is True
    log = scheduler.get(f"/v1/instances/{instance['task_id']}/log")
    assert log["data"].endswith("hello = world\n")
    return instance


def test_from_an_image_in_docker_to_one_of_mesos_and_back(
    tmp_path: Path, cluster: Cluster, server: str, slave_of_images: Agent
) -> None:
    there = {"constraints": [{"field": "hostname", "operator": "IS", "value": "slave3"}]}
    docker = {**in_docker(server), **there}
    serve = 'cat /etc/image > index.html; exec busybox httpd -f -p "$PORT_HTTP"'
    mesos = {
        **web(server, fetch=[], command=f'echo "$GREETING"; cd "$MESOS_SANDBOX"; {serve}', **there),
        "image": f"{images.NAME}:{images.TAG}",
    }
    with running(tmp_path, cluster, docker) as scheduler:
        converged(scheduler)
        first = changed(scheduler, mesos)
        assert page(first["ports"][0]) == b"a file of the image\n"
        # Its health check sees what the container serves.
        sandbox = f"slaves/*/frameworks/*/executors/{first['task_id']}/runs/*-*"
        (index,) = Path(str(slave_of_images.flags["work_dir"])).glob(f"{sandbox}/index.html")
        index.unlink()
        eventually(lambda: first["task_id"] not in str(scheduler.web["instances"]), "it is replaced", 30)
        converged(scheduler)
        assert page(changed(scheduler, docker)["ports"][0]) == b"demo 1\n"
