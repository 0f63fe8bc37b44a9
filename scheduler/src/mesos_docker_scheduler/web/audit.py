"""The trail of who has changed something, and who was refused: lines of the journal that begin with `audit`.

They say who (the token's name), from which address, what was asked for, and how it ended; never a token, nor
what a request held. They are written whatever the log level is.
"""

from __future__ import annotations

import logging

from mesos_docker_scheduler.observability import journal
from mesos_docker_scheduler.web.bucket import Bucket
from mesos_docker_scheduler.web.callers import Caller

REFUSED = frozenset({401, 403, 421, 429})
"""The statuses of those who may not, or not now."""

_MOST_OF_PATH = 200
# A second, and at once: of one address, and of all. Who guesses must not fill the journal.
_OF_ONE = (0.1, 20)
_OF_ALL = (1.0, 100)

logger = logging.getLogger("mesos_docker_scheduler.audit")
logger.setLevel(logging.INFO)


class Audit:
    """Writes the trail. Changes are always written; of refusals those that are not too many."""

    def __init__(self) -> None:
        self._of_one = Bucket(*_OF_ONE)
        self._of_all = Bucket(*_OF_ALL)
        self._left_out = 0

    def tell(
        self, caller: Caller | None, address: str, method: str, path: str, status: int, *, reading: bool
    ) -> None:
        """Write down how a request ended, if it belongs into the trail."""
        if status in REFUSED:
            if self._of_one.wait(address) or self._of_all.wait(""):
                self._left_out += 1
                return
            self._of_one.take(address)
            self._of_all.take("")
            self._write(logging.WARNING, caller, address, method, path, status)
        elif caller is not None and not reading:
            self._write(logging.INFO, caller, address, method, path, status)

    def _write(
        self, level: int, caller: Caller | None, address: str, method: str, path: str, status: int
    ) -> None:
        fields = {
            "who": caller.token.name if caller is not None else "",
            "address": address,
            "via": "page" if caller is not None and caller.session is not None else "",
            "method": method,
            "path": path[:_MOST_OF_PATH],
            "status": str(status),
            "left_out": str(self._left_out) if self._left_out else "",
        }
        self._left_out = 0
        logger.log(level, "%s", journal.line("audit", **fields))
