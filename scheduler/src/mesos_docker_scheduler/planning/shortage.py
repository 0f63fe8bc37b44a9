"""Why an instance finds no room: how many agents lack what, and the most that was offered of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mesos_docker_scheduler.planning.explanation import Reason
from mesos_docker_scheduler.planning.resources import Pool, ResourceRequest
from mesos_docker_scheduler.wording import count_of, instances, is_are

MAINTENANCE = "maintenance"
AVOIDED = "avoided"
HOPEFUL = "may have room"
CONSTRAINT = "constraint "
NOT_WANTED = "nothing wanted"
SHORT = ("cpus", "mem", "disk", "gpus", "ports", "constraint", MAINTENANCE, AVOIDED, "not_wanted", "other")
"""What `short` makes of problems."""

# What looking at agents may cost: so many a second, so many at once; few are looked at every time.
_LOOKS_PER_SECOND = 50_000
_BURST = 200_000
_FREE = 1_000
_FRESH_SECONDS = 1.0

_NAMES = {"mem": "memory"}
_UNITS = {"cpus": "cpus", "mem": "MiB of memory", "disk": "MiB of disk", "gpus": "GPUs"}


@dataclass(slots=True)
class Shortage:
    """The agents that were looked at for one service, by what they lack."""

    need: ResourceRequest
    lacking: Counter[str] = field(default_factory=Counter)
    most: dict[str, tuple[int, str]] = field(default_factory=dict)
    filtered: str | None = None
    last_fault: str = ""  # why one of the agents is avoided
    not_looked_at: int = 0

    def note(self, hostname: str, pool: Pool | None, problem: str | None) -> None:
        """Look at one agent. `problem`: what keeps it out whatever it offers; no pool: not offered so far."""
        if problem is None and pool is not None:
            problem = pool.lacks(self.need)
            for name in _UNITS:
                offered = (pool.free(name), hostname)
                if name not in self.most or offered > self.most[name]:
                    self.most[name] = offered
        self.lacking[problem or HOPEFUL] += 1

    def reason(self, missing: int) -> Reason:
        """Say it, for so many instances."""
        subject = f"{instances(missing)} waiting for resources"
        agents = self.lacking.total()
        if self.not_looked_at:
            slaves = count_of(self.not_looked_at, "slave")
            text = f"{subject} ({_needs(self.need)}): what {slaves} lack will be known in a moment"
        elif not agents:
            text = (
                f"{subject}: Mesos has offered none so far (is a slave registered, and has the role a share?)"
            )
        else:
            kinds = sorted(self.lacking, key=lambda kind: (kind == HOPEFUL, kind))
            parts = ", ".join(self._problem(kind, self.lacking[kind]) for kind in kinds)
            text = f"{subject} ({_needs(self.need)}): of {count_of(agents, 'slave')} {parts}"
        if self.filtered is not None:
            text += f"; only slaves with {self.filtered} are offered"
        return Reason("resources", text, missing, agents=dict(self.lacking))

    @property
    def _last_fault(self) -> str:
        return f" (the last: {self.last_fault})" if self.last_fault else ""

    def _problem(self, kind: str, count: int) -> str:
        one = count == 1
        has, are = "has" if one else "have", is_are(count)
        texts = {
            HOPEFUL: f"may have room, and {are} asked for",
            MAINTENANCE: f"{are} in maintenance, or within an hour of it",
            AVOIDED: f"{are} avoided for a while after faults{self._last_fault}",
            "ports": f"{has} too few free ports",
        }
        if kind in self.most:
            free, hostname = self.most[kind]
            few = f"few {_UNITS[kind]}" if kind in ("cpus", "gpus") else f"little {_NAMES.get(kind, kind)}"
            texts[kind] = f"{has} too {few} (the most that was offered is {_amount(free)}, on {hostname})"
        if kind.startswith(CONSTRAINT):
            texts[kind] = f"{'does' if one else 'do'} not meet {kind}"
        taken = f"{'does' if one else 'do'} not offer {kind}: it is taken, or not among the slave's ports"
        return f"{count} {texts.get(kind, taken)}"


def short(problem: str) -> str:
    """A problem without its particulars: one of few words, whatever constraints and ports there are."""
    if problem == NOT_WANTED:
        return "not_wanted"
    word = problem.partition(" ")[0]
    word = "ports" if word == "port" else word
    return word if word in SHORT else "other"


def _amount(value: int) -> str:
    return f"{value / 1000:,.3f}".rstrip("0").rstrip(".")


def _needs(need: ResourceRequest) -> str:
    parts = [f"{_amount(need.scalar(name))} {unit}" for name, unit in _UNITS.items() if need.scalar(name)]
    if need.ports:
        fixed = [str(port) for port in need.ports if port]
        parts.append(f"host port {', '.join(fixed)}" if fixed else count_of(len(need.ports), "port"))
    return f"needs {', '.join(parts)}"


class Explanations:
    """Reasons that were given before, so that not every round looks at every agent for every service.

    Looking at one agent costs one of a budget that refills with time. `now` is seconds of the epoch.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, float, Shortage]] = {}
        self._budget = float(_BURST)
        self._refilled_at = 0.0

    def known(self, service: str, version: str, cost: int, now: float) -> Shortage | None:
        """What was found lately; None when it is time to look again."""
        self._budget = min(_BURST, self._budget + _LOOKS_PER_SECOND * max(0.0, now - self._refilled_at))
        self._refilled_at = now
        before = self._known.get(service)
        if before is None or before[0] != version:
            return None
        recent = now - before[1] < _FRESH_SECONDS
        # Half of the budget is for those that nobody has looked at so far.
        return before[2] if cost > _FREE and (recent or cost > self._budget - _BURST / 2) else None

    def affords(self, cost: int) -> bool:
        """Whether a service without a reason so far may be looked at."""
        return cost <= _FREE or self._budget > 0

    def found(self, service: str, version: str, cost: int, now: float, shortage: Shortage) -> None:
        """Remember it."""
        self._budget -= cost
        self._known[service] = (version, now, shortage)
