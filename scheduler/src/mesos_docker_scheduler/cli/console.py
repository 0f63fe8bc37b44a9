"""What the tutorial's command line prints: plain sentences for a person who looks on."""

from __future__ import annotations

import sys
from datetime import datetime

from mesos_docker_scheduler.observability.snapshot import Snapshot
from mesos_docker_scheduler.records.store import Event

_SENTENCES = {
    "connected": "Connected: {text}",
    "disconnected": "Connection lost: {text}; trying again",
    "launch": "Starting {task}: {text}",
    "running": "Running  {task}: {text}",
    "ended": "Ended    {task}: {text}",
    "lost": "Lost     {task}: {text}",
    "kill": "Stopping {task}: {text}",
    "waiting": "Waiting: {text}",
    "converged": "As wanted: {text}. Ctrl-C ends this scheduler and leaves them running.",
}


def print_event(event: Event) -> None:
    """Print one event of the controller with the time of day."""
    sentence = _SENTENCES.get(event.kind, "{kind}: {text}")
    text = sentence.format(kind=event.kind.capitalize(), text=event.text, task=event.task_id)
    print(f"{datetime.fromtimestamp(event.at):%H:%M:%S}  {text}", flush=True)


def farewell(left: Snapshot, again: str, teardown: str, outlive_seconds: float) -> None:
    """Say what goes on running, how to take it up again, and how to end it."""
    running = [
        instance
        for service in left.services
        for instance in service.instances
        if instance.state in ("TASK_RUNNING", "TASK_STARTING", "TASK_STAGING")
    ]
    print(file=sys.stdout)
    if left.framework_id is None:
        print("Nothing was started: no Mesos master has answered.")
        return
    plural = "" if len(running) == 1 else "s"
    print(f"The scheduler has ended. {len(running)} instance{plural} left running:")
    for instance in running:
        container = f", container {instance.container}" if instance.container else ""
        print(
            f"  {instance.task_id}  {instance.image}  on {instance.hostname or instance.agent_id}{container}"
        )
    days = outlive_seconds / 86_400
    print(f"Mesos keeps framework {left.framework_id} for {days:g} days without a scheduler.")
    print(f"Go on with them:  {again}")
    print(f"Stop them all:    {teardown}")
