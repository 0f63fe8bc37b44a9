"""Watches a service's containers on all slaves, so that no moment between two looks is missed.

Docker's own events tell when each container started and ended. All lab hosts share one clock, so the events
of all slaves make one story. Whether a container is well is asked again and again over HTTP.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lab_cluster import Cluster

LOOK_SECONDS = 0.25
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Story:
    """What happened. `starts`: how often a container of each task started."""

    most: int = 0
    fewest_well: int = 1_000_000
    looks: int = 0
    starts: Counter[str] = field(default_factory=Counter)
    ends: int = 0

    def __str__(self) -> str:
        """Counts for people."""
        started = sum(self.starts.values())
        return (
            f"{started} containers started, {self.ends} ended, at most {self.most} at a time,"
            f" at least {self.fewest_well} well in {self.looks} looks"
        )


class _Slave:
    """Docker's events on one slave, as they come."""

    def __init__(self, cluster: Cluster, name: str, service: str) -> None:
        self.events: list[tuple[int, str, str, str]] = []  # when, what, container, task
        self.urls: dict[str, str] = {}  # of the containers that run
        self._cluster, self._name = cluster, name
        self._address = cluster.address(name)
        events = (
            f"docker events --since {int(time.time())} --format '{{{{json .}}}}'"
            f" --filter label=mesos.label.service={service} --filter event=start --filter event=die"
        )
        # It ends with its input: nothing is left on the host, whatever becomes of this process.
        self._process = subprocess.Popen(
            ["docker", "exec", "--interactive", name, "sh", "-c", f"{events} & cat; kill $!"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        listing = cluster.host(name).check_output(
            f"docker ps --quiet --no-trunc --filter label=mesos.label.service={service}"
        )
        self.first = {container: self._look_up(container) for container in listing.split()}
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more events."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._thread.join()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event: dict[str, Any] = json.loads(line)
            container, task = event["id"], event["Actor"]["Attributes"]["mesos.task_id"]
            self.events.append((event["timeNano"], event["Action"], container, task))
            if event["Action"] == "start":
                threading.Thread(target=self._look_up, args=(container,), daemon=True).start()
            else:
                self.urls.pop(container, None)

    def _look_up(self, container: str) -> str:
        """Note where the container answers; returns its task."""
        look = self._cluster.host(self._name).run(f"docker inspect {container}")
        if look.rc != 0:  # it has ended already
            return ""
        entry = json.loads(look.stdout)[0]
        for bindings in entry["NetworkSettings"]["Ports"].values():
            for binding in bindings or []:
                self.urls[container] = f"http://{self._address}:{binding['HostPort']}/health"
        return str(entry["Config"]["Labels"]["mesos.task_id"])


def _well(url: str) -> bool:
    try:
        with _direct.open(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def watching(cluster: Cluster, service: str) -> Generator[Story, None, None]:
    """Watch meanwhile; the story is complete at the end."""
    story = Story()
    slaves = [_Slave(cluster, name, service) for name in cluster.slaves]
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            urls = [url for slave in slaves for url in list(slave.urls.values())]
            well = sum(_well(url) for url in urls)
            if well < story.fewest_well:
                # A container that has started meanwhile may make up for one that has just gone.
                urls = [url for slave in slaves for url in list(slave.urls.values())]
                well = max(well, sum(_well(url) for url in urls))
            story.fewest_well = min(story.fewest_well, well)
            story.looks += 1

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield story
    finally:
        over.set()
        looking.join()
        for slave in slaves:
            slave.stop()
    running = {container for slave in slaves for container in slave.first}
    story.most = len(running)
    seen = set(running)
    for _, what, container, task in sorted(event for slave in slaves for event in slave.events):
        if what == "die":
            running.discard(container)
            story.ends += 1
        elif container not in seen:
            seen.add(container)
            running.add(container)
            story.starts[task] += 1
        story.most = max(story.most, len(running))
