"""Says what a new configuration will change of what runs, and why. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from typing import Any

from mesos_docker_scheduler.config import SCHEDULING_ONLY, Config, Constraint, Service
from mesos_docker_scheduler.wording import instances, is_are, printable

Message = dict[str, Any]

_LONGEST_VALUE = 60
_DEFAULTS = Service(name="any", image="any").model_dump(mode="json")
# They can hold passwords.
_HIDDEN = frozenset({"env", "secrets", "command", "args", "parameters"})


def changes(config: Config, definitions: list[Message], *, reset: bool = False) -> list[str]:
    """What will be started, stopped, moved and replaced, a sentence each; none: nothing changes.

    `definitions`: as /v1/definitions lists them. `reset`: what operators have asked for is taken back, too.
    """
    running = {one["service"]["name"]: _complete(one) for one in definitions}
    lines: list[str] = []
    for service in config.services:
        known = running.pop(service.name, None)
        lines += [_new(service)] if known is None else _changed(service, known, reset)
    for name, gone in running.items():
        count = sum(gone["running"].values())
        lines.append(f"{name}: is in the file no more; {_so_many(count, 'stopped')}")
    return lines


def _complete(known: Message) -> Message:
    """The same with what a scheduler of before leaves out."""
    count = known["service"]["count"]
    defaults = {
        "wanted": count,
        "scaled": False,
        "stopped": None,
        "by_operator": False,
        "running": {known["version"]: count},
    }
    return {**defaults, **known}


def _new(service: Service) -> str:
    if service.mode == "global":
        return f"{service.name}: is new: an instance of {service.made_of} is started on each slave that suits"
    return f"{service.name}: is new; {_so_many(service.count, 'started')}, of {service.made_of}"


def _changed(service: Service, known: Message, reset: bool) -> Iterator[str]:
    name, after = service.name, service.model_dump(mode="json")
    # Of a scheduler that knows fewer fields.
    before = {**_DEFAULTS, **known["service"]}
    differences = {
        field: list(_differences(field, before.get(field), after[field]))
        for field in after
        if after[field] != before.get(field)
    }
    count = _count(service, known, reset)
    yield from _replaced(service, known, differences, count, reset)
    mode = before.get("mode", "replicated")
    if service.mode == "global":
        if mode != "global":
            text = "one instance runs on each slave that suits, others are stopped"
            yield f"{name}: mode {mode} → global: {text}"
    elif mode == "global":
        yield f"{name}: mode global → replicated: {instances(count)} {is_are(count)} kept or started"
    elif count != known["wanted"]:
        more = count - known["wanted"]
        asked = ", what an operator asked for," if known["scaled"] else ""
        done = _so_many(abs(more), "started" if more > 0 else "stopped")
        yield f"{name}: count {known['wanted']}{asked} → {count}; {done}"
    if differences.get("constraints") and after["constraints"]:
        yield f"{name}: instances move that the new constraints keep off their slaves"
    if service.rebalance and not before.get("rebalance"):
        yield f"{name}: instances move, one at a time, to slaves that have at least two fewer"
    settings = _texts(differences, SCHEDULING_ONLY - {"count", "constraints", "mode", "rebalance"})
    if settings:
        yield f"{name}: nothing is restarted for {', '.join(settings)}"


def _count(service: Service, known: Message, reset: bool) -> int:
    """How many instances there will be. An operator's count gives way to another one of the file."""
    stays = known["scaled"] and not reset and service.count == known["service"]["count"]
    return int(known["wanted"]) if stays or service.mode == "global" else service.count


def _replaced(
    service: Service, known: Message, differences: Mapping[str, list[str]], count: int, reset: bool
) -> Iterator[str]:
    made_of = _texts(differences, differences.keys() - SCHEDULING_ONLY)
    names = _names(service, known["service"])
    if not made_of and service.secret_files and not service.lacks_secrets and known["version"] not in names:
        made_of = ["a secret"]
    others = sum(number for version, number in known["running"].items() if version not in names)
    if made_of and not others and known["running"]:
        yield f"{service.name}: its instances are as configured already: nothing of them is replaced"
    elif made_of and others and count:
        number = min(count, others)
        how = f"max_surge {service.update.max_surge}, max_unavailable {service.update.max_unavailable}"
        if service.mode == "global":
            how = "where they are, one slave after the other"
        text = f"its {instances(number)} {is_are(number)} replaced ({how}), because of {', '.join(made_of)}"
        yield f"{service.name}: {text}"
    elif known["stopped"] is not None and not made_of:
        otherwise = any(differences[field] for field in differences if field != "count")
        if reset or (otherwise and not known["by_operator"]):
            done = f"which an operator has {known['stopped']}" if known["by_operator"] else "which has failed"
            number = f"{instances(others)} {is_are(others)}"
            yield f"{service.name}: its update goes on, {done}: {number} replaced"


def _names(service: Service, before: Message) -> tuple[str, str]:
    """What its version may be called: an earlier release counted the constraints of then."""
    constraints = tuple(Constraint.model_validate(one) for one in before["constraints"])
    return service.version, service.model_copy(update={"constraints": constraints}).former_version


def _so_many(count: int, done: str) -> str:
    return f"{instances(count)} {is_are(count)} {done}" if count else f"nothing is {done}"


def _texts(differences: Mapping[str, list[str]], fields: Set[str]) -> list[str]:
    return [text for field, texts in differences.items() if field in fields for text in texts]


def _differences(field: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                hidden = field in _HIDDEN or key in _HIDDEN
                yield _difference(f"{field}.{printable(key)}", before.get(key), after.get(key), hidden)
    else:
        yield _difference(field, before, after, field in _HIDDEN)


def _difference(field: str, before: Any, after: Any, hidden: bool) -> str:
    text = f"{_shown(before)} → {_shown(after)}"
    return field if hidden or len(text) > _LONGEST_VALUE else f"{field} ({text})"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return " ".join(printable(value).split()) if isinstance(value, str) else json.dumps(value)
