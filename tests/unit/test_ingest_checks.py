"""Bodies of ingest requests are taken whole, or refused with the byte where they are wrong."""

import json
import random
import struct
import zlib
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.chunks import PROCESS, event_body, event_chunk, events_in, json_body

from clew.format import schema
from clew.format.chunk import HEADER, ChunkType, encode_chunk
from clew.format.events import Strings
from clew.format.tables import TYPECODES, encode_table, planes_of
from clew.model.errors import FormatError
from clew.store import ingest
from clew.store.ingest import check_chunks, only

GOOD = json_body(ChunkType.PROCESS, {"service": "x"}) + event_body([1, 2, 5]) + json_body(ChunkType.END, {"exit": 0})


def refused(body):
    with pytest.raises(FormatError) as caught:
        check_chunks(body)
    return caught.value


def table_of(spec, rows):
    columns = [
        (column.number, planes_of(array(TYPECODES[column.width], values)))
        for column, values in zip(spec.columns, zip(*rows, strict=True), strict=True)
    ]
    return encode_table(spec.number, len(rows), columns)


def test_a_body_of_several_chunks_is_parsed():
    """Each chunk with its bytes, its numbers and its JSON."""
    chunks = check_chunks(GOOD)

    assert b"".join(chunk.body for chunk in chunks) == GOOD
    assert [list(chunk.ranges) for chunk in chunks] == [[], [(1, 3), (5, 6)], []]
    assert [chunk.json for chunk in chunks] == [{"service": "x"}, None, {"exit": 0}]
    assert {chunk.process for chunk in chunks} == {f"{PROCESS:016x}"}


def test_a_chunk_of_an_unknown_type_is_let_through():
    """A newer sender may add some."""
    body = encode_chunk(9, PROCESS, b"whatever")

    assert check_chunks(body)[0].ranges == ()


@pytest.mark.parametrize("body", [b"", GOOD[:-1], GOOD[:20], GOOD + b"\0"])
def test_a_cut_body_is_refused(body):
    """Unlike a file, a request is never cut because its writer still writes."""
    assert refused(body).slug == "truncated-stream"


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found(position, change):
    """Nothing of a damaged body is taken."""
    body = bytearray(GOOD)
    body[position] ^= change

    assert refused(bytes(body)).slug in {
        "damaged-chunk",
        "not-a-chunk",
        "newer-recording",
        "older-recording",
        "truncated-stream",
    }


@given(st.binary(max_size=200))
def test_noise_with_right_checksums_is_refused_or_readable(noise):
    """Whatever is let through can be cut and read again."""
    body = encode_chunk(ChunkType.EVENTS, PROCESS, noise, level=0)

    try:
        chunks = check_chunks(body)
    except FormatError:
        return
    assert only(chunks[0], []).header.events == 0


def test_a_bomb_is_not_unpacked():
    """A header cannot claim more than 64 bytes for one, and what unpacks to more is refused."""
    packed = zlib.compress(bytes(10 << 20))
    head = HEADER.pack(b"CLEW", 1, 0, 2, 1, PROCESS, 0, 0, len(packed), len(packed) * 64, zlib.crc32(packed), 0, 0)[:-4]

    error = refused(head + struct.pack("<I", zlib.crc32(head)) + packed)

    assert error.slug == "damaged-chunk"


@pytest.mark.parametrize(
    ("ranges", "seqs"),
    [
        ([(0, 1)], [1]),
        ([(1, 2), (2, 1)], [1, 2, 3]),
        ([((1 << 63) - 2, 1)], [1]),
        ([((1 << 64) - 1, 2)], [1, 2]),
    ],
)
def test_sequence_numbers_that_cannot_be_are_refused(ranges, seqs):
    """None, twice, or larger than a database can hold."""
    assert refused(event_body(seqs, ranges=ranges)).slug == "damaged-chunk"


def test_the_first_number_must_be_that_of_the_header():
    """What is looked up by the header must be in the chunk."""
    body = bytearray(event_body([7]))
    body[16:24] = struct.pack("<Q", 3)
    body[44:48] = struct.pack("<I", zlib.crc32(body[:44]))

    assert "first event" in refused(bytes(body)).found


def test_a_chunk_of_nothing_but_gaps_is_refused(monkeypatch):
    """Each gap becomes a row of the catalog."""
    monkeypatch.setattr(ingest, "MAX_INTERVALS", 4)

    check_chunks(event_body([1, 3, 5, 7]))
    assert "gaps" in refused(event_body([1, 3, 5, 7, 9])).found


def test_a_string_that_is_not_there_is_refused():
    """A reader would stumble over it."""
    payload = Strings().encode() + table_of(schema.SITES, [(1, 5, 1, 0)])

    assert "string" in refused(encode_chunk(ChunkType.EVENTS, PROCESS, payload)).found


@pytest.mark.parametrize("text", ["", "[]", "1", "{", '{"a":1},{"b":2}', '{"a":' * 100_000, "{'a':1}"])
def test_attributes_that_are_no_object_are_refused(text):
    """Readers parse them when they are asked for."""
    assert "attributes" in refused(event_body([1], attrs=[(1, text)])).found


def test_attributes_as_python_writes_them_are_taken():
    """NaN and halves of surrogate pairs stand in recordings that exist."""
    text = json.dumps({"a": float("nan"), "b": "\ud800"})

    assert event_chunk([1], attrs=[(1, text)]).header.events == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"{",
        b'{"a":1e999}',
        b'{"a":NaN}',
        b'{"a":' * 50_000,
        b'{"a":' + b"1" * 10_000 + b"}",
        b'{"a":"' + b"x" * (1 << 20) + b'"}',
    ],
)
def test_a_head_that_cannot_be_written_again_is_refused(payload):
    """It is merged with others and stored as JSON."""
    assert refused(encode_chunk(ChunkType.PROCESS, PROCESS, payload, level=0)).slug == "damaged-chunk"


@given(st.sets(st.integers(1, 40), min_size=1), st.sets(st.integers(1, 40)), st.randoms(use_true_random=False))
def test_cutting_keeps_the_events_asked_for(seqs, wanted, rng: random.Random):
    """Each with its own columns, and with every definition."""
    from clew.store.coverage import normalized

    chunk = event_chunk(sorted(seqs), sites=[(1, "a.py", 1, "f")], attrs=[(min(seqs), '{"x":1}')])
    kept = normalized((seq, seq + 1) for seq in seqs & wanted)

    result = only(chunk, kept)

    (checked,) = check_chunks(result.body)
    before, after = events_in(chunk), events_in(result)
    assert list(checked.ranges) == kept == list(result.ranges)
    assert after == {seq: row for seq, row in before.items() if seq in wanted}


def test_cutting_keeps_the_order_of_the_chunk():
    """Ranges need not ascend."""
    chunk = event_chunk([1, 2, 3, 4, 5, 6], ranges=[(10, 3), (1, 3)])

    result = only(chunk, [(2, 4), (11, 13)])

    assert list(events_in(result)) == [11, 12, 2, 3]
    assert events_in(result) == {seq: row for seq, row in events_in(chunk).items() if seq in (11, 12, 2, 3)}
