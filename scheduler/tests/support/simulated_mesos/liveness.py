"""What must happen in time, whatever else goes wrong.

- An update to another version ends, or makes progress, within its deadline.
- Where an instance is missing, nothing of its own holds it, and an agent has room, it starts within seconds.
- A service is held back by failures of its own only.

It is measured from when the scheduler could act at all: connected, with a store that takes what it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.observability.snapshot import ServiceView, Snapshot

from simulated_mesos.agents import Agent, Bundle
from simulated_mesos.fate import Fate
from simulated_mesos.wire import Wire

# REVIVE is repeated once a minute at last, and Mesos takes a moment to offer.
_ROOM_SECONDS = 90.0
_GRACE_SECONDS = 60.0
_LIFE = frozenset({"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"})


class Liveness:
    """Looks at what each round has made visible.

    `fits`: whether constraints let one more instance of a service come to an agent. `fail` condemns the
    scheduler.
    """

    def __init__(
        self, fate: Fate, wire: Wire, fits: Callable[[Service, Agent], bool], fail: Callable[[str], None]
    ) -> None:
        self._fate = fate
        self._wire = wire
        self._fits = fits
        self._fail = fail
        self._acting_since: dict[str, float] = {}
        self._room_since: dict[tuple[str, str], float] = {}
        self._failed_on: set[tuple[str, str]] = set()

    def hears(self, status: Mapping[str, Any]) -> None:
        """Note where instances have ended by themselves."""
        if status["state"] not in _LIFE:
            service = status["task_id"]["value"].partition(".")[0]
            self._failed_on.add((service, status.get("agent_id", {}).get("value", "")))

    def interrupted(self) -> None:
        """Measure anew: the scheduler could not act, or shall do something else."""
        self._acting_since.clear()
        self._room_since.clear()

    def sees(self, snapshot: Snapshot, services: Iterable[Service]) -> None:
        """Look at a snapshot of this moment."""
        if not snapshot.connected or snapshot.problem is not None:
            self.interrupted()
            return
        views = {view.name: view for view in snapshot.services}
        for service in services:
            view = views.get(service.name)
            if view is None or view.desired.configured != service:
                continue
            kinds = {reason.kind for reason in view.reasons}
            # No update counts the time in which it waits for others.
            if "held" in kinds or any(
                name not in views or not views[name].converged for name in service.depends_on
            ):
                self._acting_since.pop(service.name, None)
            if "back-off" in kinds and service.name not in {name for name, _ in self._failed_on}:
                self._fail(f"{service.name} is held back, and nothing of it has failed: {view.waiting}")
            self._look_at_update(service, view)
            self._look_for_room(service, view, snapshot.avoided, only_room=kinds == {"resources"})

    def _since(self, service: Service) -> float:
        return self._acting_since.setdefault(service.name, self._fate.now)

    def _look_at_update(self, service: Service, view: ServiceView) -> None:
        update = view.update
        if update is None or update.state != "rolling" or update.from_image is None or not service.count:
            return
        late = self._fate.now - max(update.since, self._since(service))
        patience = service.update.progress_deadline_seconds + service.update.min_ready_seconds
        if late > patience + _GRACE_SECONDS:
            self._fail(f"{service.name}: its update makes no progress for {late:.0f} s: {view.waiting}")

    def _look_for_room(
        self, service: Service, view: ServiceView, avoided: Mapping[str, str], *, only_room: bool
    ) -> None:
        """`only_room`: nothing is said to be missing but room."""
        now, acting_since = self._fate.now, self._since(service)
        for agent in self._wire.master.agents.values():
            place = (service.name, agent.id)
            spared = place in self._failed_on or agent.id in avoided
            if not only_room or spared or not self._has_room(service, agent):
                self._room_since.pop(place, None)
                continue
            since = max(acting_since, self._room_since.setdefault(place, now))
            if now - since > _ROOM_SECONDS:
                self._fail(f"{service.name}: {agent.id} has room since {now - since:.0f} s: {view.waiting}")

    def _has_room(self, service: Service, agent: Agent) -> bool:
        master = self._wire.master
        going = agent.id in master.draining or agent.machine.hostname in master.maintenance
        if not agent.up or not master.knows(agent) or going:
            return False
        free = master.free(agent, less_offers=False)
        need = Bundle(
            round(1000 * service.cpus),
            round(1000 * service.mem),
            round(1000 * service.disk),
            frozenset(port for port in service.host_ports if port),
        )
        return free.holds(need) and len(free.ports) >= len(service.host_ports) and self._fits(service, agent)
