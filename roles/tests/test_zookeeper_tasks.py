"""Tasks of the role zookeeper: what they must agree on, and what they do to the service."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab_authority import Authority, new_key

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "zookeeper"


def inquiry(file: str) -> dict[str, Any]:
    """Return what a task file asks of the server's service."""
    tasks = yaml.safe_load((ROLE / "tasks" / file).read_text())
    (asked,) = (task[name] for task in tasks for name in task if name.endswith("running_service"))
    return dict(asked)


def test_verify_finds_the_restarts_that_site_would_make() -> None:
    for given in ("configuration", "read_at_start"):
        assert inquiry("verify.yml")[given] == inquiry("due.yml")[given]


class Host:
    """This machine, where systemd only writes down what it is told, and from then on a server serves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "told"
        host = self

        class Answer(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                if self.request.recv(4) == b"mntr" and host.told():
                    self.request.sendall(b"zk_server_state\tleader\nzk_peer_state\tleading - broadcast\n")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer)
        self.port = self.server.server_address[1]
        data = folder / "data"
        for path in (data / "conf", data / "version-2", folder / "bin"):
            path.mkdir(parents=True)
        (data / "myid").write_text("1\n")
        (data / "version-2" / "snapshot.0").touch()
        member = f"127.0.0.1:2888:3888:participant;127.0.0.1:{self.port}"
        (data / "conf" / "zoo.cfg.dynamic").write_text(f"server.1={member}\n")

    def told(self) -> list[str]:
        """Return what systemd was told to do."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def run(self, tasks: str, pid: int, **variables: Any) -> None:
        """Run a task file of the role; `pid` is the server's process."""
        state = "active" if pid else "inactive"
        shown = f"LoadState=loaded\\nActiveState={state}\\nUnitFileState=enabled\\nMainPID={pid}\\n"
        systemctl = self.folder / "bin" / "systemctl"
        systemctl.write_text(
            f"""#!/bin/sh
            case $1 in
              show) printf '{shown}' ;;
              start | restart | stop) echo "$@" >>{self._log} ;;
            esac
            """
        )
        systemctl.chmod(0o755)
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "environment": {"PATH": f"{systemctl.parent}:{os.environ['PATH']}"},
            "vars": {
                "ansible_become": False,
                "zookeeper_packages": [],
                "zookeeper_address": "127.0.0.1",
                "zookeeper_client_port": self.port,
                "zookeeper_data_dir": str(self.folder / "data"),
            },
            "tasks": [
                {
                    "ansible.builtin.include_role": {"name": "zookeeper", "tasks_from": tasks},
                    "vars": variables,
                }
            ],
        }
        playbook = self.folder / "playbook.yml"
        playbook.write_text(json.dumps([play]))
        program = Path(sys.executable).with_name("ansible-playbook")
        run = subprocess.run(
            [program, "-i", "localhost,", playbook],
            cwd=ROOT,
            env=os.environ | {"ANSIBLE_PYTHON_INTERPRETER": sys.executable},
            check=False,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stdout


@pytest.fixture
def host(tmp_path: Path) -> Generator[Host, None, None]:
    host = Host(tmp_path)
    with host.server:
        threading.Thread(target=host.server.serve_forever, daemon=True).start()
        yield host
        host.server.shutdown()


def test_a_server_that_runs_with_something_else_and_does_not_serve_is_restarted(host: Host) -> None:
    """Its certificate has ended, and it knows nothing of the one that the host has got since."""
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        try:
            host.run("plan.yml", process.pid)
        finally:
            process.kill()
    assert host.told() == ["restart zookeeper.service"]


def test_a_server_that_does_not_run_is_started(host: Host) -> None:
    host.run("plan.yml", 0)
    assert host.told() == ["start zookeeper.service"]


GOOD, ENDED, NOT_YET = (-9, 9), (-9, -1), (1, 9)


@pytest.mark.parametrize(
    ("shown", "of", "now", "restarted"),
    [
        (ENDED, "ours", GOOD, True),
        (NOT_YET, "ours", GOOD, True),
        (GOOD, "other", GOOD, True),
        (GOOD, "ours", GOOD, False),
        (ENDED, "ours", ENDED, False),
        (None, "ours", GOOD, False),
    ],
    ids=["ended", "not-yet-valid", "other-authority", "good", "no-better-one", "does-not-run"],
)
def test_a_server_that_goes_on_with_what_peers_would_refuse_is_restarted(
    host: Host, shown: tuple[int, int] | None, of: str, now: tuple[int, int], restarted: bool
) -> None:
    authorities = {name: Authority.new(host.folder / name) for name in ("ours", "other")}
    cert, keystore = host.folder / "cert.pem", host.folder / "quorum.pem"
    key, pem = new_key()
    public = key.public_key()
    cert.write_text(authorities["ours"].sign(public, ["127.0.0.1"], begins=now[0], ends=now[1]))
    if shown:
        before = authorities[of].sign(public, ["127.0.0.1"], begins=shown[0], ends=shown[1])
        keystore.write_text(pem + before)
    host.run(
        "refused.yml",
        1,
        __zookeeper_keystore=str(keystore),
        zookeeper_tls={
            "ca_file": str(host.folder / "ours" / "ca.pem"),
            "cert_file": str(cert),
            "key_file": str(host.folder / "key.pem"),
        },
    )
    assert host.told() == ["restart zookeeper.service"] * restarted
