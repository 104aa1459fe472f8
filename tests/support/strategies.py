"""Random recordings."""

from __future__ import annotations

import json
from array import array
from typing import Any

from hypothesis import strategies as st

from clew.convert.jsonl import DEFINITIONS
from clew.convert.recording_writer import StreamContent, empty_columns
from clew.format import schema
from clew.model.kinds import EventKind

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON_OBJECTS = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)


NUMBERS = st.integers(0, 2**64 - 1)
LIKELY_KINDS = st.sampled_from([int(kind) for kind in EventKind])


@st.composite
def contents_of_streams(draw: Any, *, likely: bool = False) -> StreamContent:
    """Anything that fits the columns of a stream.

    Args:
        draw: Given by Hypothesis.
        likely: Use small numbers and known kinds, so that events speak of one another.
    """
    if likely:
        seqs = list(range(1, draw(st.integers(1, 25))))
    else:
        seqs = sorted(draw(st.sets(NUMBERS.filter(bool) | st.integers(1, 50), max_size=12)))
    seqs = sorted(draw(st.sets(st.integers(1, 2**64 - 1) | st.integers(1, 50), max_size=12)))
    columns = empty_columns()
    columns["seq"] = array("Q", seqs)
    for spec in schema.EVENTS.columns:
        numbers = st.integers(0, 2 ** (8 * spec.width) - 1)
        columns[spec.name].extend(draw(st.lists(numbers, min_size=len(seqs), max_size=len(seqs))))
    attrs = {seq: draw(TEXTS | JSON_OBJECTS.map(json.dumps)) for seq in seqs if draw(st.booleans())}
    big = st.integers(0, 2**64 - 1)
    remote = {seq: (draw(big), draw(big)) for seq in seqs if draw(st.booleans())}
    definitions: dict[str, list[Any]] = {}
    for table, _ in DEFINITIONS.values():
        rows = draw(st.lists(rows_of_table(table), max_size=3, unique_by=lambda row: row[0]))
        definitions[table.name] = sorted(rows, key=lambda row: row[0])
    end = draw(st.none() | JSON_OBJECTS)
    return StreamContent(draw(big), draw(JSON_OBJECTS), columns, attrs, remote, definitions, end)


@st.composite
def rows_of_table(draw: Any, table: schema.TableSpec) -> tuple[Any, ...]:
    return tuple(
        draw(TEXTS if column.holds == "string" else st.integers(0, 2 ** (8 * column.width) - 1))
        for column in table.columns
    )
