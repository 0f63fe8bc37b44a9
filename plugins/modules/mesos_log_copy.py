#!/usr/bin/python
"""Ansible module: copy the replicated log of a master that runs, and read the registry back from the copy."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: mesos_log_copy
short_description: Copies the replicated log of a mesos-master that goes on running
description:
  - The log is a LevelDB. Its tables never change, its journals and its manifest only grow, and names are not
    used again. So what was copied is a state of the log if, meanwhile, no file came or went, and none changed
    but the journals. Else it is copied anew.
  - The copy is believed once a mesos-master of its own, alone on the loopback interface, has read the
    registry from it.
options:
  log:
    description: The folder of the log, C(replicated_log) in the master's C(--work_dir).
    type: path
    required: true
  dest:
    description: The archive to write, a C(.tar.gz) that holds the folder. Only root can read it.
    type: path
    required: true
  program:
    description: The mesos-master that reads the copy back.
    type: path
    default: /usr/sbin/mesos-master
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Copy the replicated log
  mesos_docker.cluster.mesos_log_copy:
    log: /var/lib/mesos/master/replicated_log
    dest: /var/tmp/log.tar.gz
  register: copy
"""

RETURN = r"""
agents:
  description: The agents that the registry in the copy knows, by id, with their hostnames.
  type: dict
  returned: success
attempts:
  description: How many copies it took until nothing changed meanwhile.
  type: int
  returned: success
"""

ATTEMPTS = 20
PAUSE_SECONDS = 0.5
READ_SECONDS = 60
# Where LevelDB appends what is being written; a record that is cut off at the end is none.
JOURNAL = ".log"
# LevelDB's own notes of what it did, and the file that it locks.
NOT_DATA = ("LOG", "LOG.old", "LOCK")

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class CopyError(Exception):
    """The log can't be copied; the message says why."""


def shape(log: Path) -> dict[str, tuple[int, int]]:
    """Return what must not change while the log is copied: sizes and times of all files but journals."""
    found = {}
    for path in log.iterdir():
        if path.name not in NOT_DATA:
            seen = path.stat()
            found[path.name] = (0, 0) if path.suffix == JOURNAL else (seen.st_size, seen.st_mtime_ns)
    return found


def copy_log(log: Path, copy: Path, *, sleep: Callable[[float], None] = time.sleep) -> int:
    """Copy the log's files to a new folder; return how many attempts it took."""
    if not (log / "CURRENT").exists():
        raise CopyError(f"{log} is no replicated log")
    for attempt in range(1, ATTEMPTS + 1):
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(mode=0o700)
        try:
            before = shape(log)
            for name in before:
                shutil.copyfile(log / name, copy / name)
            if shape(log) == before:
                return attempt
        except FileNotFoundError:
            pass  # it was compacted away meanwhile
        sleep(PAUSE_SECONDS)
    raise CopyError(f"{log} has changed during each of {ATTEMPTS} attempts to copy it")


def agents_in(registry: dict[str, Any]) -> dict[str, str]:
    """Return the hostnames of the agents in a registry, by the agents' ids. Those that are away count."""
    admitted = registry.get("slaves", {}).get("slaves", [])
    return {entry["info"]["id"]["value"]: entry["info"]["hostname"] for entry in admitted}


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read_back(program: str, copy: Path, work_dir: Path, user: pwd.struct_passwd) -> dict[str, Any]:
    """Return the registry in the copy, as a master reads it that nobody else knows of.

    It writes to its log, so it gets a copy of the copy.
    """
    work_dir.mkdir()
    shutil.copytree(copy, work_dir / "replicated_log")
    for path in (work_dir, *work_dir.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
    port = free_port()
    command = [
        program,
        "--ip=127.0.0.1",
        f"--port={port}",
        "--hostname=127.0.0.1",
        "--registry=replicated_log",
        "--quorum=1",
        "--log_auto_initialize=false",
        f"--work_dir={work_dir}",
    ]
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            cwd=work_dir,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        ) as master,
    ):
        try:
            return _registry(f"http://127.0.0.1:{port}", master)
        except CopyError as error:
            words.seek(0)
            said = words.read().decode(errors="replace").splitlines()[-5:]
            raise CopyError("\n".join([f"{error}. It has said:", *said])) from error
        finally:
            master.kill()


def _registry(base: str, master: subprocess.Popen[bytes]) -> dict[str, Any]:
    deadline = time.monotonic() + READ_SECONDS
    while time.monotonic() < deadline:
        if master.poll() is not None:
            raise CopyError("mesos-master can't read the registry from the copy")
        try:
            with _direct.open(f"{base}/registrar(1)/registry", timeout=5) as answer:
                registry: dict[str, Any] = json.load(answer)
            if registry:
                return registry
        except (OSError, ValueError, HTTPException):
            pass  # it has not recovered yet
        time.sleep(0.2)
    raise CopyError(f"mesos-master has not read the registry from the copy within {READ_SECONDS} s")


def pack(copy: Path, dest: Path) -> None:
    """Write the archive, as the owner of the log will unpack it."""
    with os.fdopen(os.open(dest, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            archive.add(copy, arcname="replicated_log")
        file.flush()
        os.fsync(file.fileno())


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "log": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "program": {"type": "path", "default": "/usr/sbin/mesos-master"},
        },
    )
    log = Path(module.params["log"])
    try:
        with tempfile.TemporaryDirectory(prefix="mesos-log-", dir="/var/tmp") as name:
            folder = Path(name)
            folder.chmod(0o711)  # for the user of the master that reads it back
            attempts = copy_log(log, folder / "copy")
            user = pwd.getpwuid(log.stat().st_uid)
            registry = read_back(module.params["program"], folder / "copy", folder / "master", user)
            pack(folder / "copy", Path(module.params["dest"]))
    except (CopyError, OSError) as error:
        module.fail_json(msg=f"The replicated log can't be copied: {error}")
    module.exit_json(changed=True, attempts=attempts, agents=agents_in(registry))


if __name__ == "__main__":
    main()
