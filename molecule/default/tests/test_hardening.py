"""What the units may do to the host, should somebody take them over, and what they leave when they die."""

from __future__ import annotations

import re
from typing import Any

import pytest
from lab_cluster import OWN_UNITS

# By systemd-analyze security, from 0 to 10. docs/security.md says why the slave is an exception.
MOST_EXPOSED = {**dict.fromkeys(OWN_UNITS, 4.0), "mesos-slave": 7.6}


def core_sizes(limits: str) -> list[str]:
    """The soft and the hard limit of core dumps, of each process."""
    return re.findall(r"^Max core file size +(\S+ +\S+)", limits, re.MULTILINE)


@pytest.mark.parametrize("unit", OWN_UNITS)
def test_a_unit_is_no_more_exposed_than_its_work_needs(host: Any, unit: str) -> None:
    said = host.check_output(f"systemd-analyze security --no-pager {unit}.service")
    level = re.search(rf"Overall exposure level for {unit}\.service: ([0-9.]+)", said)
    assert level is not None, said
    assert float(level[1]) <= MOST_EXPOSED[unit], said


@pytest.mark.parametrize("unit", OWN_UNITS)
def test_a_unit_leaves_no_core_dump(host: Any, unit: str) -> None:
    pid = host.check_output(f"systemctl show --property=MainPID --value {unit}.service")
    (size,) = core_sizes(host.file(f"/proc/{pid}/limits").content_string)
    assert size.split() == ["0", "0"]


def test_executors_leave_no_core_dump(host: Any) -> None:
    # `run`: one may end meanwhile.
    sizes = core_sizes(host.run("for id in $(pgrep mesos-docker-ex); do cat /proc/$id/limits; done").stdout)
    assert sizes
    assert all(size.split() == ["0", "0"] for size in sizes)
