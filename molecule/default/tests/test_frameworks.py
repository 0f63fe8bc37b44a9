"""Other people's frameworks: plain pymesos, which speaks no TLS, through a tunnel such as socat makes one."""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import socketserver
import ssl
import threading
from collections.abc import Generator, Iterator
from typing import Any

import pymesos
import pytest
from lab_cluster import MASTER_PORT, Cluster, SecurityFolder

SECONDS = 10
RESOURCES: dict[str, float] = {"cpus": 0.1, "mem": 16}


class Batch(pymesos.Scheduler):
    """Runs one task as `user`, and tells what it hears."""

    def __init__(self, user: str) -> None:
        self.heard: queue.Queue[tuple[str, str]] = queue.Queue()
        self._user = user
        self._launched = False

    def registered(self, *_: Any) -> None:
        self.heard.put(("registered", ""))

    def error(self, _: Any, message: str) -> None:
        self.heard.put(("error", message))

    def resourceOffers(self, driver: Any, offers: list[dict[str, Any]]) -> None:
        for offer in offers:
            tasks = [] if self._launched else [self._task(offer)]
            self._launched = True
            driver.launchTasks(offer["id"], tasks)

    def _task(self, offer: dict[str, Any]) -> dict[str, Any]:
        allocation = {"role": offer["allocation_info"]["role"]}
        return {
            "name": "batch",
            "task_id": {"value": "batch-1"},
            "agent_id": offer["agent_id"],
            "resources": [
                {"name": name, "type": "SCALAR", "scalar": {"value": value}, "allocation_info": allocation}
                for name, value in RESOURCES.items()
            ],
            "command": {"value": "id --user --name", "user": self._user},
            "container": {"type": "DOCKER", "docker": {"image": "127.0.0.1:5000/demo/web:1"}},
        }

    def statusUpdate(self, _: Any, update: dict[str, Any]) -> None:
        self.heard.put((update["state"], update.get("message", "")))


class _Tunnel(socketserver.ThreadingTCPServer):
    """Plain connections here are connections over TLS there."""

    daemon_threads = True

    def __init__(self, there: tuple[str, int], context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.there, self.context = there, context


class _Relay(socketserver.BaseRequestHandler):
    server: _Tunnel

    def handle(self) -> None:
        plain: socket.socket = self.request
        address = self.server.there
        with (
            contextlib.suppress(OSError),
            self.server.context.wrap_socket(
                socket.create_connection(address), server_hostname=address[0]
            ) as secured,
        ):
            back = threading.Thread(target=self._pump, args=(secured, plain), daemon=True)
            back.start()
            self._pump(plain, secured)
            back.join()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while received := source.recv(65536):
                target.sendall(received)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def tunnel(security: SecurityFolder) -> Iterator[str]:
    """The address of the master, for those who can't speak TLS but have the operator's certificate."""
    with _Tunnel((Cluster.address("lab-single"), MASTER_PORT), security.context()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextlib.contextmanager
def running(master: str, user: str = "nobody", **credential: str) -> Generator[Batch, None, None]:
    scheduler = Batch(user)
    framework = {
        "user": user,
        "name": "batch",
        "roles": ["batch"],
        "capabilities": [{"type": "MULTI_ROLE"}],
        "principal": credential.get("principal", "batch"),
    }
    driver = pymesos.MesosSchedulerDriver(scheduler, framework, master, **credential)
    driver.start()
    try:
        yield scheduler
    finally:
        driver.stop()
        driver.join()


def test_plain_pymesos_is_refused_without_tls(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="pymesos")
    with running(f"{Cluster.address('lab-single')}:{MASTER_PORT}") as batch, pytest.raises(queue.Empty):
        batch.heard.get(timeout=SECONDS)
    assert "closed" in caplog.text or "reset" in caplog.text


def test_plain_pymesos_is_refused_without_a_password(tunnel: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="pymesos")
    with running(tunnel) as batch, pytest.raises(queue.Empty):
        batch.heard.get(timeout=SECONDS)
    assert "Failed with HTTP 401" in caplog.text


def test_plain_pymesos_is_let_in_with_its_password(tunnel: str, security: SecurityFolder) -> None:
    secret = security.secrets["mesos_master_batch"]
    with running(tunnel, principal="batch", secret=secret) as batch:
        assert batch.heard.get(timeout=SECONDS) == ("registered", "")
        states = [batch.heard.get(timeout=60)[0]]
        while states[-1] not in {"TASK_FINISHED", "TASK_FAILED", "TASK_ERROR", "TASK_KILLED"}:
            states.append(batch.heard.get(timeout=60)[0])
        assert states[-1] == "TASK_FINISHED", states


def test_its_tasks_run_as_its_users_alone(tunnel: str, security: SecurityFolder) -> None:
    secret = security.secrets["mesos_master_batch"]
    with running(tunnel, user="root", principal="batch", secret=secret) as batch:
        what, why = batch.heard.get(timeout=SECONDS)
        assert what == "error", what
        assert "root" in why, why
