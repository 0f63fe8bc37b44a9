"""TLS between master, agent, executor and clients: the official binary of 2020 on OpenSSL 3."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import Agent, Certificates, Framework, Master, PrivateDocker, docker_task, eventually

pytestmark = pytest.mark.integration


def _get(url: str, context: ssl.SSLContext) -> Any:
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        return json.load(answer)


def test_everyone_speaks_tls_1_3_and_strangers_are_kept_out(folder: Path, engine: PrivateDocker) -> None:
    tls = Certificates.make(folder / "tls")
    # An agent does not hand its own environment on.
    flags = {"executor_environment_variables": json.dumps(tls.environment())}
    with (
        Master(folder / "master", tls=tls) as master,
        Agent(folder / "agent", master.address, engine, flags, tls=tls) as agent,
    ):
        agent.wait_registered(master)

        host = str(master.flags["ip"])
        for daemon in (master, agent):
            with (
                socket.create_connection((host, daemon.port)) as plain,
                tls.context().wrap_socket(plain, server_hostname=host) as secured,
            ):
                assert secured.version() == "TLSv1.3"
                assert secured.cipher() == ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)

        with pytest.raises((urllib.error.URLError, ConnectionError, ssl.SSLError)):
            _get(f"https://{master.address}/version", tls.context(certificate=False))
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            urllib.request.urlopen(f"http://{master.address}/version", timeout=10)

        descriptors = Path(f"/proc/{master.pid}/fd")
        before = len(list(descriptors.iterdir()))
        for _ in range(100):
            assert master.get("/version")["version"] == "1.11.0"
        eventually(lambda: len(list(descriptors.iterdir())) <= before + 2, "descriptors closed")

        with Framework(master.address, tls=tls.context()) as framework:
            task = docker_task()
            name = task["task_id"]["value"]
            framework.launch([task])
            framework.wait_state(name, "TASK_RUNNING")
            framework.kill(name)
            framework.wait_state(name, "TASK_KILLED")
