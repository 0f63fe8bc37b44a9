"""Looks at the slaves' Docker Engines and asks every instance over HTTP, all the time. No scheduler is asked.

Each slave is looked at through `docker exec` into its host, in a shell that goes on looking; each container
is asked by a thread of its own, so that one that does not answer delays no other.
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Mapping
from types import TracebackType

from chaos_judge import Failure
from chaos_lives import Life, Lives, Seen
from lab_client import ask

LOOK_SECONDS = 1
ASK_SECONDS = 0.5
END_OF_LOOK = "."
_FORMAT = r'{{.ID}}\t{{.State}}\t{{.Label "mesos.task_id"}}\t{{.Image}}\t{{.Ports}}'
# The name of a task's container. An engine that hangs must not end the looks.
_LOOK = f"timeout 5 docker ps --all --no-trunc --filter name=^mesos-[0-9a-f]{{8}}- --format '{_FORMAT}'"
# It ends with its input: nothing is left on the host, whatever becomes of this process.
_LOOKS = (
    f'while :; do if out=$({_LOOK}); then printf "%s\\n" "$out" "{END_OF_LOOK}"; fi;'
    f" sleep {LOOK_SECONDS}; done"
    " & cat >/dev/null; kill $!"
)


def parse(line: str) -> Seen:
    """Return the container of a line of `docker ps`."""
    container, state, task, image, ports = line.split("\t")
    published = re.search(r":(\d+)->", ports)
    return Seen(container, task, image, int(published[1]) if published else 0, state == "running")


class Observer:
    """Watches while it is entered. Times are those of `now`."""

    now = staticmethod(time.monotonic)

    def __init__(self, addresses: Mapping[str, str]) -> None:
        """`addresses`: the slaves'."""
        self._addresses = dict(addresses)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._lives = Lives()
        self._looked: dict[str, float] = {}
        self._answered: dict[str, float] = {}
        self._asked = 0
        self._failures: list[Failure] = []
        self._asking: set[str] = set()
        self._shells: dict[str, subprocess.Popen[str]] = {}
        self._threads = [
            threading.Thread(target=self._watch, args=(host,), daemon=True) for host in self._addresses
        ]

    def __enter__(self) -> Observer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for shell in list(self._shells.values()):
            shell.kill()  # its end of the pipe closes with it, and so the shell on the host ends
        for thread in self._threads:
            thread.join()

    def lives(self) -> list[Life]:
        """Return every life there has been."""
        with self._lock:
            return self._lives.all()

    def running(self) -> list[Life]:
        """Return those that have not been seen to end."""
        with self._lock:
            return self._lives.running()

    def stopped(self) -> dict[str, frozenset[str]]:
        """Return by slave the ids of containers that run no more and have not been removed."""
        with self._lock:
            return self._lives.stopped()

    def looked(self, host: str) -> float:
        """Return when a slave's engine was last looked at; minus infinity if never."""
        with self._lock:
            return self._looked.get(host, float("-inf"))

    def answered(self, container: str) -> float:
        """Return when a request to the container was sent that it answered; minus infinity if none was."""
        with self._lock:
            return self._answered.get(container, float("-inf"))

    def take_requests(self) -> tuple[int, list[Failure]]:
        """Return how many requests were asked since the last call, and those that were not answered."""
        with self._lock:
            taken = self._asked, self._failures
            self._asked, self._failures = 0, []
        return taken

    def _watch(self, host: str) -> None:
        while not self._over.is_set():
            with subprocess.Popen(
                ["docker", "exec", "--interactive", host, "sh", "-c", _LOOKS],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            ) as shell:
                self._shells[host] = shell
                assert shell.stdout is not None
                lines: list[str] = []
                for line in shell.stdout:
                    if line.strip() == END_OF_LOOK:
                        self._take(host, [parse(each) for each in lines])
                        lines = []
                    elif line.strip():
                        lines.append(line.rstrip("\n"))
            # The host is off, or frozen.
            self._over.wait(LOOK_SECONDS)

    def _take(self, host: str, seen: list[Seen]) -> None:
        at = self.now()
        with self._lock:
            self._looked[host] = at
            self._lives.look(host, at, seen)
            new = [life for life in self._lives.running() if life.port and life.id not in self._asking]
            self._asking |= {life.id for life in new}
        for life in new:
            threading.Thread(target=self._keep_asking, args=(life,), daemon=True).start()

    def _keep_asking(self, life: Life) -> None:
        url = f"http://{self._addresses[life.host]}:{life.port}/"
        while not self._over.wait(ASK_SECONDS):
            if life.ended is not None:
                break
            begun = self.now()
            _, failure = ask(url)
            with self._lock:
                self._asked += 1
                if failure:
                    self._failures.append(Failure(life.id, life.host, begun, self.now(), failure))
                else:
                    self._answered[life.id] = begun
        with self._lock:
            # Should a look find that it runs after all, it is asked again.
            self._asking.discard(life.id)
