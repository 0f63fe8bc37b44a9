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
  - Fails when that takes too long, with the reasons that the scheduler gives.
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
    description: How long to wait, in seconds.
    type: int
    required: true
author: The project's maintainers
"""

EXAMPLES = r"""
- name: Wait until the containers run
  scheduler_converged:
    url: http://127.0.0.1:8090/v1/status
    sha256: "{{ content | hash('sha256') }}"
    wait_seconds: 60
"""

RETURN = r"""
framework_id:
  description: The id that Mesos has given the framework.
  type: str
  returned: success
services:
  description: The services with what they want and what runs, as the scheduler's status gives them.
  type: list
  elements: dict
  returned: success
"""

POLL_SECONDS = 0.25
CLOSING = "The scheduler goes on trying. Correct the value and run the playbook again."


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
            lines.extend(
                f"  - {reason}" for reason in service["waiting"] or ["tasks that are starting or ending"]
            )
    if not lines and not status["connected"]:  # else the services' reasons say so
        lines.append("The scheduler is not connected to a Mesos master.")
    return lines


def main() -> None:
    """Poll until the configuration is satisfied or the time is over."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True, "no_log": False},
            "wait_seconds": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    url, sha256, wait_seconds = (module.params[name] for name in ("url", "sha256", "wait_seconds"))
    deadline = time.monotonic() + wait_seconds
    while True:
        status, problem = fetch(url)
        lines = (
            [f"The scheduler does not answer at {url}: {problem}"]
            if status is None
            else missing(status, sha256)
        )
        if status is not None and not lines:
            module.exit_json(changed=False, framework_id=status["framework_id"], services=status["services"])
        if time.monotonic() >= deadline:
            module.fail_json(msg="\n".join([f"Not there after {wait_seconds} seconds.", *lines, CLOSING]))
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
