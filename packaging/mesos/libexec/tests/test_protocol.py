"""The executor against an agent and an engine that misbehave."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from executor_fakes import SUBSCRIBED, FakeAgent, FakeEngine, Run, record, wait_for

Message = dict[str, Any]
# Refused before anything is created: the shortest life of a task.
IMPOSSIBLE: Message = {"task_id": {"value": "t"}, "container": {"type": "MESOS"}}
POSSIBLE: Message = {
    "task_id": {"value": "t"},
    "container": {"type": "DOCKER", "docker": {"image": "web:1"}},
    "command": {"shell": False},
}
Start = Callable[..., Run]


def launch(task: Message) -> Message:
    return {"type": "LAUNCH", "launch": {"task": task}}


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    fake = FakeAgent()
    yield fake
    fake.close()


@pytest.fixture
def start(executor: Path, tmp_path: Path, agent: FakeAgent) -> Iterator[Start]:
    runs: list[Run] = []

    def run(stdout: int | None = None, stderr: int | None = None, **environment: str) -> Run:
        runs.append(Run(executor, tmp_path, agent, stdout, stderr, **environment))
        return runs[-1]

    yield run
    for each in runs:
        each.close()


def states(agent: FakeAgent) -> list[str]:
    return [update["state"] for update in agent.updates()]


def subscriptions(agent: FakeAgent) -> list[Message]:
    return [call["subscribe"] for call in agent.calls if call["type"] == "SUBSCRIBE"]


def test_the_whole_exchange(agent: FakeAgent, start: Start) -> None:
    run = start(MESOS_EXECUTOR_AUTHENTICATION_TOKEN="a.b.c")
    stream = agent.subscribed()
    call = agent.calls[0]
    assert call["path"] == "/slave(1)/api/v1/executor"
    assert call["headers"]["Authorization"] == "Bearer a.b.c"
    assert (call["framework_id"], call["executor_id"]) == ({"value": "F"}, {"value": "E"})
    assert b"a.b.c" not in Path(f"/proc/{run.process.pid}/environ").read_bytes()
    stream.send(launch(IMPOSSIBLE))
    assert run.process.wait(10) == 0
    assert states(agent) == ["TASK_STARTING", "TASK_FAILED"]
    assert agent.updates()[1]["reason"] == "REASON_TASK_INVALID"


def test_a_token_that_is_refused_for_good_ends_the_executor(
    agent: FakeAgent, start: Start, tmp_path: Path
) -> None:
    """Else Mesos would count its task as running until the recovery timeout is over."""
    engine = FakeEngine(tmp_path / "docker.sock", ("1.41", "1.41"), ends=False)
    run = start(MESOS_EXECUTOR_AUTHENTICATION_TOKEN="a.b.c")
    stream = agent.subscribed()
    stream.send(launch(POSSIBLE))
    wait_for(lambda: "TASK_RUNNING" in states(agent), "the task runs")
    agent.subscribe_status = 401
    stream.close()
    time.sleep(3)
    agent.subscribe_status = 503  # it is restarted, perhaps with the right key
    time.sleep(1)
    agent.subscribe_status, refused_at = 401, time.monotonic()
    wait_for(lambda: "has refused the executor's token for 15 s" in run.log(), "it gives up", 25)
    assert time.monotonic() - refused_at > 14
    wait_for(lambda: any("/stop" in request for request in engine.requests), "the container is stopped")
    engine.close()


def test_events_that_arrive_together_are_all_taken_at_once(agent: FakeAgent, start: Start) -> None:
    """Each in a chunk of its own, all in one packet: none may wait for the next packet."""
    run = start()
    stream = agent.subscriptions.get(timeout=10)
    stream.write(record(SUBSCRIBED), record({"type": "HEARTBEAT"}), record(launch(IMPOSSIBLE)))
    assert run.process.wait(5) == 0
    assert states(agent) == ["TASK_STARTING", "TASK_FAILED"]


def test_the_pid_is_published_before_the_subscription(agent: FakeAgent, start: Start) -> None:
    run = start()
    agent.subscriptions.get(timeout=10)
    name, address = run.pid_file.read_text().split("@")
    assert name == "executor(1)"
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), 2):
        pass
    assert [path.name for path in run.pid_file.parent.iterdir()] == ["libprocess.pid"]


def test_without_checkpointing_nothing_is_published(agent: FakeAgent, start: Start) -> None:
    run = start(MESOS_CHECKPOINT="0")
    agent.subscribed()
    assert not run.pid_file.exists()


def test_a_second_task_and_a_group_are_refused(agent: FakeAgent, start: Start, tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path / "docker.sock", ("1.41", "1.41"), ends=False)
    run = start()
    stream = agent.subscribed()
    group = {"tasks": [{"task_id": {"value": "grouped"}}]}
    stream.send(
        launch(POSSIBLE),
        launch({**POSSIBLE, "task_id": {"value": "second"}}),
        {"type": "LAUNCH_GROUP", "launch_group": {"task_group": group}},
    )

    def refused() -> set[str]:
        return {u["task_id"]["value"] for u in agent.updates() if u["state"] == "TASK_FAILED"}

    wait_for(lambda: refused() == {"second", "grouped"}, "both refusals")
    run.close()
    wait_for(lambda: any(line.startswith("DELETE") for line in engine.requests), "the guard's work")
    engine.close()


@pytest.mark.parametrize("garbage", [b"what?\n", b"3\n{]}", b"99999999999999\nx", b'4\n"ab"', b"2\n[]"])
def test_a_broken_stream_costs_nothing_but_a_new_subscription(
    agent: FakeAgent, start: Start, garbage: bytes
) -> None:
    agent.acknowledge = False
    start()
    stream = agent.subscribed()
    stream.send(launch(IMPOSSIBLE))
    wait_for(lambda: states(agent) == ["TASK_STARTING", "TASK_FAILED"], "both updates")
    stream.write(garbage)
    agent.subscriptions.get(timeout=5)
    again = subscriptions(agent)[1]
    assert [u["status"]["state"] for u in again["unacknowledged_updates"]] == ["TASK_STARTING", "TASK_FAILED"]
    assert again["unacknowledged_tasks"] == [IMPOSSIBLE]


def test_updates_wait_for_an_agent_that_recovers(agent: FakeAgent, start: Start) -> None:
    agent.update_status = 503
    run = start()
    agent.subscribed().send(launch(IMPOSSIBLE))
    wait_for(lambda: len(agent.updates()) >= 3, "attempts")
    assert set(states(agent)) == {"TASK_STARTING"}, "a later update must not overtake"
    agent.update_status = 202
    assert run.process.wait(10) == 0
    assert states(agent)[-1] == "TASK_FAILED"


def test_a_contact_hurries_the_next_subscription(agent: FakeAgent, start: Start) -> None:
    run = start()
    stream = agent.subscribed()
    agent.subscribe_status = 503
    stream.close()
    time.sleep(1.5)  # the back-off is at its longest now, 250 ms
    agent.subscribe_status = 200
    host, port = run.pid_file.read_text().split("@")[1].split(":")
    before = time.monotonic()
    with socket.create_connection((host, int(port)), 2) as contact:
        contact.sendall(b"POST /executor(1)/mesos.internal.ReconnectExecutorMessage HTTP/1.1\r\n\r\n")
        agent.subscriptions.get(timeout=5)
    assert time.monotonic() - before < 0.2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
def test_no_refusal_is_final(agent: FakeAgent, start: Start, status: int) -> None:
    agent.subscribe_status = status
    run = start()
    wait_for(lambda: len(subscriptions(agent)) > 4, "attempts")
    agent.subscribe_status = 200
    agent.subscribed()
    assert run.process.poll() is None


def test_shutdown_before_any_task(agent: FakeAgent, start: Start) -> None:
    run = start()
    agent.subscribed().send({"type": "SHUTDOWN"})
    assert run.process.wait(5) == 0


def test_the_recovery_timeout_ends_the_wait(agent: FakeAgent, start: Start) -> None:
    agent.subscribe_status = 503
    run = start(MESOS_RECOVERY_TIMEOUT="1secs")
    before = time.monotonic()
    assert run.process.wait(10) == 0
    assert time.monotonic() - before > 0.8
    assert "recovery timeout" in run.log()


def test_a_busy_agent_is_asked_once(agent: FakeAgent, start: Start) -> None:
    """It answers each request in the end, and sends the task to who asked first: he must still be there."""
    agent.answer_seconds = 5
    start()
    agent.subscribed()
    time.sleep(1)
    assert [call["type"] for call in agent.calls] == ["SUBSCRIBE"]


def test_an_agent_that_does_not_answer_is_asked_ever_more_rarely(agent: FakeAgent, start: Start) -> None:
    start()
    stream = agent.subscribed()
    agent.answer_seconds = 60
    stream.close()
    time.sleep(14)
    # After 0, 3 and 9 seconds: each request is work for an agent that recovers with many executors.
    assert [call["type"] for call in agent.calls] == ["SUBSCRIBE"] * 4


FRAMES = b"\1\0\0\0\0\0\0\5hello" + b"\2\0\0\0\0\0\0\4oops" + b"\1\0\0\0\0\0\0\0" + b"\1\0\0\0\0\0\0\1\n"


@pytest.mark.parametrize(
    ("api", "path"),
    [(("1.12", "1.41"), "/v1.41/"), (("1.24", "1.50"), "/v1.41/"), (("1.44", "1.52"), "/v1.44/")],
    ids=["Docker 20.10", "Docker 28", "Docker 29"],
)
def test_engines_of_all_ages(
    agent: FakeAgent, start: Start, tmp_path: Path, api: tuple[str, str], path: str
) -> None:
    engine = FakeEngine(tmp_path / "docker.sock", api, output=FRAMES, status=7)
    run = start()
    agent.subscribed().send(launch(POSSIBLE))
    assert run.process.wait(20) == 0
    engine.close()
    assert states(agent) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]
    assert agent.updates()[2]["message"] == "Container exited with status 7"
    requests = [line for line in engine.requests if not line.endswith(" /version")]
    assert all(line.split()[1].startswith(path) for line in requests), requests
    order = [line.split("?")[0].rsplit("/", 1)[1] for line in requests]
    assert order.index("attach") < order.index("start")
    assert order.index("wait") < order.index("start")
    assert requests[-1] == f"DELETE {path}containers/c0ffee?force=1&v=1"
    assert (run.sandbox / "stdout").read_bytes() == b"hello\n"
    assert run.task_stderr() == "oops"


def test_a_stuck_logger_stops_the_output_but_not_the_executor(
    agent: FakeAgent, start: Start, tmp_path: Path
) -> None:
    """Container loggers may read through a pipe; the container waits for them, the agent does not have to."""
    text = b"x" * 65535 + b"\n"
    output = 12 * (b"\1\0\0\0" + len(text).to_bytes(4, "big") + text)
    engine = FakeEngine(tmp_path / "docker.sock", ("1.24", "1.50"), output=output, piece=4096)
    reading, writing = os.pipe()
    run = start(stdout=writing)
    os.close(writing)
    stream = agent.subscribed()
    stream.send(launch(POSSIBLE))
    wait_for(lambda: "TASK_RUNNING" in states(agent), "TASK_RUNNING")
    time.sleep(0.5)  # the pipe is full now
    stream.send(launch({**POSSIBLE, "task_id": {"value": "second"}}))
    wait_for(lambda: states(agent)[-1] == "TASK_FAILED", "the refusal")
    with os.fdopen(reading, "rb") as logger:
        assert logger.read() == 12 * text
    assert run.process.wait(10) == 0
    engine.close()


def frames(stream: int, text: str) -> bytes:
    """Docker's framing of each line."""
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    return b"".join(bytes([stream, 0, 0, 0]) + len(line).to_bytes(4, "big") + line for line in lines)


