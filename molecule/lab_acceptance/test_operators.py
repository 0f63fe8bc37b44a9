"""What an operator does on the scheduler's host, with the command line, and how site.yml gets on with it."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from lab_cluster import SCHEDULER_PORT, Cluster, eventually
from lab_site import BROKEN_IMAGE, IMAGE, NEXT_IMAGE, WEB_COUNT, WEB_UPDATE, Measure, deploy_web

PROGRAM = "mesos-docker-scheduler"


def command(lab: Cluster, words: str, status: int = 0) -> str:
    """Run a command as root on the scheduler's host; returns what it prints."""
    run = lab.host(lab.master).run(f"{PROGRAM} {words}")
    assert run.rc == status, run.stdout + run.stderr
    return str(run.stdout if status == 0 else run.stderr)


def images(lab: Cluster) -> Counter[str]:
    """How many containers run of each image."""
    return Counter(container.image for container in lab.containers().values())


def test_finds_the_scheduler_and_its_token_by_itself(web: Cluster) -> None:
    assert "connected to" in command(web, "status")
    assert "web" in command(web, "services")
    assert command(web, "instances web").count(IMAGE) == WEB_COUNT
    assert all(slave in command(web, "agents") for slave in web.slaves)
    assert f"web: {WEB_COUNT} of {WEB_COUNT} run" in command(web, "explain web")
    assert "converged" in command(web, "events --limit 500")
    token = web.host(web.master).file("/etc/mesos-docker-scheduler/token")
    assert (token.user, token.mode) == ("mesos-scheduler", 0o600)


def test_nobody_else_may_change_anything(web: Cluster) -> None:
    run = web.host(web.master).run(f"setpriv --reuid=65534 --clear-groups {PROGRAM} scale web 9")
    assert run.rc == 3
    assert "this needs a token" in run.stderr or "it may speak https" in run.stderr  # he can't read which
    assert web.service()["wanted"] == WEB_COUNT


def test_scaling_holds_until_the_playbook_runs(web: Cluster, measure: Measure) -> None:
    before = web.containers()
    command(web, f"scale web {WEB_COUNT + 1}")
    command(web, "wait web --timeout 60")
    scaled = web.containers()
    assert before.keys() < scaled.keys()
    kept = deploy_web({"scheduler_api_changes": "keep"})
    assert kept.exit_code == 0, kept.output
    assert f"scaled to {WEB_COUNT + 1} by an operator" in kept.output
    assert web.containers().keys() == scaled.keys()
    run = deploy_web()
    measure("site.yml that takes back a scaling", run.seconds)
    assert (run.exit_code, run.changed) == (0, 1), run.output
    assert web.containers().keys() < scaled.keys()
    assert len(web.containers()) == WEB_COUNT


def test_an_update_is_rolled_back_by_hand(web: Cluster) -> None:
    run = deploy_web({"scheduler_image": NEXT_IMAGE})
    assert run.exit_code == 0, run.output
    command(web, "rollback web")
    command(web, "wait web --timeout 120")
    assert set(images(web)) == {IMAGE}
    assert "rolled back by an operator" in command(web, "wait web")
    command(web, "reset web")
    command(web, "wait web --timeout 120")
    assert set(images(web)) == {NEXT_IMAGE}


def test_an_update_is_paused_and_goes_on(web: Cluster) -> None:
    slow = {"scheduler_image": NEXT_IMAGE, "scheduler_update": {**WEB_UPDATE, "min_ready_seconds": 5}}
    with ThreadPoolExecutor() as background:
        deployment = background.submit(deploy_web, slow)
        # By then the playbook has taken back what operators had asked for before, and waits.
        eventually("the second new container runs", lambda: images(web)[NEXT_IMAGE] == 2, seconds=120)
        command(web, "pause web")
        run = deployment.result()
    assert run.exit_code != 0, run.output
    assert "an operator paused it" in run.output
    assert IMAGE in images(web)
    command(web, "resume web")
    command(web, "wait web --timeout 120")
    assert images(web) == {NEXT_IMAGE: WEB_COUNT}


def test_a_back_off_is_reset(web: Cluster) -> None:
    def launches() -> int:
        events = web.get(web.master, SCHEDULER_PORT, "/v1/events?limit=1000")["events"]
        return sum(event["kind"] == "launch" for event in events)

    failing = {
        "scheduler_image": BROKEN_IMAGE,
        "scheduler_backoff": {"initial_seconds": 300},
        "scheduler_update": {**WEB_UPDATE, "max_failures": 100},
    }
    run = deploy_web(failing)
    assert run.exit_code != 0, run.output
    assert "exited with status 1" in web.reason("back-off")["text"]
    before = launches()
    command(web, "reset-backoff web")
    eventually("it is tried again at once", lambda: launches() > before, seconds=10)
    assert images(web)[IMAGE] == WEB_COUNT


def test_restart_kill_and_logs(web: Cluster) -> None:
    before = web.containers()
    command(web, "restart web")
    command(web, "wait web --timeout 120")
    assert not web.containers().keys() & before.keys()
    victim = json.loads(command(web, "instances web --json"))["instances"][0]["task_id"]
    command(web, f"kill {victim}")
    eventually("it is replaced", lambda: victim not in command(web, "instances web"), seconds=30)
    command(web, "wait web --timeout 60")
    assert len(web.containers()) == WEB_COUNT
    command(web, "logs web --stderr")
    for verb, words in (("pause", "not being updated"), ("resume", "nothing to resume")):
        assert words in command(web, f"{verb} web", status=1)
    assert "no back-off" in command(web, "reset-backoff web", status=1)
