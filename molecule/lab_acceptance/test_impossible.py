"""A wish that no slave can fulfil: everybody can soon read what waits and why, and nothing is lost."""

from __future__ import annotations

import pytest
from lab_cluster import Cluster
from lab_site import IMAGE, Measure, deploy

MISSING_IMAGE = "lab-registry:5000/demo/web:missing"


@pytest.mark.parametrize(
    ("variables", "reason"),
    [({"scheduler_mem": 1_000_000_000}, "mem"), ({"scheduler_image": MISSING_IMAGE}, MISSING_IMAGE)],
    ids=["more-memory-than-any-slave-has", "an-image-that-does-not-exist"],
)
def test_is_explained_and_healed_by_the_right_value(
    lab: Cluster, measure: Measure, request: pytest.FixtureRequest, variables: dict[str, object], reason: str
) -> None:
    before = lab.containers()
    run = deploy(variables)
    measure(f"site.yml with {request.node.callspec.id.replace('-', ' ')}, until it says so", run.seconds)

    assert run.exit_code != 0, run.output
    waiting = lab.service()["waiting"]
    assert any(reason in sentence for sentence in waiting), waiting
    assert any(" ".join(sentence.split()) in run.output for sentence in waiting), run.output
    assert reason in lab.host(lab.master).check_output("mesos-docker-scheduler explain")
    assert reason in lab.host(lab.master).check_output(
        "journalctl --unit=mesos-docker-scheduler --since=-90s --output=cat"
    )
    assert before.keys() <= lab.containers().keys(), "what ran must go on running"

    healed = deploy()
    measure("site.yml with the corrected value", healed.seconds)
    assert healed.exit_code == 0, healed.output
    after = lab.containers()
    assert after.keys() == before.keys()
    assert {container.image for container in after.values()} == {IMAGE}
