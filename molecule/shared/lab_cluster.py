"""What the tests ask a running lab: its scheduler's status, its master's state, its slaves' containers.

Programs on the hosts run through testinfra; HTTP goes from here to the hosts' addresses, past any proxy.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import testinfra
import yaml

T = TypeVar("T")

UNITS = (
    "zookeeper",
    "mesos-master",
    "docker",
    "mesos-slave",
    "mesos-docker-scheduler",
    "mesos-docker-exporter",
)
OWN_UNITS = tuple(unit for unit in UNITS if unit != "docker")  # Docker Engine is a part of the host
MASTER_PORT = 5050
SLAVE_PORT = 5051
SCHEDULER_PORT = 8090
ZOOKEEPER_PORT = 2181
EXPORTER_PORT = 9105
TOKEN_FILE = "/etc/mesos-docker-scheduler/token"  # noqa: S105 - its path


@dataclass(frozen=True)
class SecurityFolder:
    """What the control node keeps of a secured lab, and with it the operator."""

    path: Path

    @classmethod
    def of(cls, inventory: Path) -> SecurityFolder:
        """Return the folder where the playbooks keep it when the inventory names no other."""
        return cls(inventory.parent / "security" / inventory.name)

    @functools.cached_property
    def secrets(self) -> dict[str, str]:
        """The secrets by name."""
        return dict(yaml.safe_load((self.path / "secrets.yml").read_text(encoding="utf-8")))

    def context(self, *, certificate: bool = True) -> ssl.SSLContext:
        """Return how to speak TLS with the cluster, with the operator's certificate or without any."""
        context = ssl.create_default_context(cafile=self.path / "ca.pem")
        if certificate:
            context.load_cert_chain(self.path / "operator.pem", self.path / "operator.key")
        return context

    def authorization(self, port: int, principal: str = "operator") -> dict[str, str]:
        """Return the header that a principal shows the master or the slave, whoever has that port."""
        daemon = "mesos_master" if port == MASTER_PORT else "mesos_slave"
        return basic(principal, self.secrets[f"{daemon}_{principal}"])


def basic(principal: str, secret: str) -> dict[str, str]:
    """Return the header of HTTP's basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(f"{principal}:{secret}".encode()).decode()}


@dataclass(frozen=True)
class Container:
    """One running container of a task. `labels` are Docker's, as on the command line."""

    id: str
    name: str
    image: str
    host: str
    labels: dict[str, str]


def eventually(what: str, probe: Callable[[], T | None], *, seconds: float) -> tuple[T, float]:
    """Call probe until it returns something true; return that and the seconds it took.

    Raises AssertionError, with what was waited for, when the time is over.
    """
    start = time.monotonic()
    while True:
        found = probe()
        elapsed = time.monotonic() - start
        if found:
            return found, elapsed
        assert elapsed < seconds, f"not within {seconds:g} seconds: {what}"
        time.sleep(0.1)


