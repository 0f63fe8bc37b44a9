"""An operator's mistake stops the playbook with one clear message before anything is changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lab_cluster import Cluster
from lab_site import Run, deploy


def assert_refused(lab: Cluster, run: Run, containers: set[str], config: str, *message: str) -> None:
    """Assert that the run stopped with the message, said once, and that nothing changed."""
    assert run.exit_code != 0, run.output
    assert run.changed == 0, run.output
    assert len(re.findall("^fatal:", run.output, re.MULTILINE)) == 1, run.output
    for part in message:
        assert part in run.output
    assert lab.containers().keys() == containers
    assert lab.status()["config"]["sha256"] == config


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("scheduler_count", -1, "scheduler_count is -1; it must be a whole number, 0 or more."),
        ("scheduler_count", "two", "scheduler_count: 'two' is not allowed; it must be a whole number."),
        ("scheduler_image", "", "scheduler_image is empty and scheduler_services, too"),
        (
            "scheduler_cuont",
            3,
            "scheduler_cuont is no variable of these roles. Did you mean scheduler_count?",
        ),
        ("scheduler_update", {"max_sruge": 1}, "max_surge"),
        ("scheduler_privileged", True, 'is not allowed for the service "web"; scheduler_allowed.privileged'),
    ],
    ids=["negative-count", "count-in-words", "no-image", "unknown-variable", "unknown-key", "not-allowed"],
)
def test_wrong_value(lab: Cluster, variable: str, value: object, message: str) -> None:
    containers, config = set(lab.containers()), lab.status()["config"]["sha256"]
    assert_refused(lab, deploy({variable: value}), containers, config, message)


def test_even_number_of_masters(lab: Cluster, tmp_path: Path) -> None:
    containers, config = set(lab.containers()), lab.status()["config"]["sha256"]
    inventory = tmp_path / "second_master.yml"
    inventory.write_text("mesos_masters: {hosts: {lab-slave1: }}\n")
    assert_refused(
        lab,
        deploy(inventories=[inventory]),
        containers,
        config,
        "There are 2 masters; their number must be odd",
    )


def test_slave_without_docker(lab: Cluster, tmp_path: Path) -> None:
    containers, config = set(lab.containers()), lab.status()["config"]["sha256"]
    inventory = tmp_path / "slave_without_docker.yml"
    inventory.write_text("mesos_slaves: {hosts: {lab-registry: {docker_install: false, lab_zone: north}}}\n")
    run = deploy(inventories=[inventory])
    assert_refused(lab, run, containers, config, "lab-registry", "the host has no working Docker Engine")


def test_artifact_with_a_wrong_checksum(lab: Cluster, tmp_path: Path) -> None:
    containers, config = set(lab.containers()), lab.status()["config"]["sha256"]
    artifact = tmp_path / "mesos.tar.gz"
    artifact.write_bytes(b"not Mesos")
    run = deploy({"mesos_artifact_file": str(artifact)})
    assert_refused(lab, run, containers, config, str(artifact), "sha256")
