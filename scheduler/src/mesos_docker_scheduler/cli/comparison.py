"""Says what a new configuration will change of what runs, and why. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from typing import Any

from mesos_docker_scheduler.config import SCHEDULING_ONLY, Config, Service
from mesos_docker_scheduler.wording import instances, is_are

Message = dict[str, Any]

_LONGEST_VALUE = 60
# Their values are nobody's business.
_HIDDEN = ("env", "secrets")


def changes(config: Config, definitions: list[Message]) -> list[str]:
    """What will be started, stopped, moved and replaced, a sentence each; none: nothing changes.

    `definitions`: as /v1/definitions lists them.
    """
    running = {one["service"]["name"]: one for one in definitions}
    lines: list[str] = []
    for service in config.services:
        known = running.pop(service.name, None)
        lines += _new(service) if known is None else _changed(service, known["service"], known["version"])
    for name, gone in running.items():
        count = gone["service"]["count"]
        lines.append(f"{name}: is in the file no more: its {instances(count)} {is_are(count)} stopped")
    return lines


def _new(service: Service) -> list[str]:
    count = service.count
    return [f"{service.name}: is new: {instances(count)} of {service.image} {is_are(count)} started"]


def _changed(service: Service, before: Message, version: str) -> Iterator[str]:
    name, after = service.name, service.model_dump(mode="json")
    differences = {
        field: list(_differences(field, before.get(field), after[field]))
        for field in after
        if after[field] != before.get(field)
    }
    made_of = _texts(differences, differences.keys() - SCHEDULING_ONLY)
    known = (service.version, service.former_version)
    if not made_of and service.secrets and not service.lacks_secrets and version not in known:
        made_of = ["a secret"]
    stay = min(before["count"], after["count"])
    if made_of and stay:
        update = service.update
        how = f"max_surge {update.max_surge}, max_unavailable {update.max_unavailable}"
        why = ", ".join(made_of)
        yield f"{name}: its {instances(stay)} {is_are(stay)} replaced ({how}), because of {why}"
    more = after["count"] - before["count"]
    if more:
        done = f"{instances(abs(more))} {is_are(abs(more))} {'started' if more > 0 else 'stopped'}"
        yield f"{name}: count {before['count']} → {after['count']}: {done}"
    if "constraints" in differences and not made_of:
        yield f"{name}: those of its instances move that the new constraints keep off their slaves"
    settings = _texts(differences, SCHEDULING_ONLY - {"count", "constraints"})
    if settings:
        yield f"{name}: nothing is restarted for {', '.join(settings)}"


def _texts(differences: Mapping[str, list[str]], fields: Set[str]) -> list[str]:
    return [text for field, texts in differences.items() if field in fields for text in texts]


def _differences(field: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                yield _difference(f"{field}.{key}", before.get(key), after.get(key), field in _HIDDEN)
    else:
        yield _difference(field, before, after, field in _HIDDEN)


def _difference(field: str, before: Any, after: Any, hidden: bool) -> str:
    text = f"{_shown(before)} → {_shown(after)}"
    return field if hidden or len(text) > _LONGEST_VALUE else f"{field} ({text})"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
