#!/usr/bin/python
"""Ansible module: copy the scheduler's state while the scheduler runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: scheduler_state_copy
short_description: Copies the state of a scheduler that goes on running
description:
  - SQLite's own backup takes the file and its write-ahead log as they are between two transactions. The copy
    is one file, which only root can read, and it is checked.
options:
  state:
    description: The scheduler's C(state.sqlite).
    type: path
    required: true
  dest:
    description: The file to write; there must be none.
    type: path
    required: true
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Copy the state
  mesos_docker.cluster.scheduler_state_copy:
    state: /var/lib/mesos-docker-scheduler/state.sqlite
    dest: /var/tmp/state.sqlite
  register: copy
"""

RETURN = r"""
framework_id:
  description: The framework's id in Mesos; empty when the scheduler has none yet.
  type: str
  returned: success
schema:
  description: The version of the file's schema.
  type: int
  returned: success
"""

WAIT_SECONDS = 30


class StateError(Exception):
    """The state can't be copied; the message says why."""


def copy_state(state: Path, dest: Path) -> dict[str, object]:
    """Write the copy; return what the module returns."""
    if not state.exists():
        raise StateError(f"{state} does not exist")
    os.close(os.open(dest, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        # What SQLite itself makes beside the file, root gives to the file's owner.
        with (
            contextlib.closing(
                sqlite3.connect(f"{state.as_uri()}?mode=rw", uri=True, timeout=WAIT_SECONDS)
            ) as running,
            contextlib.closing(sqlite3.connect(dest, isolation_level=None)) as copy,
        ):
            running.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            (finding,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            if finding != "ok":
                raise StateError(f"{state} is damaged: {' '.join(finding.split())}")
            framework = copy.execute("SELECT id FROM framework").fetchone()
            (schema,) = copy.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise StateError(f"{state}: {error}") from error
    return {"framework_id": framework[0] if framework else "", "schema": schema}


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
        },
    )
    try:
        found = copy_state(Path(module.params["state"]), Path(module.params["dest"]))
    except (StateError, OSError) as error:
        module.fail_json(msg=f"The scheduler's state can't be copied: {error}")
    module.exit_json(changed=True, **found)


if __name__ == "__main__":
    main()
