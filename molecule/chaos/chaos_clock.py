"""Faults of a clock: it jumps for one daemon. All hosts share this machine's clock, so a library lies."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager

from chaos_daemons import Strike, toll
from chaos_judge import Toll
from chaos_struck import Struck
from lab_cluster import MASTER_PORT, SCHEDULER_PORT, SLAVE_PORT, ZOOKEEPER_PORT, eventually
from lab_inventory import Lab

PACKAGE = "libfaketime"
JUMP_SECONDS = 3600
PORTS = {
    "zookeeper": ZOOKEEPER_PORT,
    "mesos-master": MASTER_PORT,
    "mesos-slave": SLAVE_PORT,
    "mesos-docker-scheduler": SCHEDULER_PORT,
}
START_SECONDS = 60
# From when it listens until it does its work.
WORKING_SECONDS = 5


def jumped(unit: str, seconds: int) -> Strike:
    """Return the fault of a clock that jumps so far while the daemon works, and back in the end.

    Before and after it the daemon is restarted: with the library, and without it.
    """
    shift = f"/run/chaos-clock-{unit}"
    folder = f"/run/systemd/system/{unit}.service.d"
    preloaded = f"""[Service]
Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1
Environment=FAKETIME_TIMESTAMP_FILE={shift} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1"""

    @contextmanager
    def strike(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
        def restart() -> None:
            lab.on(struck.host, f"systemctl daemon-reload; systemctl restart {unit}")
            eventually(f"{unit} listens on {struck.host}", listens, seconds=START_SECONDS)

        def listens() -> bool:
            try:
                socket.create_connection((lab.addresses[struck.host], PORTS[unit]), 1).close()
            except OSError:
                return False
            return True

        def shifted(by: int) -> str:
            # In one step: a daemon that reads half of it would see another time.
            return f"echo {by:+} >{shift}.new && mv {shift}.new {shift}"

        try:
            install = f"mkdir -p {folder} && echo '{preloaded}' >{folder}/chaos-clock.conf"
            lab.on(struck.host, f"{shifted(0)} && {install}")
            restart()
            lab.wait(WORKING_SECONDS)
            lab.on(struck.host, shifted(seconds))
            yield toll(unit, struck, unreachable=False)
        finally:
            lab.on(struck.host, f"rm -f {folder}/chaos-clock.conf; {shifted(0)}")
            restart()
            lab.on(struck.host, f"rm -f {shift}")

    return strike
