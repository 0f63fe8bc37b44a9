"""What becomes of running containers when the scheduler's state is lost, old, or can't be written."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
import types
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from container_watch import ContainerWatch
from mesos_testbed import Master, eventually
from scheduler_process import Cluster, Scheduler

pytestmark = pytest.mark.integration


def state_of(scheduler: Scheduler) -> Path:
    return Path(scheduler.wish["state_dir"])


def facts(scheduler: Scheduler) -> dict[str, tuple[Any, ...]]:
    """What the scheduler says of each instance that does not change while it runs."""
    names = ("image", "version", "hostname", "agent_id", "container", "ports")
    return {
        instance["task_id"]: tuple(str(instance[name]) for name in names)
        for instance in scheduler.web["instances"]
    }


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_a_deleted_state_is_taken_from_the_master(scheduler: Scheduler, cluster: Cluster, end: str) -> None:
    before, framework_id, known = scheduler.containers(), scheduler.framework_id, facts(scheduler)
    with ContainerWatch(cluster.engines, "web") as watch:
        getattr(scheduler, end)()
        shutil.rmtree(state_of(scheduler))
        scheduler.start()
        assert scheduler.converge() == before
        assert cluster.frameworks(scheduler.framework_name) == [framework_id]
        assert facts(scheduler) == known
        assert "it is taken over" in scheduler.log()
        scheduler.change(count=3)
        assert before.keys() < scheduler.converge().keys()
        assert watch.counts() == (2, 3)


def test_without_its_state_it_updates_and_stops_what_it_finds(scheduler: Scheduler, cluster: Cluster) -> None:
    web = scheduler.wish["services"][0]
    scheduler.wish["services"].append({**web, "name": "former", "count": 1})
    scheduler.change()
    eventually(lambda: len(scheduler.containers()) == 3, "both services run", 30)
    framework_id = scheduler.framework_id
    scheduler.stop()
    shutil.rmtree(state_of(scheduler))
    scheduler.wish["services"].pop()
    scheduler.change(image="demo/web:2")
    with ContainerWatch(cluster.engines, "web") as watch:
        scheduler.start()
        scheduler.converge(60)
        assert watch.counts() == (2, 3)
    assert scheduler.framework_id == framework_id
    assert cluster.frameworks(scheduler.framework_name) == [framework_id]


def test_two_frameworks_of_its_name_are_not_guessed_at(
    scheduler: Scheduler, cluster: Cluster, tmp_path: Path
) -> None:
    framework_id = scheduler.framework_id
    (tmp_path / "second").mkdir()
    second = Scheduler(tmp_path / "second", cluster, count=1)
    second.wish["framework"]["name"] = scheduler.framework_name
    second.change()
    second.spawn()
    try:
        eventually(lambda: "a scheduler is connected to it" in second.log(), "the second one refuses", 30)
        assert framework_id in second.log()
        assert second.get("/v1/status")["framework_id"] is None
        assert cluster.frameworks(scheduler.framework_name) == [framework_id]
    finally:
        second.stop()


def test_a_master_that_hides_frameworks_may_hide_an_earlier_one(tmp_path: Path) -> None:
    hidden = {"view_frameworks": [{"principals": {"type": "ANY"}, "users": {"type": "NONE"}}]}
    with Master(tmp_path / "master", {"acls": json.dumps(hidden)}) as master:
        no_slaves = cast(Cluster, types.SimpleNamespace(url=master.address, containers=lambda _: {}))
        with Scheduler(tmp_path, no_slaves) as scheduler:
            eventually(
                lambda: "does not show this framework" in " ".join(scheduler.web["waiting"]),
                "the hidden framework noticed",
                20,
            )
            assert "mesos-docker-scheduler adopt" in scheduler.log()


def test_an_old_copy_of_the_state_is_brought_up_to_date(
    scheduler: Scheduler, cluster: Cluster, tmp_path: Path
) -> None:
    scheduler.stop()
    shutil.copytree(state_of(scheduler), tmp_path / "copy")
    scheduler.start()
    old = set(facts(scheduler))
    scheduler.change(count=3)
    scheduler.converge()
    scheduler.change(image="demo/web:2")
    before = scheduler.converge(60)
    framework_id, known = scheduler.framework_id, facts(scheduler)
    assert not old & known.keys()
    with ContainerWatch(cluster.engines, "web") as watch:
        scheduler.kill9()
        shutil.rmtree(state_of(scheduler))
        shutil.copytree(tmp_path / "copy", state_of(scheduler))
        scheduler.start()
        assert scheduler.converge() == before
        assert facts(scheduler) == known
        assert watch.counts() == (3, 3)
        scheduler.change(count=4)
        assert before.keys() < scheduler.converge().keys()
        assert watch.counts() == (3, 4)
    assert scheduler.framework_id == framework_id


def test_a_host_that_boots_again_after_its_scheduler_was_moved_takes_nothing_back(
    scheduler: Scheduler, cluster: Cluster, tmp_path: Path
) -> None:
    before, framework_id = scheduler.containers(), scheduler.framework_id
    (tmp_path / "elsewhere").mkdir()
    other = Scheduler(tmp_path / "elsewhere", cluster, machine_id="0123456789abcdef0123456789abcdef")
    other.wish["framework"]["name"] = scheduler.framework_name
    other.change()
    with ContainerWatch(cluster.engines, "web") as watch:
        for copied in (False, True):
            scheduler.kill9()  # its host is gone
            shutil.rmtree(state_of(other), ignore_errors=True)
            if copied:
                shutil.copytree(state_of(scheduler), state_of(other))
            other.start()
            assert other.converge() == before
            scheduler.spawn()  # its host is back
            assert scheduler.wait() == 77
            assert f"another scheduler has taken over framework {framework_id}" in scheduler.log()
            assert other.converge() == before
            # And back, with the state that was left there first, which is out of date.
            other.kill9()
            shutil.rmtree(state_of(scheduler))
            scheduler.start()
            assert scheduler.converge() == before
            other.spawn()
            assert other.wait() == 77
        assert watch.counts() == (2, 2)
    assert cluster.frameworks(scheduler.framework_name) == [framework_id]


def test_a_scheduler_that_was_replaced_while_it_was_cut_off_ends(
    scheduler: Scheduler, cluster: Cluster, tmp_path: Path
) -> None:
    """It runs on, and its master is back before it is: what it tries then must not succeed."""
    before = scheduler.containers()
    (tmp_path / "elsewhere").mkdir()
    other = Scheduler(tmp_path / "elsewhere", cluster, machine_id="0123456789abcdef0123456789abcdef")
    other.wish["framework"]["name"] = scheduler.framework_name
    other.change()
    scheduler.stop()
    shutil.copytree(state_of(scheduler), state_of(other))
    scheduler.start()
    other.spawn()
    eventually(lambda: "is connected as this framework" in other.log(), "the second one waits", 30)
    assert scheduler.converge() == before
    os.kill(scheduler.pid, signal.SIGSTOP)  # it does not answer, but its connection stands
    try:
        cluster.master.kill9()
        cluster.master.start()
        eventually(other.answers, "the second one has taken over", 60)
    finally:
        os.kill(scheduler.pid, signal.SIGCONT)
    assert scheduler.wait(60) == 77
    assert other.converge() == before
    other.stop()
    shutil.rmtree(state_of(scheduler))
    scheduler.start()


def test_killed_at_any_moment_of_an_update_it_goes_on_within_the_bounds(
    scheduler: Scheduler, cluster: Cluster
) -> None:
    scheduler.change(count=3)
    scheduler.converge()
    framework_id, moments = scheduler.framework_id, random.Random(1)  # noqa: S311 - repeatable, not secret
    with ContainerWatch(cluster.engines, "web") as watch:
        for version in (2, 1, 2, 1, 2):
            scheduler.change(image=f"demo/web:{version}")
            time.sleep(moments.uniform(0.5, 8))
            scheduler.kill9()
            scheduler.start()
        scheduler.converge(90)
        assert watch.counts() == (3, 4)
    assert cluster.frameworks(scheduler.framework_name) == [framework_id]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of two MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def healthy(scheduler: Scheduler) -> bool:
    with contextlib.suppress(urllib.error.HTTPError):
        return bool(scheduler.get("/healthz"))
    return False


def test_a_full_disk_stops_all_doing_until_there_is_room(
    tmp_path: Path, small_disk: Path, cluster: Cluster
) -> None:
    scheduler = Scheduler(tmp_path, cluster)
    scheduler.wish["state_dir"] = str(small_disk / "state")
    scheduler.change()
    ballast = small_disk / "ballast"
    with scheduler:
        before = scheduler.converge()
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        scheduler.change(count=3)
        try:
            eventually(lambda: not healthy(scheduler), "the full disk noticed", 60)
            problem = scheduler.get("/v1/status")["problem"]
            assert "state.sqlite: can't be written: database or disk is full" in problem
            time.sleep(5)  # in which it could have acted
            assert scheduler.containers() == before
        finally:
            ballast.unlink()
        assert before.keys() < scheduler.converge().keys()
        assert healthy(scheduler)
        assert "the state can be written again" in scheduler.log()
        scheduler.kill9()
        scheduler.start()
        scheduler.converge()
