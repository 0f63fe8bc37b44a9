"""A web service is updated while a client asks it all the time: no request fails, no broken image wins."""

from __future__ import annotations

import time

import pytest
from lab_client import Report, asking
from lab_cluster import Cluster, eventually
from lab_site import BROKEN_IMAGE, IMAGE, NEXT_IMAGE, WEB_COUNT, WEB_UPDATE, Measure, deploy_web

NEVER_READY = IMAGE.replace(":1", ":4")
# Fewer would say little: the client asks about twenty times a second.
FEW_REQUESTS = 50


def assert_served(report: Report, *versions: str) -> None:
    assert not report.failures, f"{report}: {report.failures[:10]}"
    assert report.requests > FEW_REQUESTS
    assert set(report.versions) == set(versions), report


def test_no_request_fails_during_an_update(web: Cluster, measure: Measure) -> None:
    before = web.containers()
    with asking(web, "web") as client:
        run = deploy_web({"scheduler_image": NEXT_IMAGE})
    measure("update of 3 with a client, max_unavailable 0", client.report)
    assert run.exit_code == 0, run.output
    assert_served(client.report, "1", "2")
    assert client.report.fewest == WEB_COUNT
    after = web.containers()
    assert [container.image for container in after.values()] == [NEXT_IMAGE] * WEB_COUNT
    assert not before.keys() & after.keys()
    serving = {instance["task_id"] for instance in web.service()["instances"] if instance["in_service"]}
    assert serving == {container.labels["mesos.task_id"] for container in after.values()}


def test_no_request_fails_when_scaled_down(web: Cluster, measure: Measure) -> None:
    before = web.containers()
    with asking(web, "web") as client:
        run = deploy_web({"scheduler_count": 1})
        eventually("one container runs", lambda: len(web.containers()) == 1, seconds=10)
    measure("from 3 to 1 with a client", client.report)
    assert run.exit_code == 0, run.output
    assert_served(client.report, "1")
    assert client.report.fewest == 1
    assert web.containers().keys() < before.keys()


@pytest.mark.parametrize(
    ("broken", "cure"),
    [(BROKEN_IMAGE, NEXT_IMAGE), (NEVER_READY, IMAGE)],
    ids=["ends-at-once, cured by another image", "never-ready, cured by the old image"],
)
def test_broken_image_stops_the_update(web: Cluster, measure: Measure, broken: str, cure: str) -> None:
    before, since = web.containers(), time.time()
    with asking(web, "web") as client:
        run = deploy_web({"scheduler_image": broken})
        assert run.exit_code != 0, run.output
        eventually(
            "the old containers alone run", lambda: web.containers().keys() == before.keys(), seconds=20
        )
        reason = web.reason("update paused")
        assert broken in reason["text"]
        assert reason["text"] in web.service()["waiting"]
        assert reason["text"] in web.scheduler_journal(since)
        assert " ".join(reason["text"].split()) in run.output
        healed = deploy_web({"scheduler_image": cure})
    measure(f"site.yml with {broken.removeprefix('lab-registry:5000/')}, until it says so", run.seconds)
    measure("  and then the right image", client.report)
    assert healed.exit_code == 0, healed.output
    assert_served(client.report, *{"1", cure.rpartition(":")[2]})
    assert client.report.fewest == WEB_COUNT
    after = web.containers()
    assert [container.image for container in after.values()] == [cure] * WEB_COUNT
    if cure == IMAGE:
        assert after.keys() == before.keys(), "to go back to what runs replaces nothing"


def test_broken_image_is_rolled_back_when_that_is_wanted(web: Cluster, measure: Measure) -> None:
    before, since = web.containers(), time.time()
    rollback = {"scheduler_update": {**WEB_UPDATE, "on_failure": "rollback"}}
    with asking(web, "web") as client:
        run = deploy_web({"scheduler_image": BROKEN_IMAGE, **rollback})
        assert run.exit_code != 0, run.output
        reason = web.reason("rolled back")
        assert BROKEN_IMAGE in reason["text"]
        assert reason["text"] in web.scheduler_journal(since)
        assert " ".join(reason["text"].split()) in run.output
        eventually(
            "the old containers alone run", lambda: web.containers().keys() == before.keys(), seconds=20
        )
        healed = deploy_web()
    measure("site.yml with a broken image and on_failure rollback, until it says so", run.seconds)
    assert healed.exit_code == 0, healed.output
    assert_served(client.report, "1")
    assert client.report.fewest == WEB_COUNT
    assert web.containers().keys() == before.keys()
