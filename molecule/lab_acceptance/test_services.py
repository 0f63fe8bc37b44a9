"""Many services from group_vars: each runs as it is declared, or everybody can read why not."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from lab_cluster import Cluster, eventually
from lab_site import IMAGE, LAB, Measure, Run, deploy

TOKEN_FILE = "/etc/mesos-docker-scheduler/shop-token"  # noqa: S105
TOKEN = "d3adb33f-only-the-container-knows"  # noqa: S105
NETWORK = "backend"
FIXED_PORT, HOST_PORT = 31100, 31200

SHOP = {
    "name": "shop",
    "image": IMAGE,
    "count": 2,
    "cpus": 0.1,
    "mem": 32,
    "env": {"GREETING": "good morning"},
    "secrets": {"SHOP_TOKEN": TOKEN_FILE},
    "labels": {"team": "sales"},
    "ports": [{"container_port": 80}, {"container_port": 81, "host_port": FIXED_PORT}],
    "volumes": [
        {"host_path": "/srv", "container_path": "/data/host", "mode": "ro"},
        {"volume": "shop", "container_path": "/data/own"},
    ],
    "health_check": {"protocol": "http", "port": 80, "path": "/health", "interval_seconds": 1},
    "constraints": [{"field": "hostname", "operator": "UNIQUE"}],
}
PROBE = {
    "name": "probe",
    "image": IMAGE,
    "count": 1,
    "cpus": 0.1,
    "mem": 16,
    "network": "host",
    "ports": [{"container_port": HOST_PORT}],
    "env": {"DEMO_PORT": str(HOST_PORT)},
    "entrypoint": "/bin/demo-web",
    "health_check": {"protocol": "tcp", "port": HOST_PORT, "interval_seconds": 1},
    "constraints": [{"field": "disk", "operator": "LIKE", "value": "ssd|nvme"}],
}
API = {
    "name": "api",
    "image": IMAGE,
    "count": 2,
    "cpus": 0.1,
    "mem": 16,
    "network": "user",
    "network_name": NETWORK,
    "ports": [{"container_port": 80}],
    "command": "exec /bin/demo-web",
    "user": "1000:1000",
    "parameters": [{"key": "cap-drop", "value": "ALL"}],
    "health_check": {
        "protocol": "command",
        "command": "wget -q -O /dev/null http://127.0.0.1/health",
        "interval_seconds": 1,
    },
    "constraints": [{"field": "@zone", "operator": "MAX_PER", "value": "1"}],
}
ALLOWED = {"host_network": True, "host_paths": [{"path": "/srv"}]}


@pytest.fixture
def group_vars(tmp_path: Path) -> Generator[Path, None, None]:
    """An inventory besides the lab's, with group_vars only. Afterwards the hosts are as they were."""
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "hosts.yml").write_text("all: {}\n")
    for slave in LAB.slaves:
        LAB.host(slave).run_test(f"docker network create {NETWORK}")
    LAB.host(LAB.master).run_test(
        f"install --mode=640 --group=mesos-scheduler /dev/null {TOKEN_FILE} && echo {TOKEN} > {TOKEN_FILE}"
    )
    yield tmp_path
    run = deploy()
    assert run.exit_code == 0, run.output
    LAB.host(LAB.master).run_test(f"rm {TOKEN_FILE}")
    for slave in LAB.slaves:
        LAB.host(slave).run_test(f"docker network rm {NETWORK}")


def deploy_services(folder: Path, services: list[dict[str, Any]]) -> Run:
    """Run site.yml with these services, and without the one of the short form."""
    variables = {"scheduler_services": services, "scheduler_allowed": ALLOWED}
    (folder / "group_vars" / "all.yml").write_text(json.dumps(variables))
    return deploy({"scheduler_image": ""}, inventories=[folder / "hosts.yml"])


def answer(lab: Cluster, slave: str, port: str | int) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{lab.address(slave)}:{port}/", timeout=5) as page:
        return str(page.read().decode())


