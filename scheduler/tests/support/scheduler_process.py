"""The scheduler as a process of its own, on a real master, two real slaves and a Docker Engine for each."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mesos_testbed import Agent, Daemon, Master, PrivateDocker, ZooKeeper, eventually, free_port

PROGRAM = [sys.executable, "-m", "mesos_docker_scheduler"]


class Cluster:
    """Two slaves and a master with ZooKeeper; `master_flags` are added to the master's."""

    def __init__(
        self,
        folder: Path,
        stack: contextlib.ExitStack,
        master_flags: Mapping[str, str | int | bool] | None = None,
    ) -> None:
        self.engines = [
            stack.enter_context(PrivateDocker(folder / f"engine{number}", name=f"dockerd{number}"))
            for number in (1, 2)
        ]
        self.zookeeper = stack.enter_context(ZooKeeper(folder / "zookeeper"))
        self.url = f"zk://{self.zookeeper.address}/mesos"
        flags: dict[str, str | int | bool] = {
            "registry": "replicated_log",
            "zk": self.url,
            "quorum": 1,
            "zk_session_timeout": "2secs",
            **(master_flags or {}),
        }
        self.master = stack.enter_context(Master(folder / "master", flags))
        self.agents = [
            stack.enter_context(
                Agent(
                    folder / f"agent{number}",
                    self.url,
                    engine,
                    {"hostname": f"slave{number}", "executor_reregistration_timeout": "15secs"},
                )
            )
            for number, engine in enumerate(self.engines, 1)
        ]
        self.agents[0].wait_registered(self.master, 2)

    def containers(self, framework_id: str) -> dict[str, tuple[str, str]]:
        """What runs of a framework: container ids with the engine's name and the image."""
        return {
            inspected["Id"]: (engine.name, inspected["Config"]["Image"])
            for engine in self.engines
            for inspected in engine.containers()
            if inspected["Config"]["Labels"].get("mesos.framework_id") == framework_id
        }

    def frameworks(self, name: str) -> list[str]:
        """The ids of all frameworks of this name, active or not."""
        state = self.master.get("/state")
        known = [*state["frameworks"], *state["completed_frameworks"]]
        return [framework["id"] for framework in known if framework["name"] == name]


class Scheduler(Daemon):
    """`run --config` with one service `web`; `change` edits the file as an operator would.

    `http` is added to the configuration of its HTTP server. machine_id: that of the host that it believes to
    be on (machine-id(5)), if it is another one than this.
    """

    def __init__(
        self,
        folder: Path,
        cluster: Cluster,
        http: Mapping[str, str] | None = None,
        machine_id: str | None = None,
        **service: Any,
    ) -> None:
        self.cluster = cluster
        self.port = free_port()
        self.config = folder / "config.json"
        self.framework_name = f"test-{folder.name}"
        self.wish: dict[str, Any] = {
            "master": cluster.url,
            "framework": {"name": self.framework_name},
            "http": {"bind": "127.0.0.1", "port": self.port, **(http or {})},
            "state_dir": str(folder / "state"),
            "allowed": {"host_network": True, "host_paths": [{"path": str(folder), "mode": "rw"}]},
            "services": [{"name": "web", "image": "demo/web:1", "count": 2, "mem": 32, **service}],
        }
        self._write()
        program = [*PROGRAM, "run", "--config", str(self.config)]
        if machine_id is not None:
            file = folder / "machine-id"
            file.write_text(f"{machine_id}\n")
            host = f'mount --bind {shlex.quote(str(file))} /etc/machine-id && exec "$0" "$@"'
            program = ["unshare", "--mount", "sh", "-c", host, *program]
        super().__init__("scheduler", program, folder)

    def change(self, **service: Any) -> None:
        self.wish["services"][0].update(service)
        self._write()

    def _write(self) -> None:
        new = self.config.with_suffix(".new")
        new.write_text(json.dumps(self.wish))
        new.replace(self.config)

    def get(self, path: str) -> Any:
        return json.loads(self.read(path))

    def read(self, path: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=self._headers())
        with urllib.request.urlopen(request, timeout=10) as response:
            return bytes(response.read())

    def _headers(self) -> dict[str, str]:
        http = self.wish["http"]
        if http.get("read") != "token":
            return {}
        return {"Authorization": f"Bearer {Path(http['token_file']).read_text()}"}

    def answers(self) -> bool:
        return bool(self.get("/healthz")["connected"])

    @property
    def web(self) -> dict[str, Any]:
        service: dict[str, Any] = self.get("/v1/status")["services"][0]
        return service

    @property
    def framework_id(self) -> str:
        return str(self.get("/v1/status")["framework_id"])

    def containers(self) -> dict[str, tuple[str, str]]:
        return self.cluster.containers(self.framework_id)

    def converge(self, seconds: float = 30) -> dict[str, tuple[str, str]]:
        """Wait until the service is as wanted, in our words and in the engines'."""
        wanted = self.wish["services"][0]

        def as_wanted() -> dict[str, tuple[str, str]] | None:
            service = self.web
            same = (service["image"], service["wanted"]) == (wanted["image"], wanted["count"])
            found = self.containers()
            right = [image for _, image in found.values()] == [wanted["image"]] * wanted["count"]
            return found if same and service["converged"] and right else None

        return eventually(as_wanted, f"{wanted['count']} of {wanted['image']}", seconds)

    def converge_without(self, victim: str) -> dict[str, tuple[str, str]]:
        """Wait until a container is gone and replaced."""
        eventually(lambda: victim not in self.containers(), f"{victim} gone", 30)
        return self.converge()

    def close(self) -> None:
        """Stop, and end the framework with all its tasks: the next test counts containers, too."""
        super().close()
        words = [*PROGRAM, "teardown", "--config", str(self.config), "--yes"]
        said = subprocess.run(words, check=True, timeout=60, stdout=subprocess.PIPE, text=True).stdout
        ended = re.match(r"Framework (\S+) has ended", said)
        if ended:
            eventually(lambda: not self.cluster.containers(ended[1]), f"the end of all of {ended[1]}", 30)
