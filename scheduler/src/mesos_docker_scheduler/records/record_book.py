"""Keeps one record for each service, as JSON in the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from mesos_docker_scheduler.records.store import read_record

Record = TypeVar("Record")


class RecordBook(Generic[Record]):
    """Dataclasses of one type by service; `kind`: that of the store's records which hold them."""

    def __init__(self, kind: str, type_: type[Record]) -> None:
        self._kind = kind
        self._adapter = TypeAdapter(type_)
        self.records: dict[str, Record] = {}
        self._changed: set[str] = set()

    def restore(self, records: Mapping[tuple[str, str], str]) -> None:
        """Take in what an earlier process has written; fields that a newer one has added are left out.

        StoreError when a record is damaged.
        """
        for (kind, name), text in records.items():
            if kind == self._kind:
                self.records[name] = read_record(self._adapter, (kind, name), text)

    def take_records(self) -> dict[tuple[str, str], str | None]:
        """Return what is to be written of the changes since the last call; None: to be deleted."""
        changes = {
            (self._kind, name): json.dumps(asdict(self.records[name])) if name in self.records else None  # type: ignore[call-overload]
            for name in self._changed
        }
        self._changed.clear()
        return changes

    def keep(self, name: str, record: Record) -> None:
        """Replace the record of a service."""
        self.records[name] = record
        self._changed.add(name)

    def drop(self, name: str) -> None:
        """Delete the record of a service."""
        self.records.pop(name, None)
        self._changed.add(name)
