"""A Docker Engine of the test's own: folders, socket, bridge and namespaces apart from the machine's."""

from __future__ import annotations

import io
import ipaddress
import json
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mesos_testbed.process import Daemon, DaemonError

DEMO_IMAGE = "demo/web:1"
_BUSYBOX = Path("/bin/busybox")
# The kernel ignores SIGTERM for a container's first process unless that handles it, and httpd does not.
_DEMO_COMMAND = ["/bin/sh", "-c", "trap 'exit 0' TERM; /bin/busybox httpd -f -p 80 -h /www & wait"]
_BRIDGE_POOL = ipaddress.ip_network("172.31.128.0/17")


class PrivateDocker(Daemon):
    """`dockerd` in `folder`, reachable at `socket`, with the images `demo/web:1` and `demo/web:2` loaded.

    Containers reach each other and this machine over the bridge `subnet`; iptables stay untouched, so the
    machine's own engine keeps its rules. The demo image serves its version on port 80 and stops at once on
    SIGTERM; any other command of busybox can be run in it.
    """

    def __init__(self, folder: Path, wrapper: Sequence[str] = (), name: str = "dockerd") -> None:
        self.id = uuid.uuid4().hex[:8]
        # A socket's path may be 107 bytes long: pytest's folders can be longer.
        self.run_folder = Path("/run") / f"testbed-{self.id}"
        self.socket = self.run_folder / "docker.sock"
        self.bridge = f"tb{self.id}"
        self.subnet = _BRIDGE_POOL
        super().__init__(
            name,
            [
                "dockerd",
                f"--data-root={folder / 'docker'}",
                f"--exec-root={self.run_folder / 'exec'}",
                f"--pidfile={self.run_folder / 'docker.pid'}",
                f"--host=unix://{self.socket}",
                f"--bridge={self.bridge}",
                f"--containerd-namespace=testbed-{self.id}",
                f"--containerd-plugins-namespace=testbed-plugins-{self.id}",
                "--iptables=false",
                "--ip-forward=false",
                "--ip-masq=false",
                f"--config-file={self.run_folder / 'daemon.json'}",
            ],
            folder,
            wrapper=wrapper,
        )

    def spawn(self) -> None:
        """Make the bridge (once) and start dockerd."""
        self.run_folder.mkdir(parents=True, exist_ok=True)
        # The machine's own /etc/docker/daemon.json must not apply here.
        (self.run_folder / "daemon.json").write_text("{}")
        if not Path(f"/sys/class/net/{self.bridge}").exists():
            self.subnet = _unused_subnet()
            address = f"{self.subnet[1]}/{self.subnet.prefixlen}"
            _run("ip", "link", "add", self.bridge, "type", "bridge")
            _run("ip", "address", "add", address, "dev", self.bridge)
            _run("ip", "link", "set", self.bridge, "up")
        super().spawn()

    def answers(self) -> bool:
        """Ask the engine for its version; then the demo images are there, too."""
        if subprocess.run(self.client("version"), capture_output=True, check=False).returncode != 0:
            return False
        for version in ("1", "2"):
            self.load_demo_image(f"demo/web:{version}", version)
        return True

    def client(self, *arguments: str) -> list[str]:
        """The command line of a docker client that talks to this engine."""
        return ["docker", "--host", f"unix://{self.socket}", *arguments]

    def docker(self, *arguments: str) -> str:
        """Run a docker client and return what it prints; DaemonError with its stderr when it fails."""
        return _run(*self.client(*arguments))

    def containers(self, all_states: bool = False) -> list[dict[str, Any]]:
        """`docker inspect` of the containers that run (or of all)."""
        ids = self.docker("ps", "--quiet", "--no-trunc", *(["--all"] if all_states else [])).split()
        if not ids:
            return []
        # A container may go between the two calls: what is left is the answer.
        shown = subprocess.run(self.client("inspect", *ids), capture_output=True, text=True, check=False)
        inspected: list[dict[str, Any]] = json.loads(shown.stdout)
        return inspected

    def load_demo_image(self, name: str, version: str) -> None:
        """Make the demo image from busybox, unless the engine has it."""
        if self.docker("images", "--quiet", name).strip():
            return
        subprocess.run(
            self.client("import", "--change", f"CMD {json.dumps(_DEMO_COMMAND)}", "-", name),
            input=_demo_root(version),
            capture_output=True,
            check=True,
        )

    def close(self) -> None:
        """Remove the containers, the engine, its bridge and its folders."""
        if self.running:
            ids = self.docker("ps", "--quiet", "--all").split()
            if ids:
                subprocess.run(self.client("rm", "--force", *ids), capture_output=True, check=False)
        super().close()
        subprocess.run(["ip", "link", "delete", self.bridge], capture_output=True, check=False)
        shutil.rmtree(self.run_folder, ignore_errors=True)
        shutil.rmtree(self.folder / "docker", ignore_errors=True)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DaemonError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _unused_subnet() -> ipaddress.IPv4Network:
    routes = json.loads(_run("ip", "-json", "-4", "route"))
    taken = [
        ipaddress.ip_network(route["dst"], strict=False) for route in routes if route["dst"] != "default"
    ]
    for subnet in _BRIDGE_POOL.subnets(new_prefix=24):
        if not any(subnet.overlaps(other) for other in taken):
            return ipaddress.IPv4Network(subnet)
    raise RuntimeError(f"no free /24 left in {_BRIDGE_POOL}")


def _demo_root(version: str) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder in ("bin", "www", "tmp", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        tar.add(_BUSYBOX, "bin/busybox")
        for applet in ("sh", "sleep", "cat", "echo", "kill", "true", "false", "wget", "dd", "tail", "ls"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        page = f"demo {version}\n".encode()
        entry = tarfile.TarInfo("www/index.html")
        entry.size = len(page)
        tar.addfile(entry, io.BytesIO(page))
    return archive.getvalue()
