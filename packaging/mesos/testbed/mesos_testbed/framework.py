"""The shortest framework that can drive Mesos in a test: one connection, tasks in, updates out.

It speaks the v1 scheduler API (docs/scheduler-http-api.md of Mesos) over the standard library, so that tests
of the package and of the executor depend on nothing of our scheduler.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from typing_extensions import Self

from mesos_testbed.process import eventually

Message = dict[str, Any]
PATH = "/api/v1/scheduler"


def docker_task(
    image: str = "demo/web:1",
    cpus: float = 0.1,
    mem: float = 32,
    command: str | None = None,
    **fields: Any,
) -> Message:
    """A TaskInfo without an agent; `fields` replace or add whole ones (`container`, `health_check`)."""
    task: Message = {
        "name": "test",
        "task_id": {"value": f"test-{uuid.uuid4().hex[:12]}"},
        "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": mem}},
        ],
        "container": {"type": "DOCKER", "docker": {"image": image, "network": "BRIDGE"}},
        "command": {"shell": False} if command is None else {"shell": True, "value": command},
    }
    return {**task, **fields}


def command_task(value: str = "", **fields: Any) -> Message:
    """A TaskInfo of a shell command, for the Mesos containerizer; `fields` as for a Docker task."""
    task = {**docker_task(), "command": {"shell": True, "value": value}, **fields}
    return {name: field for name, field in task.items() if name != "container" or name in fields}


class Framework:
    """A subscribed framework; `updates` holds every status update with its arrival time in `received`.

    `messages`: what executors said, with their ids. With `acknowledge=False` the test acknowledges by itself.
    """

    def __init__(
        self,
        master: str,
        info: Message | None = None,
        credential: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        acknowledge: bool = True,
    ) -> None:
        self.master = master
        self.info: Message = {
            "user": "root",
            "name": "testbed",
            "checkpoint": True,
            "failover_timeout": 3600,
            "capabilities": [
                {"type": kind} for kind in ("TASK_KILLING_STATE", "PARTITION_AWARE", "MULTI_ROLE")
            ],
            "roles": ["*"],
            **(info or {}),
        }
        self.acknowledge = acknowledge
        self.tls = tls
        self.headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if credential:
            token = base64.b64encode(":".join(credential).encode()).decode()
            self.headers["Authorization"] = f"Basic {token}"
        self.updates: list[Message] = []
        self.messages: list[tuple[str, bytes]] = []
        self.offers: dict[str, Message] = {}
        self.errors: list[str] = []
        self._stream_id = ""
        self._closed = False
        self._stream: http.client.HTTPConnection | None = None

    @property
    def id(self) -> str:
        """The framework id that the master gave."""
        return str(self.info.get("id", {}).get("value", ""))

    def __enter__(self) -> Self:
        return self.subscribe()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask_for_stream(self) -> http.client.HTTPResponse | None:
        """The answer to SUBSCRIBE; None from a master that is still starting."""
        self._stream = self._connection()
        body: Message = {"type": "SUBSCRIBE", "subscribe": {"framework_info": self.info}}
        if self.id:
            body["framework_id"] = self.info["id"]
        self._stream.request("POST", PATH, json.dumps(body), self.headers)
        answer = self._stream.getresponse()
        return None if answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE else answer

    def subscribe(self) -> Self:
        """Open the event stream; PermissionError or RuntimeError when the master refuses."""
        answer = eventually(self._ask_for_stream, "a master that has finished its recovery")
        if answer.status != http.HTTPStatus.OK:
            kind = PermissionError if answer.status in (401, 403) else RuntimeError
            raise kind(f"{answer.status}: {answer.read().decode()}")
        self._stream_id = answer.getheader("Mesos-Stream-Id") or ""
        threading.Thread(target=self._read, args=(answer,), daemon=True).start()
        eventually(lambda: self.id or self.errors, "SUBSCRIBED or ERROR")
        return self

    def call(self, kind: str, content: Message | None = None) -> None:
        """Send a call; RuntimeError when the master does not accept it."""
        body: Message = {"type": kind, "framework_id": self.info["id"]}
        if content is not None:
            body[kind.lower()] = content
        connection = self._connection()
        try:
            headers = {**self.headers, "Mesos-Stream-Id": self._stream_id}
            connection.request("POST", PATH, json.dumps(body), headers)
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.ACCEPTED:
                raise RuntimeError(f"{kind}: {answer.status}: {answer.read().decode()}")
        finally:
            connection.close()

    def launch(self, tasks: Sequence[Message], seconds: float = 30) -> str:
        """Launch all tasks on the next offer and return the agent's id."""

        def operation(infos: list[Message]) -> Message:
            return {"type": "LAUNCH", "launch": {"task_infos": infos}}

        return self._accept(tasks, operation, seconds)

    def launch_group(self, tasks: Sequence[Message], executor_id: str, seconds: float = 30) -> str:
        """Launch the tasks as a group of this default executor; returns the agent's id."""
        executor = {
            "type": "DEFAULT",
            "executor_id": {"value": executor_id},
            "framework_id": self.info["id"],
            "resources": [
                *docker_task()["resources"],
                {"name": "disk", "type": "SCALAR", "scalar": {"value": 10}},
            ],
        }

        def operation(infos: list[Message]) -> Message:
            group = {"executor": executor, "task_group": {"tasks": infos}}
            return {"type": "LAUNCH_GROUP", "launch_group": group}

        return self._accept(tasks, operation, seconds)

    def _accept(
        self, tasks: Sequence[Message], operation: Callable[[list[Message]], Message], seconds: float
    ) -> str:
        offer = eventually(lambda: next(iter(list(self.offers.values())), None), "an offer", seconds)
        self.offers.pop(offer["id"]["value"], None)
        agent_id = offer["agent_id"]
        infos = [{**task, "agent_id": agent_id} for task in tasks]
        self.call(
            "ACCEPT",
            {
                "offer_ids": [offer["id"]],
                "operations": [operation(infos)],
                "filters": {"refuse_seconds": 0},
            },
        )
        return str(agent_id["value"])

    def kill(self, task_id: str, grace_seconds: float | None = None) -> None:
        """Ask for a task's end."""
        content: Message = {"task_id": {"value": task_id}}
        if grace_seconds is not None:
            content["kill_policy"] = {"grace_period": {"nanoseconds": int(grace_seconds * 1e9)}}
        self.call("KILL", content)

    def send(self, executor_id: str, agent_id: str, data: bytes) -> None:
        """Send a message to an executor."""
        ids = {"executor_id": {"value": executor_id}, "agent_id": {"value": agent_id}}
        self.call("MESSAGE", {**ids, "data": base64.b64encode(data).decode()})

    def of(self, task_id: str) -> list[Message]:
        """The updates of one task in the order of their arrival."""
        return [update for update in list(self.updates) if update["task_id"]["value"] == task_id]

    def wait_state(self, task_id: str, state: str, seconds: float = 30) -> Message:
        """Wait for an update of that state (such as `TASK_RUNNING`) and return it."""

        def found() -> Message | None:
            return next((update for update in self.of(task_id) if update["state"] == state), None)

        try:
            return eventually(found, f"{state} of {task_id}", seconds, 0.005)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; updates: {self.of(task_id)}; errors: {self.errors}") from error

    def teardown(self) -> None:
        """End the framework and all its tasks: updates that are still on their way go unanswered."""
        self._closed = True
        self.call("TEARDOWN")

    def close(self) -> None:
        """Leave the master; tasks stay."""
        self._closed = True
        if self._stream is not None and self._stream.sock is not None:
            self._stream.sock.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self.tls:
            return http.client.HTTPSConnection(self.master, context=self.tls, timeout=300)
        return http.client.HTTPConnection(self.master, timeout=300)

    def _read(self, answer: http.client.HTTPResponse) -> None:
        try:
            while length := answer.readline():
                self._handle(json.loads(answer.read(int(length))))
        except (OSError, ValueError, AttributeError, RuntimeError, http.client.HTTPException) as error:
            if not self._closed:
                self.errors.append(f"the connection to the master was lost: {error}")

    def _handle(self, event: Message) -> None:
        kind = event["type"]
        if kind == "SUBSCRIBED":
            self.info["id"] = event["subscribed"]["framework_id"]
        elif kind == "OFFERS":
            self.offers.update({offer["id"]["value"]: offer for offer in event["offers"]["offers"]})
        elif kind == "RESCIND":
            self.offers.pop(event["rescind"]["offer_id"]["value"], None)
        elif kind == "MESSAGE":
            message = event["message"]
            self.messages.append((message["executor_id"]["value"], base64.b64decode(message["data"])))
        elif kind == "ERROR":
            self.errors.append(event["error"]["message"])
        elif kind == "UPDATE":
            status = event["update"]["status"]
            self.updates.append({**status, "received": time.time()})
            if self.acknowledge and "uuid" in status:
                self.call("ACKNOWLEDGE", {key: status[key] for key in ("agent_id", "task_id", "uuid")})
