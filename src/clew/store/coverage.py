"""Which sequence numbers are stored: sorted intervals that neither overlap nor touch.

An interval is ``(first, end)``, *end* being one after the last; all functions are pure.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Interval = tuple[int, int]


def normalized(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the same numbers as sorted intervals that do not touch; empty ones are left out."""
    result: list[Interval] = []
    for first, end in sorted(intervals):
        if end <= first:
            continue
        if result and first <= result[-1][1]:
            if end > result[-1][1]:
                result[-1] = (result[-1][0], end)
        else:
            result.append((first, end))
    return result


def missing(covered: Sequence[Interval], wanted: Iterable[Interval]) -> list[Interval]:
    """List what of *wanted* is not in *covered*.

    Args:
        covered: Normalized intervals.
        wanted: Intervals in any order that do not overlap.

    Returns:
        Intervals in the order of *wanted*, each within one of it.

    Complexity: O(log C) for each interval wanted, and the intervals between.
    """
    result: list[Interval] = []
    for first, end in wanted:
        position = first
        i = max(bisect_right(covered, (first, first)) - 1, 0)
        while position < end and i < len(covered) and covered[i][0] < end:
            start, stop = covered[i]
            if start > position:
                result.append((position, start))
            position = max(position, stop)
            i += 1
        if position < end:
            result.append((position, end))
    return result


def common(covered: Sequence[Interval], interval: Interval) -> list[Interval]:
    """List what of *interval* is in *covered*, which is normalized."""
    first, end = interval
    result: list[Interval] = []
    i = max(bisect_right(covered, (first, first)) - 1, 0)
    while i < len(covered) and covered[i][0] < end:
        low, high = max(covered[i][0], first), min(covered[i][1], end)
        if low < high:
            result.append((low, high))
        i += 1
    return result


def size(intervals: Iterable[Interval]) -> int:
    """Count the numbers in intervals that do not overlap."""
    return sum(end - first for first, end in intervals)


def difference(before: Sequence[Interval], after: Sequence[Interval]) -> tuple[list[Interval], list[Interval]]:
    """Say how to turn one table of intervals into another: rows to remove, and rows to write.

    A row is known by its first number, so one that only became longer is written, not removed.
    """
    kept = {first for first, _ in after}
    known = set(before)
    return [row for row in before if row[0] not in kept], [row for row in after if row not in known]
