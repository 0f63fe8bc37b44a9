"""What is asked of a service at the moment, by the file and by operators, and what became of it so far."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.records.overrides import Override
from mesos_docker_scheduler.records.rollout import Rollout


@dataclass(frozen=True, slots=True)
class Desired:
    """`configured` is the service as the file has it, `rollout` its update under way, or the last one."""

    configured: Service
    override: Override
    rollout: Rollout | None

    @property
    def revision(self) -> str:
        """Twelve hexadecimal digits that change with the file's wish, an operator's, or a stop of the update.

        By it two writers can't overwrite each other unseen. An update that goes on to its end does not:
        what somebody is about to ask for means the same before and after.
        """
        rollout, configured = self.rollout, self.configured
        stopped = rollout.state if rollout is not None and rollout.stopped else None
        returns_to = rollout.returns_to if rollout is not None else None
        asked = [
            configured.version,
            configured.model_dump_json(),
            asdict(self.override),
            stopped,
            returns_to,
        ]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]