class Cluster:
    """A master, slaves, and schedulers: names of lab hosts. `security`: None if it is open.

    schedulers: those that share a state, of which one leads; without them the master's host has the only one.
    """

    def __init__(
        self,
        *,
        master: str,
        slaves: Iterable[str],
        security: SecurityFolder | None,
        schedulers: Iterable[str] = (),
    ) -> None:
        self.master = master
        self.schedulers = tuple(schedulers) or (master,)
        self.slaves = tuple(slaves)
        self.security = security
        self.hosts = tuple(dict.fromkeys((master, *self.schedulers, *self.slaves)))

    @staticmethod
    def host(name: str) -> Any:
        """Return testinfra's host of that name."""
        return testinfra.get_host(f"docker://{name}")

    @staticmethod
    def address(name: str) -> str:
        """Return the host's address on the lab's network."""
        networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        command = ["docker", "inspect", "--format", networks, name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def get(self, host: str, port: int, path: str) -> Any:
        """Return the JSON that the host answers with. Raises OSError when it doesn't."""
        with self._open(host, port, path, timeout=10) as answer:
            return json.load(answer)

    def _open(
        self,
        host: str,
        port: int,
        path: str,
        *,
        timeout: float,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        scheme, shown = "http", dict(headers or {})
        if self.security is not None and port in (MASTER_PORT, SLAVE_PORT, SCHEDULER_PORT):
            scheme = "https"
            shown |= self.scheduler_access() if port == SCHEDULER_PORT else self.security.authorization(port)
            handlers.append(urllib.request.HTTPSHandler(context=self.security.context()))
        request = urllib.request.Request(f"{scheme}://{self.address(host)}:{port}{path}", data, shown)
        return urllib.request.build_opener(*handlers).open(request, timeout=timeout)

    def scheduler_access(self) -> dict[str, str]:
        """Return the header that shows the scheduler its token."""
        for scheduler in self.schedulers:
            file = self.host(scheduler).run(f"cat {TOKEN_FILE}")
            if file.rc == 0:
                return {"Authorization": f"Bearer {file.stdout.strip()}"}
        raise OSError("no scheduler's host is up")

    @property
    def scheduler(self) -> str:
        """The host whose scheduler leads. Raises OSError when none does."""
        if len(self.schedulers) == 1:
            return self.schedulers[0]
        for scheduler in self.schedulers:
            with contextlib.suppress(OSError, ValueError):
                if self.get(scheduler, SCHEDULER_PORT, "/v1/status?instances=false")["leads"]:
                    return scheduler
        raise OSError("no scheduler leads")

    def status(self) -> dict[str, Any]:
        """Return the /v1/status of the scheduler that leads."""
        status: dict[str, Any] = self.get(self.scheduler, SCHEDULER_PORT, "/v1/status")
        return status

    def service(self, name: str = "web") -> dict[str, Any]:
        """Return the service's part of the scheduler's status."""
        (service,) = (service for service in self.status()["services"] if service["name"] == name)
        return dict(service)

    def reasons(self, service: str = "web") -> list[dict[str, Any]]:
        """Return why what the service lacks is lacking: the scheduler's /v1/explain."""
        return list(self.get(self.scheduler, SCHEDULER_PORT, f"/v1/explain/{service}")["reasons"])

    def reason(self, kind: str, service: str = "web") -> dict[str, Any]:
        """Return the reason of that kind, and fail when there is none."""
        reasons = self.reasons(service)
        found = [reason for reason in reasons if reason["kind"] == kind]
        assert len(found) == 1, f"not one reason of kind {kind!r}, but {reasons}"
        return found[0]

    def scheduler_journal(self, since: float) -> str:
        """Return what the scheduler has written since that second of the epoch."""
        return self.said(self.scheduler, "mesos-docker-scheduler", since)

    def said(self, host: str, unit: str, since: float) -> str:
        """Return what the unit on the host has written since then, in seconds of the epoch."""
        # Rounded up, it would leave out what comes at once.
        command = f"journalctl --no-pager --output=cat --unit={unit} --since=@{int(since)}"
        return str(self.host(host).check_output(command))

    def call_master(self, call: Mapping[str, Any]) -> Any:
        """Make a call of the master's operator API; returns its answer, if it has one."""
        with self._open(
            self.master,
            MASTER_PORT,
            "/api/v1",
            timeout=30,
            data=json.dumps(call).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        ) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def agent(self, slave: str) -> dict[str, Any]:
        """Return what the master knows of the slave's agent."""
        agents = self.call_master({"type": "GET_AGENTS"})["get_agents"]["agents"]
        (found,) = (agent for agent in agents if agent["agent_info"]["hostname"] == slave)
        return dict(found)

    def schedule(self) -> dict[str, Any]:
        """Return which machines the master is told will go: Mesos' maintenance schedule."""
        answer = self.call_master({"type": "GET_MAINTENANCE_SCHEDULE"})["get_maintenance_schedule"]
        return dict(answer["schedule"])

    def announce(self, windows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the maintenance schedule by these windows."""
        schedule = {"windows": list(windows)}
        self.call_master(
            {"type": "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule": {"schedule": schedule}}
        )

    def take_back(self) -> None:
        """Have all slaves in use again, whatever was announced and drained."""
        self.announce([])
        for slave in self.slaves:
            agent = self.agent(slave)
            if agent.get("deactivated"):
                agent_id = agent["agent_info"]["id"]
                self.call_master({"type": "REACTIVATE_AGENT", "reactivate_agent": {"agent_id": agent_id}})
        eventually("all slaves are back", lambda: self.registered_slaves() == sorted(self.slaves), seconds=30)

    def frameworks(self) -> list[str]:
        """Return the ids of the frameworks that the master has registered, disconnected ones included."""
        state = self.get(self.master, MASTER_PORT, "/master/state")
        return sorted(framework["id"] for framework in state["frameworks"])

    def registered_slaves(self) -> list[str]:
        """Return the names of the slaves the master is connected to; none while it does not answer."""
        try:
            slaves = self.get(self.master, MASTER_PORT, "/master/slaves")["slaves"]
        except OSError:
            return []
        return sorted(slave["hostname"] for slave in slaves if slave["active"])

    def inspected(self) -> list[tuple[str, dict[str, Any]]]:
        """Return slave and `docker inspect` of each task's running container, on all slaves that are up."""
        found: list[tuple[str, dict[str, Any]]] = []
        for slave in self.slaves:
            ids = "docker ps --quiet --filter name=^mesos-[0-9a-f]{8}-"
            listing = self.host(slave).run(f'ids=$({ids}) && [ -z "$ids" ] || docker inspect $ids')
            if listing.rc == 0 and listing.stdout.strip():
                found += [(slave, entry) for entry in json.loads(listing.stdout)]
        return found

    def containers(self, service: str | None = None) -> dict[str, Container]:
        """Return the running containers by id: all tasks', or those of one service."""
        return {
            entry["Id"]: Container(
                id=entry["Id"],
                name=entry["Name"].removeprefix("/"),
                image=entry["Config"]["Image"],
                host=slave,
                labels=entry["Config"]["Labels"] or {},
            )
            for slave, entry in self.inspected()
            if service in (None, (entry["Config"]["Labels"] or {}).get("mesos.label.service"))
        }

    def converged(self) -> bool:
        """Tell whether the scheduler answers, is connected, and runs what it should."""
        try:
            status = self.status()
        except (OSError, ValueError):
            return False
        return bool(status["connected"]) and all(service["converged"] for service in status["services"])

    def journal(self, host: str, *, lines: int = 40) -> str:
        """Return the last lines that our units on the host have written."""
        units = " ".join(f"--unit={unit}" for unit in UNITS)
        text: str = self.host(host).run(f"journalctl --no-pager --lines={lines} {units}").stdout
        return text
