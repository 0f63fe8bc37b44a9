"""Which configuration is the newer one, where each of several schedulers reads a copy of its own.

A host that was down while the others got a new configuration comes back with the former one, and may be
elected. It must not undo what the others have done.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter

from mesos_docker_scheduler.config import Config
from mesos_docker_scheduler.records.store import read_record

_KEY = ("framework", "configuration")


@dataclass(frozen=True, slots=True)
class Edition:
    """What a configuration says of services, as a digest, and when its files were written last.

    `written_at`: seconds of the epoch, by the clock of the host that has them.
    """

    digest: str
    written_at: float

    @classmethod
    def of(cls, config: Config, written_at: float) -> Edition:
        """What hosts may have each for itself, such as addresses, has no part in it; secrets have.

        Defaults are left out, so that a scheduler that knows more fields still says the same.
        """
        services = [
            (service.version, service.model_dump(mode="json", exclude_defaults=True))
            for service in config.services
        ]
        allowed = config.allowed.model_dump(mode="json", exclude_defaults=True)
        text = json.dumps([services, allowed], sort_keys=True)
        return cls(hashlib.sha256(text.encode()).hexdigest(), written_at)

    def is_older_than(self, other: Edition | None) -> bool:
        """Whether the other one was made of this one, or of others that came after it."""
        return other is not None and self.digest != other.digest and self.written_at < other.written_at

    def after(self, other: Edition | None) -> Edition:
        """This one, made after the other one whatever the times of their files say."""
        if other is None or self.written_at > other.written_at:
            return self
        if self.digest == other.digest:
            return other
        return Edition(self.digest, math.nextafter(other.written_at, math.inf))


def recorded(records: Mapping[tuple[str, str], str]) -> Edition | None:
    """What a leader has acted on last. StoreError: the record is damaged."""
    text = records.get(_KEY)
    return None if text is None else read_record(TypeAdapter(Edition), _KEY, text)


class Editions:
    """The edition that the leader acts on, as a record of the store."""

    def __init__(self, known: Edition | None) -> None:
        self._current = known
        self._written = known

    def take(self, edition: Edition) -> None:
        """Act on this one: an operator has put it there, or it was there when we were elected."""
        self._current = edition.after(self._current)

    def take_records(self) -> dict[tuple[str, str], str | None]:
        """Return what is to be written of the changes since the last call."""
        if self._current is None or self._current == self._written:
            return {}
        self._written = self._current
        return {_KEY: json.dumps(asdict(self._current))}
