"""What the program is called, and with which status it exits."""

from __future__ import annotations

from mesos_docker_scheduler.errors import Error

PROGRAM = "mesos-docker-scheduler"

OK = 0
REFUSED = 1
"""The scheduler does not do what was asked, or a file is no good; the message says why."""

USAGE = 2
UNREACHABLE = 3
"""The scheduler can't be reached, or does not let us in."""

NOT_YET = 4
"""`wait`: the time is over, and it is not as wanted yet."""

FAILED = 5
"""`wait`: it won't come true by itself."""

FAILED_BEFORE = 6
"""`wait --fail-fast`: something had failed before the wait began, and nobody has asked for another try."""

# As in sysexits.h where that has a fitting one. After 76 and 77 systemd must not start us again
# (RestartPreventExitStatus).
EXIT_REFUSED = 70
EXIT_ADDRESS = 71
EXIT_STORE = 74
EXIT_DEPOSED = 75
EXIT_FRAMEWORK_REMOVED = 76
EXIT_FAILED_OVER = 77
EXIT_CONFIG = 78


class ExitError(Error):
    """Nothing more can be done; `status` is the exit status, the message says why and what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class SchedulerError(ExitError):
    """The scheduler can't go on."""
