"""Runs one driver, pymesos' own or ours, and lets a test steer it: a JSON line for each command and event.

It is a program because what pymesos does wrong ends threads, hangs and interrupts the main thread.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from typing import Any


class Reporter:
    """Writes one event a line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, event: str, **details: Any) -> None:
        with self._lock:
            print(json.dumps({"event": event, **details}, default=str), flush=True)


def scheduler_class(base: type, report: Reporter, settings: dict[str, Any]) -> type:
    """Return a Scheduler that reports each callback, and does in it what `settings["in"]` says."""

    def callback(name: str) -> Any:
        def run(_self: Any, driver: Any, *arguments: Any) -> None:
            report(name, arguments=arguments)
            todo = settings["in"].get(name)
            if todo == "raise":
                raise RuntimeError("a callback of the test fails")
            if todo is not None:
                getattr(driver, todo[0])(*todo[1:])

        return run

    names = [
        "registered", "reregistered", "disconnected", "resourceOffers", "inverseOffers", "offerRescinded",
        "inverseOfferRescinded", "statusUpdate", "operationStatusUpdate", "frameworkMessage", "slaveLost",
        "executorLost", "error", "callFailed",
    ]  # fmt: skip
    return type("TestScheduler", (base,), {name: callback(name) for name in names})


def make_driver(kind: str, report: Reporter, settings: dict[str, Any]) -> Any:
    """Return the driver under test, as a user of it would make it."""
    framework = settings["framework"]
    options = settings["options"]
    if kind == "plain":
        import pymesos  # noqa: PLC0415

        scheduler = scheduler_class(pymesos.Scheduler, report, settings)()
        return pymesos.MesosSchedulerDriver(scheduler, framework, settings["master"], **options)
    from mesos_docker_scheduler.driver import (  # noqa: PLC0415
        Credential,
        Scheduler,
        SchedulerDriver,
        TlsSettings,
    )

    secret = options.pop("secret", None)
    if secret is not None:
        options["credential"] = Credential(options.pop("principal"), lambda: [secret])
    if "tls" in options:
        options["tls"] = TlsSettings(**options["tls"])
    scheduler = scheduler_class(Scheduler, report, settings)()
    return SchedulerDriver(scheduler, framework, settings["master"], **options)


def run(driver: Any, report: Reporter, command: dict[str, Any]) -> None:
    """Call the driver's method and report its result."""
    try:
        method = getattr(driver, command["do"])
        result = method(*command["arguments"], **command["keywords"]) if callable(method) else method
    except Exception as error:
        report("raised", error=repr(error))
    else:
        report("returned", result=result)


def main() -> None:
    """Make the driver, start it, obey."""
    kind, settings = sys.argv[1], json.loads(sys.argv[2])
    report = Reporter()
    if settings["open_files"]:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, settings["open_files"] + 100), most))
        for _ in range(settings["open_files"]):
            os.open(os.devnull, os.O_RDONLY)
    drivers = [make_driver(kind, report, settings)]
    drivers[0].start()
    report("started")
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "another driver":
            drivers.append(make_driver(kind, report, {**settings, **command["keywords"]}))
            drivers[-1].start()
            report("returned", result=None)
        elif command["in_background"]:
            threading.Thread(
                target=run, args=(drivers[-1], lambda *_, **__: None, command), daemon=True
            ).start()
            report("returned", result=None)
        else:
            run(drivers[-1], report, command)


if __name__ == "__main__":
    main()
