"""An agent and an engine that do exactly what a test wants, for what real ones do rarely or never."""

from __future__ import annotations

import json
import os
import queue
import re
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Message = dict[str, Any]
SUBSCRIBED: Message = {
    "type": "SUBSCRIBED",
    "subscribed": {
        "agent_info": {"id": {"value": "agent"}},
        "framework_info": {"capabilities": []},
        "executor_info": {},
    },
}


def record(event: Message) -> bytes:
    body = json.dumps(event).encode()
    return b"%d\n" % len(body) + body


class FakeAgent:
    """Keeps the calls it gets; `subscriptions` has the stream of each SUBSCRIBE for the test to write to."""

    def __init__(self) -> None:
        self.calls: list[Message] = []
        self.subscriptions: queue.Queue[Stream] = queue.Queue()
        self.update_status = 202
        self.subscribe_status = 200
        self.acknowledge = True
        self.answer_seconds = 0.0
        self.stream: Stream | None = None
        agent = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                agent.calls.append({**call, "path": self.path, "headers": dict(self.headers)})
                if call["type"] == "SUBSCRIBE" and agent.subscribe_status == 200:
                    agent.serve_stream(self)
                    return
                status = agent.subscribe_status if call["type"] == "SUBSCRIBE" else agent.update_status
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if status == 202 and agent.acknowledge and agent.stream:
                    agent.stream.acknowledge(call["update"]["status"])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def serve_stream(self, handler: BaseHTTPRequestHandler) -> None:
        time.sleep(self.answer_seconds)
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        self.stream = Stream(handler)
        self.subscriptions.put(self.stream)
        self.stream.closed.wait()
        handler.close_connection = True

    def subscribed(self) -> Stream:
        """Wait for the next subscription and greet it."""
        stream = self.subscriptions.get(timeout=10)
        stream.send(SUBSCRIBED)
        return stream

    def updates(self) -> list[Message]:
        return [call["update"]["status"] for call in self.calls if call["type"] == "UPDATE"]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Stream:
    """The agent's side of a subscription."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.handler = handler
        self.closed = threading.Event()
        self.lock = threading.Lock()

    def write(self, *chunks: bytes) -> None:
        """Send each as an HTTP chunk of its own, all in one piece."""
        with self.lock:
            self.handler.wfile.write(b"".join(b"%x\r\n%b\r\n" % (len(data), data) for data in chunks))
            self.handler.wfile.flush()

    def send(self, *events: Message) -> None:
        self.write(b"".join(map(record, events)))

    def acknowledge(self, status: Message) -> None:
        body = {"task_id": status["task_id"], "uuid": status["uuid"]}
        self.send({"type": "ACKNOWLEDGED", "acknowledged": body})

    def close(self) -> None:
        self.closed.set()


class FakeEngine:
    """Serves one container, `c0ffee`, that writes `output` (framed) at its start and ends with `status`."""

    def __init__(
        self,
        socket: Path,
        api: tuple[str, str],
        output: bytes = b"",
        status: int = 0,
        piece: int = 1,
        ends: bool = True,
        late_seconds: float = 0,
    ) -> None:
        self.requests: list[str] = []
        self.started = threading.Event()
        self.written = threading.Event()
        self.closed = threading.Event()
        self.output = output
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, status: int, body: Any = None) -> None:
                data = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def respond(self) -> None:
                engine.requests.append(f"{self.command} {self.path}")
                name = self.path.split("?")[0].rsplit("/", 1)[1]
                if self.path == "/version":
                    self.answer(200, {"ApiVersion": api[1], "MinAPIVersion": api[0], "Version": "fake"})
                elif name == "json":
                    started = "2026-01-01T00:00:00Z" if engine.started.is_set() else "0001-01-01T00:00:00Z"
                    state = {"StartedAt": started, "Pid": 0, "Running": engine.started.is_set()}
                    self.answer(200, {"Id": "c0ffee", "Config": {"Tty": False}, "State": state})
                elif name == "attach":
                    self.send_response(200)
                    self.end_headers()
                    engine.started.wait(10)
                    if late_seconds:  # an engine that tells of the end before its output is through
                        engine.written.set()
                        time.sleep(late_seconds)
                    for at in range(0, len(engine.output), piece):  # framing must not care where it is cut
                        self.wfile.write(engine.output[at : at + piece])
                        self.wfile.flush()
                    engine.written.set()
                elif name == "wait":
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.flush()
                    engine.started.wait(10)
                    engine.written.wait(10)
                    if not ends:
                        engine.closed.wait(30)
                    self.wfile.write(json.dumps({"StatusCode": status}).encode())
                elif name == "start":
                    engine.started.set()
                    self.answer(204)
                else:
                    self.answer(204)

            def do_GET(self) -> None:
                self.respond()

            def do_POST(self) -> None:
                self.respond()

            def do_DELETE(self) -> None:
                self.respond()

            def log_message(self, *_: object) -> None:
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

            def get_request(self) -> Any:
                connection, _ = super().get_request()
                return connection, ("unix", 0)

        self.server = Server(str(socket), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()


class Run:
    """An executor process with its sandbox, against a fake agent."""

    def __init__(
        self,
        program: Path,
        folder: Path,
        agent: FakeAgent,
        stdout: int | None = None,
        stderr: int | None = None,
        **environment: str,
    ) -> None:
        self.sandbox = folder / "slaves/S/frameworks/F/executors/E/runs/C"
        self.sandbox.mkdir(parents=True)
        self.pid_file = folder / "meta/slaves/S/frameworks/F/executors/E/runs/C/pids/libprocess.pid"
        client = folder / "docker"
        client.write_text("#!/bin/sh\necho c0ffee\n")
        client.chmod(0o755)
        self.socket = folder / "docker.sock"
        flags = {
            "container": "mesos-C",
            "docker": client,
            "docker_socket": self.socket,
            "sandbox_directory": self.sandbox,
            "mapped_directory": "/mnt/mesos/sandbox",
            "launcher_dir": folder,
        }
        self.process = subprocess.Popen(
            [program, *(f"--{name}={value}" for name, value in flags.items())],
            env={
                "PATH": os.environ["PATH"],
                "MESOS_AGENT_ENDPOINT": agent.address,
                "MESOS_SLAVE_PID": f"slave(1)@{agent.address}",
                "MESOS_FRAMEWORK_ID": "F",
                "MESOS_EXECUTOR_ID": "E",
                "MESOS_DIRECTORY": str(self.sandbox),
                "MESOS_CHECKPOINT": "1",
                "MESOS_RECOVERY_TIMEOUT": "15mins",
                **environment,
            },
            stdout=(self.sandbox / "stdout").open("ab") if stdout is None else stdout,
            stderr=(self.sandbox / "stderr").open("ab") if stderr is None else stderr,
        )

    def log(self) -> str:
        return (self.sandbox / "stderr").read_text()

    def task_stderr(self) -> str:
        """The task's part of stderr: the executor's own lines can stand between two pieces of it."""
        return re.sub(r"[IWE]\d{4} [\d:.]+ +\d+ executor\] .*\n", "", self.log())

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)


def wait_for(probe: Callable[[], Any], what: str, seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.005)
    return found
