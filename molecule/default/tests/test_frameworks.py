"""Other people's frameworks: plain pymesos, which speaks no TLS, through a tunnel such as socat makes one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import queue
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_cluster import MASTER_PORT, Cluster, SecurityFolder, eventually

PROGRAM = Path(__file__).with_name("plain_framework.py")
IMAGE = "127.0.0.1:5000/demo/web:1"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while received := await reader.read(65536):
            writer.write(received)
            await writer.drain()


@contextlib.contextmanager
def tunnel_to(there: tuple[str, int], context: ssl.SSLContext) -> Iterator[str]:
    """Connect those who connect here in plain text to `there` over TLS; gives the address to connect to.

    When one side hangs up, so does the other, and all do in the end.
    """
    started: queue.SimpleQueue[tuple[str, Callable[[], object]]] = queue.SimpleQueue()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*there, ssl=context)
        pumps = [asyncio.create_task(_pump(*pair)) for pair in ((reader, far_writer), (far_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for each in (far_writer, writer):
                each.transport.abort()

    async def serve() -> None:
        over = asyncio.Event()
        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        end = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, over.set)
        started.put(("{}:{}".format(*server.sockets[0].getsockname()), end))
        await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    address, end = started.get(timeout=10)
    try:
        yield address
    finally:
        end()
        thread.join()


@pytest.fixture
def tunnel(security: SecurityFolder, cluster: Cluster) -> Iterator[str]:
    """The address of the master, for those who can't speak TLS but have the operator's certificate."""
    ours = cluster.frameworks()
    with tunnel_to((Cluster.address("lab-single"), MASTER_PORT), security.context()) as address:
        yield address
    eventually("the others are gone", lambda: cluster.frameworks() == ours, seconds=20)


def heard(
    master: str, until: str, seconds: float, *, user: str = "nobody", secret: str = "", image: str = IMAGE
) -> str:
    """Return what the framework prints, and its log, until a line begins with that, or the time is over."""
    words = [sys.executable, str(PROGRAM), master, "batch", user, image, *(["batch"] if secret else [])]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(secret)
        process.stdin.close()
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith(until):
                break
        timer.cancel()
        process.kill()
    return "".join(lines)


def test_plain_pymesos_is_refused_without_tls() -> None:
    log = heard(f"{Cluster.address('lab-single')}:{MASTER_PORT}", "registered", 10)
    assert "registered" not in log


def test_plain_pymesos_is_refused_without_a_password(tunnel: str) -> None:
    log = heard(tunnel, "registered", 10)
    assert "Failed with HTTP 401" in log
    assert "\nregistered" not in log


def test_plain_pymesos_is_let_in_with_its_password(tunnel: str, security: SecurityFolder) -> None:
    log = heard(tunnel, "TASK_FINISHED", 60, secret=security.secrets["mesos_master_batch"])
    assert "registered\n" in log, log
    assert "\nTASK_FINISHED" in log, log


def test_its_commands_run_with_their_files(tunnel: str, security: SecurityFolder, host: Any) -> None:
    log = heard(tunnel, "TASK_F", 60, secret=security.secrets["mesos_master_batch"], image="")
    assert "\nTASK_FINISHED" in log, log
    cache = host.file("/var/lib/mesos/slave/fetch/nobody")
    assert (cache.user, host.file("/tmp/mesos").exists) == ("nobody", False)


def test_its_tasks_run_as_its_users_alone(tunnel: str, security: SecurityFolder) -> None:
    log = heard(tunnel, "TASK_", 60, user="root", secret=security.secrets["mesos_master_batch"])
    assert "\nTASK_ERROR" in log, log
    assert "under user 'root'" in log, log
