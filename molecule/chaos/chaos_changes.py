"""Changes to the cluster itself that faults strike: each takes minutes, so they are drawn only when named."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos_deploy import Play
from lab_inventory import Lab

LIMIT_SECONDS = 3600
SITE = "site.yml"


@dataclass(frozen=True)
class Change:
    """A playbook that faults strike, and that is run once more after them; and what is run after that.

    seconds: about how long it takes. Somewhere in that time the faults come.
    """

    play: Play
    seconds: float
    after: tuple[Play, ...] = ()


Prepare = Callable[[Lab], AbstractContextManager[Change]]


def _plain(playbook: str, seconds: float) -> Prepare:
    @contextmanager
    def prepare(_lab: Lab) -> Generator[Change, None, None]:
        yield Change(Play(playbook, limit_seconds=LIMIT_SECONDS), seconds)

    return prepare


@contextmanager
def _two_more(lab: Lab) -> Generator[Change, None, None]:
    """Make masters and ZooKeeper servers of two hosts that are something else, and let them go again."""
    groups = ("zookeepers", "mesos_masters")
    taken = {host for group in groups for host in lab.groups[group]}
    more = [host for host in lab.members if host not in taken and host not in lab.slaves][:2]
    if len(more) != 2:
        raise LookupError("there are no two hosts that could be masters besides those that are")
    with tempfile.TemporaryDirectory() as folder:
        added = Path(folder) / "more.json"
        hosts = {"hosts": dict.fromkeys(more)}
        added.write_text(json.dumps({"all": {"children": dict.fromkeys(groups, hosts)}}), encoding="utf-8")
        yield Change(
            Play(SITE, added, limit_seconds=LIMIT_SECONDS), 180, (Play(SITE, limit_seconds=LIMIT_SECONDS),)
        )


CHANGES: dict[str, Prepare] = {
    "restart-daemons": _plain("playbooks/restart.yml", 180),
    "rotate-secrets": _plain("playbooks/rotate_secrets.yml", 600),
    "grow-and-shrink": _two_more,
}
