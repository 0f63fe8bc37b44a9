"""Ansible module: who may change the nodes of a ZooKeeper ensemble."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: zookeeper_acls
short_description: Says who may change the nodes of ZooKeeper
description:
  - Everybody may read, and one user may change the root and all nodes below O(path). Nobody else makes any.
    With O(private), nobody else may read what is below O(path), either, and the root is left alone.
  - ZooKeeper's own nodes can be changed by its superuser alone.
  - Without a user everybody may change all of them, as in an ensemble that nobody has closed.
  - It asks the server on this host, as the superuser. It needs no Java and no library.
options:
  address:
    description: The server's IPv4 address.
    type: str
    required: true
  port:
    description: Its port for clients.
    type: int
    required: true
  superuser:
    description: File that holds the superuser's password.
    type: path
    required: true
  path:
    description: The node below which all nodes belong to the user. It need not be there.
    type: str
    required: true
  username:
    description: The user's name; empty for everybody.
    type: str
    default: ""
  password:
    description: The user's password.
    type: str
    default: ""
  private:
    description: Whether the nodes are nobody else's business. Then the node is made, if need be.
    type: bool
    default: false
  keep_former:
    description:
      - Whether passwords that the user had before are still good for nodes that know them. So a password
        can be changed while it is used, first here, then by all that use it, then here again.
    type: bool
    default: false
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Let nobody but the masters make nodes
  mesos_docker.cluster.zookeeper_acls:
    address: 10.0.0.1
    port: 2181
    superuser: /etc/zookeeper/superuser
    path: /mesos
    username: mesos
    password: "{{ password }}"
"""

RETURN = r"""
changed_paths:
  description: The nodes whose ACL was changed.
  type: list
  elements: str
  returned: always
former:
  description: Whether nodes know a password that the user had before.
  type: bool
  returned: always
"""

TIMEOUT_SECONDS = 10
SUPERUSER = "super"
READ = 1
ALL = 31
# What ZooKeeper's protocol calls them: org.apache.zookeeper.ZooDefs.OpCode, KeeperException.Code, ClientCnxn.
CREATE = 1
GET_ACL = 6
SET_ACL = 7
GET_CHILDREN = 8
AUTH = 100
CLOSE = -11
OK = 0
NO_NODE = -101
AUTH_XID = -4
NOTIFICATION_XID = -1
ANY_VERSION = -1
PERSISTENT = 0
# /zookeeper/config has an ACL of its own from the beginning.
OWN_PATHS = ("/zookeeper", "/zookeeper/quota")


class ZooKeeperError(Exception):
    """The server refuses a request, or does not serve."""


@dataclass(frozen=True, order=True)
class Entry:
    """One line of an ACL: who, and what he may do, as bits."""

    scheme: str
    id: str
    permissions: int


Acl = frozenset[Entry]
EVERYBODY_READS = Entry("world", "anyone", READ)
EVERYBODY_CHANGES = Entry("world", "anyone", ALL)


def digest(username: str, password: str) -> str:
    """Return how ACLs name a user with this password."""
    sha1 = hashlib.sha1(f"{username}:{password}".encode(), usedforsecurity=False).digest()
    return f"{username}:{base64.b64encode(sha1).decode()}"


def former_entries(acl: Acl, username: str, current: str) -> Acl:
    """Return the entries of a user's former passwords."""
    return frozenset(
        entry
        for entry in acl
        if entry.scheme == "digest" and entry.id.startswith(f"{username}:") and entry.id != current
    )


class Client:
    """A session with a server, with what this module needs of the protocol."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.create_connection((address, port), timeout=TIMEOUT_SECONDS)
        self._xid = 0
        # Version, last transaction seen, timeout in ms, session; its password; whether it only reads.
        self._send(struct.pack(">iqiq", 0, 0, TIMEOUT_SECONDS * 1000, 0) + _buffer(bytes(16)) + b"\0")
        try:
            self._receive()
        except ConnectionError as error:
            raise ZooKeeperError("the server has no quorum") from error

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._socket:
            if error is None:
                self._ask(CLOSE, b"")

    def authenticate(self, user: str) -> None:
        """Present a user, as NAME:PASSWORD."""
        self._send(struct.pack(">iii", AUTH_XID, AUTH, 0) + _buffer(b"digest") + _buffer(user.encode()))
        if self._answer(AUTH_XID)[0] != OK:
            raise ZooKeeperError("the server does not take the superuser's password")

    def acl(self, path: str) -> Acl | None:
        """Return a node's ACL; None when there is no such node."""
        body = self._ask(GET_ACL, _buffer(path.encode()))
        if body is None:
            return None
        reader = _Reader(body)
        return frozenset(
            Entry(permissions=reader.integer(), scheme=reader.text(), id=reader.text())
            for _ in range(reader.integer())
        )

    def create(self, path: str, acl: Acl) -> None:
        """Make an empty node."""
        payload = _buffer(path.encode()) + _buffer(b"") + _acl(acl) + struct.pack(">i", PERSISTENT)
        if self._ask(CREATE, payload) is None:
            raise ZooKeeperError(f"there is no node above {path}")

    def set_acl(self, path: str, acl: Acl) -> bool:
        """Set a node's ACL. Returns whether there is such a node."""
        payload = _buffer(path.encode()) + _acl(acl) + struct.pack(">i", ANY_VERSION)
        return self._ask(SET_ACL, payload) is not None

    def tree(self, path: str) -> Iterator[str]:
        """Yield a node and all below it."""
        body = self._ask(GET_CHILDREN, _buffer(path.encode()) + b"\0")
        if body is None:
            return
        yield path
        reader = _Reader(body)
        for name in [reader.text() for _ in range(reader.integer())]:
            yield from self.tree(f"{path}/{name}")

    def _ask(self, operation: int, payload: bytes) -> bytes | None:
        """Return the body of the answer; None when there is no such node."""
        self._xid += 1
        self._send(struct.pack(">ii", self._xid, operation) + payload)
        code, body = self._answer(self._xid)
        if code == NO_NODE:
            return None
        if code != OK:
            raise ZooKeeperError(f"the server refuses operation {operation} with code {code}")
        return body

    def _answer(self, xid: int) -> tuple[int, bytes]:
        """Return the code and the body of the answer to a request."""
        while True:
            packet = self._receive()
            answered, _, code = struct.unpack_from(">iqi", packet)
            if answered == xid:
                return code, packet[16:]
            if answered != NOTIFICATION_XID:
                raise ZooKeeperError(f"the server answers request {answered}, which was not asked")

    def _send(self, packet: bytes) -> None:
        self._socket.sendall(_buffer(packet))

    def _receive(self) -> bytes:
        (length,) = struct.unpack(">i", self._read(4))
        return self._read(length)

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            if not (received := self._socket.recv(length - len(data))):
                raise ConnectionError("the server has closed the connection")
            data += received
        return data


