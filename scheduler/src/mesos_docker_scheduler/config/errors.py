"""Errors that say what to change: the field, its value, what is allowed, and where it stands."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic_core import ErrorDetails

from mesos_docker_scheduler.config.sections import Section
from mesos_docker_scheduler.errors import Error
from mesos_docker_scheduler.wording import count_of, excerpt, one_line

Location = tuple[int | str, ...]

_MOST_PROBLEMS = 100

_IN_DICTIONARIES = {"env": "a text without zero bytes", "secrets": "the absolute path of a file"}
_NAMES = {"env": "the name of an environment variable", "secrets": "the name of an environment variable"}


# What Marathon, Compose, Kubernetes and Nomad say, without underscores and in lower case.
_WORDS_OF_OTHERS = {
    "cmd": "command",
    "cpu": "cpus",
    "environment": "env",
    "forcepullimage": "force_pull",
    "healthcheck": "health_check",
    "healthchecks": "health_check",
    "hostport": "host_port",
    "containerport": "container_port",
    "id": "name",
    "instances": "count",
    "memory": "mem",
    "portmappings": "ports",
    "replicas": "count",
    "uris": "fetch",
    "upgradestrategy": "update",
    "updatestrategy": "update",
}


class ConfigError(Error, ValueError):
    """A configuration that can't be used; `problems` holds one sentence for each thing that is wrong.

    They quote keys and values, which may be anything: each becomes one line that is not long, and only the
    first are kept.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = [one_line(problem) for problem in problems[:_MOST_PROBLEMS]]
        left = len(problems) - _MOST_PROBLEMS
        if left > 0:
            self.problems.append(f"... and {count_of(left, 'more problem')}")
        super().__init__("; ".join(self.problems))


def sentence(detail: ErrorDetails, root: type[Section]) -> str:
    """Say what is wrong with a configuration of this kind."""
    location = detail["loc"]
    where = _path(location)
    if detail["type"] == "extra_forbidden":
        return (
            f"{where}: is not a known key; {_suggestion(str(location[-1]), _section_at(location[:-1], root))}"
        )
    allowed = _description(location, root)
    if location[-1:] == ("[key]",):
        holder = next((str(part) for part in reversed(location[:-2])), "")
        return f"{where}: is not {_NAMES.get(holder, 'a name that is allowed')}"
    if detail["type"] == "missing":
        return f"{where}: is missing; it must be {allowed}"
    if detail["type"] == "value_error":
        reason = str(detail["ctx"]["error"])
        # A check over several fields names them itself, relative to its section.
        if not reason.startswith("must "):
            return f"{where}.{reason}" if where else reason
        return f"{where}: {_shown(location, detail['input'])} is not allowed; it {reason}"
    return f"{where}: {_shown(location, detail['input'])} is not allowed; it must be {allowed}"


def _path(location: Location) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if path else part
    return path


def _shown(location: Location, value: Any) -> str:
    is_uri = "fetch" in location[-3:] and location[-1] != "output_file"
    if "env" in location or "secrets" in location or is_uri or location[-1:] in (("master",), ("zookeeper",)):
        return "the value (not shown, it may hold a secret)"
    return excerpt(value)


def _section_at(location: Location, root: type[Section]) -> type[Section]:
    section = root
    for part in location:
        if isinstance(part, str) and part in section.model_fields:
            section = _section_in(section.model_fields[part].annotation) or section
    return section


def _section_in(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _section_in(inner)
        if found is not None:
            return found
    return None


def _description(location: Location, root: type[Section]) -> str:
    """What the value at this place must be: as its field says, or the list or dictionary that holds it."""
    text = "one JSON object"
    section: type[Section] | None = root
    name = ""
    for part in location:
        if isinstance(part, int):
            text = f"a dictionary with the keys {', '.join(section.model_fields)}" if section else "a text"
        elif section is None:
            text = _IN_DICTIONARIES.get(name, "a text")
        elif part in section.model_fields:
            name, field = part, section.model_fields[part]
            text, section = field.description or text, _section_in(field.annotation)
    return text


def _suggestion(key: str, section: type[Section]) -> str:
    known = list(section.model_fields)
    meant = _WORDS_OF_OTHERS.get(key.lower().replace("_", "").replace("-", ""))
    close = [meant] if meant in known else difflib.get_close_matches(key, known, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known keys are {', '.join(known)}"
