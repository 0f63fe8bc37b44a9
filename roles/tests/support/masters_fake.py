"""Masters that answer as Mesos does, as far as the module mesos_agent asks: on ports of loopback."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def agent(id_: str, hostname: str, address: str, **more: Any) -> dict[str, Any]:
    """Return an agent as GET_AGENTS does: active, unless `more` says something else."""
    return {
        "agent_info": {"id": {"value": id_}, "hostname": hostname},
        "pid": f"slave(1)@{address}",
        "active": True,
        **more,
    }


@dataclass
class Cluster:
    """What the masters agree on. `calls`: the types of all calls that change something, in their order.

    `after_write` runs after each change of the schedule: what somebody else does.
    """

    agents: list[dict[str, Any]] = field(default_factory=list)
    recovered: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    schedule: dict[str, Any] = field(default_factory=dict)
    leader: str | None = None
    password: str | None = None
    calls: list[str] = field(default_factory=list)
    after_write: Callable[[], None] = lambda: None

    def answer(self, call: dict[str, Any]) -> tuple[int, Any]:
        """Return the status and the answer of the leader."""
        kind = call["type"]
        if kind == "GET_AGENTS":
            return 200, {"get_agents": {"agents": self.agents, "recovered_agents": self.recovered}}
        if kind == "GET_TASKS":
            return 200, {"get_tasks": {"tasks": self.tasks}}
        if kind == "GET_MAINTENANCE_SCHEDULE":
            return 200, {"get_maintenance_schedule": {"schedule": self.schedule}}
        self.calls.append(kind)
        if kind == "UPDATE_MAINTENANCE_SCHEDULE":
            self.schedule = call["update_maintenance_schedule"]["schedule"]
            self.after_write()
            return 200, None
        (found,) = (one for one in self.agents if one["agent_info"]["id"] == call[kind.lower()]["agent_id"])
        if kind == "DEACTIVATE_AGENT":
            found |= {"active": False, "deactivated": True}
        elif kind == "DRAIN_AGENT":
            if self.schedule.get("windows"):
                return 400, None
            found["drain_info"] = {"state": "DRAINING"}
        elif kind == "REACTIVATE_AGENT":
            found |= {"active": True, "deactivated": False}
            found.pop("drain_info", None)
        return 200, None


@contextmanager
def master(cluster: Cluster) -> Generator[str, None, None]:
    """Run a master; gives HOST:PORT. It leads when `cluster.leader` says so."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Say nothing."""

        def do_GET(self) -> None:
            self._redirect() if self.path == "/master/redirect" else self._send(404)

        def do_POST(self) -> None:
            call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            credential = base64.b64encode(f"ops:{cluster.password}".encode()).decode()
            if cluster.leader != self.headers["Host"]:
                self._redirect()
            elif cluster.password and self.headers["Authorization"] != f"Basic {credential}":
                self._send(401)
            else:
                self._send(*cluster.answer(call))

        def _redirect(self) -> None:
            if cluster.leader is None:
                self._send(503)
                return
            self.send_response(307)
            self.send_header("Location", f"//{cluster.leader}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, status: int, answer: Any = None) -> None:
            body = json.dumps(answer).encode() if answer is not None else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
