"""The web application over a controller that is driven by hand: what a test asks for is done at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from memory_store import MemoryStore
from mesos_docker_scheduler import web
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.exec_sessions import ExecSessions
from mesos_docker_scheduler.sandbox import Sandboxes
from scheduler_fakes import Bench, service
from starlette.testclient import TestClient

TOKEN = "0123456789abcdef"
ANY = {"If-Match": "*"}


class Site:
    """`client` has the token, `stranger` has none."""

    def __init__(self, *services: Service, access: web.Access | None = None) -> None:
        self.bench = Bench(Path(), *(services or (service(count=2),)), store=MemoryStore())
        self.alive_at = time.monotonic()
        self.messages: list[tuple[str, str, bytes]] = []
        controller = self.bench.controller
        self.sources = web.Sources(
            snapshot=lambda: controller.snapshot,
            alive_at=lambda: self.alive_at,
            log=controller.log,
            metrics=controller._metrics,
            put=self.bench.take,
            sandboxes=Sandboxes(),
            execs=ExecSessions(lambda *message: self.messages.append(message)),
            tokens=lambda: controller.tokens,
        )
        self.app = web.application(self.sources, access or web.Access(TOKEN, hosts=web.Hosts(["testserver"])))
        self.client = TestClient(self.app, "http://localhost", headers={"Authorization": f"Bearer {TOKEN}"})
        self.stranger = TestClient(self.app, "http://localhost")

    def run(self, *agents: str) -> list[str]:
        """Subscribe, let it launch, and have it become as wanted; returns the task ids."""
        self.bench.subscribe("framework-1")
        ids = self.bench.launch(*(agents or ("a", "b")))
        self.bench.take(after=10)
        return ids

    def get(self, path: str) -> Any:
        """Read after a second."""
        self.bench.take(after=1)
        return self.client.get(path)

    def post(self, path: str, body: object = None, **headers: str) -> Any:
        """Change something, whatever it was before."""
        return self.client.post(path, json=body, headers={**ANY, **headers})

    def view(self, name: str = "web") -> dict[str, Any]:
        """One service, after a second."""
        answer: dict[str, Any] = self.get(f"/v1/services/{name}").json()
        return answer
