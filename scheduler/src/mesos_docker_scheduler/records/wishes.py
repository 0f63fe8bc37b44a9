"""What is asked of a service at the moment, by the file and by operators, and what became of it so far."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.records.overrides import Override
from mesos_docker_scheduler.records.rollout import Rollout


@dataclass(frozen=True, slots=True)
class Wishes:
    """`configured` is the service as the file has it, `rollout` its update under way, or the last one."""

    configured: Service
    override: Override
    rollout: Rollout | None

    @property
    def revision(self) -> str:
        """Twelve hexadecimal digits that change with the file's wish, an operator's, or an update's state.

        By it two writers can't overwrite each other unseen.
        """
        rollout, configured = self.rollout, self.configured
        update = None if rollout is None else (rollout.target, rollout.state, rollout.good)
        asked = [configured.version, configured.model_dump_json(), asdict(self.override), update]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]
