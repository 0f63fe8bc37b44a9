"""Machines, the agents on them, and containers: what really runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mesos_docker_scheduler.records.tasks import parse_task_id

from simulated_mesos.fate import Fate

Message = dict[str, Any]

ENDED = frozenset({"FINISHED", "FAILED", "KILLED", "ERROR", "DROPPED", "GONE"})
_ORDER = {"STAGING": 0, "STARTING": 1, "RUNNING": 2, "KILLING": 3}
_FIRST_RETRY = 10.0
_LONGEST_RETRY = 600.0

# What an image is good for stands in its name.
GOOD, BAD, CRASHING, SLOW, SICK, BATCH = "web", "bad", "crash", "slow", "sick", "batch"


@dataclass(slots=True)
class Bundle:
    """Resources: scalars in thousandths, and single ports."""

    cpus: int = 0
    mem: int = 0
    disk: int = 0
    ports: frozenset[int] = frozenset()

    @classmethod
    def of(cls, resources: list[Message]) -> Bundle:
        """The sum of v1 Resources. ValueError when a port stands there twice."""
        bundle = cls()
        for part in resources:
            name = part["name"]
            if name == "ports":
                for span in part["ranges"]["range"]:
                    ports = frozenset(range(span["begin"], span["end"] + 1))
                    if bundle.ports & ports:
                        raise ValueError(f"ports {sorted(bundle.ports & ports)} are taken twice")
                    bundle.ports |= ports
            else:
                setattr(bundle, name, getattr(bundle, name) + round(part["scalar"]["value"] * 1000))
        return bundle

    def holds(self, other: Bundle) -> bool:
        """Whether there is as much here of everything."""
        return (
            self.cpus >= other.cpus
            and self.mem >= other.mem
            and self.disk >= other.disk
            and self.ports >= other.ports
        )

    def plus(self, other: Bundle) -> Bundle:
        """Both together."""
        return Bundle(
            self.cpus + other.cpus, self.mem + other.mem, self.disk + other.disk, self.ports | other.ports
        )

    def less(self, other: Bundle) -> Bundle:
        """What is left without the other."""
        return Bundle(
            self.cpus - other.cpus, self.mem - other.mem, self.disk - other.disk, self.ports - other.ports
        )


@dataclass(frozen=True, slots=True)
class Machine:
    """A host that slaves run on, one after another."""

    hostname: str
    resources: Bundle
    attributes: Mapping[str, str]
    region: str
    zone: str

    def field(self, name: str) -> str | None:
        """What constraints look at."""
        if name in ("hostname", "@region", "@zone"):
            return str(getattr(self, name.removeprefix("@")))
        return self.attributes.get(name)


@dataclass(slots=True, eq=False)
class Container:
    """A container and the updates of it that nobody has acknowledged yet."""

    id: str
    service: str
    version: str
    image: str
    checked: bool
    resources: Bundle
    info: Message
    state: str = "STAGING"
    healthy: bool | None = None
    reason: str | None = None
    updates: list[Message] = field(default_factory=list)
    sent: str | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs, or may come to."""
        return self.state not in ENDED

    @property
    def well(self) -> bool:
        """Whether it serves."""
        return self.state == "RUNNING" and (
            self.healthy is True if self.checked else self.healthy is not False
        )


