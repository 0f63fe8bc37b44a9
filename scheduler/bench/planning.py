"""Times the placement of instances on 10,000 agents, without a master: what one round of planning costs.

    python scheduler/bench/planning.py [--agents 10000] [--instances 100000]

Seconds are of the processor, and count from v1 Offers in memory to the finished ACCEPTs.
"""

from __future__ import annotations

import argparse
import gc
import time
from typing import Any

from figures import machine, table
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.cluster import Offer
from mesos_docker_scheduler.planning.placement import Placement
from mesos_docker_scheduler.records.task_index import TaskIndex
from mesos_docker_scheduler.serve import rare_garbage_collection

Message = dict[str, Any]
HEADINGS = ("services", "what they ask for", "instances", "seconds", "a second")


def offer(number: int) -> Message:
    """A v1 Offer of an agent with 32 processors, in one of 3 zones and 20 racks."""
    own = {"allocation_info": {"role": "*"}}
    scalars = {"cpus": 32.0, "mem": 65_536.0, "disk": 100_000.0}
    ports = {"range": [{"begin": 31_000, "end": 31_999}]}
    return {
        "id": {"value": f"offer-{number}"},
        "agent_id": {"value": f"agent-{number}"},
        "hostname": f"host-{number}",
        **own,
        "resources": [
            *(
                {"name": name, "type": "SCALAR", "scalar": {"value": value}, **own}
                for name, value in scalars.items()
            ),
            {"name": "ports", "type": "RANGES", "ranges": ports, **own},
        ],
        "attributes": [{"name": "rack", "type": "TEXT", "text": {"value": f"r{number % 20}"}}],
        "domain": {"fault_domain": {"region": {"name": "eu"}, "zone": {"name": f"z{number % 3}"}}},
    }


def services(count: int, instances: int, *constraints: tuple[str, ...], **fields: Any) -> list[Service]:
    """That many services, with so many instances in all."""
    limits = [dict(zip(("field", "operator", "value"), one, strict=False)) for one in constraints]
    return [
        Service.model_validate(
            {
                "name": f"service-{number}",
                "image": "demo/web:1",
                "count": instances // count,
                "cpus": 0.5,
                "mem": 100.0,
                "ports": ({"container_port": 80},),
                "constraints": tuple(limits),
                **fields,
            }
        )
        for number in range(count)
    ]


def measure(what: str, asking: list[Service], messages: list[Message]) -> tuple[str, ...]:
    """One row of the table."""
    gc.collect()
    begun = time.process_time()
    placement = Placement([Offer.from_message(message) for message in messages], {}, TaskIndex(), 0.0)
    missing = sum(placement.place(service, service.count) for service in asking)
    placement.accepts()
    placement.unused_offers()
    seconds = time.process_time() - begun
    placed = sum(service.count for service in asking) - missing
    return (f"{len(asking):,}", what, f"{placed:,}", f"{seconds:.2f}", f"{placed / seconds:,.0f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--instances", type=int, default=100_000)
    options = parser.parse_args()
    messages = [offer(number) for number in range(options.agents)]
    many, few = 1000, options.instances
    cases: list[tuple[str, list[Service]]] = [
        ("any agent", services(1, few)),
        ("any agent", services(many, few)),
        ("any agent, packed", services(many, few, placement="pack")),
        ("rack LIKE r1.*", services(many, few, ("rack", "LIKE", "r1.*"))),
        (
            "@zone GROUP_BY, hostname UNIQUE",
            services(many, few, ("@zone", "GROUP_BY"), ("hostname", "UNIQUE")),
        ),
        ("hostname CLUSTER", services(many, few // 5, ("hostname", "CLUSTER"))),
        ("more than any agent has", services(many, few, cpus=33.0)),
    ]
    print(f"{options.agents:,} agents: {machine()}")
    with rare_garbage_collection():
        print(table([HEADINGS, *(measure(what, asking, messages) for what, asking in cases)]))


if __name__ == "__main__":
    main()
