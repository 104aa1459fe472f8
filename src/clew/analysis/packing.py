"""On which line is each interval drawn, so that none hides another?

Two answers, for two needs. ``first_fit`` uses as few lines as intervals overlap at one time,
and fills a line again as soon as it is free: for tasks that come and go. ``levels_of`` keeps
what lies in another interval one line below it: for spans and for steps that enclose others.

Source: first fit is optimal for intervals taken by their start (the greedy colouring of
interval graphs; Kleinberg and Tardos, "Algorithm Design", 4.1).
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import numpy as np

from clew.analysis.columns import order_of_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clew.analysis.columns import Flags, Numbers


MAX_LEVEL = 255
"""The lowest level: what lies deeper overlaps there. It bounds the work for hostile recordings."""


def first_fit(starts: Numbers, ends: Numbers) -> Numbers:
    """Give each interval the first line that is free when it begins.

    Args:
        starts: When each begins, ascending.
        ends: When each ends; another may begin at that moment.

    Returns:
        For each interval its line, from 0 on; all lines up to the greatest are used.

    Complexity: O(n log n), in Python: some 1 µs an interval.
    """
    busy: list[tuple[int, int]] = []
    free: list[int] = []
    lines: list[int] = []
    used = 0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            line = heapq.heappop(free)
        else:
            line = used
            used += 1
        lines.append(line)
        heapq.heappush(busy, (end, line))
    return np.array(lines, np.int64)


def levels_of(groups: NDArray[Any], starts: Numbers, ends: Numbers) -> Numbers:
    """Give each interval a level on which it overlaps no other of its group.

    An interval that lies in others gets the level below theirs. Where intervals overlap
    without lying in one another, the later one gets the first level that is free. Deeper than
    ``MAX_LEVEL`` none is told apart.

    Args:
        groups: The group of each.
        starts: When each begins.
        ends: When each ends; another may begin at that moment.

    Complexity: O(n log n); Python work only for groups in which intervals overlap.
    """
    levels = np.zeros(len(groups), np.int64)
    ordered = by_start(starts, ends)
    order = ordered[order_of_groups(groups[ordered])]
    order = order[_overlapping(groups[order], starts[order], ends[order])]
    if len(order):
        levels[order] = _levels_in_order(groups[order], starts[order], np.maximum(ends[order], starts[order] + 1))
    return levels


def _overlapping(groups: NDArray[Any], starts: Numbers, ends: Numbers) -> Flags:
    """Tell which intervals, by group and start, stand in a group where any two neighbours overlap."""
    clash = np.flatnonzero((groups[1:] == groups[:-1]) & (starts[1:] < ends[:-1]))
    return np.isin(groups, np.unique(groups[clash]))


def _levels_in_order(groups: NDArray[Any], starts: Numbers, ends: Numbers) -> Numbers:
    """Return the levels of intervals by group and start, none of them empty.

    Where intervals lie in one another or apart, the level is how many are open. Where they
    overlap otherwise, that puts some on top of others: those groups are gone through one by one.
    """
    is_first = np.concatenate(([True], groups[1:] != groups[:-1]))
    numbers = np.cumsum(is_first) - 1
    low = int(starts.min())
    width = int(ends.max()) - low + 1
    if width * (int(numbers[-1]) + 1) >= 1 << 62:  # the keys below would not fit
        return _first_free(numbers, starts, ends)
    ended = np.searchsorted(np.sort(numbers * width + (ends - low)), numbers * width + (starts - low), side="right")
    levels = np.arange(len(groups)) - ended
    order = np.lexsort((starts, levels, numbers))
    is_same = (numbers[order[1:]] == numbers[order[:-1]]) & (levels[order[1:]] == levels[order[:-1]])
    clash = is_same & (starts[order[1:]] < ends[order[:-1]])
    rest = np.flatnonzero(np.isin(numbers, numbers[order[1:][clash]]) | np.isin(numbers, numbers[levels > MAX_LEVEL]))
    levels[rest] = _first_free(numbers[rest], starts[rest], ends[rest])
    return levels


def _first_free(groups: NDArray[Any], starts: Numbers, ends: Numbers) -> Numbers:
    """Go through intervals by group and start, and give each the first free level below all it lies in."""
    levels: list[int] = []
    open_until: list[int] = []
    current: int | None = None
    for group, start, end in zip(groups.tolist(), starts.tolist(), ends.tolist(), strict=True):
        if group != current:
            current, open_until = group, []
        while open_until and open_until[-1] <= start:
            open_until.pop()
        level = len(open_until)
        for above in range(len(open_until) - 1, -1, -1):
            if open_until[above] <= start:
                level = above
            elif open_until[above] >= end:
                break
        level = min(level, MAX_LEVEL)
        open_until[level : level + 1] = [end]
        levels.append(level)
    return np.array(levels, np.int64)


def by_start(starts: Numbers, ends: Numbers) -> Numbers:
    """Return the order of intervals by start, longer ones first.

    Complexity: O(n) where they stand by start, or in a few pieces that do.
    """
    order = np.argsort(starts, kind="stable")
    ordered = starts[order]
    is_tie = np.zeros(len(order), bool)
    same = ordered[1:] == ordered[:-1]
    is_tie[1:] |= same
    is_tie[:-1] |= same
    # Few begin at one instant: only those are sorted once more.
    at = np.flatnonzero(is_tie)
    tied = order[at]
    order[at] = tied[np.lexsort((-ends[tied], starts[tied]))]
    return order
