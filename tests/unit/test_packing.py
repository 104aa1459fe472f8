"""On which line each interval is drawn."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clew.analysis.packing import MAX_LEVEL, first_fit, levels_of

INTERVALS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 12)).map(lambda g: (g[0], g[1], g[1] + g[2])),
    max_size=40,
)


def overlaps(lines, starts, ends):
    """Pairs of intervals on one line that overlap; empty ones overlap nothing."""
    return [
        (i, j)
        for i in range(len(lines))
        for j in range(i)
        if lines[i] == lines[j] and max(starts[i], starts[j]) < min(ends[i], ends[j])
    ]


def test_a_line_is_taken_again_as_soon_as_it_is_free():
    """The first line that is free, not the one that is free the longest."""
    starts, ends = np.array([0, 1, 2, 5, 6]), np.array([5, 3, 9, 7, 8])

    assert first_fit(starts, ends).tolist() == [0, 1, 2, 0, 1]


@given(INTERVALS)
def test_first_fit_uses_as_few_lines_as_overlap_at_one_time(intervals):
    """The number of lines is the greatest number of intervals at one moment."""
    intervals = sorted((start, end + 1) for _, start, end in intervals)
    starts, ends = np.array([i[0] for i in intervals], np.int64), np.array([i[1] for i in intervals], np.int64)

    lines = first_fit(starts, ends).tolist()

    assert overlaps(lines, starts.tolist(), ends.tolist()) == []
    assert len(set(lines)) == max((sum(s <= at < e for s, e in intervals) for at, _ in intervals), default=0)


def test_what_lies_in_another_is_one_level_below_it():
    """Like spans in spans; another group knows nothing of it."""
    groups = np.array([1, 1, 1, 1, 2])
    starts, ends = np.array([0, 10, 12, 40, 11]), np.array([100, 30, 20, 60, 19])

    assert levels_of(groups, starts, ends).tolist() == [0, 1, 2, 1, 0]


def test_partly_overlapping_intervals_take_turns():
    """A chain of overlaps does not go down and down."""
    starts = np.arange(0, 100, 5)

    assert levels_of(np.zeros(20, np.int64), starts, starts + 9).tolist() == [0, 1] * 10


@given(INTERVALS)
def test_no_two_intervals_of_one_group_and_level_overlap(intervals):
    """Whatever is drawn, nothing hides anything."""
    groups, starts, ends = (np.array([i[k] for i in intervals], np.int64) for k in range(3))

    levels = levels_of(groups, starts, ends)

    lines = list(zip(groups.tolist(), levels.tolist(), strict=True))
    assert overlaps(lines, starts.tolist(), ends.tolist()) == []


def test_levels_are_bounded():
    """A hostile recording cannot make the picture as deep as it likes."""
    n = 5000
    starts = np.arange(n)

    levels = levels_of(np.zeros(n, np.int64), starts, 2 * n - starts)

    assert levels.max() == MAX_LEVEL
    assert levels[: MAX_LEVEL + 1].tolist() == list(range(MAX_LEVEL + 1))
