"""tasks/check_addresses.yml, run by Ansible on hosts whose facts are made up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.set_fact": {"default_ipv4": {"address": "{{ address }}"}, "cacheable": True}},
            {"ansible.builtin.include_tasks": str(ROOT / "playbooks/tasks/check_addresses.yml")},
        ],
    }
]


def check(folder: Path, addresses: dict[str, str], groups: dict[str, list[str]]) -> tuple[int, str]:
    """Return the exit code of ansible-playbook, and what it has written, in one line."""
    inventory: dict[str, Any] = {
        "all": {
            "hosts": {
                host: {"address": address, "ansible_connection": "local"}
                for host, address in addresses.items()
            },
            "children": {group: {"hosts": dict.fromkeys(hosts)} for group, hosts in groups.items()},
        }
    }
    for name, content in (("hosts.yml", inventory), ("playbook.yml", PLAYBOOK)):
        (folder / name).write_text(json.dumps(content))
    run = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            folder / "hosts.yml",
            folder / "playbook.yml",
        ],
        cwd=ROOT,
        env=os.environ
        | {
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CACHE_PLUGIN": "memory",  # made up facts are not to be remembered
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return run.returncode, " ".join(run.stdout.split())


def test_warns_once_of_public_addresses(tmp_path: Path) -> None:
    addresses = {"m1": "8.8.8.1", "m2": "8.8.8.2", "m3": "8.8.8.3", "s1": "10.0.0.4"}
    groups = {"mesos_masters": ["m1", "m2", "m3"], "mesos_slaves": ["s1"]}
    exit_code, output = check(tmp_path, addresses, groups)
    assert exit_code == 0, output
    warning = "[WARNING]: mesos-master takes a public address, that of the default route, on m1 (8.8.8.1), m2"
    assert output.count(warning) == 1, output


def test_stops_at_an_address_that_two_hosts_share(tmp_path: Path) -> None:
    addresses = {"m1": "10.0.2.15", "s1": "10.0.2.15", "s2": "10.0.2.15"}
    exit_code, output = check(tmp_path, addresses, {"mesos_masters": ["m1"], "mesos_slaves": ["s1", "s2"]})
    assert exit_code != 0
    assert output.count("fatal:") == 1
    assert "s1 and s2 have the address 10.0.2.15:5051 for mesos-slave" in output
    assert "[WARNING]" not in output
