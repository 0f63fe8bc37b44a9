"""Health checks and checks against a real container."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest
from mesos_testbed import Framework, docker_task, eventually

Message = dict[str, Any]
pytestmark = pytest.mark.integration

QUICK = {"delay_seconds": 0, "interval_seconds": 0.2, "timeout_seconds": 5, "grace_period_seconds": 0}
QUICK_CHECK = {"delay_seconds": 0, "interval_seconds": 0.2, "timeout_seconds": 5}
# Answers on port 80 once /go exists.
ON_DEMAND = "while [ ! -e /tmp/go ]; do sleep 0.1; done; exec /bin/busybox httpd -f -p 80 -h /www"


def run(framework: Framework, **fields: Any) -> str:
    task = docker_task(**fields)
    framework.launch([task])
    task_id = str(task["task_id"]["value"])
    framework.wait_state(task_id, "TASK_RUNNING")
    return task_id


def inside(bed: Any, task_id: str, command: str) -> None:
    bed.docker.docker("exec", bed.container(task_id)["Id"], "/bin/sh", "-c", command)


def wait_health(framework: Framework, task_id: str, healthy: bool, after: int = 0) -> Message:
    def found() -> Message | None:
        updates = framework.of(task_id)[after:]
        return next((update for update in updates if update.get("healthy") is healthy), None)

    return eventually(found, f"healthy={healthy} of {task_id}", 20)


@pytest.mark.parametrize(
    "check",
    [
        {"type": "HTTP", "http": {"port": 80, "path": "/"}},
        {"type": "TCP", "tcp": {"port": 80}},
        {"type": "COMMAND", "command": {"value": "test -e /www/index.html && test $MESOS_CONTAINER_NAME"}},
        {"type": "COMMAND", "command": {"shell": False, "value": "/bin/test", "arguments": ["-e", "/www"]}},
    ],
    ids=["http", "tcp", "shell", "program"],
)
def test_a_healthy_task_says_so_once(bed: Any, framework: Framework, check: Message) -> None:
    if check.get("command", {}).get("value") == "/bin/test":
        check = {"type": "COMMAND", "command": {"shell": False, "value": "/bin/ls", "arguments": ["/www"]}}
    # The server may need a moment, so failures before the first success don't count.
    task_id = run(framework, health_check={**check, **QUICK, "grace_period_seconds": 10})
    update = wait_health(framework, task_id, True)
    assert update["reason"] == "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"
    assert update["state"] == "TASK_RUNNING"
    assert "data" not in update
    address = bed.container(task_id)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    assert update["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"] == address
    time.sleep(1)
    assert [u.get("healthy") for u in framework.of(task_id)] == [None, None, True]


@pytest.mark.parametrize(
    "check",
    [
        {"type": "HTTP", "http": {"port": 81}},
        {"type": "HTTP", "http": {"port": 80, "path": "/nothing-there"}},
        {"type": "TCP", "tcp": {"port": 81}},
        {"type": "COMMAND", "command": {"value": "exit 1"}},
        {"type": "COMMAND", "command": {"value": "sleep 60"}, "timeout_seconds": 0.5},
    ],
    ids=["http-refused", "http-404", "tcp", "command", "command-timeout"],
)
def test_an_unhealthy_task_is_killed(bed: Any, framework: Framework, check: Message) -> None:
    task_id = run(framework, health_check={**QUICK, "consecutive_failures": 2, **check})
    end = framework.wait_state(task_id, "TASK_KILLED", 20)
    assert end["healthy"] is False
    updates = framework.of(task_id)
    assert [u["state"] for u in updates] == [
        "TASK_STARTING",
        "TASK_RUNNING",
        "TASK_RUNNING",
        "TASK_RUNNING",
        "TASK_KILLING",
        "TASK_KILLED",
    ]
    assert [u.get("healthy") for u in updates[2:4]] == [False, False]
    bed.wait_gone(task_id)
    assert "unhealthy" in (bed.sandbox(task_id) / "stderr").read_text()


# With the shorter ones the engine is still about to begin the command.
@pytest.mark.parametrize("timeout_seconds", [0.3, 0.06, 0.03])
def test_a_timed_out_command_does_not_stay_in_the_container(
    bed: Any, framework: Framework, timeout_seconds: float
) -> None:
    seconds = 900 + int(timeout_seconds * 100)
    command = {"value": f"exec sleep {seconds}"}
    check = {"type": "COMMAND", "command": command, **QUICK, "timeout_seconds": timeout_seconds}
    task_id = run(framework, health_check={**check, "consecutive_failures": 1000})
    wait_health(framework, task_id, False)
    time.sleep(3)

    def few() -> bool:
        listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return listing.count(f"sleep {seconds}") <= 1  # at most the one that runs now

    eventually(few, "commands that have timed out are gone", 10)


def test_health_comes_and_goes(bed: Any, framework: Framework) -> None:
    check = {
        "type": "COMMAND",
        "command": {"value": "test -e /tmp/ok"},
        **QUICK,
        "consecutive_failures": 1000,
    }
    task_id = run(framework, health_check=check)
    wait_health(framework, task_id, False)
    inside(bed, task_id, "touch /tmp/ok")
    wait_health(framework, task_id, True)
    count = len(framework.of(task_id))
    inside(bed, task_id, "rm /tmp/ok")
    wait_health(framework, task_id, False, after=count)


def test_the_grace_period_lets_a_slow_starter_live(bed: Any, framework: Framework) -> None:
    check = {
        "type": "HTTP",
        "http": {"port": 80},
        **QUICK,
        "grace_period_seconds": 30,
        "consecutive_failures": 1,
    }
    task_id = run(framework, command=ON_DEMAND, health_check=check)
    time.sleep(1.5)
    assert [u.get("healthy") for u in framework.of(task_id)] == [None, None]
    inside(bed, task_id, "touch /tmp/go")
    wait_health(framework, task_id, True)


def test_the_delay_is_kept(bed: Any, framework: Framework) -> None:
    task_id = run(framework, health_check={"type": "TCP", "tcp": {"port": 80}, **QUICK, "delay_seconds": 2})
    healthy = wait_health(framework, task_id, True)
    running = framework.of(task_id)[1]
    assert 1.9 < healthy["received"] - running["received"] < 4


def test_https(bed: Any, framework: Framework, tmp_path: Any) -> None:
    """On the host's network, where the test itself is the TLS server; its certificate is nobody's."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    port = 31999
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", str(port), "-key", key, "-cert", certificate, "-www", "-quiet"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        container = {"type": "DOCKER", "docker": {"image": "demo/web:1", "network": "HOST"}}
        http = {"port": port, "scheme": "https", "path": "/"}
        check = {"type": "HTTP", "http": http, **QUICK, "grace_period_seconds": 10}
        task_id = run(framework, command="sleep 60", container=container, health_check=check)
        wait_health(framework, task_id, True)
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.parametrize(
    ("check", "empty", "result"),
    [
        (
            {"type": "COMMAND", "command": {"command": {"value": "exit 7"}}},
            {"type": "COMMAND", "command": {}},
            {"type": "COMMAND", "command": {"exit_code": 7}},
        ),
        (
            {"type": "HTTP", "http": {"port": 80, "path": "/nothing"}},
            {"type": "HTTP", "http": {}},
            {"type": "HTTP", "http": {"status_code": 404}},
        ),
        (
            {"type": "TCP", "tcp": {"port": 80}},
            {"type": "TCP", "tcp": {}},
            {"type": "TCP", "tcp": {"succeeded": True}},
        ),
    ],
    ids=["command", "http", "tcp"],
)
def test_checks_report_and_do_not_judge(
    bed: Any, framework: Framework, check: Message, empty: Message, result: Message
) -> None:
    task_id = run(framework, check={**check, **QUICK_CHECK, "delay_seconds": 0.5})
    assert framework.of(task_id)[1]["check_status"] == empty

    def reported() -> Message | None:
        return next((u for u in framework.of(task_id) if u.get("check_status") == result), None)

    update = eventually(reported, f"{result} in {framework.of(task_id)}", 15)
    assert update["reason"] == "REASON_TASK_CHECK_STATUS_UPDATED"
    count = len(framework.of(task_id))
    time.sleep(1)
    assert len(framework.of(task_id)) == count, "the same result again is no news"
    assert bed.container(task_id)["State"]["Running"]


