"""Services with an instance on each slave, services that need others, and slaves that services prefer."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from lab_cluster import SCHEDULER_PORT, Cluster, eventually
from lab_site import IMAGE, NEXT_IMAGE, Measure, Run, deploy

LEAVING, STAYING = "lab-slave1", "lab-slave2"
HEALTH = {"protocol": "http", "port": 80, "path": "/health", "interval_seconds": 0.5, "grace_seconds": 20}


def small(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "cpus": 0.1, "mem": 16, **fields}


def deploy_services(*services: dict[str, Any]) -> Run:
    """Run site.yml with these services, and without the one of the short form."""
    run = deploy({"scheduler_image": "", "scheduler_services": list(services)})
    assert run.exit_code == 0, run.output
    return run


def hosts(lab: Cluster, service: str) -> Counter[str]:
    """How many containers of a service run on which slave."""
    return Counter(container.host for container in lab.containers(service).values())


def moments(lab: Cluster, kind: str, since: float, *services: str) -> list[tuple[float, str]]:
    """When something of this kind has happened to which of some services, the earliest first.

    `since`: a second of the epoch.
    """
    found = lab.get(lab.master, SCHEDULER_PORT, "/v1/events?limit=1000")["events"]
    return sorted(
        (event["at"], event["service"])
        for event in found
        if event["kind"] == kind and event["service"] in services and event["at"] >= since
    )


def test_a_slave_that_joins_gets_an_instance_of_each_global_service(lab: Cluster, measure: Measure) -> None:
    collector = small("collector", mode="global", ports=[{"name": "logs", "container_port": 80}])
    deploy_services(collector)
    assert hosts(lab, "collector") == Counter({LEAVING: 1, STAYING: 1})
    slave = lab.host(LEAVING)
    # It takes leave of the master, which ends what runs there: when it comes back it is another slave.
    slave.run_test("systemctl kill --signal=USR1 mesos-slave; sleep 1; systemctl stop mesos-slave")
    eventually("one slave is missed by nobody", lambda: all_run(lab, 1), seconds=60)
    assert hosts(lab, "collector") == Counter({STAYING: 1})
    slave.run_test("systemctl start mesos-slave")
    _, seconds = eventually("the slave that joins has one", lambda: all_run(lab, 2), seconds=60)
    measure("a slave joins: its instance of a global service runs", seconds)
    ports = {
        port
        for _, entry in lab.inspected()
        for bindings in entry["HostConfig"]["PortBindings"].values()
        for port in (binding["HostPort"] for binding in bindings)
        if f"PORT_LOGS={port}" in entry["Config"]["Env"]
    }
    assert len(ports) == len(lab.containers("collector"))
    before = set(lab.containers())
    run = deploy_services({**collector, "image": NEXT_IMAGE})
    measure("an update of a global service, one slave after the other", run.seconds)
    assert hosts(lab, "collector") == Counter({LEAVING: 1, STAYING: 1})
    assert before.isdisjoint(lab.containers())


def all_run(lab: Cluster, count: int) -> bool:
    service = lab.service("collector")
    return bool(service["converged"] and service["wanted"] == count == len(lab.containers("collector")))


def test_services_start_after_what_they_need_and_stop_before_it(lab: Cluster) -> None:
    db = small("db", count=2, health_check=HEALTH, env={"DEMO_READY_SECONDS": "4"})
    api = small("api", count=2, depends_on=["db"], health_check=HEALTH, env={"DEMO_READY_SECONDS": "2"})
    web = small("web", count=1, depends_on=["api"])
    since = time.time()
    deploy_services(web, api, db)
    started = moments(lab, "launch", since, "db", "api", "web")
    assert [name for _, name in started] == ["db", "db", "api", "api", "web"]
    at = {name: when for when, name in started}  # the last of each
    assert at["api"] - at["db"] > 3
    assert at["web"] - at["api"] > 1
    since = time.time()
    deploy_services(small("other", count=1))
    kills = moments(lab, "kill", since, "db", "api", "web")
    assert [name for _, name in kills] == ["web", "api", "api", "db", "db"]
    stopped = {name: when for when, name in moments(lab, "stopped", since, "db", "api", "web")}
    killed = {name: when for when, name in reversed(kills)}  # the first of each
    assert stopped["web"] <= killed["api"]
    assert stopped["api"] <= killed["db"]


def test_instances_go_where_they_are_preferred_and_move_where_there_are_fewer(lab: Cluster) -> None:
    on_ssd = [{"field": "disk", "operator": "IS", "value": "ssd"}]
    deploy_services(small("picky", count=3, preferences=on_ssd), small("even", count=4, rebalance=True))
    assert hosts(lab, "picky") == Counter({LEAVING: 3})
    assert hosts(lab, "even") == Counter({LEAVING: 2, STAYING: 2})
    only = [{"field": "hostname", "operator": "IS", "value": STAYING}]
    deploy_services(small("even", count=4, constraints=only, rebalance=True))
    assert hosts(lab, "even") == Counter({STAYING: 4})
    deploy_services(small("even", count=4, rebalance=True))
    eventually(
        "it is even again", lambda: hosts(lab, "even") == Counter({LEAVING: 2, STAYING: 2}), seconds=120
    )
