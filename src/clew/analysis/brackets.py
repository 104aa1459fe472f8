"""Which beginning belongs to which end, and which interval a moment lies in.

Within a scope things begin and end in program order, like brackets: what began last ends
first. Both functions here rest on one observation: number the levels of nesting, and at
any one level beginnings and ends alternate. So a beginning and the next end at its level
belong together, however many others of either kind lost their partner.

What it can wrongly report: where an event was dropped, two lost partners of one level
may be taken for a pair. A gap event then lies between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clew.analysis.columns import Flags, Numbers


def match_brackets(groups: NDArray[Any], is_opening: Flags) -> Numbers:
    """Pair beginnings with ends, within each group.

    Args:
        groups: The group of each bracket; in a group, brackets stand in program order.
        is_opening: Which of them begin something; the others end something.

    Returns:
        For each bracket the position of its partner, or -1.

    Complexity: O(n log n).
    """
    n = len(groups)
    partners = np.full(n, -1, np.int64)
    if not n:
        return partners
    order = np.argsort(groups, kind="stable")
    opening = is_opening[order]
    levels, group_numbers = _levels(groups[order], opening)
    # One key for group and level; a level lies within n of 0 on either side.
    keys = group_numbers * (2 * n + 2) + levels + n
    by_level = np.argsort(keys, kind="stable")
    sorted_keys, sorted_opening = keys[by_level], opening[by_level]
    is_pair = (sorted_keys[1:] == sorted_keys[:-1]) & sorted_opening[:-1] & ~sorted_opening[1:]
    pairs = np.flatnonzero(is_pair)
    begins, ends = order[by_level[pairs]], order[by_level[pairs + 1]]
    partners[begins] = ends
    partners[ends] = begins
    return partners


def _levels(groups: NDArray[Any], opening: Flags) -> tuple[Numbers, Numbers]:
    """Return the level each bracket stands at, and the number of its group, from 0 on."""
    is_first = np.concatenate(([True], groups[1:] != groups[:-1]))
    group_numbers = np.cumsum(is_first) - 1
    depth = np.cumsum(np.where(opening, 1, -1))
    before_group = (depth - np.where(opening, 1, -1))[np.flatnonzero(is_first)]
    after = depth - before_group[group_numbers]
    return np.where(opening, after, after + 1), group_numbers


def innermost(groups: NDArray[Any], starts: Numbers, ends: Numbers, at_groups: NDArray[Any], at: Numbers) -> Numbers:
    """Find the innermost interval of its group that each moment lies in.

    Args:
        groups: The group of each interval; those of one group are nested or apart.
        starts: When each begins.
        ends: When each ends; a moment at the end lies outside, one at the start inside.
        at_groups: The group of each moment.
        at: The moments, in the unit of *starts* and *ends*.

    Returns:
        For each moment the position of an interval, or -1.

    Complexity: O((n + m) log (n + m)) for n intervals and m moments.
    """
    # Sorting is what takes long, and often few groups are looked at.
    kept = np.flatnonzero((ends > starts) & np.isin(groups, np.unique(at_groups)))
    groups, starts, ends = groups[kept], starts[kept], ends[kept]
    n, m = len(starts), len(at)
    if not n or not m:
        return np.full(m, -1, np.int64)
    all_groups = np.concatenate((groups, groups, at_groups)).astype(np.int64)
    times = np.concatenate((ends, starts, at))
    kinds = np.repeat(np.array([0, 1, 2], np.int8), (n, n, m))  # at one instant: end, begin, look
    # Of intervals that begin together, the longer one is the outer one.
    lengths = np.concatenate((np.zeros(n, np.int64), starts - ends, np.zeros(m, np.int64)))
    order = np.lexsort((lengths, kinds, times, all_groups))
    kinds, all_groups = kinds[order], all_groups[order]
    is_first = np.concatenate(([True], all_groups[1:] != all_groups[:-1]))
    group_numbers = np.cumsum(is_first) - 1
    change = np.array([-1, 1, 0], np.int64)[kinds]
    depth = np.cumsum(change)
    depth -= (depth - change)[np.flatnonzero(is_first)][group_numbers]
    # At the level a moment stands at, the interval it lies in is the latest that began.
    keys = group_numbers * (2 * (n + m) + 2) + depth
    looks_or_begins = np.flatnonzero(kinds)
    by_level = looks_or_begins[np.argsort(keys[looks_or_begins], kind="stable")]
    is_begin = kinds[by_level] == 1
    latest = np.maximum.accumulate(np.where(is_begin, np.arange(len(by_level)), -1))
    is_inside = (latest >= 0) & (depth[by_level] > 0) & (keys[by_level[latest]] == keys[by_level])
    is_look = ~is_begin
    result = np.full(m, -1, np.int64)
    moments = order[by_level[is_look]] - 2 * n
    begun = np.where(is_inside, order[by_level[latest]] - n, 0)
    result[moments] = np.where(is_inside, kept[begun], -1)[is_look]
    return result
