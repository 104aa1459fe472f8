"""Streams: chunks, their frame, their reader, and what it says of damage."""

from __future__ import annotations

from array import array
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.format import schema
from clew.format.chunk import HEADER_SIZE, ChunkType, encode_json_chunk
from clew.format.events import Definitions, encode_event_chunk
from clew.format.reader import Stream, open_recording
from clew.format.repair import repair
from clew.format.tables import TYPECODES, planes_of
from clew.model.errors import FormatError

PROCESS = 0x1234_5678_9ABC_DEF0


def chunk_of(first_seq: int, times: list[int], **columns: list[int]) -> bytes:
    """An event chunk with the given times; other columns zero unless given."""
    planes = []
    for spec in schema.EVENTS.columns:
        values = times if spec.name == "t_ns" else columns.get(spec.name, [0] * len(times))
        planes.append((spec.number, planes_of(array(TYPECODES[spec.width], values))))
    return encode_event_chunk(PROCESS, [(first_seq, len(times))] if times else [], planes, DEFINITIONS)


DEFINITIONS = Definitions(
    entities=[(1, 16, "bank", "process", 0, 0, 0, ""), (2, 1, "Task-é\ud800", "main", 1, 1, 0, '{"a":1}')],
    sites=[(1, "/app/bank.py", 31, "transfer")],
    spans=[(1, 2**63, 1, 7, 0, 0, 1, 1, 32, "POST /transfer")],
    attrs=[(1, '{"k":"v"}')],
    remote_causes=[(2, 99, 5)],
)


def write(path: Path, *chunks: bytes) -> Path:
    path.write_bytes(encode_json_chunk(ChunkType.PROCESS, PROCESS, {"pid": 7, "wall_ns": 1}) + b"".join(chunks))
    return path


@pytest.fixture
def stream_file(tmp_path: Path) -> Path:
    end = encode_json_chunk(ChunkType.END, PROCESS, {"reason": "exit"})
    return write(tmp_path / "a.stream", chunk_of(1, [10, 20, 30]), chunk_of(4, list(range(40, 240))), end)


def test_events_and_definitions_read_back(stream_file):
    """Columns, sequence numbers and every kind of definition survive."""
    data = Stream(stream_file).data

    assert list(data.columns["seq"]) == list(range(1, 204))
    assert list(data.columns["t_ns"]) == [10, 20, 30, *range(40, 240)]
    assert data.entities[2] == (2, 1, "Task-é\\ud800", "main", 1, 1, 0, '{"a":1}')
    assert data.sites[1] == (1, "/app/bank.py", 31, "transfer")
    assert data.spans[1] == (1, 2**63, 1, 7, 0, 0, 1, 1, 32, "POST /transfer")
    assert data.attrs == {1: '{"k":"v"}'}
    assert data.remote_causes == {2: (99, 5)}


def test_a_chunk_of_definitions_alone_reads_back(tmp_path):
    """A process that defines something and then records nothing for a while."""
    path = write(tmp_path / "a.stream", chunk_of(0, []), chunk_of(1, [10]))

    data = Stream(path).data

    assert list(data.columns["seq"]) == [1]
    assert data.sites[1] == (1, "/app/bank.py", 31, "transfer")


def test_numbers_that_were_dropped_stay_visible(tmp_path):
    """A chunk whose numbers have a gap reads back with the gap."""
    planes = [(spec.number, planes_of(array(TYPECODES[spec.width], [1, 2, 3]))) for spec in schema.EVENTS.columns]
    path = write(tmp_path / "a.stream", encode_event_chunk(PROCESS, [(5, 2), (100, 1)], planes, Definitions()))

    assert list(Stream(path).data.columns["seq"]) == [5, 6, 100]


def test_a_stream_cut_anywhere_gives_its_prefix(stream_file):
    """Killed at any byte, what was whole before is read, and the cut is named."""
    whole = stream_file.read_bytes()
    ends = [header.end for header in Stream(stream_file).headers]

    for size in range(len(whole)):
        stream_file.write_bytes(whole[:size])
        if size < ends[0]:
            with pytest.raises(FormatError, match="truncated-stream"):
                Stream(stream_file)
            continue
        stream = Stream(stream_file)
        n_whole = sum(end <= size for end in ends)
        assert len(stream.headers) == n_whole
        assert len(stream.data) == sum(header.events for header in stream.headers)
        if size in ends:
            assert stream.cut is None
        else:
            assert stream.cut is not None
            assert stream.cut.offset == max(end for end in ends if end <= size)


def test_a_flipped_bit_is_an_error_with_its_offset(stream_file):
    """Any single flipped bit of a chunk is noticed, and the message says where."""
    whole = bytearray(stream_file.read_bytes())
    second = Stream(stream_file).headers[1].offset

    for position in range(second, second + HEADER_SIZE + 40):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        stream_file.write_bytes(damaged)
        with pytest.raises(FormatError) as caught:
            assert len(Stream(stream_file).data)
        assert caught.value.offset == second
        assert f"byte {second}" in str(caught.value)


def test_repair_keeps_every_chunk_that_can_be_read(stream_file, tmp_path):
    """Damage in the middle costs that chunk only; the original is kept beside."""
    whole = bytearray(stream_file.read_bytes())
    second = Stream(stream_file).headers[1]
    whole[second.offset + HEADER_SIZE + 3] ^= 1
    stream_file.write_bytes(whole)

    (report,) = repair(tmp_path)

    assert report.kept_events == 200
    assert [error.offset for error in report.damage] == [second.offset]
    mended = Stream(stream_file)
    assert list(mended.data.columns["seq"]) == list(range(4, 204))
    assert (tmp_path / "a.stream.damaged").read_bytes() == whole


def test_repair_cuts_an_unfinished_tail(stream_file, tmp_path):
    """A chunk that was never finished is removed, and the report says how much that was."""
    whole = stream_file.read_bytes()
    stream_file.write_bytes(whole[:-5])

    (report,) = repair(tmp_path)

    end = Stream(stream_file)
    assert end.cut is None
    assert report.cut_at == end.size
    assert report.cut_bytes == len(whole) - 5 - end.size


def test_a_recording_of_a_newer_version_says_so(stream_file):
    """A newer major version is not guessed at."""
    data = bytearray(stream_file.read_bytes())
    data[4] = 2
    stream_file.write_bytes(data)

    with pytest.raises(FormatError, match=r"version 2\.0.*newer-recording"):
        Stream(stream_file)


@pytest.mark.parametrize("content", [b"", b"CLEW", b"not a stream at all, but some text that is long enough"])
def test_what_is_no_stream_is_a_clear_error(tmp_path, content):
    """Empty, short and foreign files are named as what they are."""
    (tmp_path / "x.stream").write_bytes(content)

    with pytest.raises(FormatError) as caught:
        open_recording(tmp_path)

    assert caught.value.slug in {"no-recording", "truncated-stream", "not-a-chunk"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=12)), min_size=1, max_size=4),
    cut=st.floats(0, 1),
)
def test_hostile_bytes_give_a_clear_error_or_a_reading(stream_file, edits, cut):
    """Overwritten and cut files never crash, hang or grow: they read or say what is wrong."""
    original = stream_file.read_bytes()
    data = bytearray(original[: max(1, int(len(original) * cut))] if cut > 0.5 else original)
    for place, content in edits:
        at = int(place * len(data))
        data[at : at + len(content)] = content
    stream_file.write_bytes(data)
    try:
        for tolerant in (False, True):
            with suppress(FormatError):
                len(Stream(stream_file, tolerant=tolerant).data)
    finally:
        stream_file.write_bytes(original)
