"""What a first year brings: odd environments, a full disk, downloads that hang, clocks that are set."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from lab_cluster import MASTER_PORT, SCHEDULER_PORT, Cluster, eventually
from lab_site import IMAGE, NEXT_IMAGE, WEB_COUNT, Measure, Run, deploy, deploy_web

BAD, GOOD = "lab-slave1", "lab-slave2"
FORWARDED_PORT = 5999
PROGRAM = "mesos-docker-scheduler"

# Takes connections and does nothing, or hands them on to the lab's registry: pulls hang there, or do not.
FORWARDER = """
import asyncio, sys

async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def serve(reader, writer):
    if sys.argv[1] == "hang":
        await asyncio.sleep(3600)
    upstream = await asyncio.open_connection("lab-registry", 5000)
    await asyncio.gather(pump(reader, upstream[1]), pump(upstream[0], writer))

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", %d)
    await server.serve_forever()

asyncio.run(main())
"""


def small(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "count": 1, "cpus": 0.1, "mem": 16, **fields}


def deploy_services(*services: dict[str, Any]) -> Run:
    """Run site.yml with these services, and without the one of the short form."""
    return deploy({"scheduler_image": "", "scheduler_services": list(services)})


def hosts(lab: Cluster, service: str) -> Counter[str]:
    """How many containers of a service run on which slave."""
    return Counter(container.host for container in lab.containers(service).values())


def events(lab: Cluster, kind: str, since: float) -> list[str]:
    """The texts of events of a kind since a second of the epoch."""
    found = lab.get(lab.master, SCHEDULER_PORT, "/v1/events?limit=1000")["events"]
    return [event["text"] for event in found if event["kind"] == kind and event["at"] >= since]


def test_any_environment_reaches_the_container_and_nobody_else(lab: Cluster) -> None:
    odd = {"PATH": "/bin", "SSL_ENABLED": "true", "LIBPROCESS_PORT": "1", "DOCKER_HOST": "tcp://nowhere:1"}
    ports = [{"name": "http", "container_port": 80}, {"container_port": 81}]
    run = deploy_services(
        small("odd", env=odd, ports=ports),
        small(
            "picked",
            network="host",
            ports=[{"name": "http", "container_port": 0}],
            command="DEMO_PORT=$PORT_HTTP exec /bin/demo-web",
            health_check={"protocol": "http", "port_name": "http", "path": "/health", "interval_seconds": 1},
        ),
    )
    assert run.exit_code == 0, run.output
    containers = {
        entry["Config"]["Labels"]["mesos.label.service"]: (slave, entry) for slave, entry in lab.inspected()
    }
    slave, entry = containers["odd"]
    bindings = {port: binding[0]["HostPort"] for port, binding in entry["HostConfig"]["PortBindings"].items()}
    told = {
        "HOST": slave,
        "PORT0": bindings["80/tcp"],
        "PORT1": bindings["81/tcp"],
        "PORT_HTTP": bindings["80/tcp"],
    }
    assert {f"{name}={value}" for name, value in {**odd, **told}.items()} <= set(entry["Config"]["Env"])
    (picked,) = lab.service("picked")["instances"]
    assert picked["healthy"] is True
    assert f"PORT_HTTP={picked['ports'][0]}" in containers["picked"][1]["Config"]["Env"]
    tasks = lab.get(lab.master, MASTER_PORT, "/master/tasks")["tasks"]
    (discovery,) = (
        task["discovery"] for task in tasks if task["name"] == "odd" and task["state"] == "TASK_RUNNING"
    )
    assert discovery["name"] == "odd"
    assert [(port["number"], port.get("name")) for port in discovery["ports"]["ports"]] == [
        (int(bindings["80/tcp"]), "http"),
        (int(bindings["81/tcp"]), None),
    ]


@contextmanager
def full_disk(lab: Cluster, slave: str) -> Generator[None, None, None]:
    """Have a Docker Engine without images and without room for any."""
    host = lab.host(slave)
    host.run_test("systemctl stop docker.socket docker.service")
    host.run_test("mount -t tmpfs -o size=24m tmpfs /var/lib/docker")
    host.run_test("systemctl start docker.service")
    host.run("cat /dev/zero > /var/lib/docker/filling")
    try:
        yield
    finally:
        host.run_test("systemctl stop docker.socket docker.service")
        host.run_test("umount /var/lib/docker")
        host.run_test("systemctl start docker.service")


def test_a_slave_with_a_full_disk_swallows_nothing(lab: Cluster, measure: Measure) -> None:
    assert deploy_services(small("web", count=0)).exit_code == 0
    eventually("nothing runs", lambda: not lab.containers(), seconds=60)
    with full_disk(lab, BAD):
        began = time.time()
        run = deploy_services(small("web", count=4), small("other", count=2))
        assert run.exit_code == 0, run.output
        measure("4 and 2 instances beside a slave with a full disk", run.seconds)
        assert (hosts(lab, "web"), hosts(lab, "other")) == (Counter({GOOD: 4}), Counter({GOOD: 2}))
        assert len(events(lab, "ended", began)) <= 4
        run = deploy_services(small("web", count=4, image=NEXT_IMAGE), small("other", count=2))
        assert run.exit_code == 0, run.output
        measure("an update beside it", run.seconds)
        assert {container.image for container in lab.containers("web").values()} == {NEXT_IMAGE}
        assert hosts(lab, "web") == Counter({GOOD: 4})


@contextmanager
def forwarders(lab: Cluster, hanging: str) -> Generator[None, None, None]:
    """Have port FORWARDED_PORT of each slave lead to the registry, but for one where it leads nowhere."""
    for slave in lab.slaves:
        mode = "hang" if slave == hanging else "forward"
        lab.host(slave).run_test(f"cat > /run/forwarder.py <<'END'\n{FORWARDER % FORWARDED_PORT}\nEND")
        lab.host(slave).run_test(f"systemd-run --unit=forwarder --collect python3 /run/forwarder.py {mode}")
    try:
        yield
    finally:
        for slave in lab.slaves:
            lab.host(slave).run_test("systemctl stop forwarder; rm -f /run/forwarder.py")


def test_a_download_that_hangs_is_given_up_and_replaced(lab: Cluster, measure: Measure) -> None:
    image = f"127.0.0.1:{FORWARDED_PORT}/demo/web:1"
    with forwarders(lab, BAD):
        run = deploy_services(small("web", count=2, image=image, start_timeout_seconds=15))
        assert run.exit_code == 0, run.output
        measure("2 instances where one slave's downloads hang", run.seconds)
        assert hosts(lab, "web") == Counter({GOOD: 2})


@pytest.fixture
def clock(web: Cluster) -> Generator[Any, None, None]:
    """Set the clock that the scheduler sees, by seconds; the time that passes is the machine's."""
    master = web.host(web.master)
    master.run_test("apt-get --quiet install --yes faketime")
    library = master.check_output("find /usr/lib -name libfaketime.so.1")
    variables = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": "/run/clock", "DONT_FAKE_MONOTONIC": 1}
    variables |= {"FAKETIME_NO_CACHE": 1}
    drop_in = "/run/systemd/system/mesos-docker-scheduler.service.d/clock.conf"
    lines = "\\n".join(f"Environment={name}={value}" for name, value in variables.items())

    def jump(seconds: int) -> None:
        master.run_test(f"echo '{seconds:+d}' > /run/clock.new && mv /run/clock.new /run/clock")

    jump(0)
    master.run_test(f"mkdir -p $(dirname {drop_in}) && printf '[Service]\\n{lines}\\n' > {drop_in}")
    master.run_test("systemctl daemon-reload && systemctl restart mesos-docker-scheduler")
    eventually("it is back", lambda: answers(web), seconds=60)
    yield jump
    master.run_test(f"rm {drop_in} && systemctl daemon-reload && systemctl restart mesos-docker-scheduler")
    eventually("it is back", lambda: answers(web), seconds=60)