def test_the_reason_of_the_end_is_the_last_line(agent: FakeAgent, start: Start, tmp_path: Path) -> None:
    output = frames(2, "late\n")
    engine = FakeEngine(
        tmp_path / "docker.sock", ("1.24", "1.50"), output=output, status=7, piece=1000, late_seconds=0.5
    )
    run = start()
    agent.subscribed().send(launch(POSSIBLE))
    assert run.process.wait(20) == 0
    engine.close()
    assert "late\n" in run.log()
    assert run.log().splitlines()[-1].endswith("TASK_FAILED: Container exited with status 7")


def test_output_is_rotated(agent: FakeAgent, start: Start, tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(20000))
    output = frames(1, text) + frames(2, text)
    engine = FakeEngine(tmp_path / "docker.sock", ("1.24", "1.50"), output=output, status=7, piece=1000)
    limits = {"STDOUT_SIZE": "64KB", "STDERR_SIZE": "16KB", "FILES": "4"}
    run = start(**{f"CONTAINER_LOGGER_MAX_{name}": value for name, value in limits.items()})
    agent.subscribed().send(launch(POSSIBLE))
    assert run.process.wait(20) == 0
    engine.close()
    for name, size in (("stdout", 65536), ("stderr", 16384)):
        files = [
            run.sandbox / f"{name}.3",
            run.sandbox / f"{name}.2",
            run.sandbox / f"{name}.1",
            run.sandbox / name,
        ]
        assert sorted(run.sandbox.glob(f"{name}*")) == sorted(files)
        assert all(0 < file.stat().st_size <= size for file in files)
        written = "".join(file.read_text() for file in files)
        # The executor's own lines may come in the middle of one of the container's.
        kept = re.sub(r"[IWE]\d{4} .* executor\] .*\n", "", written)
        assert text.endswith(kept)
        assert len(kept) > 2 * size
        if name == "stdout":
            assert all(file.read_text().endswith("\n") for file in files)
    assert "TASK_FAILED: Container exited with status 7" in run.log()


