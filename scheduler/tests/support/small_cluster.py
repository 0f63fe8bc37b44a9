"""A few agents that take what they are given, around a controller with a fake driver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.operations import Operations
from mesos_docker_scheduler.observability.snapshot import ServiceView
from scheduler_fakes import Bench, configuration, offer_message


def never(name: str, agent: str) -> bool:
    """Nothing fails."""
    return False


class SmallCluster:
    """What is launched runs at once, or never. `agents` are offered with as much as `offers` says.

    `least`: the fewest that were in service at a time since `play` began, by service. `moments`: what was
    launched and stopped, in order, as (what, service, agent).
    """

    def __init__(self, folder: Path, *services: Service, agents: str = "abc", **config: Any) -> None:
        self.agents = list(agents)
        self.offers: dict[str, dict[str, Any]] = {}
        self.bench = Bench(folder, *services, **config)
        self.bench.subscribe()
        self.launches: Counter[tuple[str, str]] = Counter()
        self.least: dict[str, int] = {}
        self.moments: list[tuple[str, str, str]] = []

    def play(
        self,
        seconds: int,
        fails: Callable[[str, str], bool] = never,
        reason: str = "REASON_CONTAINER_LAUNCH_FAILED",
    ) -> None:
        """Let time pass. `fails` says of a service and an agent whether the one never starts on the other."""
        bench = self.bench
        self.least = {view.name: view.in_service for view in bench.controller.snapshot.services}
        for _ in range(0, seconds, 2):
            made = (offer_message(name, **self.offers.get(name, {})) for name in self.agents)
            bench.take(events.Offers(tuple(made)), after=1)
            bench.take(after=1)
            for info in bench.launched():
                name, agent = info["task_id"]["value"].partition(".")[0], info["agent_id"]["value"]
                self.launches[name, agent] += 1
                self.moments.append(("start", name, agent))
                ended = {"state": "FAILED", "reason": reason, "message": "no space left on device"}
                told = ended if fails(name, agent) else {"state": "RUNNING"}
                bench.tell(info["task_id"]["value"], agent_id=agent, **told)
            for _, task_id, agent, _ in bench.driver.take("kill"):
                self.moments.append(("stop", task_id.partition(".")[0], agent))
                bench.tell(task_id, "KILLED", agent)
            for view in bench.controller.snapshot.services:
                known = self.least.get(view.name, view.in_service)
                self.least[view.name] = min(known, view.in_service)

    def configure(self, *services: Service) -> None:
        """Read another configuration."""
        self.bench.take(events.ConfigRead(configuration(*services), "sha"))

    def ask(self, what: Callable[[Operations, float], None]) -> Exception | None:
        """Ask for something as an operator does; returns why it is refused."""
        answers: list[Exception | None] = []
        self.bench.take(events.Command(what, answers.append))
        return answers[0]

    def view(self, name: str) -> ServiceView:
        """What is shown of a service."""
        return next(one for one in self.bench.controller.snapshot.services if one.name == name)

    def running(self, name: str) -> int:
        """How many instances of a service run."""
        return self.view(name).running

    def places(self, name: str) -> str:
        """The agents where instances of a service run, in order."""
        return "".join(sorted(one.agent_id for one in self.view(name).instances if one.in_service))
