"""TLS between master, agent, executor and clients: the official binary of 2020 on OpenSSL 3."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from mesos_testbed import Agent, Framework, Master, PrivateDocker, docker_task, eventually, tls_environment

pytestmark = pytest.mark.integration


class Authority:
    """A certificate authority in a folder, and the certificate that all parties show."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        # Key usages and key identifiers, because Python 3.13 insists on them.
        new_key = "-newkey rsa:2048 -nodes"
        usage = "-addext keyUsage=critical,keyCertSign,cRLSign"
        self._openssl(f"req -x509 {new_key} {usage} -subj /CN=authority -keyout ca.key -out ca.pem")
        self._openssl(f"req {new_key} -subj /CN=localhost -keyout key.pem -out request.pem")
        (folder / "extensions").write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        )
        self._openssl("x509 -req -in request.pem -CA ca.pem -CAkey ca.key -extfile extensions -out cert.pem")
        self._openssl("verify -x509_strict -CAfile ca.pem cert.pem")

    def _openssl(self, arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=self.folder, check=True, capture_output=True)

    def environment(self) -> dict[str, str]:
        return tls_environment(self.folder / "key.pem", self.folder / "cert.pem", self.folder / "ca.pem")

    def client(self, certificate: bool = True) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if certificate:
            context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        return context


class TlsMaster(Master):
    scheme = "https"

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder, environment=authority.environment())
        self.context = authority.client()

    def get(self, path: str) -> Any:
        return _get(f"https://{self.address}{path}", self.context)


class TlsAgent(Agent):
    scheme = "https"

    def __init__(self, folder: Path, master: str, engine: PrivateDocker, authority: Authority) -> None:
        # An agent does not hand its own environment on.
        flags = {"executor_environment_variables": json.dumps(authority.environment())}
        super().__init__(folder, master, engine, flags, environment=authority.environment())
        self.context = authority.client()

    def get(self, path: str) -> Any:
        return _get(f"https://{self.address}{path}", self.context)


def _get(url: str, context: ssl.SSLContext) -> Any:
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        return json.load(answer)


def test_everyone_speaks_tls_1_3_and_strangers_are_kept_out(folder: Path, engine: PrivateDocker) -> None:
    authority = Authority(folder / "authority")
    with (
        TlsMaster(folder / "master", authority) as master,
        TlsAgent(folder / "agent", master.address, engine, authority) as agent,
    ):
        agent.wait_registered(master)

        host = str(master.flags["ip"])
        for daemon in (master, agent):
            with (
                socket.create_connection((host, daemon.port)) as plain,
                authority.client().wrap_socket(plain, server_hostname=host) as secured,
            ):
                assert secured.version() == "TLSv1.3"
                assert secured.cipher() == ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)

        with pytest.raises((urllib.error.URLError, ConnectionError, ssl.SSLError)):
            _get(f"https://{master.address}/version", authority.client(certificate=False))
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            urllib.request.urlopen(f"http://{master.address}/version", timeout=10)

        descriptors = Path(f"/proc/{master.pid}/fd")
        before = len(list(descriptors.iterdir()))
        for _ in range(100):
            assert master.get("/version")["version"] == "1.11.0"
        eventually(lambda: len(list(descriptors.iterdir())) <= before + 2, "descriptors closed")

        with Framework(master.address, tls=authority.client()) as framework:
            task = docker_task()
            name = task["task_id"]["value"]
            framework.launch([task])
            framework.wait_state(name, "TASK_RUNNING")
            framework.kill(name)
            framework.wait_state(name, "TASK_KILLED")
