"""What is measured in each minute: times of what operators do, and what all daemons hold."""

from __future__ import annotations

import functools
import json
import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lab_client import ask
from lab_cluster import SCHEDULER_PORT, Cluster, eventually
from lab_control_plane import zookeeper
from lab_inventory import Lab
from lab_site import playbook
from lab_usage import UNITS, keepers, usage
from load_services import Services

TIMES_ASKED = 20
REPLACED_SECONDS = 60.0
ASKED_AT_ONCE = 8
EXECUTOR = "mesos-docker-executor"


@dataclass(frozen=True)
class Figure:
    """One figure of a minute, with the head of its column."""

    column: str
    value: float


@dataclass(frozen=True)
class Instance:
    """A running instance, as the scheduler tells."""

    task: str
    slave: str
    url: str


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


class Measuring:
    """A lab under load. `failures`: sentences."""

    def __init__(self, lab: Lab, services: Services) -> None:
        self.failures: list[str] = []
        self._lab, self._services = lab, services
        self._cluster = Cluster(
            master=lab.groups["mesos_masters"][0],
            slaves=lab.slaves,
            security=lab.security,
            schedulers=lab.groups["schedulers"],
        )
        self._headers = self._cluster.scheduler_access()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=lab.security.context())
        )

    def deploy(self) -> float:
        """Run services.yml; returns its seconds: it ends when all runs."""
        (inventory,) = self._lab.inventories
        run = playbook(
            "playbooks/services.yml", f"--extra-vars={self._services.variables()}", inventory=inventory
        )
        if run.exit_code != 0:
            self.failures.append(f"services.yml: exit status {run.exit_code}\n{run.output[-3000:]}")
        return run.seconds

    def minute(self, number: int) -> Iterator[Figure]:
        """Change and kill something, then look at all."""
        self._services.change(number)
        yield Figure("deploy s", self.deploy())
        leader = self._cluster.scheduler
        instances = self._instances(leader)
        if len(instances) != self._services.instances:
            self.failures.append(f"{len(instances)} instances run, {self._services.instances} are wanted")
        if not instances:
            raise LookupError("no instance is in service")
        yield Figure("instances", len(instances))
        yield Figure("replace s", self._replace(leader, instances[number % len(instances)]))
        for path in ("/v1/status", "/metrics"):
            times = [_seconds(functools.partial(self._fetch, leader, path)) for _ in range(TIMES_ASKED)]
            yield Figure(f"{path.rpartition('/')[2]} ms", statistics.median(times) * 1000)
        yield Figure("answer ms", self._ask(self._instances(leader)) * 1000)
        yield from self._held()
        yield from self._stored()

    def _fetch(self, host: str, path: str) -> bytes:
        """Return what the host's scheduler answers. Raises OSError."""
        url = f"https://{self._lab.addresses[host]}:{SCHEDULER_PORT}{path}"
        request = urllib.request.Request(url, headers=self._headers)
        with self._opener.open(request, timeout=10) as answer:
            return bytes(answer.read())

    def _instances(self, leader: str) -> list[Instance]:
        services = json.loads(self._fetch(leader, "/v1/status"))["services"]
        return [
            Instance(instance["task_id"], host, f"http://{self._lab.addresses[host]}:{instance['ports'][0]}/")
            for service in services
            for instance in service["instances"]
            if instance["in_service"]
            for host in [self._lab.host_of_slave(instance["hostname"])]
        ]

    def _replace(self, leader: str, victim: Instance) -> float:
        """Kill an instance's container; returns the seconds until another one is in service."""
        wanted = {instance.task for instance in self._instances(leader)} - {victim.task}

        def replaced() -> bool:
            now = {each.task for each in self._instances(leader)}
            return victim.task not in now and wanted < now

        name = f"docker ps --quiet --filter label=mesos.task_id={victim.task}"
        self._lab.on(victim.slave, f"docker kill $({name})")
        try:
            return eventually(f"{victim.task} is replaced", replaced, seconds=REPLACED_SECONDS)[1]
        except AssertionError as error:
            self.failures.append(str(error))
            return REPLACED_SECONDS

    def _ask(self, instances: Sequence[Instance]) -> float:
        """Ask each instance once; returns the median of the seconds that an answer takes."""

        def timed(instance: Instance) -> float:
            start = time.perf_counter()
            _, failure = ask(instance.url)
            if failure:
                self.failures.append(f"{instance.task} at {instance.url}: {failure}")
            return time.perf_counter() - start

        with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
            return statistics.median(pool.map(timed, instances))

    def _held(self) -> Iterator[Figure]:
        """Tell what the daemons hold: of each kind that one which holds most."""
        held = usage(self._lab)
        for group, unit in UNITS.items():
            kind = [held[f"{unit} on {host}"] for host in self._lab.groups[group]]
            name = unit.removeprefix("mesos-docker-").removeprefix("mesos-")
            yield Figure(f"{name} MiB", max(each.megabytes for each in kind))
            yield Figure(f"{name} files", max(each.files for each in kind))
        yield Figure("executors", sum(keepers(self._lab, slave)[EXECUTOR] for slave in self._lab.slaves))

    def _stored(self) -> Iterator[Figure]:
        """Tell how much ZooKeeper stores."""
        server = self._lab.addresses[self._lab.groups["zookeepers"][0]]
        said = dict(line.split("\t", 1) for line in zookeeper(server).splitlines() if "\t" in line)
        yield Figure("znodes", int(said["zk_znode_count"]))
        yield Figure("znodes KiB", int(said["zk_approximate_data_size"]) / 1024)
