"""Constraints, roles, reservations and filtered offers on a real master with two slaves that differ."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mesos_docker_scheduler.config import Config, Service
from mesos_docker_scheduler.control.framework import framework_info
from mesos_docker_scheduler.driver import Scheduler as Callbacks
from mesos_docker_scheduler.driver import SchedulerDriver
from mesos_docker_scheduler.planning.offer_constraints import filters_for
from mesos_testbed import Agent, Master, PrivateDocker, eventually
from scheduler_process import Scheduler

pytestmark = pytest.mark.integration


def domain(zone: str) -> str:
    return json.dumps({"fault_domain": {"region": {"name": "eu"}, "zone": {"name": zone}}})


class DifferingSlaves:
    """slave1 in rack r1 and zone z1, with a cpu and memory reserved for role `web`; slave2 in r2 and z2."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.engines = [
            stack.enter_context(PrivateDocker(folder / f"engine{number}", name=f"dockerd{number}"))
            for number in (1, 2)
        ]
        self.master = stack.enter_context(
            Master(folder / "master", {"domain": domain("z0"), "allocation_interval": "200ms"})
        )
        self.url = self.master.address
        resources = {1: "cpus:2;cpus(web):1;mem:1024;mem(web):512;disk:1000;ports:[31000-31009]"}
        self.agents = [
            stack.enter_context(
                Agent(
                    folder / f"agent{number}",
                    self.url,
                    engine,
                    {
                        "hostname": f"slave{number}",
                        "attributes": f"rack:r{number};level:{number}",
                        "domain": domain(f"z{number}"),
                        "resources": resources.get(number, "cpus:3;mem:2048;disk:1000;ports:[31000-31009]"),
                    },
                )
            )
            for number, engine in enumerate(self.engines, 1)
        ]
        self.agents[0].wait_registered(self.master, 2)

    def containers(self, framework_id: str) -> dict[str, tuple[str, str]]:
        return {
            inspected["Id"]: (engine.name, inspected["Config"]["Image"])
            for engine in self.engines
            for inspected in engine.containers()
            if inspected["Config"]["Labels"].get("mesos.framework_id") == framework_id
        }

    def slave(self, hostname: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            slave for slave in self.master.get("/slaves")["slaves"] if slave["hostname"] == hostname
        )
        return found

    def used(self, hostname: str, role: str) -> dict[str, float]:
        """What tasks use there of what is reserved for a role."""
        return {
            resource["name"]: resource["scalar"]["value"]
            for resource in self.slave(hostname)["used_resources_full"]
            if resource["type"] == "SCALAR"
            and resource.get("reservations")
            and resource["reservations"][-1]["role"] == role
        }

    def operate(self, kind: str, content: dict[str, Any]) -> None:
        """Call the operator API."""
        body = json.dumps({"type": kind, kind.lower(): content}).encode()
        request = urllib.request.Request(
            f"http://{self.url}/api/v1", body, {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).close()


class Services(Scheduler):
    """A scheduler with these services; what it says of each."""

    def __init__(self, folder: Path, cluster: DifferingSlaves, services: list[dict[str, Any]]) -> None:
        super().__init__(folder, cluster)  # type: ignore[arg-type] # it has what is used of a Cluster
        self.want(services)

    def want(self, services: list[dict[str, Any]]) -> None:
        self.wish["services"] = [
            {"image": "demo/web:1", "mem": 32, "cpus": 0.1, **service} for service in services
        ]
        self._write()

    def hosts(self, name: str) -> list[str]:
        """Where instances of a service run."""
        services = {service["name"]: service for service in self.get("/v1/status")["services"]}
        instances = services[name]["instances"] if name in services else []
        return sorted(one["hostname"] for one in instances if one["in_service"])

    def wait_hosts(self, name: str, *hosts: str) -> None:
        eventually(lambda: self.hosts(name) == sorted(hosts), f"{name} on {hosts}", 60)

    def wait_count(self, name: str, count: int) -> None:
        eventually(lambda: len(self.hosts(name)) == count, f"{count} of {name}", 60)

    def wait_reason(self, name: str, *words: str) -> dict[str, Any]:
        """Wait until the lack of resources is explained in these words."""

        def said() -> dict[str, Any] | None:
            reasons = self.get(f"/v1/explain/{name}")["reasons"]
            return next((one for one in reasons if all(word in one["text"] for word in words)), None)

        return eventually(said, f"{name}: {words}", 60)


def limit(field: str, operator: str, value: str | None = None) -> dict[str, str | None]:
    return {"field": field, "operator": operator, "value": value}


@pytest.fixture(scope="module")
def slaves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DifferingSlaves]:
    with contextlib.ExitStack() as stack:
        yield DifferingSlaves(tmp_path_factory.mktemp("differing"), stack)


