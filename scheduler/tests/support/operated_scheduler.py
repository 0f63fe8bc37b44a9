"""A scheduler whose operators have a token, and its command line."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from scheduler_process import PROGRAM, Cluster, Scheduler

TOKEN = "only-operators-know-this"


class Operated(Scheduler):
    """A scheduler with a token, and its command line."""

    def __init__(self, folder: Path, cluster: Cluster, **service: Any) -> None:
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN)
        super().__init__(folder, cluster, http={"token_file": str(self.token_file)}, **service)

    def words(self, command: str, *words: str) -> list[str]:
        """A command line."""
        where = ["--url", f"http://127.0.0.1:{self.port}", "--token-file", str(self.token_file)]
        # What follows an instance is the command that runs in it.
        return (
            [*PROGRAM, command, *where, *words] if command == "exec" else [*PROGRAM, command, *words, *where]
        )

    def cli(self, *words: str, fails: int = 0) -> str:
        """Run a command; returns what it prints, of errors if it should fail with that status."""
        run = subprocess.run(
            self.words(*words),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert run.returncode == fails, run.stdout + run.stderr
        return run.stderr if fails else run.stdout
