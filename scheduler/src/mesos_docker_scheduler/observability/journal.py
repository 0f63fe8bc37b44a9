"""Log lines for the journal: `message key=value ...`, with the syslog priority that systemd understands.

See sd-daemon(3) for the `<N>` prefixes. On a terminal the lines carry a time instead.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import TextIO

from mesos_docker_scheduler.records.store import Event
from mesos_docker_scheduler.wording import printable

_PRIORITIES = {logging.CRITICAL: 3, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
_WARNINGS = frozenset(
    {
        "waiting",
        "ended",
        "lost",
        "disconnected",
        "config refused",
        "call failed",
        "not understood",
        "foreign",
        "adopted",
        "recovering",
        "recovered",
        "survey failed",
    }
)
_ERRORS = frozenset({"store", "refused"})
_MOST_CHARACTERS = 50_000
_TO_QUOTE = re.compile(r'[\n "=]')

logger = logging.getLogger("mesos_docker_scheduler")


class _PrintableFormatter(logging.Formatter):
    """What is logged may quote others: nothing of it begins a line, or moves a terminal's cursor."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), _MOST_CHARACTERS)


class _JournalFormatter(_PrintableFormatter):
    def format(self, record: logging.LogRecord) -> str:
        priority = _PRIORITIES.get(record.levelno, 7)
        # Each line of a traceback is an entry of its own, and needs its own priority.
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).split("\n"))


def set_up(level: str, stream: TextIO = sys.stderr) -> None:
    """Send all logging to `stream`."""
    # What no line shows need not be found out for each (Python's logging HOWTO, "Optimization").
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(stream)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(_PrintableFormatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)
    # kazoo and uvicorn tell each step of theirs.
    logging.getLogger("kazoo").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def set_level(level: str) -> None:
    """Change what is logged: debug, info, warning or error."""
    logging.getLogger().setLevel(level.upper())


def log_event(event: Event) -> None:
    """Write one event of the controller."""
    level = logging.INFO
    if event.kind in _ERRORS:
        level = logging.ERROR
    elif event.kind in _WARNINGS:
        level = logging.WARNING
    logger.log(level, "%s", line(event.kind, service=event.service, task=event.task_id, text=event.text))


def line(message: str, **fields: str) -> str:
    """`message key=value ...`: empty values are left out, values with spaces are quoted."""
    return " ".join([message, *(f"{key}={_quoted(value)}" for key, value in fields.items() if value)])


def _quoted(value: str) -> str:
    if _TO_QUOTE.search(value) is None:
        return value
    return '"' + value.replace("\n", " ").replace('"', "'") + '"'