def answers(lab: Cluster) -> bool:
    try:
        return lab.converged()
    except OSError:
        return False


def test_a_clock_that_is_set_replaces_nothing_that_should_stay(web: Cluster, clock: Any) -> None:
    before = set(web.containers())
    for seconds in (3600, -3600, 0):
        clock(seconds)
        web.host(web.master).run_test("systemctl restart mesos-docker-scheduler")
        eventually("it is as before", lambda: answers(web), seconds=60)
    assert set(web.containers()) == before, "restarts of the scheduler"
    for seconds in (3600, -3600):
        clock(0)
        before = set(web.containers())
        web.host(web.master).run_test(f"{PROGRAM} restart web")
        clock(seconds)
        web.host(web.master).run_test(f"{PROGRAM} wait web --timeout 120")
        after = set(web.containers())
        assert before.isdisjoint(after), "all are restarted"
        time.sleep(8)
        assert set(web.containers()) == after, "once"
    clock(3600)
    run = deploy_web({"scheduler_image": NEXT_IMAGE})
    assert run.exit_code == 0, run.output
    after = set(web.containers())
    clock(-3600)
    time.sleep(8)
    assert set(web.containers()) == after
    assert len(after) == WEB_COUNT


def test_maintenance_in_weeks_changes_nothing(web: Cluster) -> None:
    before = set(web.containers())
    machine = {"hostname": BAD, "ip": web.address(BAD)}
    start = {"nanoseconds": int((time.time() + 21 * 86_400) * 1e9)}
    window = {
        "machine_ids": [machine],
        "unavailability": {"start": start, "duration": {"nanoseconds": int(1e12)}},
    }
    web.announce([window])
    try:
        time.sleep(10)
        assert set(web.containers()) == before
        web.host(web.master).run_test(f"{PROGRAM} scale web {WEB_COUNT + 3}")
        web.host(web.master).run_test(f"{PROGRAM} wait web --timeout 60")
        assert before < set(web.containers())
        web.host(web.master).run_test(f"{PROGRAM} scale web {2 * WEB_COUNT + 6}")
        web.host(web.master).run_test(f"{PROGRAM} wait web --timeout 60")
        assert hosts(web, "web")[BAD] > 0, json.dumps(web.reasons())
    finally:
        web.announce([])
        web.host(web.master).run_test(f"{PROGRAM} reset web")
