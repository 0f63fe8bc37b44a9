#!/usr/bin/python
"""Ansible module: wait until the scheduler runs what its configuration asks for, or say why it does not."""

from __future__ import annotations

import json
import time
from http.client import HTTPException
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

DOCUMENTATION = r"""
module: scheduler_converged
short_description: Wait until the scheduler runs what its configuration asks for
description:
  - Polls the scheduler's status until the given configuration is in use and every service has its instances.
  - Fails, with the scheduler's reasons, when nothing moves any more or when instances keep failing.
options:
  url:
    description: URL of the scheduler's C(/v1/status).
    type: str
    required: true
  sha256:
    description: SHA-256 of the configuration file that must be in use.
    type: str
    required: true
  wait_seconds:
    description: How long to wait, in seconds, while no instance starts, becomes well or ends.
    type: int
    required: true
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Wait until the containers run
  scheduler_converged:
    url: http://127.0.0.1:8090/v1/status
    sha256: "{{ content | hash('sha256') }}"
    wait_seconds: 30
"""

RETURN = r"""
services:
  description: The services with what they want and what runs, as the scheduler's status gives them.
  type: list
  elements: dict
  returned: success
"""

POLL_SECONDS = 0.25
# So many failures can't be bad luck. The scheduler goes on trying, but the operator should know now.
FAILURES = 3
# An update that has failed is tried again by a reload: the scheduler gets a moment to hear of it.
STOPPED = {"update paused", "rolled back"}
STOPPED_SECONDS = 3


def fetch(url: str) -> tuple[dict[str, Any] | None, str]:
    """Return the status and an empty text, or None and why there is none."""
    try:
        with open_url(url, timeout=5, use_proxy=False) as answer:
            return json.load(answer), ""
    except (OSError, HTTPException, ValueError) as problem:
        return None, str(problem)


def missing(status: dict[str, Any], sha256: str) -> list[str]:
    """Return what the status lacks, a sentence each; nothing when the configuration is in use and met."""
    config = status["config"]
    if config["error"]:
        return [f"The scheduler refuses the configuration and keeps the old one: {config['error']}"]
    if config["sha256"] != sha256:
        return ["The scheduler has not read the new configuration."]
    lines = []
    for service in status["services"]:
        if not service["converged"]:
            lines.append(f"{service['name']}: {service['running']} of {service['wanted']} run. Waiting for:")
            lines.extend(f"  - {' '.join(reason.split())}" for reason in service["waiting"])
    if not lines and not status["connected"]:  # else the services' reasons say so
        lines.append("The scheduler is not connected to a Mesos master.")
    return lines


class Patience:
    """Decides how long waiting makes sense: while something moves, and while instances don't keep failing."""

    def __init__(self, wait_seconds: int, now: float) -> None:
        self._wait_seconds = wait_seconds
        self._moved_at = now
        self._seen: object = None
        self._began_at: float | None = None
        self._stopped_since: float | None = None

    def lost(self, status: dict[str, Any] | None, now: float) -> str | None:
        """Say why there is nothing more to wait for, or return None."""
        if status is not None:
            if self._began_at is None:
                self._began_at = status["at"]
            ended = [
                event
                for event in status["events"]
                if event["kind"] == "ended" and event["at"] >= self._began_at
            ]
            if len(ended) >= FAILURES:
                return f"{len(ended)} instances have failed."
            services = status["services"]
            kinds = {reason["kind"] for service in services for reason in service["reasons"]}
            if not kinds & STOPPED:
                self._stopped_since = None
            elif self._stopped_since is None:
                self._stopped_since = now
            elif now - self._stopped_since >= STOPPED_SECONDS:
                return "An update has failed."
            seen = [
                [(one["task_id"], one["state"], one["healthy"]) for one in service["instances"]]
                for service in services
            ]
            if seen != self._seen or any(service["staging"] for service in services):
                self._seen = seen
                self._moved_at = now
        if now - self._moved_at >= self._wait_seconds:
            return f"Nothing has moved for {self._wait_seconds} seconds."
        return None


def main() -> None:
    """Poll until the configuration is met or there is nothing more to wait for."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True, "no_log": False},
            "wait_seconds": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    url, sha256, wait_seconds = (module.params[name] for name in ("url", "sha256", "wait_seconds"))
    patience = Patience(wait_seconds, time.monotonic())
    while True:
        status, problem = fetch(url)
        lines = (
            [f"The scheduler does not answer at {url}: {problem}"]
            if status is None
            else missing(status, sha256)
        )
        if status is not None and not lines:
            module.exit_json(changed=False, services=status["services"])
        lost = patience.lost(status, time.monotonic())
        if lost:
            closing = "The scheduler goes on trying. Correct the value and run the playbook again."
            module.fail_json(msg="\n".join([lost, *lines, closing]))
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
