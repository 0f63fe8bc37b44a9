"""The regular expressions of constraints. They are RE2's: the time that they take grows with the text alone.

Whoever configures a service may write one, agents' attributes may hold anything, and the thread that owns the
state compares them. Mesos' master checks them with RE2 as well.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import re2

# For Python it was {0,n}; for RE2 it is a text.
_NO_REPETITION = re.compile(r"(?<!\\)\{,\d+\}")
# The master's RE2 is of 2020: it does not know all that ours knows.
_NOT_FOR_MASTERS = re.compile(r"\(\?<|\\[pP]")
# What the master allows (its --help: offer_constraints_re2_max_mem, offer_constraints_re2_max_program_size).
_MASTERS_BYTES = 4096
# It allows 100. Releases of RE2 differ a little in how many a program takes.
_MASTERS_INSTRUCTIONS = 80


def problem(text: str) -> str | None:
    """Say what is wrong with an expression; None: nothing."""
    try:
        _compiled(text, None)
    except ValueError as error:
        return str(error)
    odd = _NO_REPETITION.search(text)
    return None if odd is None else f"{odd[0]} is no repetition; write {{0{odd[0][1:]}"


def fits(text: str, value: str) -> bool:
    """Whether an expression fits a whole value. ValueError: it is none."""
    return _compiled(text, None).fullmatch(value) is not None


def suits_master(text: str) -> bool:
    """Whether an expression is small enough for a master that is configured as Mesos is by default."""
    if _NOT_FOR_MASTERS.search(text):
        return False
    try:
        return bool(_compiled(text, _MASTERS_BYTES).programsize <= _MASTERS_INSTRUCTIONS)
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def _compiled(text: str, most_bytes: int | None) -> Any:
    options = re2.Options()
    options.log_errors = False
    if most_bytes is not None:
        options.max_mem = most_bytes
    try:
        return re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        raise ValueError(said.decode(errors="replace") if isinstance(said, bytes) else str(said)) from error
