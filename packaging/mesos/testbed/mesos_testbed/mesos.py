"""mesos-master and mesos-slave from the staged tree that `make -C packaging/mesos` builds."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mesos_testbed.certificates import Certificates
from mesos_testbed.docker_engine import PrivateDocker
from mesos_testbed.process import Daemon, eventually, free_port

STAGED_TREE = Path(__file__).resolve().parents[2] / "build" / "root"
Flags = Mapping[str, object]


def flag_words(flags: Flags) -> list[str]:
    """`{"a": 1, "b": True, "c": False}` → `--a=1 --b=true --c=false`."""
    return [
        f"--{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in flags.items()
    ]


def token_flags(folder: Path) -> dict[str, object]:
    """Return the flags of an agent whose executors must show a token, and write the key that signs it."""
    key = folder / "executor_key"
    key.write_text("a key that signs the executors' tokens")
    key.chmod(0o600)
    return {"authenticate_http_executors": True, "http_authenticators": "jwt", "jwt_secret_key": key}


def socket_flags(folder: Path) -> dict[str, object]:
    """Return the flags of an agent that executors reach over a socket, which has the folder's name."""
    return {
        "http_executor_domain_sockets": True,
        "domain_socket_location": f"/run/{folder.name}.sock",  # Mesos refuses a long path
    }


class _MesosDaemon(Daemon):
    def __init__(
        self,
        program: str,
        folder: Path,
        flags: Flags,
        name: str,
        environment: Mapping[str, str] | None,
        wrapper: Sequence[str],
        tls: Certificates | None,
    ) -> None:
        self.flags: dict[str, object] = {"ip": "127.0.0.1", "port": free_port(), **flags}
        command: list[str | Path] = [STAGED_TREE / "usr/sbin" / program, *flag_words(self.flags)]
        spoken = {} if tls is None else tls.environment()
        self._context = None if tls is None else tls.context()
        super().__init__(name, command, folder, {**spoken, **(environment or {})}, wrapper)

    @property
    def port(self) -> int:
        """The TCP port where it listens."""
        return int(str(self.flags["port"]))

    @property
    def address(self) -> str:
        """`IP:PORT` where it listens."""
        return f"{self.flags['ip']}:{self.port}"

    def get(self, path: str) -> Any:
        """GET an endpoint that answers in JSON, such as `/state`; URLError when nobody answers."""
        scheme = "http" if self._context is None else "https"
        url = f"{scheme}://{self.address}{path}"
        with urllib.request.urlopen(url, timeout=10, context=self._context) as answer:
            return json.load(answer)

    def answers(self) -> bool:
        """Say whether the HTTP port is served (`/version` asks for no credentials)."""
        return bool(self.get("/version"))


class Master(_MesosDaemon):
    """A mesos-master on 127.0.0.1 with an in-memory registry unless `flags` say otherwise.

    With `tls` it speaks nothing else, here and in an agent.
    """

    def __init__(
        self,
        folder: Path,
        flags: Flags | None = None,
        name: str = "mesos-master",
        environment: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
        tls: Certificates | None = None,
    ) -> None:
        defaults: Flags = {
            "work_dir": str(folder / name),
            "registry": "in_memory",
            "hostname": "localhost",
        }
        merged = {**defaults, **(flags or {})}
        super().__init__("mesos-master", folder, merged, name, environment, wrapper, tls)

    def agents(self) -> list[dict[str, Any]]:
        """The registered and active agents of `/slaves`."""
        slaves = self.get("/slaves")["slaves"]
        return [slave for slave in slaves if slave["active"]]


class Agent(_MesosDaemon):
    """A mesos-slave with its own Docker Engine, registered with `master`.

    `launcher_dir` may be another folder with an executable `mesos-docker-executor`.
    """

    def __init__(
        self,
        folder: Path,
        master: str,
        docker: PrivateDocker,
        flags: Flags | None = None,
        name: str = "mesos-slave",
        environment: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
        tls: Certificates | None = None,
    ) -> None:
        defaults: Flags = {
            "master": master,
            "work_dir": str(folder / name),
            "runtime_dir": str(folder / f"{name}-run"),
            "hostname": "localhost",
            "containerizers": "docker,mesos",
            "launcher_dir": str(STAGED_TREE / "usr/libexec/mesos"),
            "launcher": "posix",
            "isolation": "posix/cpu,posix/mem",
            "systemd_enable_support": False,
            "docker_socket": str(docker.socket),
            "resources": "cpus:8;mem:8192;disk:10000;ports:[31000-32000]",
        }
        self.engine = docker
        merged = {**defaults, **(flags or {})}
        super().__init__("mesos-slave", folder, merged, name, environment, wrapper, tls)

    def wait_registered(self, master: Master, count: int = 1) -> None:
        """Wait until `master` has `count` active agents."""
        eventually(lambda: len(master.agents()) >= count, f"{count} agent(s) registered", 60)

    def recover(self, master: Master, count: int = 1) -> None:
        """Start again after a death, as often as the agent's unit would, until `count` agents are registered.

        Mesos' recovery lists all containers and then looks at each: one that is removed in between ends the
        agent, and the next start succeeds.
        """

        def registered() -> bool:
            if not self.running:
                self.spawn()
            again = self.get("/metrics/snapshot").get("slave/registered") == 1
            return again and len(master.agents()) >= count

        eventually(registered, f"{count} agent(s) registered again", 60)

    def executors(self) -> list[int]:
        """Process ids of what works in this agent's sandboxes: executors and their guards."""
        mark = f"{self.flags['work_dir']}/slaves/".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                pid = int(entry.name)
                works_there = mark in bytes((entry / "cwd").readlink())
                if works_there or mark in (entry / "cmdline").read_bytes():
                    found.append(pid)
        return found

    def close(self) -> None:
        """Stop the agent and what it left running by design: executors outlive their agent."""
        super().close()
        for pid in self.executors():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(str(self.flags["work_dir"]), ignore_errors=True)


@contextmanager
def cluster(
    folder: Path,
    master_flags: Flags | None = None,
    agent_flags: Flags | None = None,
    tls: Certificates | None = None,
) -> Iterator[tuple[Master, Agent, PrivateDocker]]:
    """One master and one registered agent with a Docker Engine of its own."""
    with (
        PrivateDocker(folder / "engine") as docker,
        Master(folder / "master", master_flags, tls=tls) as master,
        Agent(folder / "agent", master.address, docker, agent_flags, tls=tls) as agent,
    ):
        agent.wait_registered(master)
        yield master, agent, docker
