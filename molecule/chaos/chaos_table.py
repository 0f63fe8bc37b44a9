"""The table of rounds."""

from __future__ import annotations

from collections.abc import Sequence

from chaos_rounds import Round

_COLUMNS = "{:>5}  {:>6}  {:<6}  {:>4}  {:>7}  {:>7}  {:>6}  {:>9}  {:>6}  {}"
HEADER = _COLUMNS.format(
    "round", "seed", "result", "lost", "doubled", "seconds", "failed", "explained", "asked", "faults"
)
PROBLEMS_SHOWN = 20


def row(number: int, seed: int, lived: Round) -> str:
    """Return a round's line, and one for each of its problems."""
    verdict = lived.verdict
    line = _COLUMNS.format(
        number,
        seed,
        "FAILED" if verdict.problems else "ok",
        len(verdict.lost),
        verdict.doubled,
        "never" if verdict.seconds is None else f"{verdict.seconds:.0f}",
        len(verdict.failed),
        verdict.explained,
        verdict.asked,
        lived.what,
    )
    shown = verdict.problems[:PROBLEMS_SHOWN]
    more = len(verdict.problems) - len(shown)
    return "\n".join(
        [line, *(f"       {each}" for each in shown), *([f"       and {more} more"] if more else [])]
    )


def summary(rounds: Sequence[Round]) -> str:
    """Return the last line: all rounds together."""
    verdicts = [lived.verdict for lived in rounds]
    slowest = max((verdict.seconds for verdict in verdicts if verdict.seconds is not None), default=0.0)
    return (
        f"{len(verdicts)} rounds, {sum(bool(verdict.problems) for verdict in verdicts)} failed:"
        f" {sum(len(verdict.lost) for verdict in verdicts)} containers lost,"
        f" {sum(verdict.doubled for verdict in verdicts)} doubled,"
        f" at most {slowest:.0f} s until all was right,"
        f" {sum(len(verdict.failed) for verdict in verdicts)} of"
        f" {sum(verdict.asked for verdict in verdicts)} requests failed"
    )
