"""Arithmetic of the intervals that ingest is idempotent by, against sets of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from clew.store import coverage

POINTS = st.integers(0, 60)
INTERVALS = st.lists(st.tuples(POINTS, POINTS).map(lambda pair: (min(pair), max(pair))), max_size=12)


def numbers(intervals):
    return {number for first, end in intervals for number in range(first, end)}


def is_normalized(intervals):
    ends = [end for _, end in intervals]
    return all(first < end for first, end in intervals) and all(
        end < first for end, (first, _) in zip(ends, intervals[1:], strict=False)
    )


@given(INTERVALS)
def test_normalized_intervals_hold_the_same_numbers(intervals):
    """Whatever their order, and however they overlap."""
    result = coverage.normalized(intervals)

    assert numbers(result) == numbers(intervals)
    assert is_normalized(result)
    assert coverage.size(result) == len(numbers(intervals))


@given(INTERVALS.map(coverage.normalized), INTERVALS.map(coverage.normalized))
def test_missing_is_what_is_wanted_and_not_there(covered, wanted):
    """No number is asked for twice, none is forgotten."""
    result = coverage.missing(covered, wanted)

    assert numbers(result) == numbers(wanted) - numbers(covered)
    assert coverage.size(result) == len(numbers(result))


@given(INTERVALS.map(coverage.normalized), st.tuples(POINTS, POINTS))
def test_common_is_what_both_have(covered, pair):
    """Also of intervals that begin before or end after all others."""
    first, end = sorted(pair)

    result = coverage.common(covered, (first, end))

    assert numbers(result) == numbers(covered) & set(range(first, end))
    assert is_normalized(result) or not result


@given(INTERVALS.map(coverage.normalized), INTERVALS.map(coverage.normalized))
def test_difference_turns_one_table_into_the_other(before, after):
    """By rows removed and rows written over."""
    removed, written = coverage.difference(before, after)

    table = {first: end for first, end in before if (first, end) not in removed}
    table |= dict(written)
    assert sorted(table.items()) == after
    assert not set(written) & set(before)
