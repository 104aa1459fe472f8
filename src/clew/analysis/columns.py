"""A stream's columns as arrays: what every analysis takes in.

Nothing is copied: the arrays look into the reader's columns. Numbers of eight bytes are
seen as signed, so that differences of times are plain subtractions; a value of 2**63 or
more, which no recorder writes, would appear negative.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from clew.format.schema import TableSpec
    from clew.format.tables import Column

    Numbers: TypeAlias = NDArray[np.int64]
    """Positions, times and wide numbers; -1 stands for «none» where a position may be missing."""
    Flags: TypeAlias = NDArray[np.bool_]
    Columns: TypeAlias = Mapping[str, NDArray[Any]]
    """By column name; all of one length."""


DENSE = 4
"""Numbers are dense if a table of all between the first and the last has at most this many places each."""


def as_arrays(columns: Mapping[str, Column]) -> dict[str, NDArray[Any]]:
    """View the columns of ``StreamData`` as arrays.

    The reader's columns must not grow while one of these is alive.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, column in columns.items():
        view = np.asarray(column)
        arrays[name] = view.view(np.int64) if view.itemsize == 8 else view
    return arrays


def table_of(rows: Mapping[int, Sequence[Any]], spec: TableSpec) -> dict[str, NDArray[Any]]:
    """Turn definitions into arrays, sorted by number.

    Args:
        rows: The rows of ``StreamData.entities``, ``.sites`` or ``.spans``, by number.
        spec: Their table in ``schema``; its columns of strings are left out.
    """
    ordered = [rows[number] for number in sorted(rows)]
    return {
        column.name: np.fromiter(map(itemgetter(i), ordered), f"u{column.width}", len(ordered))
        for i, column in enumerate(spec.columns)
        if column.holds == "number"
    }


def positions_of(values: NDArray[Any], wanted: NDArray[Any]) -> Numbers:
    """Return where each of *wanted* stands in *values* (the first place), -1 where it does not."""
    if not len(values):
        return np.full(len(wanted), -1, np.int64)
    is_sorted = bool(np.all(values[1:] >= values[:-1]))
    if is_sorted and int(values[-1]) - int(values[0]) < DENSE * (len(values) + len(wanted)):
        return _positions_in_dense(values, wanted)
    order = None if is_sorted else np.argsort(values, kind="stable")
    found = np.minimum(np.searchsorted(values, wanted, sorter=order), len(values) - 1)
    if order is not None:
        found = order[found]
    return np.where(values[found] == wanted, found, -1).astype(np.int64)


def _positions_in_dense(values: NDArray[Any], wanted: NDArray[Any]) -> Numbers:
    """As ``positions_of`` for ascending values with few numbers left out: no search, a table."""
    first, last = int(values[0]), int(values[-1])
    table = np.full(last - first + 2, -1, np.int64)
    backwards = np.arange(len(values) - 1, -1, -1)  # of equal values the first is written last
    table[values[backwards].astype(np.int64) - first] = backwards
    is_inside = (wanted >= first) & (wanted <= last)
    return table[np.where(is_inside, wanted.astype(np.int64) - first, last - first + 1)]


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """Return the different values, ascending; none of them is negative."""
    greatest = int(values.max()) if len(values) else 0
    if greatest >= DENSE * len(values) + (1 << 16):
        return np.unique(values)
    is_there = np.zeros(greatest + 1, bool)
    is_there[values] = True
    return np.flatnonzero(is_there[: greatest + 1] & bool(len(values))).astype(values.dtype)


def order_of_groups(groups: NDArray[Any]) -> Numbers:
    """Return the order that puts members of a group together, each group's as they stood.

    Args:
        groups: Numbers of groups, not negative.

    Complexity: O(n): 16 bits at a time, which numpy sorts by counting; comparing would take eight
    times as long for a million.
    """
    if groups.dtype.itemsize <= 2 or not len(groups):
        return np.argsort(groups, kind="stable")
    order: Numbers | None = None
    greatest = int(groups.max())
    for shift in range(0, max(greatest.bit_length(), 1), 16):
        digits = ((groups if order is None else groups[order]) >> groups.dtype.type(shift)).astype(np.uint16)
        by_digit = np.argsort(digits, kind="stable")
        order = by_digit if order is None else order[by_digit]
    return order if order is not None else np.argsort(groups, kind="stable")


def look_up(table: Columns, column: str, numbers: NDArray[Any]) -> NDArray[Any]:
    """Return a column of a definition table for each of *numbers*, 0 where it is not defined."""
    values = table[column]
    at = positions_of(table["id"], numbers)
    return np.where(at >= 0, values[at], 0).astype(values.dtype) if len(values) else np.zeros(len(at), values.dtype)


def last_ns(columns: Columns) -> int:
    """Return the time of the latest event, 0 without events."""
    times = columns["t_ns"]
    return int(times.max()) if len(times) else 0


def forward_fill(is_known: Flags, groups: NDArray[Any]) -> Numbers:
    """For each place the latest known place of its group up to and with itself, or -1.

    Args:
        is_known: Which places are known.
        groups: The group of each place; those of one group stand together.
    """
    places = np.arange(len(groups), dtype=np.int64)
    latest = np.maximum.accumulate(np.where(is_known, places, -1)) if len(places) else places
    return np.where((latest >= 0) & (groups[latest] == groups), latest, -1)
