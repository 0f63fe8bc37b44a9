"""Somebody's framework on plain pymesos: it runs one task, and prints what it hears, a line each.

    python plain_framework.py MASTER ROLE USER IMAGE [PRINCIPAL]

Without an image (an empty one) the task is a command that needs a file. The password comes by standard input.
pymesos ends a program that it can't go on in by an interrupt, and waits a day for answers: so whoever starts
it must have an end to his patience.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import pymesos

RESOURCES: dict[str, float] = {"cpus": 0.1, "mem": 16}


class Framework(pymesos.Scheduler):
    """Launches one task."""

    def __init__(self, user: str, image: str) -> None:
        self._user, self._image = user, image
        self._launched = False

    def registered(self, *_: Any) -> None:
        print("registered", flush=True)

    def error(self, _: Any, message: str) -> None:
        print(f"error {message}", flush=True)

    def resourceOffers(self, driver: Any, offers: list[dict[str, Any]]) -> None:
        for offer in offers:
            # The master may offer just what somebody has left over.
            tasks = [] if self._launched or not _suffices(offer) else [self._task(offer)]
            self._launched = self._launched or bool(tasks)
            driver.launchTasks(offer["id"], tasks, {"refuse_seconds": 1})

    def statusUpdate(self, _: Any, update: dict[str, Any]) -> None:
        print(update["state"], update.get("message", ""), flush=True)

    def _task(self, offer: dict[str, Any]) -> dict[str, Any]:
        allocation = {"role": offer["allocation_info"]["role"]}
        return {
            "name": "plain",
            "task_id": {"value": f"plain-{time.time_ns()}"},
            "agent_id": offer["agent_id"],
            "resources": [
                {"name": name, "type": "SCALAR", "scalar": {"value": value}, "allocation_info": allocation}
                for name, value in RESOURCES.items()
            ],
            **(self._in_container() if self._image else self._with_file()),
        }

    def _in_container(self) -> dict[str, Any]:
        container = {"type": "DOCKER", "docker": {"image": self._image}}
        return {"command": {"value": "id", "user": self._user}, "container": container}

    def _with_file(self) -> dict[str, Any]:
        uri = {"value": "file:///etc/hostname", "output_file": "in/name", "cache": True}
        return {"command": {"value": "test -s in/name", "user": self._user, "uris": [uri]}}


def _suffices(offer: dict[str, Any]) -> bool:
    offered = {item["name"]: item["scalar"]["value"] for item in offer["resources"] if "scalar" in item}
    return all(offered.get(name, 0) >= value for name, value in RESOURCES.items())


def main(master: str, role: str, user: str, image: str, principal: str | None = None) -> None:
    """Run until somebody ends it."""
    logging.basicConfig(level=logging.WARNING)
    framework = {
        "user": user,
        "name": "plain",
        "roles": [role],
        "capabilities": [{"type": "MULTI_ROLE"}],
        "failover_timeout": 0,  # it ends with its program
    }
    secret = sys.stdin.read().strip() if principal else None
    if principal:
        framework["principal"] = principal
    driver = pymesos.MesosSchedulerDriver(
        Framework(user, image), framework, master, principal=principal, secret=secret
    )
    driver.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
