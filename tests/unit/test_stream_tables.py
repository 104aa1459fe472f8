"""Tables of a segment: nothing of what a stream holds is lost in them."""

from __future__ import annotations

import io
from array import array

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.strategies import contents_of_streams

from clew.convert.recording_writer import StreamContent
from clew.format.stream_data import StreamData
from clew.store.segments import encode_table
from clew.store.stream_tables import (
    SCHEMAS,
    Derived,
    concatenated,
    folded,
    late_table,
    piece_of,
    tables_of_stream,
)


def data_of(content: StreamContent, rows: slice = slice(None)) -> StreamData:
    """What a reader has of some of the events of a stream, and of its definitions."""
    data = StreamData()
    data.columns = {name: column[rows] for name, column in content.columns.items()}
    wanted = set(data.columns["seq"])
    data.attrs = {seq: text for seq, text in content.attrs.items() if seq in wanted}
    data.remote_causes = {seq: cause for seq, cause in content.remote_causes.items() if seq in wanted}
    for name, definitions in content.definitions.items():
        setattr(data, name, {row[0]: row for row in definitions})
    return data


def read_back(tables: dict, process_id: int) -> StreamData:
    """Write tables as Parquet, read them, and make a stream of them."""
    stored = {
        name: pq.read_table(io.BytesIO(encode_table(table))).cast(SCHEMAS[name]) for name, table in tables.items()
    }
    data = StreamData()
    data.add_piece(piece_of(stored, process_id))
    return data


@given(contents_of_streams())
@settings(max_examples=60, deadline=None)
def test_a_stream_comes_back_equal(content):
    """Every column, attribute, remote cause and definition, of any value, numbers of kinds no version knows included."""
    data = data_of(content)

    found = read_back(tables_of_stream(content.process_id, data), content.process_id)

    assert vars(found) == vars(data)


@given(contents_of_streams(), contents_of_streams())
@settings(max_examples=30, deadline=None)
def test_processes_of_one_segment_do_not_mix(first, second):
    """Two processes in the same files come back each as its own."""
    numbers = (first.process_id, first.process_id ^ 1)
    contents = dict(zip(numbers, (data_of(first), data_of(second)), strict=True))
    tables = concatenated([tables_of_stream(number, data) for number, data in contents.items()])

    for number, data in contents.items():
        assert vars(read_back(tables, number)) == vars(data)


@given(contents_of_streams(), st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_segments_of_one_process_merge_into_what_they_were(content, cut):
    """Attributes that came after their event stand beside it, and definitions stand once."""
    whole = data_of(content)
    before, after = data_of(content, slice(None, cut)), data_of(content, slice(cut, None))
    after.attrs, before.attrs = whole.attrs, {}
    after.remote_causes, before.remote_causes = whole.remote_causes, {}
    number = content.process_id
    pieces = [tables_of_stream(number, before), tables_of_stream(number, after)]

    merged = folded(concatenated(pieces))

    assert vars(read_back(merged, number)) == vars(whole)
    assert len(merged["late"]) == 0
    split = StreamData()
    for tables in pieces:
        split.add_piece(piece_of(tables, number))
    assert vars(split) == vars(whole)


@given(contents_of_streams(), contents_of_streams())
@settings(max_examples=20, deadline=None)
def test_the_last_definition_of_a_number_wins(first, second):
    """A number that is defined again means what it was last defined as."""
    before, after = data_of(first), data_of(second)
    expected = StreamData()
    pieces = [tables_of_stream(1, before), tables_of_stream(1, after)]
    for tables in pieces:
        expected.add_piece(piece_of(tables, 1))

    found = read_back(folded(concatenated(pieces)), 1)

    for name in ("entities", "sites", "spans"):
        assert getattr(found, name) == getattr(expected, name) == getattr(before, name) | getattr(after, name)


def test_durations_and_spans_that_follow_are_kept_only_where_the_event_does_not_say_so():
    """What was derived costs nothing where it repeats the event, and is there where it does not."""
    data = StreamData()
    for name, values in {"seq": [1, 2, 3], "kind": [12, 12, 13], "arg": [500, 0, 900], "span": [0, 4, 0]}.items():
        data.columns[name].extend(values)
    for name, column in data.columns.items():
        if not column:
            data.columns[name] = array(column.typecode, [0, 0, 0])

    tables = tables_of_stream(7, data, Derived(np.array([9, 4, 9], np.uint32), np.array([500, 900, 0])))

    assert tables["events"]["long_ns"].to_pylist() == [None, 900, None]
    assert tables["events"]["step_span"].to_pylist() == [9, 0, 9]
    places = tables["spans"].select(["id", "name", "first_seq", "last_seq", "events"]).to_pylist()
    assert [tuple(row.values()) for row in places] == [(4, None, 2, 2, 1), (9, None, 1, 3, 2)]


def test_a_duration_that_became_known_later_replaces_none():
    """What came late of an event stands beside it after a merge; what has no event stays."""
    data = StreamData()
    for name, column in data.columns.items():
        column.append(12 if name == "kind" else 1)
    tables = tables_of_stream(7, data)
    tables["late"] = late_table(7, {9: "{}"}, long_ns={1: 700})

    merged = folded(tables)

    assert merged["events"]["long_ns"].to_pylist() == [700]
    assert merged["late"].select(["seq", "attrs"]).to_pylist() == [{"seq": 9, "attrs": "{}"}]


def test_events_that_are_appended_leave_the_stream_they_were_added_to():
    """Whoever looks into the columns of a stream keeps them while it grows."""
    data = StreamData()
    view = np.asarray(data.columns["seq"])

    longer = data.extended([])
    longer.columns["seq"].append(1)

    assert len(view) == len(data) == 0
    assert len(longer) == 1
