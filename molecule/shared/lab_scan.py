"""Which ports of a lab's host are open, seen from another host or from a machine that is in no inventory."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

from lab_cluster import Cluster

ALL_PORTS = range(1, 65536)
# Its input: an address, and the first and the last port of each range.
_SCAN = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
address, *ranges = sys.stdin.read().split()
ports = [port for each in ranges for port in range(int(each.split("-")[0]), int(each.split("-")[1]) + 1)]
def knock(port):
    with socket.socket() as knocking:
        knocking.settimeout(5)
        return knocking.connect_ex((address, port)) == 0
with ThreadPoolExecutor(64) as pool:
    print(*[port for port, answer in zip(ports, pool.map(knock, ports)) if answer])
"""


def open_ports(of: str, ports: range | Iterable[int] = ALL_PORTS, *, asker: str | None = None) -> set[int]:
    """Connect to a host's ports, from the host `asker` or from a stranger; returns those that answer."""
    ranges = [(ports[0], ports[-1])] if isinstance(ports, range) else [(port, port) for port in ports]
    asked = " ".join([Cluster.address(of), *(f"{first}-{last}" for first, last in ranges)])
    if asker is None:
        look = ["docker", "inspect", "--format", "{{.Image}} {{.HostConfig.NetworkMode}}", of]
        image, network = subprocess.run(look, check=True, capture_output=True, text=True).stdout.split()
        inside = ["run", "--rm", "--interactive", "--network", network, "--entrypoint", "python3", image]
    else:
        inside = ["exec", "--interactive", asker, "python3"]
    scan = ["docker", *inside, "-c", _SCAN]
    told = subprocess.run(scan, input=asked, check=True, capture_output=True, text=True).stdout
    return set(map(int, told.split()))
