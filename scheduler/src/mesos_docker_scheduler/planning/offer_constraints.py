"""Constraints that the master itself can check before it offers (OfferConstraints, v1/scheduler.proto, 1.11).

A role's offers are filtered only if each of its services that want instances can do with what is left. Only
constraints that mean the same there go along; the others are checked by us alone, as are attributes that are
not text, which the master always lets through.

Regular expressions are RE2's there as here and must fit the whole value; one goes along if it is small enough
for the master's limits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.expressions import suits_master
from mesos_docker_scheduler.planning.constraints import (
    Constraint,
    described,
    looks_at_agent_alone,
    plain_text,
)
from mesos_docker_scheduler.planning.placement import role_of

Message = dict[str, Any]

_PSEUDO = {"hostname": "HOSTNAME", "@region": "REGION", "@zone": "ZONE"}
_MOST_GROUPS = 50


@dataclass(frozen=True, slots=True)
class Filters:
    """What to tell the master (v1 OfferConstraints), and the same in words, by role."""

    message: Message = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def only(self, roles: Collection[str]) -> Filters:
        """Those of some roles: Mesos takes none of a role that the framework does not have."""
        kept = {role: self.message["role_constraints"][role] for role in self.texts if role in roles}
        texts = {role: self.texts[role] for role in kept}
        return Filters({"role_constraints": kept} if kept else {}, texts)


def filters_for(asking: Iterable[Service], default_role: str) -> Filters:
    """The filters that suit the services that want instances."""
    by_role: dict[str, list[Service]] = {}
    for service in asking:
        by_role.setdefault(role_of(service, default_role), []).append(service)
    constraints: dict[str, Message] = {}
    texts: dict[str, str] = {}
    for role, services in sorted(by_role.items()):
        groups: dict[str, list[Message]] = {}
        for service in services:
            told = [(described(one), _translated(one)) for one in service.constraints]
            told = [(text, message) for text, message in told if message is not None]
            groups[" and ".join(sorted({text for text, _ in told}))] = [
                message for _, message in told if message is not None
            ]
        if "" not in groups and len(groups) <= _MOST_GROUPS:
            constraints[role] = {
                "groups": [{"attribute_constraints": groups[text]} for text in sorted(groups)]
            }
            texts[role] = " or ".join(sorted(groups))
    return Filters({"role_constraints": constraints} if constraints else {}, texts)


def _translated(constraint: Constraint) -> Message | None:
    if not looks_at_agent_alone(constraint):
        return None
    value = constraint.value or ""
    predicate: Message
    if constraint.operator in ("IS", "CLUSTER"):
        predicate = {"text_equals": {"value": plain_text(constraint)}}
    else:
        if not suits_master(value):
            return None
        name = "text_matches" if constraint.operator == "LIKE" else "text_not_matches"
        predicate = {name: {"regex": value}}
    selector: Message = {"attribute_name": constraint.field}
    if constraint.field in _PSEUDO:
        selector = {"pseudoattribute_type": _PSEUDO[constraint.field]}
    return {"selector": selector, "predicate": predicate}
