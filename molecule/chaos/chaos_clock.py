"""Faults of a clock: it jumps for one daemon. All hosts share this machine's clock, so a library lies."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from chaos_daemons import Strike, await_unit, toll
from chaos_judge import Toll
from chaos_lab import Lab
from chaos_struck import Struck

PACKAGE = "libfaketime"
JUMP_SECONDS = 3600
_SHIFT = "/run/chaos-clock"
_PRELOADED = f"""[Service]
Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1
Environment=FAKETIME_TIMESTAMP_FILE={_SHIFT} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1"""


def jumped(unit: str, seconds: int) -> Strike:
    """Return the fault of a clock that jumps so far while the daemon runs, and back in the end.

    Before and after it the daemon is restarted: with the library, and without it.
    """
    folder = f"/run/systemd/system/{unit}.service.d"

    @contextmanager
    def strike(lab: Lab, struck: Struck) -> Generator[Toll, None, None]:
        def restart() -> None:
            lab.on(struck.host, f"systemctl daemon-reload; systemctl restart --no-block {unit}")
            await_unit(lab, struck.host, unit)

        def shift(seconds: int) -> None:
            # In one step: a daemon that reads half of it would see another time.
            lab.on(struck.host, f"echo {seconds:+} >{_SHIFT}.new; mv {_SHIFT}.new {_SHIFT}")

        try:
            shift(0)
            lab.on(struck.host, f"mkdir -p {folder}; echo '{_PRELOADED}' >{folder}/chaos-clock.conf")
            restart()
            shift(seconds)
            yield toll(unit, struck, unreachable=False)
        finally:
            shift(0)
            lab.on(struck.host, f"rm -f {folder}/chaos-clock.conf")
            restart()

    return strike