def test_three_services_run_as_declared(lab: Cluster, measure: Measure, group_vars: Path) -> None:
    run = deploy_services(group_vars, [SHOP, PROBE, API])
    measure("site.yml, to three services", run.seconds)
    assert run.exit_code == 0, run.output
    services = {service["name"]: service for service in lab.status()["services"]}
    healthy = {"shop": [True, True], "probe": [True], "api": [True, True]}
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for slave, entry in lab.inspected():
        found.setdefault(entry["Config"]["Labels"]["mesos.label.service"], []).append((slave, entry))
    for name, healths in healthy.items():
        assert [instance["healthy"] for instance in services[name]["instances"]] == healths
        assert len(found[name]) == len(healths)

    assert sorted(slave for slave, _ in found["shop"]) == sorted(lab.slaves), "UNIQUE hostname"
    for slave, entry in found["shop"]:
        host, config = entry["HostConfig"], entry["Config"]
        assert host["NetworkMode"] in {"bridge", "default"}
        assert host["Memory"] == 32 * 2**20
        assert {"GREETING=good morning", f"SHOP_TOKEN={TOKEN}"} <= set(config["Env"])
        assert config["Labels"]["mesos.label.team"] == "sales"
        mounts = {
            mount["Destination"]: (mount["Type"], mount.get("Name") or mount["Source"], mount["RW"])
            for mount in entry["Mounts"]
        }
        assert mounts.pop("/mnt/mesos/sandbox")[0] == "bind"
        assert mounts == {"/data/host": ("bind", "/srv", False), "/data/own": ("volume", "shop", True)}
        bindings = host["PortBindings"]
        assert bindings.keys() == {"80/tcp", "81/tcp"}
        assert [binding["HostPort"] for binding in bindings["81/tcp"]] == [str(FIXED_PORT)]
        (binding,) = bindings["80/tcp"]
        assert 31000 <= int(binding["HostPort"]) <= 32000
        assert "It works" in answer(lab, slave, binding["HostPort"])

    ((slave, entry),) = found["probe"]
    assert slave == "lab-slave1", "only there is disk ssd"
    assert entry["HostConfig"]["NetworkMode"] == "host"
    assert entry["Config"]["Entrypoint"] == ["/bin/demo-web"]
    assert "It works" in answer(lab, slave, HOST_PORT)

    assert sorted(slave for slave, _ in found["api"]) == sorted(lab.slaves), "one in each zone"
    for slave, entry in found["api"]:
        assert entry["HostConfig"]["NetworkMode"] == NETWORK
        assert entry["Config"]["User"] == "1000:1000"
        assert entry["Config"]["Cmd"][-1] == "exec /bin/demo-web"
        assert entry["HostConfig"]["CapDrop"] == ["ALL"]
        (binding,) = entry["HostConfig"]["PortBindings"]["80/tcp"]
        assert "It works" in answer(lab, slave, binding["HostPort"])

    assert_kept_secret(lab)
    again = deploy_services(group_vars, [SHOP, PROBE, API])
    assert (again.exit_code, again.changed) == (0, 0), again.output


def assert_kept_secret(lab: Cluster) -> None:
    """Assert that the secret is where only its container and the scheduler's store may have it."""
    assert TOKEN not in json.dumps(lab.status())
    assert TOKEN not in lab.scheduler_journal(time.time() - 300)
    for host in lab.hosts:
        processes = lab.host(host).check_output("ps -e --width=100000 --format=args")
        assert TOKEN not in processes
    master = lab.host(lab.master)
    assert TOKEN not in master.check_output("cat /etc/mesos-docker-scheduler/config.json")


def lacking(name: str, **fields: object) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "count": 1, "cpus": 0.01, "mem": 16, **fields}


WISHES: dict[str, tuple[dict[str, Any], str, tuple[str, ...], dict[str, int]]] = {
    # name: service, kind of the reason, words in its sentence, agents by what they lack
    "big": (lacking("big", mem=900_000), "resources", ("900,000 MiB of memory",), {"mem": 2}),
    "picky": (
        lacking("picky", constraints=[{"field": "rack", "operator": "LIKE", "value": "r9"}]),
        "resources",
        ("rack LIKE r9",),
        {"constraint rack LIKE r9": 2},
    ),
    "alone": (
        lacking("alone", count=3, constraints=[{"field": "hostname", "operator": "UNIQUE"}]),
        "resources",
        ("hostname UNIQUE",),
        {"constraint hostname UNIQUE": 2},
    ),
    "taken": (
        lacking("taken", count=3, ports=[{"container_port": 80, "host_port": 31300}]),
        "resources",
        ("port 31300",),
        {"port 31300": 2},
    ),
    "crash": (lacking("crash", image=IMAGE.replace(":1", ":3")), "back-off", ("in a row",), {}),
    "absent": (
        lacking("absent", image=IMAGE.replace(":1", ":missing")),
        "back-off",
        ("demo/web:missing", "in a row"),
        {},
    ),
}


def test_what_can_not_run_is_explained(lab: Cluster, measure: Measure, group_vars: Path) -> None:
    since = time.time()
    run = deploy_services(group_vars, [wish[0] for wish in WISHES.values()])
    measure("site.yml with six services that can't run, until it says so", run.seconds)
    assert run.exit_code != 0, run.output
    for name, (_, kind, words, agents) in WISHES.items():

        def explained(name: str = name, kind: str = kind) -> list[dict[str, Any]]:
            return [reason for reason in lab.reasons(name) if reason["kind"] == kind]

        # A failing one is starting now and then.
        (reason,), _ = eventually(f"{name} waits because of {kind}", explained, seconds=30)
        assert all(word in reason["text"] for word in words), reason
        assert reason["agents"] == agents
        assert reason["instances"] == 1
        assert (reason["until"] is not None) == (kind == "back-off")
        if kind == "back-off":
            assert reason["until"] > since
        journal = [line for line in lab.scheduler_journal(since).splitlines() if f"service={name}" in line]
        assert any(all(word in line for word in words) for line in journal), journal
        assert name in run.output
