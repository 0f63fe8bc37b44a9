"""An operator changes a value and runs site.yml."""

from __future__ import annotations

from lab_cluster import Cluster
from lab_site import COUNT, IMAGE, NEXT_IMAGE, Measure, deploy


def test_nothing_changes_when_nothing_changed(lab: Cluster, measure: Measure) -> None:
    before = lab.containers()
    run = deploy()
    measure("site.yml, nothing to do", run.seconds)
    assert run.exit_code == 0, run.output
    assert run.changed == 0, run.output
    assert lab.containers().keys() == before.keys()


def test_containers_are_spread_over_the_slaves(lab: Cluster) -> None:
    assert {container.host for container in lab.containers().values()} == set(lab.slaves)


def test_scaling_up_keeps_what_runs(lab: Cluster, measure: Measure) -> None:
    before = lab.containers()
    run = deploy({"scheduler_count": 4})
    measure("site.yml, from 2 containers to 4", run.seconds)
    assert run.exit_code == 0, run.output
    after = lab.containers()
    assert [container.image for container in after.values()] == [IMAGE] * 4
    assert before.keys() < after.keys()


def test_scaling_down_leaves_one_of_those_that_run(lab: Cluster, measure: Measure) -> None:
    before = lab.containers()
    run = deploy({"scheduler_count": 1})
    measure("site.yml, from 2 containers to 1", run.seconds)
    assert run.exit_code == 0, run.output
    after = lab.containers()
    assert len(after) == 1
    assert after.keys() < before.keys()


def test_new_image_replaces_every_container(lab: Cluster, measure: Measure) -> None:
    before = lab.containers()
    run = deploy({"scheduler_image": NEXT_IMAGE})
    measure("site.yml, to a new image", run.seconds)
    assert run.exit_code == 0, run.output
    after = lab.containers()
    assert [container.image for container in after.values()] == [NEXT_IMAGE] * COUNT
    assert not before.keys() & after.keys()
