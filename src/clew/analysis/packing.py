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
    without lying in one another, the later one gets the first level that is free.

    Args:
        groups: The group of each.
        starts: When each begins.
        ends: When each ends; another may begin at that moment.

    Complexity: O(n log n); Python work only for groups in which intervals overlap.
    """
    levels = np.zeros(len(groups), np.int64)
    by_start = np.lexsort((-ends, starts))
    order = by_start[order_of_groups(groups[by_start])]
    overlapping = _overlapping(groups[order], starts[order], ends[order])
    rest = order[overlapping]
    levels[rest] = _first_free(groups[rest], starts[rest], ends[rest])
    return levels


def _overlapping(groups: NDArray[Any], starts: Numbers, ends: Numbers) -> Flags:
    """Tell which intervals, by group and start, stand in a group where any two neighbours overlap."""
    clash = np.flatnonzero((groups[1:] == groups[:-1]) & (starts[1:] < ends[:-1]))
    return np.isin(groups, np.unique(groups[clash]))


def _first_free(groups: NDArray[Any], starts: Numbers, ends: Numbers) -> Numbers:
    """Go through intervals by group and start, and give each the first level below all it lies in."""
    levels: list[int] = []
    open_until: list[int] = []
    current = -1
    for group, start, end in zip(groups.tolist(), starts.tolist(), ends.tolist(), strict=True):
        if group != current:
            current = group
            open_until = []
        # Levels at the bottom that are over are forgotten; one above a level that is still
        # open is kept: what comes next lies in the open one, and is drawn below it.
        while open_until and open_until[-1] <= start:
            open_until.pop()
        levels.append(len(open_until))
        open_until.append(end)
    return np.array(levels, np.int64)
