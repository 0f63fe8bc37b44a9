"""Ansible module: several files and folders, as they are to be, in one go."""

from __future__ import annotations

import copy
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: managed_files
short_description: Makes several files and folders what they are to be
description:
  - Does for a list what C(ansible.builtin.file) and C(ansible.builtin.copy) do for one each.
  - They are made in the order of the list. A file is replaced as a whole, never written to.
  - What files hold is not written to the host's journal.
options:
  files:
    description: The files and folders.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it is.
        type: path
        required: true
      state:
        description: Whether it is a file, a folder, a link, or nothing at all. A folder is never removed.
        type: str
        choices: [file, directory, link, absent]
        default: file
      content:
        description: What a file holds.
        type: str
      target:
        description: Where a link leads.
        type: str
      validate:
        description: A command that must accept the file before it takes its place; C(%s) stands for its path.
        type: str
      owner:
        description: The user it belongs to.
        type: str
        default: root
      group:
        description: The group it belongs to.
        type: str
        default: root
      mode:
        description: Its permissions, in octal. Files have C(0644), folders C(0755), unless told otherwise.
        type: str
  only:
    description:
      - The names that alone may be in a folder, by its path. All else in it is removed in the end.
    type: dict
    default: {}
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Configure the daemon
  mesos_docker.cluster.managed_files:
    files:
      - {path: /etc/example, state: directory}
      - {path: /etc/example/secret, content: "{{ secret }}", owner: example, mode: "0400"}
      - {path: /etc/example/former, state: absent}
  no_log: true
"""

RETURN = r"""
changed_paths:
  description: What was made, changed or removed.
  type: list
  elements: str
  returned: always
"""

MODES = {"file": "0644", "directory": "0755"}


def mistake(wanted: dict[str, Any]) -> str:
    """Say what is wrong with an element of the list; empty when nothing is."""
    path, state, validate = wanted["path"], wanted["state"], wanted["validate"]
    if state == "file" and wanted["content"] is None:
        return f"files: {path} has no content; a file needs some, if only an empty text."
    if state != "file" and wanted["content"] is not None:
        return f"files: {path} has content; only a file (state: file) can have some."
    if (state == "link") != (wanted["target"] is not None):
        return f"files: {path}: a link (state: link) has a target, and nothing else has."
    if validate is not None and (state != "file" or "%s" not in validate):
        return f"files: {path}: validate is for a file, and needs %s where the file's path belongs."
    return obstacle(path, state)


def obstacle(path: str, state: str) -> str:
    """Say what on the host is in the way; empty when nothing is."""
    present = stat.S_IFMT(os.lstat(path).st_mode) if os.path.lexists(path) else 0
    if state == "directory" and present and not Path(path).is_dir():
        return f"files: {path} is to be a folder, and is something else on this host: move it away."
    if state != "directory" and present == stat.S_IFDIR:
        wish = f"a {state}" if state != "absent" else state
        return f"files: {path} is to be {wish}, and is a folder: move it away."
    if state == "link" and present not in (0, stat.S_IFLNK):
        return f"files: {path} is to be a link, and is a file: move it away."
    return ""


def apply(module: AnsibleModule, wanted: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    """Make one of them what it is to be. Returns whether it changed, and the difference."""
    path, state = Path(wanted["path"]), wanted["state"]
    before, after, changed = "", "", False
    if state == "absent":
        changed = os.path.lexists(path)
        if changed and not module.check_mode:
            path.unlink()
    elif state == "link":
        before, after = str(path.readlink()) if path.is_symlink() else "", wanted["target"]
        changed = before != after
        if changed and not module.check_mode:
            _link(path, after)
    elif state == "directory":
        changed = not path.is_dir()
        if changed and not module.check_mode:
            path.mkdir(parents=True)
    else:
        content = wanted["content"].encode()
        present = path.read_bytes() if path.is_file() else None
        changed = present != content
        before, after = (present or b"").decode("utf-8", "replace"), wanted["content"]
        if changed and not module.check_mode:
            _replace(module, path, content, wanted)
    if state in MODES and os.path.lexists(path):
        changed = _set_permissions(module, path, wanted, changed)
    return changed, {"before_header": str(path), "after_header": str(path), "before": before, "after": after}


def remove_others(module: AnsibleModule, folder: Path, names: list[str]) -> list[str]:
    """Remove what has none of the names from a folder. Returns the paths."""
    present = sorted(folder.iterdir()) if folder.is_dir() else []
    others = [path for path in present if path.name not in names]
    for path in others if not module.check_mode else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return [str(path) for path in others]


def _set_permissions(module: AnsibleModule, path: Path, wanted: dict[str, Any], changed: bool) -> bool:
    """Give a path the owner, group and mode that are wanted. Returns whether it or `changed` is a change."""
    arguments = {
        "path": str(path),
        "owner": wanted["owner"],
        "group": wanted["group"],
        "mode": wanted["mode"] or MODES[wanted["state"]],
        "follow": True,
    }
    return bool(module.set_fs_attributes_if_different(module.load_file_common_arguments(arguments), changed))


def _link(path: Path, target: str) -> None:
    """Put a link in the place of whatever is there, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        link = Path(folder, "link")
        link.symlink_to(target)
        link.replace(path)


