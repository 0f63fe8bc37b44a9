"""Ansible module: what a ZooKeeper server on this host is, and what it knows of its ensemble."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: zookeeper_server
short_description: Tells what the ZooKeeper server on this host is
description:
  - Changes nothing. It reads the server's number and its configuration, and asks the server itself with
    the commands C(mntr) and C(conf), which its C(4lw.commands.whitelist) must allow.
options:
  data_dir:
    description: Folder of the server's number, its snapshots and its transaction log.
    type: path
    required: true
  config_dir:
    description: Folder of C(zoo.cfg), which the server itself changes with its ensemble.
    type: path
    required: true
  former_config:
    description: A C(zoo.cfg) that the server has run with before O(config_dir) was there.
    type: path
    required: true
  address:
    description: The server's IPv4 address.
    type: str
    required: true
  client_port:
    description: Its port for clients.
    type: int
    required: true
  ask_members:
    description: Ask the other members of the ensemble, too, whether they serve.
    type: bool
    default: false
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Look at the server
  mesos_docker.cluster.zookeeper_server:
    data_dir: /var/lib/zookeeper
    config_dir: /var/lib/zookeeper/conf
    former_config: /etc/zookeeper/zoo.cfg
    address: 10.0.0.1
    client_port: 2181
  register: server
"""

RETURN = r"""
myid:
  description: The server's number in the ensemble, 0 when it has none.
  type: int
  returned: always
has_data:
  description: Whether it has a snapshot or a transaction log.
  type: bool
  returned: always
members:
  description:
    - The ensemble that the server knows, as C(HOST:PORT:PORT[:ROLE];[HOST:]PORT) by number, as text.
    - The running server's own word where it answers, else what its configuration says.
  type: dict
  returned: always
version:
  description: The version of the ensemble's configuration, which grows with each change; 0 when unknown.
  type: int
  returned: always
state:
  description: "leader, follower, observer or standalone; empty when it is down or has no quorum."
  type: str
  returned: always
in_sync:
  description: Whether it has everything that the leader has, and takes part in what is written from now on.
  type: bool
  returned: always
tls_step:
  description:
    - How the server speaks with the others; 0 in plain text, 1 the same while it understands TLS, 2 TLS
      while it understands plain text, 3 TLS only.
  type: int
  returned: always
voters:
  description: The addresses of the members that vote; each tells whether its server is in sync.
  type: dict
  returned: when O(ask_members) is true
"""

TIMEOUT_SECONDS = 3
_MEMBER = re.compile(r"^server\.(\d+)=(\S+)", re.MULTILINE)


def ask(address: str, port: int, command: str) -> str:
    """Return the answer to a four letter command, empty when there is none."""
    try:
        with socket.create_connection((address, port), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(command.encode())
            answer = b""
            while received := connection.recv(65536):
                answer += received
            return answer.decode(errors="replace")
    except OSError:
        return ""


def read(path: Path) -> str:
    """Return the file's text, empty when there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def members_in(text: str) -> dict[str, str]:
    """Return the servers that a configuration names, by number."""
    return dict(_MEMBER.findall(text))


def configured_members(
    config_dir: Path, former_config: Path, myid: int, address: str, port: int
) -> dict[str, str]:
    """Return the ensemble as the server's files have it."""
    named = re.findall(r"^dynamicConfigFile=(\S+)", read(config_dir / "zoo.cfg"), re.MULTILINE)
    dynamic = Path(named[-1]) if named else config_dir / "zoo.cfg.dynamic"
    if members := members_in(read(dynamic)):
        return members
    former = read(former_config)
    # One server alone needs no list.
    if "clientPort=" in former and not members_in(former) and myid:
        return {str(myid): f"{address}:2888:3888;{address}:{port}"}
    return members_in(former)


def tls_step(config: str) -> int:
    """Return how a server with this configuration speaks with the others, as RETURN says."""
    speaks = "sslQuorum=true" in config.split()
    both = "portUnification=true" in config.split()
    return (2 if both else 3) if speaks else int(both)


def values(text: str) -> dict[str, str]:
    """Return the values of an answer to mntr, by name."""
    return {name: value for name, _, value in (line.partition("\t") for line in text.splitlines()) if value}


def in_sync(monitored: dict[str, str]) -> bool:
    """Tell from a server's answer to mntr whether it has everything that the leader has."""
    return monitored.get("zk_server_state") == "standalone" or monitored.get("zk_peer_state", "").endswith(
        " - broadcast"
    )


def voters(members: dict[str, str], port: int) -> dict[str, bool]:
    """Ask each member that votes whether it is in sync; by address.

    A member is written HOST:PORT:PORT[:ROLE][;[HOST:]PORT]; without a port for clients it has the one given.
    """
    found = {}
    for member in members.values():
        servers, _, client = member.partition(";")
        address, *rest = servers.split(":")
        if rest[2:] != ["observer"]:
            client_port = int(client.rpartition(":")[2] or port)
            found[address] = in_sync(values(ask(address, client_port, "mntr")))
    return found


def inspect(data_dir: Path, config_dir: Path, former_config: Path, address: str, port: int) -> dict[str, Any]:
    """Return the module's result."""
    number = read(data_dir / "myid").strip()
    myid = int(number) if number.isdigit() else 0
    monitored = values(ask(address, port, "mntr"))
    running = ask(address, port, "conf")
    version = re.search(r"^version=([0-9a-f]+)", running, re.MULTILINE)
    return {
        "myid": myid,
        "has_data": any((data_dir / "version-2").glob("*.*")),
        "members": members_in(running) or configured_members(config_dir, former_config, myid, address, port),
        "version": int(version[1], 16) if version else 0,
        "state": monitored.get("zk_server_state", ""),
        "in_sync": in_sync(monitored),
        "tls_step": tls_step(read(config_dir / "zoo.cfg")),
    }


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "data_dir": {"type": "path", "required": True},
            "config_dir": {"type": "path", "required": True},
            "former_config": {"type": "path", "required": True},
            "address": {"type": "str", "required": True},
            "client_port": {"type": "int", "required": True},
            "ask_members": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    server = inspect(
        Path(given["data_dir"]),
        Path(given["config_dir"]),
        Path(given["former_config"]),
        given["address"],
        given["client_port"],
    )
    if given["ask_members"]:
        server["voters"] = voters(server["members"], given["client_port"])
    module.exit_json(changed=False, **server)


if __name__ == "__main__":
    main()
