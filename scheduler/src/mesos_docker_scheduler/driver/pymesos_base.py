"""Imports pymesos without what its import does to the process.

pymesos installs a SIGINT handler when it is imported (which fails outside the main thread and takes Ctrl-C
from the program) and gives its logger a handler of its own (every line would appear twice).
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _sigint_handler_left_alone() -> Iterator[None]:
    """Ignore `signal.signal` calls made with a handler of pymesos', whichever thread makes them."""
    install = signal.signal

    def install_unless_pymesos(number: int, handler: Any) -> Any:
        if getattr(handler, "__module__", "") == "pymesos.process":
            return signal.getsignal(number)
        return install(number, handler)

    signal.signal = install_unless_pymesos  # type: ignore[assignment] # same arguments, fewer types
    try:
        yield
    finally:
        signal.signal = install


def _undo_earlier_import() -> None:
    """Give SIGINT back when somebody has imported pymesos before."""
    from pymesos import process  # noqa: PLC0415 - only once it is known to be imported

    if signal.getsignal(signal.SIGINT) is not process._handle_sigint:
        return
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, process._prev_handler or signal.default_int_handler)


if "pymesos.process" in sys.modules:
    _undo_earlier_import()

with _sigint_handler_left_alone():
    import pymesos
    from pymesos import MesosSchedulerDriver, Scheduler

_logger = logging.getLogger("pymesos")
_logger.removeHandler(pymesos.handler)
_logger.setLevel(logging.NOTSET)

__all__ = ["MesosSchedulerDriver", "Scheduler"]