def test_limits_that_make_no_sense_fail_the_task(agent: FakeAgent, start: Start) -> None:
    run = start(CONTAINER_LOGGER_MAX_STDOUT_SIZE="ten megabytes")
    agent.subscribed().send(launch(POSSIBLE))
    assert run.process.wait(10) == 0
    end = agent.updates()[-1]
    assert (end["state"], end["reason"]) == ("TASK_FAILED", "REASON_TASK_INVALID")
    assert "the environment variable CONTAINER_LOGGER_MAX_STDOUT_SIZE is 'ten megabytes'" in end["message"]


def test_a_container_loggers_pipes_and_variables_are_its_own(
    agent: FakeAgent, start: Start, tmp_path: Path
) -> None:
    text = "".join(f"line {number}\n" for number in range(2000))
    engine = FakeEngine(tmp_path / "docker.sock", ("1.24", "1.50"), output=frames(1, text), piece=1000)
    pipes = [os.pipe(), os.pipe()]
    run = start(
        stdout=pipes[0][1],
        stderr=pipes[1][1],
        CONTAINER_LOGGER_MAX_STDOUT_SIZE="4KB",
        CONTAINER_LOGGER_LOGROTATE_STDOUT_OPTIONS="rotate 5",
    )
    for _, writing in pipes:
        os.close(writing)
    (run.sandbox / "stdout").touch()  # where the logger writes
    agent.subscribed().send(launch(POSSIBLE))
    assert run.process.wait(10) == 0
    engine.close()
    assert states(agent)[-1] == "TASK_FINISHED"
    with os.fdopen(pipes[0][0], "rb") as logger:
        assert logger.read() == text.encode()
    os.close(pipes[1][0])
    assert [path.name for path in run.sandbox.iterdir()] == ["stdout"]
