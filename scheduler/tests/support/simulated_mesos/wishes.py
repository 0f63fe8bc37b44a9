"""What operators may wish: generated configurations, and ones that can be fulfilled."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from typing import Any

from mesos_docker_scheduler.config import Allowed, Config, Service
from scheduler_fakes import configuration, service

from simulated_mesos.agents import BAD, BATCH, CRASHING, GOOD, SICK, SLOW

Fields = dict[str, Any]
_NAMES = ("web", "db", "cache", "queue")
_GOOD_IMAGES = tuple(f"demo/{GOOD}:{number}" for number in (1, 2, 3))
_BAD_IMAGES = tuple(f"demo/{kind}:1" for kind in (BAD, CRASHING, SLOW, SICK, BATCH))
_UPDATES: tuple[Fields, ...] = (
    {"max_surge": 1},
    {"max_surge": 2},
    {"max_surge": "50%", "max_unavailable": "34%"},
    {"max_surge": 0, "max_unavailable": 1},
    {"max_surge": 1, "max_unavailable": 1, "min_ready_seconds": 0},
    {"max_surge": 3, "max_unavailable": 2, "min_ready_seconds": 10},
)
_FAILING: tuple[Fields, ...] = (
    {},
    {"on_failure": "rollback", "max_failures": 2},
    {"on_failure": "rollback", "progress_deadline_seconds": 60},
    {"max_failures": 1},
)
# With how many instances a machine may have, where that is limited.
_CONSTRAINTS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("hostname", "UNIQUE"), 1),
    (("hostname", "MAX_PER", "2"), 2),
    (("kind", "LIKE", "s.d"), 0),
    (("kind", "IS", "ssd"), 0),
    (("kind", "UNLIKE", "disk"), 0),
    (("rack", "GROUP_BY"), 0),
    (("rack", "CLUSTER", "r0"), 0),
    (("@zone", "CLUSTER"), 0),
    (("@region", "IS", "here"), 0),
)
_MESOS: Fields = {"containerizer": "mesos", "network": "host", "user": "ann"}
_ALLOWED = Allowed(host_network=True, privileged=True)
_CHECK: Fields = {"protocol": "tcp", "port": 80}


class Wishes:
    """Makes configurations by chance. `machines`: on how many agents they must find room."""

    def __init__(self, chance: random.Random, machines: int) -> None:
        self._random = chance
        self._machines = machines

    def first(self) -> Config:
        """Some services, good and bad."""
        names = self._random.sample(_NAMES, self._random.choice((1, 1, 2, 2, 3, 4)))
        return self._configured(self._service(name, good=False) for name in sorted(names))

    def good(self, big: Collection[str] = ()) -> Config:
        """Services for which there is room, with images that run.

        `big`: those that have instances beside which nothing may fit: they must be allowed to go first, even
        when one of them is missing.
        """
        names = self._random.sample(_NAMES, self._random.choice((1, 2, 2, 3)))
        services = [self._service(name, good=True) for name in sorted(names)]
        return self._configured(
            _again(one, update={**one.update.model_dump(), "max_unavailable": "100%"})
            if one.name in big
            else one
            for one in services
        )

    def _configured(self, services: Iterable[Service]) -> Config:
        """Let some depend on others, by the order of their names, and on none that is not there."""
        linked: list[Service] = []
        for one in services:
            earlier = [other.name for other in linked if other.count]
            kept = tuple(name for name in one.depends_on if name in earlier)
            if earlier and not kept and self._random.random() < 0.15:
                kept = (self._random.choice(earlier),)
            linked.append(one.model_copy(update={"depends_on": kept}))
        return configuration(*linked, allowed=_ALLOWED)

    def changed(self, before: Config) -> Config:
        """What an operator does in a hurry: most often one thing about one service."""
        services = list(before.services)
        what = self._random.random()
        if what < 0.15 or not services:
            return self.first()
        index = self._random.randrange(len(services))
        old = services[index]
        if what < 0.25:
            del services[index]
        elif what < 0.5 and old.mode == "replicated":
            services[index] = old.model_copy(update={"count": self._random.randint(0, 6)})
        elif what < 0.8:
            image = self._image(good=self._random.random() < 0.6)
            services[index] = _again(old, image=image)
        elif what < 0.87 and not old.ports and old.mode == "replicated":
            fields: Fields = {"count": old.count}
            self._constrain(fields)
            services[index] = _again(old, **fields)
        else:
            services[index] = self._service(old.name, good=self._random.random() < 0.5)
        return self._configured(services)

    def broken(self, before: Config, name: str, on_failure: str) -> Config:
        """An update of one service to an image that can't be pulled."""
        update = {"on_failure": on_failure, "max_failures": 2}
        services = [
            _again(one, image=f"demo/{BAD}:2", update={**one.update.model_dump(), **update})
            if one.name == name
            else one
            for one in before.services
        ]
        return configuration(*services, allowed=_ALLOWED)

    def _image(self, good: bool) -> str:
        bad = not good and self._random.random() < 0.4
        return self._random.choice(_BAD_IMAGES if bad else _GOOD_IMAGES)

    def _service(self, name: str, good: bool) -> Service:
        chance = self._random
        fields: Fields = {
            "name": name,
            "image": self._image(good),
            "count": chance.randint(0, 6),
            "cpus": chance.choice((0.1, 0.2, 0.3)),
            "mem": chance.choice((64, 128)),
            "update": {**chance.choice(_UPDATES), **chance.choice(_FAILING)},
            "start_timeout_seconds": 150,  # longer than the slow ones take
            "shutdown_delay_seconds": chance.choice((0, 2, 5)),
        }
        if chance.random() < 0.3:
            fields["health_check"] = _CHECK
        if chance.random() < 0.2:
            fields["ports"] = [{"container_port": 80}]
        elif chance.random() < 0.2:
            # Each service has a port of its own, which no other takes by chance while this one is configured;
            # while it is updated, one agent must be free of it; another may be away for good.
            fields["ports"] = [{"container_port": 80, "host_port": 31_019 - _NAMES.index(name)}]
            fields["count"] = chance.randint(0, self._machines - 2)
            fields["update"] = {"max_surge": 1}
        elif chance.random() < 0.5:
            self._constrain(fields)
        if chance.random() < 0.12:
            self._put_everywhere(fields)
        elif chance.random() < 0.15 and fields["update"].get("max_surge") != 0:
            fields["rebalance"] = True
        if chance.random() < 0.15:
            fields["preferences"] = [
                {"field": "rack", "operator": "IS", "value": chance.choice(("r0", "r1"))}
            ]
        if chance.random() < 0.2:
            fields["role"] = "web"
        if not good and chance.random() < 0.1:
            fields["cpus"] = 3.0  # more than some agents have left
        if "ports" not in fields and chance.random() < 0.2:
            fields |= _MESOS
        return service(**fields)

    def _put_everywhere(self, fields: Fields) -> None:
        """One on each agent, or on those that some constraint looks at alone."""
        fields["mode"], fields["count"] = "global", 1
        fields["update"] = {key: value for key, value in fields["update"].items() if key != "max_surge"}
        fields["constraints"] = [
            one for one in fields.get("constraints", ()) if one["operator"] in ("LIKE", "UNLIKE", "IS")
        ]

    def _constrain(self, fields: Fields) -> None:
        """Constraints that can be kept, even with one machine away."""
        kind, limit = self._random.choice(_CONSTRAINTS)
        fields["constraints"] = [dict(zip(("field", "operator", "value"), kind, strict=False))]
        if limit:
            fields["count"] = min(fields["count"], limit * (self._machines - 1))


def _again(old: Service, **fields: Any) -> Service:
    return Service.model_validate({**old.model_dump(), **fields}, strict=False)