class Agent:
    """A slave. `up`: it reaches the master. `full`: its disk has no room, and nothing starts.

    `hears` is what the master does with its messages.
    """

    def __init__(
        self, agent_id: str, machine: Machine, fate: Fate, hears: Callable[[Agent, Message], None]
    ) -> None:
        self.id = agent_id
        self.machine = machine
        self.up = True
        self.dead = False
        self.draining = False
        self.full = False
        self.containers: dict[str, Container] = {}
        self._dropped: set[str] = set()
        self._fate = fate
        self._hears = hears
        self._last_sent = 0.0

    # What the master asks for

    def run(self, info: Message) -> None:
        """Start a container, which then lives as its image says."""
        fate = self._fate
        name = info["task_id"]["value"]
        if name in self._dropped:
            return
        named = parse_task_id(name)
        assert named is not None
        kinds = info["container"]
        image = kinds["docker"]["image"] if "docker" in kinds else kinds["mesos"]["image"]["docker"]["name"]
        container = Container(name, *named, image, "health_check" in info, Bundle.of(info["resources"]), info)
        self.containers[name] = container
        if self.draining:
            self.become(container, "KILLED", reason="REASON_AGENT_DRAINING")
            return
        kind = image.partition("/")[2].partition(":")[0]
        if kind == BAD or self.full:
            why = "no space left on device" if self.full else "not found"
            message = f"Failed to launch container: Failed to run 'docker pull {image}': {why}"
            reasons = ("REASON_CONTAINER_LAUNCH_FAILED", "REASON_EXECUTOR_TERMINATED")
            reason = fate.random.choice(reasons)
            failed = partial(self.become, container, "FAILED", reason=reason, message=message)
            fate.later(fate.between(0.3, 3), failed)
            return
        if fate.chance():
            fate.count("hang")
            fate.later(0.1, partial(self.become, container, "STARTING"))
            return
        started = fate.between(20, 90) if kind == SLOW else fate.between(0.2, 3)
        fate.later(0.1, partial(self.become, container, "STARTING"))
        fate.later(started, partial(self.become, container, "RUNNING"))
        if container.checked:
            found = started + fate.between(0.5, 8)
            if kind == SICK:
                fate.later(found, partial(self.check, container, False))
                fate.later(found + 10, partial(self.fail_check, container))
            else:
                fate.later(found, partial(self.check, container, True))
        if kind == CRASHING:
            crash = partial(self.become, container, "FAILED", reason="REASON_COMMAND_EXECUTOR_FAILED")
            fate.later(started + fate.between(0.1, 20), crash)
        elif kind == BATCH:
            fate.later(started + fate.between(5, 60), partial(self.become, container, "FINISHED"))

    def kill(self, task_id: str) -> None:
        """Stop a container in its grace period; say what is true of one that is not there."""
        container = self.containers.get(task_id)
        if container is None:
            self.drop(task_id, "REASON_EXECUTOR_TERMINATED")
        else:
            self.stop(container)

    def stop(self, container: Container, reason: str | None = None) -> None:
        """Stop a container as it is told to."""
        self.become(container, "KILLING", reason=reason)
        fate = self._fate
        fate.later(fate.between(0.1, 4), partial(self.become, container, "KILLED", reason=reason))

    def drop(self, task_id: str, reason: str) -> None:
        """Report, reliably, that a task never came here."""
        self._dropped.add(task_id)  # a launch that is still on its way comes to nothing
        named = parse_task_id(task_id) or ("", "")
        container = Container(task_id, *named, "", False, Bundle(), {})
        self.containers[task_id] = container
        self.become(container, "DROPPED", reason=reason)

    def acknowledge(self, task_id: str, uuid: str) -> None:
        """Go on to the next update."""
        container = self.containers.get(task_id)
        if container is not None and container.updates and container.updates[0]["uuid"] == uuid:
            container.updates.pop(0)
            self.send(container)

    def die(self) -> None:
        """End with all containers and without a word, as when the machine is switched off."""
        self.up = False
        for container in self.containers.values():
            if container.alive:
                container.state = "GONE"
        self.containers.clear()

    # What happens to containers

    def become(self, container: Container, state: str, **fields: Any) -> None:
        """Enter a state, unless it is past that, and report it."""
        if not container.alive or self.containers.get(container.id) is not container:
            return
        if state not in ENDED and _ORDER[state] <= _ORDER[container.state]:
            return
        container.state = state
        container.reason = fields.get("reason")
        self._report(container, **fields)

    def check(self, container: Container, healthy: bool) -> None:
        """A health check comes to a (new) result."""
        if (
            container.state != "RUNNING"
            or container.healthy is healthy
            or container.id not in self.containers
        ):
            return
        container.healthy = healthy
        self._report(container, reason="REASON_TASK_HEALTH_CHECK_STATUS_UPDATED")

    def fail_check(self, container: Container) -> None:
        """The executor stops what has failed its health check too often."""
        if container.state == "RUNNING" and container.healthy is False:
            self.become(container, "KILLED")

    def _report(self, container: Container, **fields: Any) -> None:
        update: Message = {
            "task_id": {"value": container.id},
            "agent_id": {"value": self.id},
            "state": f"TASK_{container.state}",
            "uuid": f"uuid-{self._fate.number()}",
            **{name: value for name, value in fields.items() if value is not None},
        }
        if container.healthy is not None:
            update["healthy"] = container.healthy
        container.updates.append(update)
        if len(container.updates) == 1:
            self.send(container)

    # Reliable updates: in order, one at a time for each task, again until they are acknowledged

    def send(self, container: Container) -> None:
        """Send the first update that is not acknowledged yet."""
        if not container.updates:
            if not container.alive:
                self.containers.pop(container.id, None)
            return
        update = container.updates[0]
        self._transmit(update)
        if container.sent != update["uuid"]:
            container.sent = update["uuid"]
            self._fate.later(_FIRST_RETRY, partial(self._retry, container, update, _FIRST_RETRY))

    def _retry(self, container: Container, update: Message, pause: float) -> None:
        here = self.containers.get(container.id) is container
        if not here or not container.updates or container.updates[0] is not update:
            return
        self._transmit(update)
        pause = min(2 * pause, _LONGEST_RETRY if self._fate.trouble else 20.0)
        self._fate.later(pause, partial(self._retry, container, update, pause))

    def _transmit(self, update: Message) -> None:
        fate = self._fate
        if not self.up:
            return
        if fate.chance():
            fate.count("update lost on its way")
            return
        copies = 1
        if fate.chance():
            fate.count("update twice")
            copies = 2
        for _ in range(copies):
            # What one agent says arrives in order.
            at = max(self._last_sent, fate.now + fate.between(0, 0.2))
            self._last_sent = at
            fate.later(at - fate.now, partial(self._arrive, update))

    def _arrive(self, update: Message) -> None:
        if self.up:
            self._hears(self, update)
