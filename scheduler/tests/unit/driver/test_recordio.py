from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.driver.recordio import RecordError, RecordParser
from scripted_master import record


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at (some of) the places."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(st.binary(min_size=1, max_size=300)), st.lists(st.integers(min_value=0)))
def test_records_come_out_as_they_went_in_however_the_stream_is_cut(
    records: list[bytes], places: list[int]
) -> None:
    parser = RecordParser()
    pieces = cut(b"".join(map(record, records)), places)
    assert [found for piece in pieces for found in parser.feed(piece)] == records


@given(st.binary(max_size=200), st.lists(st.integers(min_value=0)))
def test_any_bytes_give_records_or_a_record_error_the_same_however_they_are_cut(
    data: bytes, places: list[int]
) -> None:
    def outcome(pieces: list[bytes]) -> tuple[list[bytes], bool]:
        parser, found = RecordParser(max_record_bytes=50), []
        try:
            for piece in pieces:
                found += parser.feed(piece)
        except RecordError:
            return found, True
        return found, False

    whole, failed = outcome([data])
    in_pieces, failed_in_pieces = outcome(cut(data, places))
    assert failed == failed_in_pieces
    if not failed:
        assert whole == in_pieces


@given(st.integers(min_value=1, max_value=40))
def test_nothing_comes_out_before_a_record_is_complete(missing: int) -> None:
    parser = RecordParser()
    data = record(b"x" * 40)
    assert parser.feed(data[:-missing]) == []
    assert parser.feed(data[-missing:]) == [b"x" * 40]


def test_empty_lines_between_records_are_allowed() -> None:
    assert RecordParser().feed(b"\n1\na\n\n2\nbc") == [b"a", b"bc"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"0\n", "a record of 0 bytes; allowed are 1 to 256"),
        (b"257\n", "a record of 257 bytes; allowed are 1 to 256"),
        (b"-1\n", "length in decimal, got b'-1'"),
        (b"+1\nx", "length in decimal"),
        (b"1_0\n", "length in decimal"),
        ("٣\n".encode(), "length in decimal"),
        (b"<html>", "length in decimal, got b'<html>'"),
        (b"9" * 21, "length in decimal"),
    ],
)
def test_what_is_no_record_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(RecordError, match="^.*" + message.replace("+", r"\+")):
        RecordParser(max_record_bytes=256).feed(data)


def test_a_length_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    parser = RecordParser()
    for _ in range(20):
        assert parser.feed(b"1") == []
    with pytest.raises(RecordError):
        parser.feed(b"1")
