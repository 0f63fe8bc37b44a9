"""Schedulers that share their state in ZooKeeper, on real Mesos and Docker: one leads, the others follow."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from container_watch import ContainerWatch
from mesos_docker_scheduler.exits import EXIT_DEPOSED, EXIT_STORE
from mesos_docker_scheduler.records.store import SqliteStore
from mesos_docker_scheduler.records.tasks import TaskState
from mesos_testbed import Daemon, eventually
from scheduler_process import PROGRAM, Cluster, Scheduler

pytestmark = pytest.mark.integration

SESSION_SECONDS = 3.0


class Member(Scheduler):
    """One of them, on a host of its own as far as it knows."""

    def __init__(self, folder: Path, cluster: Cluster, name: str) -> None:
        (folder / name).mkdir()
        self.token_file = folder / name / "token"
        self.token_file.write_text("0123456789abcdef0123456789abcdef")
        http = {"token_file": str(self.token_file)}
        super().__init__(folder / name, cluster, http, machine_id=f"{name:x<32}")
        self.framework_name = self.wish["framework"]["name"] = f"shared-{folder.name}"
        self.wish["shared_state"] = {
            "zookeeper": f"zk://{cluster.zookeeper.address}/schedulers/{folder.name}",
            "session_seconds": SESSION_SECONDS,
            "url": f"http://127.0.0.1:{self.port}",
        }
        self.wish["allowed"] = {"host_network": True}  # all of them have the same
        self.change()

    def answers(self) -> bool:
        return bool(self.get("/v1/status?instances=false"))

    @property
    def leads(self) -> bool:
        """Whether it leads, and has a master."""
        status = self.get("/v1/status?instances=false")
        return bool(status["leads"] and status["connected"])

    def end(self) -> None:
        """End the framework, which no scheduler runs of any more."""
        super().close()

    def close(self) -> None:
        """Stop."""
        Daemon.close(self)


class Site:
    """Two members."""

    def __init__(self, folder: Path, cluster: Cluster, stack: contextlib.ExitStack) -> None:
        self.cluster = cluster
        self.members = [Member(folder, cluster, name) for name in ("one", "two")]
        stack.callback(self.members[0].end)
        for member in self.members:
            stack.enter_context(member)

    @property
    def leader(self) -> Member:
        """The one that leads, once one does."""

        def leading() -> Member | None:
            found = [member for member in self.members if member.running and member.leads]
            assert len(found) < 2
            return found[0] if found else None

        return eventually(leading, "a leader", 30)

    def other(self, member: Member) -> Member:
        """The other one."""
        (other,) = (one for one in self.members if one is not member)
        return other


@pytest.fixture
def site(tmp_path: Path, cluster: Cluster) -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        made = Site(tmp_path, cluster, stack)
        made.leader.converge()
        yield made


def test_one_leads_and_the_other_shows_what_it_does(site: Site) -> None:
    leader = site.leader
    follower = site.other(leader)
    eventually(lambda: len(follower.web["instances"]) == 2, "the instances on the other", 10)
    status = follower.get("/v1/status")
    assert status["leader"] == {"host": socket.gethostname(), "url": f"http://127.0.0.1:{leader.port}"}
    assert (status["leads"], status["framework_id"]) == (False, leader.framework_id)


def takes_over(site: Site, end: Callable[[Member], None]) -> float:
    """Have the leader end; returns how long nobody led, in seconds. No container may be touched."""
    leader = site.leader
    follower = site.other(leader)
    framework_id, containers = leader.framework_id, leader.containers()
    with ContainerWatch(site.cluster.engines, "web") as watch:
        began = time.monotonic()
        end(leader)
        eventually(lambda: follower.leads, "another leader", 30)
        took = time.monotonic() - began
        assert follower.converge() == containers
        assert watch.counts() == (2, 2)
    assert follower.framework_id == framework_id
    follower.change(count=3)
    assert containers.keys() < follower.converge().keys()
    follower.change(count=2)
    follower.converge()
    return took


def test_another_takes_over_at_once_when_the_leader_is_stopped(site: Site) -> None:
    assert takes_over(site, lambda leader: leader.stop()) < SESSION_SECONDS


def test_another_takes_over_when_the_leader_is_killed_which_then_follows(site: Site) -> None:
    leader = site.leader
    takes_over(site, lambda leader: leader.kill9())
    leader.start()
    eventually(lambda: len(leader.web["instances"]) == 2, "it follows", 20)
    assert site.leader is site.other(leader)


def test_a_leader_that_was_frozen_never_acts_again(site: Site) -> None:
    leader = site.leader
    takes_over(site, lambda leader: os.kill(leader.pid, signal.SIGSTOP))
    follower = site.other(leader)
    containers = follower.containers()
    os.kill(leader.pid, signal.SIGCONT)
    assert leader.wait() == EXIT_DEPOSED
    time.sleep(3)
    assert follower.leads
    assert follower.containers() == containers
    assert site.cluster.frameworks(leader.framework_name) == [follower.framework_id]


def test_the_state_moves_into_zookeeper_and_back_with_every_container(scheduler: Scheduler) -> None:
    containers, framework_id = scheduler.containers(), scheduler.framework_id
    shared = {"zookeeper": f"zk://{scheduler.cluster.zookeeper.address}/schedulers/moved"}
    for to, after in (("zookeeper", shared), ("folder", None)):
        scheduler.stop()
        scheduler.wish["shared_state"] = shared
        scheduler.change()
        moved = subprocess.run(
            [*PROGRAM, "move-state", "--config", scheduler.config, "--to", to],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert f"The state of framework {framework_id}, with 2 tasks, is in" in moved.stdout
        scheduler.wish["shared_state"] = after
        scheduler.change()
        scheduler.start()
        assert scheduler.converge() == containers
        assert scheduler.framework_id == framework_id
        kinds = [event["kind"] for event in scheduler.get("/v1/events?limit=1000")["events"]]
        assert kinds.count("launch") == 2  # the page shows the past


def test_one_that_was_away_while_the_state_moved_begins_nothing(site: Site) -> None:
    leader = site.leader
    other, containers = site.other(leader), leader.containers()
    for member in (leader, other):
        member.stop()
    command = [*PROGRAM, "move-state", "--config", str(leader.config), "--to", "folder"]
    subprocess.run(command, check=True, timeout=60)
    shared = leader.wish.pop("shared_state")
    leader.change()
    leader.start()
    assert leader.converge() == containers
    leader.stop()
    other.start()
    eventually(lambda: "was moved from here" in str(other.get("/v1/status")["problem"]), "it says so", 20)
    time.sleep(3)
    assert not other.get("/v1/status")["leads"]
    leader.start()
    assert leader.converge() == containers
    # Back again, all is as it was.
    leader.stop()
    leader.wish["shared_state"] = shared
    leader.change()
    subprocess.run([*command[:-1], "zookeeper"], check=True, timeout=60)
    leader.start()
    eventually(lambda: site.leader, "one of them leads", 30)
    assert site.leader.converge() == containers


def test_the_state_is_copied_while_schedulers_run(site: Site, tmp_path: Path) -> None:
    """As a scheduler that has it alone could go on with it."""
    folder = tmp_path / "copy"
    folder.mkdir()
    command = [*PROGRAM, "copy-state", "--config", str(site.leader.config), "--to", str(folder)]
    subprocess.run(command, check=True, timeout=60)
    with contextlib.closing(SqliteStore(folder)) as copy:
        remembered = copy.load()
    assert remembered.framework_id == site.leader.framework_id
    assert sum(task.state is TaskState.RUNNING for task in remembered.tasks.values()) == 2
    again = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (again.returncode, "is there already" in again.stderr) == (EXIT_STORE, True)


def test_an_operator_has_another_one_lead(site: Site, tmp_path: Path) -> None:
    def step_down(leader: Member) -> None:
        subprocess.run(
            [*PROGRAM, "step-down", "--url", f"http://127.0.0.1:{site.other(leader).port}"],
            env={**os.environ, "MESOS_DOCKER_SCHEDULER_TOKEN_FILE": str(leader.token_file)},
            check=True,
            timeout=30,
        )
        assert leader.wait() == EXIT_DEPOSED

    assert takes_over(site, step_down) < SESSION_SECONDS


def test_one_that_was_away_during_a_change_does_not_undo_it(site: Site) -> None:
    leader = site.leader
    other = site.other(leader)
    other.stop()
    leader.change(count=3)
    containers = leader.converge()
    assert len(containers) == 3
    other.start()
    eventually(lambda: other.get("/v1/status")["config"]["outdated"], "it is noticed", 20)
    leader.kill9()
    time.sleep(SESSION_SECONDS + 3)
    assert not other.leads
    assert "newer configuration" in other.get("/v1/status")["problem"]
    assert other.containers() == containers
    other.change(count=3)
    eventually(lambda: other.leads, "it leads", 20)
    assert other.converge() == containers


def test_an_operator_may_mean_the_older_configuration(site: Site) -> None:
    leader = site.leader
    other = site.other(leader)
    other.stop()
    leader.change(count=3)
    leader.converge()
    other.start()
    eventually(lambda: other.get("/v1/status")["config"]["outdated"], "it is noticed", 20)
    leader.stop()
    os.kill(other.pid, signal.SIGHUP)
    eventually(lambda: other.leads, "it leads", 20)
    assert len(other.converge()) == 2
