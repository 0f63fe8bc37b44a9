"""The calls of the v1 scheduler API as plain dictionaries (docs/scheduler-http-api.md, v1/scheduler.proto).

They come without `framework_id`: the subscription they are sent on adds it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Call = dict[str, Any]

_MAX_REFUSE_SECONDS = 365 * 24 * 3600.0  # Mesos caps it there as well
_NANOSECONDS = 1_000_000_000


def _ids(values: Iterable[str]) -> list[dict[str, str]]:
    return [{"value": value} for value in values]


def _with_filters(body: dict[str, Any], refuse_seconds: float | None) -> dict[str, Any]:
    """Add the filter; None leaves the choice (5 s) to Mesos."""
    if refuse_seconds is not None:
        if not refuse_seconds >= 0:
            raise ValueError(f"refuse_seconds: {refuse_seconds!r} is not allowed; it must be 0 or more")
        body["filters"] = {"refuse_seconds": min(float(refuse_seconds), _MAX_REFUSE_SECONDS)}
    return body


def accept(
    offer_ids: Sequence[str], operations: Sequence[Mapping[str, Any]], refuse_seconds: float | None
) -> Call:
    """Use offers of one agent; what is left of them is refused for `refuse_seconds`."""
    body = {"offer_ids": _ids(offer_ids), "operations": list(operations)}
    return {"type": "ACCEPT", "accept": _with_filters(body, refuse_seconds)}


def launch_operation(tasks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An operation for `accept` that launches TaskInfos."""
    return {"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}


def decline(offer_ids: Sequence[str], refuse_seconds: float | None) -> Call:
    """Give offers back."""
    return {"type": "DECLINE", "decline": _with_filters({"offer_ids": _ids(offer_ids)}, refuse_seconds)}


def accept_inverse_offers(offer_ids: Sequence[str], refuse_seconds: float | None) -> Call:
    """Agree to vacate the agents of these inverse offers."""
    body = {"inverse_offer_ids": _ids(offer_ids)}
    return {"type": "ACCEPT_INVERSE_OFFERS", "accept_inverse_offers": _with_filters(body, refuse_seconds)}


def decline_inverse_offers(offer_ids: Sequence[str], refuse_seconds: float | None) -> Call:
    """Say that the agents of these inverse offers can't be vacated in time."""
    body = {"inverse_offer_ids": _ids(offer_ids)}
    return {"type": "DECLINE_INVERSE_OFFERS", "decline_inverse_offers": _with_filters(body, refuse_seconds)}


def suppress(roles: Sequence[str] | None) -> Call:
    """Ask for no offers to these roles, or to any when None."""
    return {"type": "SUPPRESS", "suppress": {"roles": list(roles)}} if roles else {"type": "SUPPRESS"}


def revive(roles: Sequence[str] | None) -> Call:
    """Ask for offers to these roles (None: all) and drop their filters."""
    return {"type": "REVIVE", "revive": {"roles": list(roles)}} if roles else {"type": "REVIVE"}


def kill(task_id: str, agent_id: str | None, grace_seconds: float | None) -> Call:
    """Kill a task. A wrong agent id makes Mesos ignore the call silently: better none than a stale one."""
    body: dict[str, Any] = {"task_id": {"value": task_id}}
    if agent_id is not None:
        body["agent_id"] = {"value": agent_id}
    if grace_seconds is not None:
        if not grace_seconds >= 0:
            raise ValueError(f"grace_seconds: {grace_seconds!r} is not allowed; it must be 0 or more")
        body["kill_policy"] = {"grace_period": {"nanoseconds": int(grace_seconds * _NANOSECONDS)}}
    return {"type": "KILL", "kill": body}


def message(executor_id: str, agent_id: str, data: bytes) -> Call:
    """Send bytes to an executor, which Mesos may lose."""
    body = {
        "agent_id": {"value": agent_id},
        "executor_id": {"value": executor_id},
        "data": base64.b64encode(data).decode(),
    }
    return {"type": "MESSAGE", "message": body}


def acknowledge(status: Mapping[str, Any]) -> Call:
    """Acknowledge a TaskStatus that has a uuid."""
    # What stands beside the ids' values may be nothing that can be sent.
    ids = {key: {"value": status[key]["value"]} for key in ("agent_id", "task_id")}
    return {"type": "ACKNOWLEDGE", "acknowledge": {**ids, "uuid": status["uuid"]}}


def reconcile(tasks: Iterable[tuple[str, str | None]]) -> Call:
    """Ask for the states of (task id, agent id) pairs; none at all means every task Mesos knows of ours."""
    entries = []
    for task_id, agent_id in tasks:
        entry = {"task_id": {"value": task_id}}
        if agent_id is not None:
            entry["agent_id"] = {"value": agent_id}
        entries.append(entry)
    return {"type": "RECONCILE", "reconcile": {"tasks": entries}}


def teardown() -> Call:
    """End the framework: Mesos kills all its tasks."""
    return {"type": "TEARDOWN"}