def test_constraints_over_attributes_and_zones(tmp_path: Path, slaves: DifferingSlaves) -> None:
    wanted = [
        {"name": "zones", "count": 3, "constraints": [limit("@zone", "UNIQUE")]},
        {"name": "rack", "count": 2, "constraints": [limit("rack", "LIKE", "r[2-9]")]},
        {"name": "level", "count": 1, "constraints": [limit("level", "IS", "1.0")]},
        {"name": "even", "count": 4, "constraints": [limit("rack", "GROUP_BY", "2")]},
    ]
    with Services(tmp_path, slaves, wanted) as scheduler:
        scheduler.wait_hosts("zones", "slave1", "slave2")
        scheduler.wait_hosts("rack", "slave2", "slave2")
        scheduler.wait_hosts("level", "slave1")
        scheduler.wait_hosts("even", "slave1", "slave1", "slave2", "slave2")
        reason = scheduler.wait_reason("zones", "do not meet constraint @zone UNIQUE")
        assert reason["agents"] == {"constraint @zone UNIQUE": 2}


class Recorder(Callbacks):
    """The hostnames of the offers in the order of their arrival."""

    def __init__(self) -> None:
        self.offered: list[str] = []

    def resourceOffers(self, driver: SchedulerDriver, offers: list[dict[str, Any]]) -> None:
        for offer in offers:
            self.offered.append(offer["hostname"])


def test_the_master_takes_and_honours_our_filters(slaves: DifferingSlaves) -> None:
    asking = Service.model_validate_json(
        json.dumps(
            {
                "name": "web",
                "image": "demo/web:1",
                "constraints": [
                    limit("rack", "LIKE", "^r[2-9]$"),
                    limit("hostname", "UNLIKE", "(old|new)-.{1,3}"),
                    limit("@zone", "IS", "z2"),
                    limit("@region", "CLUSTER", "eu"),
                    limit("level", "IS", "2"),
                ],
            }
        )
    )
    info = framework_info(Config(master=slaves.url, services=(asking,)), None)
    filters = filters_for([asking], "*").message
    assert len(filters["role_constraints"]["*"]["groups"][0]["attribute_constraints"]) == 5
    recorder = Recorder()
    driver = SchedulerDriver(recorder, info, slaves.url, offer_constraints=filters)
    driver.start()
    try:
        eventually(lambda: recorder.offered, "an offer")
        assert driver.updateFramework(info, {})
        eventually(lambda: "slave1" in recorder.offered, "an offer of the other slave")
        assert recorder.offered == ["slave2", "slave1"]
    finally:
        driver.teardown(confirm=True)
        driver.stop()


def test_the_scheduler_tells_the_master_whom_to_offer_and_says_so(
    tmp_path: Path, slaves: DifferingSlaves
) -> None:
    far = {"name": "far", "count": 1, "mem": 9000, "constraints": [limit("rack", "LIKE", "r2")]}

    def told(scheduler: Services) -> Any:
        state = slaves.master.get("/state")["frameworks"]
        return next(one for one in state if one["id"] == scheduler.framework_id).get("offer_constraints")

    with Services(tmp_path, slaves, [far]) as scheduler:
        reason = scheduler.wait_reason("far", "only slaves with rack LIKE r2 are offered", "slave2")
        assert reason["agents"]["mem"] == 1
        assert "r2" in json.dumps(told(scheduler))
        scheduler.want([far, {"name": "near", "count": 2}])
        scheduler.wait_hosts("near", "slave1", "slave2")
        scheduler.want([far, {"name": "near", "count": 2, "mem": 9000}])
        eventually(lambda: "r2" not in json.dumps(told(scheduler)), "the filters cleared")


def test_roles_reservations_and_a_quota(tmp_path: Path, slaves: DifferingSlaves) -> None:
    slaves.operate(
        "RESERVE_RESOURCES",
        {
            "agent_id": {"value": slaves.slave("slave2")["id"]},
            "resources": [
                {
                    "name": name,
                    "type": "SCALAR",
                    "scalar": {"value": amount},
                    "reservations": [{"type": "DYNAMIC", "role": "db"}],
                }
                for name, amount in (("cpus", 1), ("mem", 512))
            ],
        },
    )
    limits = {"cpus": {"value": 0.2}, "mem": {"value": 64}}
    slaves.operate("UPDATE_QUOTA", {"force": True, "quota_configs": [{"role": "few", "limits": limits}]})
    wanted = [
        {"name": "web", "count": 2, "role": "web", "mem": 64, "constraints": [limit("rack", "IS", "r1")]},
        {"name": "db", "count": 1, "role": "db", "cpus": 0.75, "constraints": [limit("rack", "IS", "r2")]},
        {"name": "few", "count": 3, "role": "few"},
        {"name": "any", "count": 2},
    ]
    with Services(tmp_path, slaves, wanted) as scheduler:
        scheduler.wait_hosts("web", "slave1", "slave1")
        scheduler.wait_hosts("db", "slave2")
        scheduler.wait_count("few", 2)
        scheduler.wait_count("any", 2)
        scheduler.wait_reason("few", "1 instance waiting for resources")
        assert slaves.used("slave1", "web") == {"cpus": 0.2, "mem": 128.0}
        assert slaves.used("slave2", "db") == {"cpus": 0.75, "mem": 32.0}
        state = slaves.master.get("/state")["frameworks"]
        ours = next(one for one in state if one["id"] == scheduler.framework_id)
        assert sorted(ours["roles"]) == ["*", "db", "few", "web"]
