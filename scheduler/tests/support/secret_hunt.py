"""Where a secret must not show: what daemons tell, files, and command lines."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import urllib.request
from pathlib import Path

from scheduler_process import Cluster

CALLS = {
    "master": ("GET_STATE", "GET_TASKS", "GET_EXECUTORS", "GET_FRAMEWORKS"),
    "agent": ("GET_STATE", "GET_TASKS", "GET_EXECUTORS", "GET_CONTAINERS"),
}


class Processes:
    """Looks at the list of processes all the time, for a secret in any command line.

    `expected`: words that must have been seen in one, or it has not looked in time.
    """

    def __init__(self, secret: str, expected: bytes) -> None:
        self._secret = secret
        self._expected = expected
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.seen_words = False
        self.seen_secret: list[str] = []

    def __enter__(self) -> Processes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.002):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    words = entry.read_bytes()
                    self.seen_words |= self._expected in words
                    if shows(words, self._secret):
                        self.seen_secret.append(words.decode(errors="replace"))


def fetch(url: str, call: str | None = None) -> bytes:
    body = None if call is None else json.dumps({"type": call}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        content: bytes = answer.read()
        return content


def told_by(cluster: Cluster, kind: str) -> dict[str, bytes]:
    """What a Mesos daemon tells of its tasks."""
    url = f"http://{(cluster.master if kind == 'master' else cluster.agents[0]).address}"
    told = {f"{kind} {call}": fetch(f"{url}/api/v1", call) for call in CALLS[kind]}
    return {**told, f"{kind} /state": fetch(f"{url}/state")}


def files(folder: Path, *names: str) -> dict[str, bytes]:
    """What the files of these names in a folder hold, and those below them."""
    found: dict[str, bytes] = {}
    for path in (below for name in names for below in [folder / name, *(folder / name).rglob("*")]):
        if path.is_file() and not path.is_symlink():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def shows(content: bytes, secret: str) -> bool:
    """Whether the secret is in there, as it is, as JSON has it, or in base64."""
    line = secret.splitlines()[0].encode()
    # In base64 it looks different for each of the three places within a group where it can begin.
    shapes = [base64.b64encode(b"x" * shift + line)[4:-4] for shift in range(3)]
    return any(shape in content for shape in [line, *shapes])
