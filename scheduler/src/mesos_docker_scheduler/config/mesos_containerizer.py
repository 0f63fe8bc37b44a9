"""What of a service Mesos' own containerizer does not honour; it starts commands, in an image or without."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mesos_docker_scheduler.wording import excerpt

if TYPE_CHECKING:
    from mesos_docker_scheduler.config.service import Service

MOST_BYTES = 100_000
"""Of a command and its variables: they are handed on in one variable, of which Linux takes 128 KiB."""

_A_USER = 'the name of a user of the slaves, such as "www-data"'
_DAEMONS = frozenset({"mesos", "mesos-exporter", "mesos-scheduler", "zookeeper"})
"""Users of the cluster's own daemons, which the roles make: they can read its secrets."""


def refusal(service: Service) -> str | None:
    """What is wrong first: a sentence that begins with the field."""
    for field, value, allowed in (*_fields(service), *_without_image(service)):
        what = "is missing" if value is None else f"{value} is not allowed"
        return f'{field}: {what} for the service "{service.name}" with containerizer "mesos"; {allowed}'
    return None


def secrets_refusal(service: Service, values: Mapping[str, str]) -> str | None:
    """What is wrong with the values of its secrets, by field; nothing of the values is said."""
    if service.containerizer != "mesos":
        return None
    size = len(json.dumps([service.command, service.args, service.env, list(values.values())]))
    if size <= MOST_BYTES:
        return None
    return (
        f"secrets: {size} bytes with env and the command are not allowed for the service"
        f' "{service.name}" with containerizer "mesos"; they must be {MOST_BYTES} at most, as JSON'
    )


def _fields(service: Service) -> Iterator[tuple[str, str | None, str]]:
    if service.network != "host":
        yield (
            "network",
            json.dumps(service.network),
            'it must be "host", the only network that it has',
        )
    if service.parameters:
        keys = ", ".join(parameter.key for parameter in service.parameters)
        yield "parameters", excerpt(keys), "it must be left out: these are options of docker run"
    if service.privileged:
        yield "privileged", "true", "it must be false: what the user may do is all that the instance may do"
    if service.gpus:
        yield "gpus", str(service.gpus), "it must be 0: nothing would hand them over"
    for index, volume in enumerate(service.volumes):
        if volume.volume is not None:
            yield (
                f"volumes[{index}].volume",
                excerpt(volume.volume),
                "it must be a folder of the host: host_path",
            )
        elif ".." in volume.container_path.split("/"):
            # Mesos would follow it out of the instance's root, as root.
            yield (
                f"volumes[{index}].container_path",
                excerpt(volume.container_path),
                "it must have no part ..",
            )
    if service.user is None:
        yield "user", None, f"it must be {_A_USER}"
    elif not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*\$?", service.user):
        yield "user", excerpt(service.user), f"it must be {_A_USER}"
    elif service.user in _DAEMONS:
        yield "user", excerpt(service.user), "it must not be that of a daemon of the cluster"
    size = len(json.dumps([service.command, service.args, service.env]))
    if size > MOST_BYTES:
        yield "env", f"{size} bytes with the command", f"it must be {MOST_BYTES} at most, as JSON"


def _without_image(service: Service) -> Iterator[tuple[str, str | None, str]]:
    if service.image is not None:
        if service.entrypoint == "":
            yield "entrypoint", '""', "it must be a program inside the image, or null for the image's own"
        return
    instead = "without an image it must be left out; command says what runs"
    if service.entrypoint is not None:
        yield "entrypoint", excerpt(service.entrypoint), instead
    if service.args:
        yield "args", "[...]", instead
    if service.force_pull:
        yield "force_pull", "true", "without an image it must be false"
    if service.volumes:
        # In the place of /etc it would be what the slave's setuid programs believe.
        yield "volumes", "[...]", "without an image it must be left out; the command finds the slave's files"
    if service.command is None:
        yield "command", None, "without an image it must be a shell command"
