"""Secrets of services: read from files of this host with the configuration, and written down nowhere else."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from mesos_docker_scheduler.config import mesos_containerizer
from mesos_docker_scheduler.config.fetch import A_CONFIDENTIAL_URI, CONFIDENTIAL
from mesos_docker_scheduler.config.service import Service

NONE: Mapping[str, str] = {}
LONGEST = 65_536
"""Bytes; Linux takes no environment variable longer than twice that."""


def read(service: Service, known: Mapping[str, str] = NONE) -> tuple[dict[str, str], list[str]]:
    """Return the values of the service's secrets by field, and what is wrong with the others.

    `known`: by path, what the configuration in use was read with. It stands for the file, which may be in the
    middle of being written.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for field, path in service.secret_files.items():
        try:
            value = known[path] if path in known else _value(Path(path))
            if field.startswith("fetch") and not CONFIDENTIAL.fullmatch(value):
                raise ValueError(f"does not hold {A_CONFIDENTIAL_URI}")
            values[field] = value
        except ValueError as error:
            problems.append(f"{field}: {path} {error}")
    too_large = mesos_containerizer.secrets_refusal(service, values)
    return values, [*problems, too_large] if too_large is not None else problems


def _value(path: Path) -> str:
    """What a file holds, less the newline at its end. ValueError says why it can't be a secret."""
    try:
        # Without waiting: nobody may ever write into a pipe.
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("is no regular file")
            content = file.read(LONGEST + 2)
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from error
    content = content.removesuffix(b"\n")
    if not content:
        raise ValueError("is empty")
    if len(content) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # Not with its cause, which has the content.
        raise ValueError("is not UTF-8") from None
    if "\0" in text:
        raise ValueError("holds a zero byte, which no environment variable can")
    return text


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def digest(service: str, values: Mapping[str, str]) -> str:
    """Name what the secrets hold, so that a change is seen.

    It takes part in the service's version, which everybody may see: guessing a weak secret from that must be
    slow, and the same secret of two services must not look the same.
    """
    # Without the field of those that were the only ones: their versions keep their names.
    names = {field.removeprefix("secrets."): value for field, value in values.items()}
    return _slow_digest(service, json.dumps(names, sort_keys=True))


@lru_cache(maxsize=1024)
def _slow_digest(salt: str, text: str) -> str:
    made = hashlib.scrypt(text.encode(), salt=f"mesos-docker-scheduler/{salt}".encode(), n=2**14, r=8, p=1)
    return made.hex()
