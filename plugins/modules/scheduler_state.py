"""Ansible module: what the state of a scheduler that does not run says, and whose framework it is."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: scheduler_state
short_description: Tells what the state of a scheduler that does not run says
description:
  - Which of two copies of a state is the newer one is told by C(term), and in the same term by C(events).
options:
  owned:
    description:
      - Has the state say that this host owns the framework, as an operator has decided, whoever owned it
        last. Without it nothing is changed.
    type: bool
    default: false
  folder:
    description: The folder of the state, with C(state.sqlite).
    type: path
    required: true
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Look at the state
  mesos_docker.cluster.scheduler_state:
    folder: /var/lib/mesos-docker-scheduler
  register: state
"""

RETURN = r"""
exists:
  description: Whether there is a state.
  type: bool
  returned: always
framework_id:
  description: The framework's id, empty while it has none.
  type: str
  returned: always
owner:
  description: Who owned the framework when its scheduler subscribed last; empty when nobody wrote it down.
  type: str
  returned: always
term:
  description: How many hosts have owned the framework, with this one; 0 when that was never written down.
  type: int
  returned: always
events:
  description: How many events were ever written down.
  type: int
  returned: always
"""

FILE = "state.sqlite"
BY_COMMAND = "by command"  # mesos_docker_scheduler.control.ownership


def _rows(database: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        try:
            return connection.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []  # an older schema
            raise


def state(folder: Path) -> dict[str, Any]:
    """Return what stands in the state. sqlite3.DatabaseError: it is damaged."""
    if not (folder / FILE).exists():
        return {"exists": False, "framework_id": "", "owner": "", "term": 0, "events": 0}
    # SQLite would write beside the file, in the owner's place.
    with tempfile.TemporaryDirectory() as copies:
        for path in folder.glob(f"{FILE}*"):
            shutil.copy(path, copies)
        copy = Path(copies) / FILE
        ids = _rows(copy, "SELECT id FROM framework")
        owners = _rows(copy, "SELECT value FROM records WHERE kind = 'framework' AND key = 'owner'")
        events = _rows(copy, "SELECT max(id) FROM events")
    owner = owners[0][0] if owners else ""
    term = owner.split(" ")[0]
    return {
        "exists": True,
        "framework_id": ids[0][0] if ids else "",
        "owner": owner,
        "term": int(term) if term.isdigit() else 0,
        "events": (events[0][0] or 0) if events else 0,
    }


def own(folder: Path) -> None:
    """Write down that an operator has said that this host owns the framework."""
    with closing(sqlite3.connect(folder / FILE)) as connection, connection:
        statement = "INSERT OR REPLACE INTO records (kind, key, value) VALUES ('framework', 'owner', ?)"
        connection.execute(statement, [BY_COMMAND])


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "owned": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["folder"])
    try:
        found = state(folder)
        changed = module.params["owned"] and found["framework_id"] != "" and found["owner"] != BY_COMMAND
        if changed and not module.check_mode:
            own(folder)
        module.exit_json(changed=changed, **found)
    except sqlite3.DatabaseError as error:
        path = Path(module.params["folder"]) / FILE
        module.fail_json(msg=f"{path} is damaged ({error}): restore a copy, or move it away.")


if __name__ == "__main__":
    main()
