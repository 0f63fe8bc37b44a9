"""The scheduler's memory is lost or old, or it is killed again and again: no container is lost or doubled."""

from __future__ import annotations

import random
import time

from lab_cluster import Cluster, eventually
from lab_site import IMAGE, WEB_COUNT, Measure, deploy_web
from lab_watch import watching

UNIT = "mesos-docker-scheduler"
STATE = "/var/lib/mesos-docker-scheduler"
CONFIG = "/etc/mesos-docker-scheduler/config.json"
COPY = "/root/hours-old.sqlite"
NEW = IMAGE.replace(":1", ":2")
KILLS = 50
SEED = 4711
# Whatever a scheduler that is wrong does, it does soon.
SETTLING_SECONDS = 5


def in_control(lab: Cluster, framework: str) -> bool:
    """Tell whether the scheduler is content, and the framework is the only one."""
    return lab.converged() and lab.status()["framework_id"] == framework and lab.frameworks() == [framework]


def known_to_the_scheduler(lab: Cluster) -> list[str]:
    return sorted(instance["task_id"] for instance in lab.service()["instances"])


def running_tasks(lab: Cluster) -> list[str]:
    return sorted(container.labels["mesos.task_id"] for container in lab.containers().values())


def test_the_state_is_deleted_while_containers_run(web: Cluster, measure: Measure) -> None:
    before, framework = web.containers(), web.status()["framework_id"]
    master = web.host(web.master)
    master.check_output(f"systemctl stop {UNIT} && ls {STATE}/state.sqlite && rm -r {STATE}/*")
    with watching(web, "web") as story:
        master.run_test(f"systemctl start {UNIT}")
        _, seconds = eventually("all is in order", lambda: in_control(web, framework), seconds=60)
        time.sleep(SETTLING_SECONDS)
    measure("start without any state, until all is in order", seconds)
    assert web.containers().keys() == before.keys()
    assert (story.starts, story.ends) == ({}, 0)
    assert known_to_the_scheduler(web) == running_tasks(web)

    # It is in control: it can replace what it has adopted.
    run = deploy_web({"scheduler_image": NEW})
    assert run.exit_code == 0, run.output
    after = web.containers()
    assert [container.image for container in after.values()] == [NEW] * WEB_COUNT
    assert known_to_the_scheduler(web) == running_tasks(web)


def test_an_old_copy_of_the_state_is_put_back(web: Cluster, measure: Measure) -> None:
    framework, master = web.status()["framework_id"], web.host(web.master)
    backup = f"import sqlite3; sqlite3.connect('{STATE}/state.sqlite').backup(sqlite3.connect('{COPY}'))"
    master.run_test(f'rm -f {COPY} && python3 -c "{backup}"')
    # Then all in the copy is history: each of its tasks has ended, and none of those that run is in it.
    run = deploy_web({"scheduler_image": NEW, "scheduler_count": WEB_COUNT + 1})
    assert run.exit_code == 0, run.output
    before = web.containers()

    master.check_output(f"systemctl stop {UNIT} && rm {STATE}/*")
    master.run_test(f"install --owner=mesos-scheduler --group=mesos-scheduler {COPY} {STATE}/state.sqlite")
    with watching(web, "web") as story:
        master.run_test(f"systemctl start {UNIT}")
        _, seconds = eventually("all is in order", lambda: in_control(web, framework), seconds=60)
        time.sleep(SETTLING_SECONDS)
    measure("start with an old copy of the state, until all is in order", seconds)
    assert web.containers().keys() == before.keys()
    assert (story.starts, story.ends) == ({}, 0)
    assert known_to_the_scheduler(web) == running_tasks(web)


def test_killed_fifty_times_during_updates(web: Cluster, measure: Measure) -> None:
    """An update takes longer than the scheduler lives. When one is through, the next one begins."""
    framework, master = web.status()["framework_id"], web.host(web.master)
    kill = f"systemctl kill --signal=KILL --kill-whom=main {UNIT}; "
    # Not systemd's two seconds later, but as soon as it is dead: it has more of a life to be killed in.
    again = (
        f"while systemctl is-active --quiet {UNIT}; do sleep 0.02; done; systemctl start --no-block {UNIT}"
    )
    dice, image, updates = random.Random(SEED), IMAGE, 0  # noqa: S311
    start = time.monotonic()
    with watching(web, "web") as story:
        for _ in range(KILLS):
            if {container.image for container in web.containers().values()} == {image}:
                other = NEW if image == IMAGE else IMAGE
                master.run_test(f"sed --in-place 's|{image}|{other}|' {CONFIG}")
                image, updates = other, updates + 1
            time.sleep(dice.uniform(0, 5))
            master.run_test(kill + again)
        killing_seconds = time.monotonic() - start
        _, seconds = eventually(
            "the last update ends right",
            lambda: (
                in_control(web, framework)
                and [container.image for container in web.containers().values()] == [image] * WEB_COUNT
            ),
            seconds=90,
        )
    measure(f"{KILLS} times kill -9, in {updates} updates of 3", killing_seconds)
    measure("  what the slaves have seen", story)
    measure("  until the last update was through", seconds)
    assert updates > 1, "the updates must go on in spite of it"
    assert story.most <= WEB_COUNT + 1, story
    assert story.fewest_well >= WEB_COUNT, story
    assert set(story.starts.values()) == {1}, "no task may be started twice"
    assert story.ends == sum(story.starts.values()), "as many must have gone as have come"
    assert known_to_the_scheduler(web) == running_tasks(web)
    run = deploy_web({"scheduler_image": image})
    assert run.exit_code == 0, run.output
