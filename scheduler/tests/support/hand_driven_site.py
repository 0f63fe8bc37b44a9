"""The web server as it is deployed, over a controller that a test drives by hand."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from memory_store import MemoryStore
from mesos_docker_scheduler import web
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.control.events import Command, ConfigRead, Disconnected, ThreadEnded
from mesos_docker_scheduler.exec_sessions import ExecSessions
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.observability.snapshot import ServiceView, Snapshot
from mesos_docker_scheduler.sandbox import Sandboxes
from scheduler_fakes import Bench, configuration

TOKEN = "0123456789abcdef"
_ROUND_SECONDS = 0.05
_PUBLISHED_SECONDS = 0.5  # the scheduler shows what has changed within less

Result = TypeVar("Result")


class HandDrivenSite:
    """One thread owns the controller, as in the scheduler itself: `do` runs there what a test wants done.

    Time goes on as it does outside, from wherever a test has set the clock. Requests of the API are carried
    out as they come.
    """

    def __init__(
        self,
        *services: Service,
        access: web.Access | None = None,
        certificate: web.Certificate | None = None,
    ) -> None:
        self.inbox: queue.SimpleQueue[Command | ThreadEnded | Callable[[], None]] = queue.SimpleQueue()
        self.shown: Snapshot | None = None
        """What is shown in place of what the controller has, if anything."""
        self.bench = Bench(Path(), *services, store=MemoryStore(), now=time.time())
        self.app = web.application(
            web.Sources(
                snapshot=lambda: self.shown or self.bench.controller.snapshot,
                alive_at=time.monotonic,
                log=self.bench.controller.log,
                metrics=Metrics(),
                put=self.inbox.put,
                sandboxes=Sandboxes(),
                execs=ExecSessions(lambda *_: None),
                tokens=lambda: self.bench.controller.tokens,
            ),
            access or web.Access(TOKEN),
        )
        self._certificate = certificate
        self._listen(0)
        self.port = self.server.port
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._drive, name="controller", daemon=True)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"{'https' if self._certificate is not None else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve and drive until `stop`."""
        self._thread.start()
        self.server.start()

    def stop(self) -> None:
        """End both threads."""
        self.shut()
        self._ends.set()
        self._thread.join()

    def shut(self) -> None:
        """End the web server alone: nobody can be reached any more."""
        self._listener.close()
        self.server.stop()

    def open_again(self) -> None:
        """Serve at the same address again."""
        self._listen(self.port)
        self.server.start()

    def _listen(self, port: int) -> None:
        self._listener = web.listen("127.0.0.1", port)
        self.server = web.WebServer(self.app, self._listener, self._certificate)

    def do(self, work: Callable[[Bench], Result]) -> Result:
        """Have the controller's thread do something; its result, or what it raises.

        What came of it can be seen from outside then: a page that is opened now shows nothing older.
        """
        done: Future[Result] = Future()

        def job() -> None:
            try:
                result = work(self.bench)
                self.bench.take(after=_PUBLISHED_SECONDS)
                done.set_result(result)
            except BaseException as error:
                done.set_exception(error)

        self.inbox.put(job)
        return done.result(timeout=30)

    def run(self, *agents: str) -> list[str]:
        """Offer these agents and have everything run that is launched there; its task ids."""
        return self.do(lambda bench: bench.launch(*agents))

    def configure(self, *services: Service) -> None:
        """Have the configuration file say this."""
        self.do(lambda bench: bench.take(ConfigRead(configuration(*services), "another sha")))

    def disconnect(self) -> None:
        """Lose the master."""

        def lose(bench: Bench) -> None:
            bench.driver.up = False
            bench.take(Disconnected())

        self.do(lose)

    def connect(self) -> None:
        """Find the master (again)."""

        def find(bench: Bench) -> None:
            bench.driver.up = True
            bench.subscribe()

        self.do(find)

    def view(self, name: str = "web") -> ServiceView:
        """What a service looks like from outside."""
        return next(view for view in self.bench.controller.snapshot.services if view.name == name)

    def _drive(self) -> None:
        before = time.monotonic()
        while not self._ends.is_set():
            try:
                item = self.inbox.get(timeout=_ROUND_SECONDS)
            except queue.Empty:
                item = None
            present = time.monotonic()
            self.bench.now += present - before
            before = present
            if isinstance(item, Command | ThreadEnded):
                self.bench.take(item)
            elif item is not None:
                item()
            self.bench.take()
