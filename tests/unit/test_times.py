"""Times of day in text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.model.times import format_time, parse_time


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_a_time_that_is_written_is_read_again(wall_ns: int) -> None:
    """To the nanosecond, for every time the catalog can hold."""
    assert parse_time(format_time(wall_ns)) == wall_ns


@pytest.mark.parametrize(
    ("text", "wall_ns"),
    [
        ("2026-11-27T11:20:06.123456789Z", 1_795_778_406_123_456_789),
        ("2026-11-27t12:20:06.5+01:00", 1_795_778_406_500_000_000),
        ("2026-11-27 06:20-0500", 1_795_778_400_000_000_000),
        ("2026-11-27", 1_795_737_600_000_000_000),
        ("2026-02-30", None),
        ("2026-11-27T25:00", None),
        ("2026-11-27T11:20:06+24:00", None),
        ("27.11.2026", None),
        ("", None),
    ],
)
def test_times_as_people_write_them(text: str, wall_ns: int | None) -> None:
    """A part from the left is enough; what is no time is none."""
    assert parse_time(text) == wall_ns
