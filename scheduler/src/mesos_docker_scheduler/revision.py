"""Names what is asked of a service at the moment, so that two writers can't overwrite each other unseen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.overrides import Override
from mesos_docker_scheduler.rollout import Rollout


def revision_of(configured: Service, override: Override, rollout: Rollout | None) -> str:
    """Twelve hexadecimal digits that change with the file's wish, an operator's, or an update's state."""
    update = None if rollout is None else (rollout.target, rollout.state, rollout.good)
    text = json.dumps([configured.version, configured.model_dump_json(), asdict(override), update])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
