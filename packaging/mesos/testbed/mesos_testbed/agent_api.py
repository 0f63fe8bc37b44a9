"""The agent's operator API (docs/operator-http-api.md of Mesos), as far as it is about containers."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from mesos_testbed.process import eventually

Message = dict[str, Any]
PATH = "/api/v1"
JSON = "application/json"
RECORDS = "application/recordio"


class RefusedError(Exception):
    """The agent's answer to a call that it does not take: `HTTP status: what it says`."""


class Output:
    """What a container writes, as it comes: `text` of "STDOUT" and "STDERR", and whether it has `ended`."""

    def __init__(self, answer: http.client.HTTPResponse, connection: socket.socket) -> None:
        self.text = {"STDOUT": "", "STDERR": ""}
        self.ended = False
        self._answer = answer
        self._connection = connection
        threading.Thread(target=self._read, daemon=True).start()

    def wait(self, what: str, stream: str = "STDOUT", seconds: float = 20) -> None:
        """Wait until the container has written it."""
        eventually(lambda: what in self.text[stream], f"{what!r} in {self.text}", seconds)

    def wait_end(self, seconds: float = 20) -> str:
        """Wait for the end, and return what stdout was."""
        eventually(lambda: self.ended, "the end of the output", seconds)
        return self.text["STDOUT"]

    def close(self) -> None:
        """Go away."""
        self._connection.shutdown(socket.SHUT_RDWR)

    def _read(self) -> None:
        try:
            while length := self._answer.readline():
                message = json.loads(self._answer.read(int(length)))
                if message["type"] == "DATA":
                    data = message["data"]
                    self.text[data["type"]] += base64.b64decode(data["data"]).decode()
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass
        self.ended = True


class Input:
    """What a container reads: an ATTACH_CONTAINER_INPUT call under way."""

    def __init__(self, connection: http.client.HTTPConnection, container_id: Message) -> None:
        self._connection = connection
        connection.putrequest("POST", PATH)
        for name, value in (
            ("Content-Type", RECORDS),
            ("Message-Content-Type", JSON),
            ("Accept", JSON),
            ("Transfer-Encoding", "chunked"),
        ):
            connection.putheader(name, value)
        connection.endheaders()
        self._send({"type": "CONTAINER_ID", "container_id": container_id})

    def write(self, text: str) -> None:
        """Send text, or with "" the end of the input."""
        data = {"type": "STDIN", "data": base64.b64encode(text.encode()).decode()}
        self._send({"type": "PROCESS_IO", "process_io": {"type": "DATA", "data": data}})

    def resize(self, rows: int, columns: int) -> None:
        """Tell the size of the terminal's window."""
        control = {
            "type": "TTY_INFO",
            "tty_info": {"window_size": {"rows": rows, "columns": columns}},
        }
        self._send({"type": "PROCESS_IO", "process_io": {"type": "CONTROL", "control": control}})

    def close(self) -> int:
        """End the call; returns the status of the answer."""
        self._connection.send(b"0\r\n\r\n")
        return self._connection.getresponse().status

    def _send(self, attach: Message) -> None:
        message = json.dumps({"type": "ATTACH_CONTAINER_INPUT", "attach_container_input": attach}).encode()
        record = b"%d\n%s" % (len(message), message)
        self._connection.send(b"%x\r\n%s\r\n" % (len(record), record))


class AgentApi:
    """Calls to one agent; with `tls` it is spoken to so."""

    def __init__(self, address: str, tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self.tls = tls

    def call(self, kind: str, content: Message | None = None) -> Message:
        """Make a call, and return what the answer has under the call's name; RefusedError."""
        answer, _ = self._send(kind, content, {"Accept": JSON})
        body = answer.read()
        result: Message = json.loads(body).get(kind.lower(), {}) if body else {}
        return result

    def containers(self) -> Iterator[Message]:
        """Return the containers, nested ones too."""
        yield from self.call("GET_CONTAINERS", {"show_nested": True}).get("containers", [])

    def container_of(self, executor_id: str) -> Message:
        """Return the id of the container of a task's executor."""
        (found,) = (
            container["container_id"]
            for container in self.containers()
            if container["executor_id"]["value"] == executor_id and "parent" not in container["container_id"]
        )
        return dict(found)

    def launch(self, parent: Message, command: str, **fields: Any) -> Message:
        """Start a container in another; returns its id."""
        nested = {"parent": parent, "value": f"nested-{uuid.uuid4().hex}"}
        content = {"container_id": nested, "command": {"value": command}, **fields}
        self.call("LAUNCH_NESTED_CONTAINER", content)
        return nested

    def wait(self, container_id: Message) -> Message:
        """Wait for a container's end; returns how it was."""
        return self.call("WAIT_NESTED_CONTAINER", {"container_id": container_id})

    def session(self, parent: Message, command: str, **fields: Any) -> tuple[Message, Output]:
        """Start a command beside a container's; returns its id and its output."""
        nested = {"parent": parent, "value": f"session-{uuid.uuid4().hex}"}
        content = {"container_id": nested, "command": {"value": command}, **fields}
        return nested, self._stream("LAUNCH_NESTED_CONTAINER_SESSION", content)

    def output(self, container_id: Message) -> Output:
        """Attach to what a container writes."""
        return self._stream("ATTACH_CONTAINER_OUTPUT", {"container_id": container_id})

    def input(self, container_id: Message) -> Input:
        """Attach to what a container reads."""
        return Input(self._connection(), container_id)

    def _stream(self, kind: str, content: Message) -> Output:
        return Output(*self._send(kind, content, {"Accept": RECORDS, "Message-Accept": JSON}))

    def _send(
        self, kind: str, content: Message | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, socket.socket]:
        body: Message = {"type": kind}
        if content is not None:
            body[kind.lower()] = content
        connection = self._connection()
        connection.request("POST", PATH, json.dumps(body), {"Content-Type": JSON, **headers})
        used = connection.sock
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise RefusedError(f"{answer.status}: {answer.read().decode()}")
        return answer, used

    def _connection(self) -> http.client.HTTPConnection:
        if self.tls:
            return http.client.HTTPSConnection(self.address, context=self.tls, timeout=300)
        return http.client.HTTPConnection(self.address, timeout=300)