class _Reader:
    """Takes values off a packet, one after the other."""

    def __init__(self, packet: bytes) -> None:
        self._packet = packet

    def integer(self) -> int:
        (value,) = struct.unpack_from(">i", self._packet)
        self._packet = self._packet[4:]
        return int(value)

    def text(self) -> str:
        length = self.integer()
        value, self._packet = self._packet[:length], self._packet[length:]
        return value.decode()


def _buffer(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data


def _acl(acl: Acl) -> bytes:
    return struct.pack(">i", len(acl)) + b"".join(
        struct.pack(">i", entry.permissions) + _buffer(entry.scheme.encode()) + _buffer(entry.id.encode())
        for entry in sorted(acl)
    )


@dataclass(frozen=True)
class Closed:
    """What was changed, and whether nodes know a password that the user had before."""

    changed: list[str]
    former: bool


def open_nodes(client: Client, path: str, *, private: bool = False, check_mode: bool = False) -> list[str]:
    """Let everybody make and change nodes; returns those that are changed. private: those of a path alone."""
    wanted = frozenset({EVERYBODY_CHANGES})
    return [
        node
        for node in (*(() if private else ("/", *OWN_PATHS)), *client.tree(path))
        if client.acl(node) not in (None, wanted) and (check_mode or client.set_acl(node, wanted))
    ]


def close_nodes(
    client: Client,
    path: str,
    username: str,
    password: str,
    *,
    private: bool = False,
    keep_former: bool = False,
    check_mode: bool = False,
) -> Closed:
    """Let nobody but the user make and change nodes, as DOCUMENTATION says."""
    current = digest(username, password)
    of_owner = frozenset({Entry("digest", current, ALL)})
    nodes: list[tuple[str, Acl]] = []
    if not private:
        of_owner |= {EVERYBODY_READS}
        nodes = [("/", of_owner), *((own, frozenset({EVERYBODY_READS})) for own in OWN_PATHS)]
    elif client.acl(path) is None:
        if not check_mode:
            client.create(path, of_owner)
        return Closed([path], former=False)
    nodes += [(node, of_owner) for node in client.tree(path)]
    changed, any_former = [], False
    for node, wanted in nodes:
        present = client.acl(node)
        if present is None:
            continue
        former = former_entries(present, username, current)
        any_former = any_former or bool(former)
        target = wanted | former if keep_former else wanted
        if target != present and (check_mode or client.set_acl(node, target)):
            changed.append(node)
    return Closed(changed, any_former)


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "superuser": {"type": "path", "required": True},
            "path": {"type": "str", "required": True},
            "username": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "private": {"type": "bool", "default": False},
            "keep_former": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        superuser = Path(given["superuser"]).read_text(encoding="ascii").strip()
        with Client(given["address"], given["port"]) as client:
            client.authenticate(f"{SUPERUSER}:{superuser}")
            if given["username"]:
                result = close_nodes(
                    client,
                    given["path"],
                    given["username"],
                    given["password"],
                    private=given["private"],
                    keep_former=given["keep_former"],
                    check_mode=module.check_mode,
                )
            else:
                opened = open_nodes(
                    client, given["path"], private=given["private"], check_mode=module.check_mode
                )
                result = Closed(opened, former=False)
    except (OSError, ZooKeeperError) as error:
        module.fail_json(msg=f"ZooKeeper at {given['address']}:{given['port']}: {error}")
    module.exit_json(changed=bool(result.changed), changed_paths=result.changed, former=result.former)


if __name__ == "__main__":
    main()
