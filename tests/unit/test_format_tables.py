"""Tables as byte planes: what is written is read, and lies about sizes are refused."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.format.tables import FREE_ROWS, encode_table, parse_table, planes_of
from clew.model.errors import FormatError

WIDTHS = {"B": 8, "H": 16, "I": 32, "Q": 64}


@st.composite
def columns(draw):
    count = draw(st.integers(0, 200))
    codes = draw(st.lists(st.sampled_from(sorted(WIDTHS)), min_size=1, max_size=6))
    return count, [
        array(code, draw(st.lists(st.integers(0, 2 ** WIDTHS[code] - 1), min_size=count, max_size=count)))
        for code in codes
    ]


@given(columns())
def test_a_table_reads_back_as_it_was_written(table):
    """Every column of every width survives, whatever its values."""
    count, arrays = table
    encoded = encode_table(3, count, [(i, planes_of(values)) for i, values in enumerate(arrays)])

    parsed, position = parse_table(memoryview(encoded), 0, offset=0)

    assert position == len(encoded)
    assert (parsed.number, parsed.rows) == (3, count)
    assert [parsed.column(i) for i in range(len(arrays))] == arrays


def test_constant_planes_cost_one_byte_for_all_rows():
    """A million equal high bytes are not stored a million times."""
    values = array("Q", range(FREE_ROWS * 4))
    encoded = encode_table(1, len(values), [(1, planes_of(values))])

    assert len(encoded) < len(values) + 32


def test_a_missing_column_is_none():
    """A reader can tell that the writer did not have a column."""
    encoded = encode_table(1, 1, [(1, planes_of(array("B", [7])))])

    parsed, _ = parse_table(memoryview(encoded), 0, offset=0)

    assert parsed.column(2) is None


def test_a_table_that_claims_rows_it_does_not_store_is_refused():
    """A few bytes cannot stand for a million rows."""
    lie = encode_table(1, 1, [(1, planes_of(array("Q", [5])))])
    lie = lie[:2] + (1 << 20).to_bytes(4, "little") + lie[6:]

    with pytest.raises(FormatError, match="stores none of them"):
        parse_table(memoryview(lie), 0, offset=99)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_table_or_a_clear_error(data):
    """No input makes the parser fail in any other way than by its own error."""
    try:
        parsed, position = parse_table(memoryview(data), 0, offset=0)
    except FormatError:
        return
    assert position <= len(data)
    for number in parsed.plans:
        parsed.column(number)
