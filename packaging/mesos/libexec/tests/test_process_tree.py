"""What descends from a process: as the kernel lists it, and as a look at all processes finds it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

Pure = Callable[..., Any]

# Two children, one of which has a session of its own and a child; one that a thread has started, which the
# kernel lists with that thread; and one that has ended, and is not waited for.
FAMILY = """
import os, subprocess, threading
children = [subprocess.Popen(["sleep", "1000"])]
command = ["setsid", "sh", "-c", "sleep 1000 & echo $!; wait"]
nested = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
children.append(nested)
waiting = threading.Event()
def start():
    children.append(subprocess.Popen(["sleep", "1000"]))
    started.set()
    waiting.wait()
started = threading.Event()
threading.Thread(target=start, daemon=True).start()
started.wait()
gone = subprocess.Popen(["true"])
os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)
print(*[child.pid for child in children], nested.stdout.readline().strip(), flush=True)
threading.Event().wait()
"""


def test_descendants(pure: Pure) -> None:
    command = [sys.executable, "-c", FAMILY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        family = sorted(int(pid) for pid in parent.stdout.readline().split())
        try:
            assert len(family) == 4
            assert sorted(pure("descendants", root=parent.pid, all=False)) == family
            assert sorted(pure("descendants", root=parent.pid, all=True)) == family
        finally:
            pure("killDescendants", root=parent.pid)
        assert pure("descendants", root=parent.pid, all=True) == []
        parent.kill()