def _replace(module: AnsibleModule, path: Path, content: bytes, wanted: dict[str, Any]) -> None:
    """Write beside the file, with its permissions, and put that in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        _set_permissions(module, Path(name), wanted, False)
        if wanted["validate"] is not None:
            _validate(module, path, [part.replace("%s", name) for part in shlex.split(wanted["validate"])])
        # A link stays one: what it leads to is replaced.
        Path(name).replace(path.resolve() if path.is_symlink() else path)
    finally:
        Path(name).unlink(missing_ok=True)


def _validate(module: AnsibleModule, path: Path, command: list[str]) -> None:
    """Ask a command whether the new file is right; end the module when it says no."""
    try:
        asked = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except OSError as error:
        module.fail_json(msg=f"files: {path} can't be validated: {error}")
    if asked.returncode != 0:
        module.fail_json(
            msg=f"files: {path} is left as it is, {command[0]} refuses the new one:\n{asked.stdout.strip()}"
        )


class Module(AnsibleModule):  # type: ignore[misc] # Ansible has no types
    """An Ansible module that does not tell the host's journal what files hold."""

    def _log_invocation(self) -> None:
        self.log("Invoked with files=" + ", ".join(str(wanted["path"]) for wanted in self.params["files"]))


def main() -> None:
    """Ansible's entry point."""
    module = Module(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "state": {"choices": ["file", "directory", "link", "absent"], "default": "file"},
                    "content": {"type": "str"},
                    "target": {"type": "str"},
                    "validate": {"type": "str"},
                    "owner": {"type": "str", "default": "root"},
                    "group": {"type": "str", "default": "root"},
                    "mode": {"type": "str"},
                },
            },
            "only": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    files = copy.deepcopy(module.params["files"])
    for wanted in module.params["files"]:
        wanted["content"] = None  # a result tells what the module was called with
    if mistakes := [text for wanted in files if (text := mistake(wanted))]:
        module.fail_json(msg="\n".join(mistakes))
    results = [(wanted["path"], *apply(module, wanted)) for wanted in files]
    removed = [
        path
        for folder, names in module.params["only"].items()
        for path in remove_others(module, Path(folder), names)
    ]
    differences = [difference for _, changed, difference in results if changed]
    module.exit_json(
        changed=bool(removed) or any(changed for _, changed, _ in results),
        changed_paths=[path for path, changed, _ in results if changed] + removed,
        **({"diff": differences} if module._diff else {}),
    )


if __name__ == "__main__":
    main()
