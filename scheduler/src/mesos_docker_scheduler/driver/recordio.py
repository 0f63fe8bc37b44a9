"""RecordIO, how Mesos frames events (docs/recordio.md): length in decimal, newline, that many bytes."""

from __future__ import annotations

from mesos_docker_scheduler.errors import Error

_LENGTH_DIGITS = 20  # of the largest 64-bit unsigned integer
_DIGITS = frozenset(b"0123456789")

DEFAULT_MAX_RECORD_BYTES = 256 * 1024 * 1024


class RecordError(Error, ValueError):
    """The stream is not RecordIO, or a record is larger than allowed. Nothing after it can be read."""


class RecordParser:
    """Splits a byte stream that arrives in pieces into records.

    Every byte is looked at and copied a fixed number of times, however the stream is cut.
    """

    def __init__(self, max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES) -> None:
        self._max_record_bytes = max_record_bytes
        self._length_text = b""
        self._missing = (
            0  # bytes of the current record that have not arrived; 0 while its length is being read
        )
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return the records they complete.

        RecordError: the bytes are no RecordIO or announce a record larger than the limit.
        """
        records: list[bytes] = []
        position = 0
        while position < len(data):
            if self._missing:
                piece = data[position : position + self._missing]
                self._pieces.append(piece)
                self._missing -= len(piece)
                position += len(piece)
                if not self._missing:
                    records.append(b"".join(self._pieces))
                    self._pieces.clear()
            else:
                position = self._read_length(data, position)
        return records

    def _read_length(self, data: bytes, position: int) -> int:
        """Read (a part of) a length from `position` on; return the position after it."""
        room = _LENGTH_DIGITS - len(self._length_text)
        newline = data.find(b"\n", position, position + room + 1)
        end = newline if newline >= 0 else position + room + 1
        self._length_text += data[position:end]
        if len(self._length_text) > _LENGTH_DIGITS or not _DIGITS.issuperset(self._length_text):
            raise RecordError(f"expected a record's length in decimal, got {self._length_text[:40]!r}")
        if newline < 0:
            return end
        if not self._length_text:
            return newline + 1  # an empty line between records is allowed
        length = int(self._length_text)
        self._length_text = b""
        if not 0 < length <= self._max_record_bytes:
            raise RecordError(f"a record of {length} bytes; allowed are 1 to {self._max_record_bytes}")
        self._missing = length
        return newline + 1
