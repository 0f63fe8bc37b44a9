"""Secrets of services: read from files of this host, and written down nowhere else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from mesos_docker_scheduler.config.service import Service

LONGEST = 65_536
"""Bytes; Linux takes no environment variable longer than twice that."""


def read(service: Service) -> tuple[dict[str, str], list[str]]:
    """Return the values of the service's secrets by name, and what is wrong with the others."""
    values: dict[str, str] = {}
    problems: list[str] = []
    for name, path in service.secrets.items():
        try:
            values[name] = _value(Path(path))
        except ValueError as error:
            problems.append(f"secrets.{name}: {path} {error}")
    return values, problems


def _value(path: Path) -> str:
    """What a file holds, less the newline at its end. ValueError says why it can't be a secret."""
    try:
        with path.open("rb") as file:
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


def digest(service: str, values: Mapping[str, str]) -> str:
    """Name what the secrets hold, so that a change is seen.

    It takes part in the service's version, which everybody may see: guessing a weak secret from that must be
    slow, and the same secret of two services must not look the same.
    """
    return _slow_digest(service, json.dumps(values, sort_keys=True))


@lru_cache(maxsize=1024)
def _slow_digest(salt: str, text: str) -> str:
    made = hashlib.scrypt(text.encode(), salt=f"mesos-docker-scheduler/{salt}".encode(), n=2**14, r=8, p=1)
    return made.hex()
