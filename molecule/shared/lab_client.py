"""A client as a load balancer would be: it asks every instance in service, all the time, and counts.

    python lab_client.py STATUS-URL SERVICE '{"lab-slave1": "10.77.0.21"}' [CA-FILE TOKEN]

It learns from the scheduler's status which instances are in service; where their hosts are it is told. When
its standard input ends, it ends, and writes a report as JSON. It is a process of its own, so that a test that
is busy does not slow it down.
"""

from __future__ import annotations

import json
import math
import os
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.client import HTTPException
from typing import Any

from lab_cluster import SCHEDULER_PORT, Cluster

LOOK_SECONDS = 0.2
LEADER_SILENT_SECONDS = 1.0
WORKERS = 3
PAUSE_SECONDS = 0.1
TIMEOUT_SECONDS = 5
# Every third request takes half a second: it is what an instance that ends too early would break off.
PATHS = ("/", "/", "/cgi-bin/slow")

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Report:
    """What the client has seen. `lists`: the sets of instances in service, each with the second it came."""

    requests: int = 0
    failures: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    lists: list[tuple[float, list[str]]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def fewest(self) -> int:
        """The smallest number of instances that were in service at one time."""
        return min(len(instances) for _, instances in self.lists)

    def __str__(self) -> str:
        """Counts for people."""
        versions = ", ".join(
            f"{count} of version {version}" for version, count in sorted(self.versions.items())
        )
        return (
            f"{self.requests} requests in {self.seconds:.0f} s, {len(self.failures)} failed ({versions}); "
            f"{len(self.lists)} lists of instances, the shortest of {self.fewest}"
        )


class Client:
    """Asks in several threads; `stop` ends them and gives the report."""

    def __init__(
        self,
        status_urls: list[str],
        service: str,
        addresses: dict[str, str],
        ca_file: str | None,
        token: str | None,
    ) -> None:
        shown = {"Authorization": f"Bearer {token}"} if token is not None else {}
        schedulers = [urllib.request.Request(url, headers=shown) for url in status_urls]
        context = ssl.create_default_context(cafile=ca_file)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        self._service = service
        self._addresses = addresses
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._report = Report()
        self._versions: Counter[str] = Counter()
        self._urls: list[str] = []
        self._leader_answered = -math.inf
        self._turn = 0
        for scheduler in schedulers:
            self._look(scheduler)
        self._threads = [
            *(threading.Thread(target=self._keep_looking, args=(each,), daemon=True) for each in schedulers),
            *(threading.Thread(target=self._keep_asking, daemon=True) for _ in range(WORKERS)),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> Report:
        """Let the requests under way end; returns the report."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._report.versions = dict(self._versions)
        self._report.seconds = time.monotonic() - self._start
        return self._report

    def _look(self, scheduler: urllib.request.Request) -> None:
        status = self._status(scheduler)
        if status is None:
            return  # a client of a scheduler that is away goes on with what it knows
        with self._lock:
            now = time.monotonic()
            if status["leads"]:
                self._leader_answered = now
            elif now - self._leader_answered < LEADER_SILENT_SECONDS:
                return  # a follower's list may be a moment older
            instances = {
                instance["task_id"]: f"http://{self._addresses[instance['hostname']]}:{instance['ports'][0]}"
                for service in status["services"]
                if service["name"] == self._service
                for instance in service["instances"]
                if instance["in_service"]
            }
            self._urls = list(instances.values())
            if not self._report.lists or self._report.lists[-1][1] != sorted(instances):
                self._report.lists.append((now - self._start, sorted(instances)))

    def _status(self, scheduler: urllib.request.Request) -> dict[str, Any] | None:
        try:
            with self._opener.open(scheduler, timeout=TIMEOUT_SECONDS) as answer:
                status: dict[str, Any] = json.load(answer)
        except (OSError, HTTPException, ValueError):
            return None
        return status

    def _keep_looking(self, scheduler: urllib.request.Request) -> None:
        # A thread for each scheduler: to wait for one that is gone would leave a list of seconds ago.
        while not self._stop.wait(LOOK_SECONDS):
            self._look(scheduler)

    def _keep_asking(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            with self._lock:
                self._turn += 1
                turn, urls = self._turn, self._urls
            # Each instance in turn is asked for every path.
            url = urls[turn // len(PATHS) % len(urls)] + PATHS[turn % len(PATHS)] if urls else ""
            version, failure = ask(url) if url else ("", "no instance is in service")
            with self._lock:
                self._report.requests += 1
                if failure:
                    self._report.failures.append(f"{time.monotonic() - self._start:.1f} s: {url} {failure}")
                else:
                    self._versions[version] += 1


def ask(url: str) -> tuple[str, str]:
    """Return the version that answered, and what went wrong: one of the two is empty."""
    try:
        with _direct.open(url, timeout=TIMEOUT_SECONDS) as answer:
            text = answer.read().decode()
    except (OSError, HTTPException, ValueError) as error:
        return "", repr(error)
    version = re.search(r"version (\d+)", text)
    return (version[1], "") if version else ("", f"answered {text!r}")


def _end_with_thread(failed: threading.ExceptHookArgs) -> None:
    """End the program with a thread of it: one that asks no more would find no failures."""
    sys.excepthook(failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
    os._exit(1)


class Asking:
    """A client that runs: `report` is there when it has ended."""

    report: Report


@contextmanager
def asking(cluster: Cluster, service: str) -> Generator[Asking, None, None]:
    """Have a client ask the instances of a service meanwhile."""
    addresses = {slave: cluster.address(slave) for slave in cluster.slaves}
    scheme = "http" if cluster.security is None else "https"
    urls = [
        f"{scheme}://{address}:{SCHEDULER_PORT}/v1/status"
        for address in map(cluster.address, cluster.schedulers)
        if address  # it is up
    ]
    command = [sys.executable, __file__, json.dumps(urls), service, json.dumps(addresses)]
    if cluster.security is not None:
        token = cluster.scheduler_access()["Authorization"].removeprefix("Bearer ")
        command += [str(cluster.security.path / "ca.pem"), token]
    result = Asking()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asking\n", "the client did not start"
        try:
            yield result
        finally:
            written, _ = process.communicate("")
    assert process.returncode == 0, "the client itself failed"
    result.report = Report(**json.loads(written))
    assert result.report.requests > 0, "the client has not asked"


def main(
    status_urls: str, service: str, addresses: str, ca_file: str | None = None, token: str | None = None
) -> None:
    """Ask until the standard input ends."""
    threading.excepthook = _end_with_thread
    client = Client(json.loads(status_urls), service, json.loads(addresses), ca_file, token)
    print("asking", flush=True)
    sys.stdin.read()
    report: dict[str, Any] = asdict(client.stop())
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
