"""What operators do to a scheduler on real Mesos and Docker, with the command line as they use it."""

from __future__ import annotations

import hashlib
import json

import pytest
from mesos_testbed import eventually
from operated_scheduler import TOKEN, Operated

pytestmark = pytest.mark.integration

OTHER = "demo/web:2"


def test_scales_restarts_and_kills(operated: Operated) -> None:
    first = operated.containers()
    operated.cli("scale", "web", "3")
    operated.cli("wait", "web", "--timeout", "60")
    three = operated.containers()
    assert first.keys() < three.keys()
    assert len(three) == 3

    operated.cli("reset", "web")
    operated.cli("wait", "web", "--timeout", "60")
    two = operated.containers()
    assert two.keys() < three.keys()

    operated.cli("restart", "web")
    operated.cli("wait", "web", "--timeout", "90")
    restarted = operated.containers()
    assert len(restarted) == 2
    assert not restarted.keys() & two.keys()

    victim = operated.web["instances"][0]["task_id"]
    operated.cli("kill", victim)
    eventually(lambda: victim not in {one["task_id"] for one in operated.web["instances"]}, "it is gone", 30)
    operated.cli("wait", "web", "--timeout", "60")
    assert len(operated.containers()) == 2


def test_rolls_back_and_on_again(operated: Operated) -> None:
    operated.change(image=OTHER)
    eventually(lambda: operated.web["image"] == OTHER, "the new configuration", 10)
    operated.cli("wait", "web", "--timeout", "60")
    operated.cli("rollback", "web")
    operated.cli("wait", "web", "--timeout", "60")
    assert {image for _, image in operated.containers().values()} == {"demo/web:1"}
    assert "rolled back by an operator" in operated.cli("wait", "web")
    operated.cli("reset", "--all")
    operated.converge(60)


def test_tells_what_instances_have_written(operated: Operated) -> None:
    instance = operated.web["instances"][0]["task_id"]
    assert eventually(lambda: operated.cli("logs", instance), "its output", 10) == "one\n"
    assert "two\n" in operated.cli("logs", instance, "--stderr")
    both = operated.cli("logs", "web").splitlines()
    assert sorted(line.partition(" | ")[2] for line in both) == ["one", "one"]
    assert "no instance" in operated.cli("logs", "web.0123456789.nothing", fails=1)


def test_who_has_no_token_changes_nothing(operated: Operated) -> None:
    operated.token_file.write_text("guessed")
    assert "the token is wrong" in operated.cli("scale", "web", "3", fails=3)
    assert operated.web["wanted"] == 2
    log = operated.log()
    assert TOKEN not in log + json.dumps(operated.get("/v1/status"))


def test_waiting_for_what_can_not_be_ends_with_the_reason(operated: Operated) -> None:
    operated.change(image="demo/web:missing")
    sha256 = hashlib.sha256(operated.config.read_bytes()).hexdigest()
    sentence = operated.cli("wait", "web", "--idle-seconds", "20", "--config-sha256", sha256, fails=5)
    assert "demo/web:missing" in sentence
    assert len(operated.containers()) == 2