def test_a_check_and_a_health_check_keep_each_others_word(bed: Any, framework: Framework) -> None:
    task_id = run(
        framework,
        check={
            "type": "COMMAND",
            "command": {"command": {"value": "exit 5"}},
            **QUICK_CHECK,
            "delay_seconds": 1,
        },
        health_check={"type": "COMMAND", "command": {"value": "true"}, **QUICK},
    )

    def both() -> Message | None:
        updates = framework.of(task_id)
        return next(
            (u for u in updates if u.get("check_status", {}).get("command", {}).get("exit_code") == 5), None
        )

    assert eventually(both, "the check's result", 15)["healthy"] is True


def test_what_a_check_prints_is_rotated(bed: Any, framework: Framework) -> None:
    command = {"value": "yes 'a line' | head -n 100"}
    task = docker_task(check={"type": "COMMAND", "command": {"command": command}, **QUICK_CHECK})
    variables = [{"name": "CONTAINER_LOGGER_MAX_STDERR_SIZE", "value": "4KB"}]
    task["command"]["environment"] = {"variables": variables}
    framework.launch([task])
    task_id = str(task["task_id"]["value"])
    framework.wait_state(task_id, "TASK_RUNNING")
    sandbox = bed.sandbox(task_id)
    eventually((sandbox / "stderr.2").exists, "two rotations", 30)
    assert (sandbox / "stderr.2").stat().st_size <= 4096
