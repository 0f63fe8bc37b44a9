"""A ZooKeeper server of the test's own, from Debian's package (its Java classes, not its service)."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

from mesos_testbed.process import Daemon, free_port

_JARS = Path("/usr/share/java")


class ZooKeeper(Daemon):
    """One standalone server on 127.0.0.1; `address` is what goes into a `zk://` URL.

    settings: further lines of its configuration.
    """

    def __init__(
        self, folder: Path, name: str = "zookeeper", settings: Mapping[str, str] | None = None
    ) -> None:
        self.settings = settings or {}
        self.port = free_port()
        self.config = folder / "zoo.cfg"
        super().__init__(
            name,
            [
                "java",
                "-Xmx128m",
                "-cp",
                f"/etc/zookeeper/conf:{_JARS}/zookeeper.jar",
                "-Dzookeeper.log.dir=.",
                "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                self.config,
            ],
            folder,
        )

    @property
    def address(self) -> str:
        """`IP:PORT` where clients connect."""
        return f"127.0.0.1:{self.port}"

    def spawn(self) -> None:
        """Write the configuration and start the server."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            f"tickTime=500\ndataDir={self.folder / 'data'}\nclientPort={self.port}\n"
            "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=ruok,mntr\n"
            + "".join(f"{name}={value}\n" for name, value in self.settings.items())
        )
        super().spawn()

    def answers(self) -> bool:
        """`ruok` is answered by `imok`."""
        with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
            connection.sendall(b"ruok")
            return connection.recv(16) == b"imok"
