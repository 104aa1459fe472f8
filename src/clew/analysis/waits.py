"""Who waited for what, from when to when? Waits as intervals.

A wait begins with ``sync.acquire`` or ``sync.wait`` and ends with the next event on the
same entity in the same scope that can end one (``sync.acquired``, ``await``, ``abandon``,
``put``, ``get``, ``join``). An ending event that says how long it waited is a wait even
where the beginning was dropped.

What it can wrongly report: a wait as unfinished whose ending event was dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clew.analysis.brackets import match_brackets
from clew.analysis.columns import last_ns
from clew.model.kinds import EventKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clew.analysis.columns import Columns, Flags, Numbers

BEGINS = (EventKind.SYNC_ACQUIRE, EventKind.SYNC_WAIT)
ENDS = (
    EventKind.SYNC_ACQUIRED,
    EventKind.SYNC_AWAIT,
    EventKind.SYNC_ABANDON,
    EventKind.SYNC_PUT,
    EventKind.SYNC_GET,
    EventKind.SYNC_JOIN,
)


class Waits(NamedTuple):
    """Waits, sorted by the event that is known of them first; arrays of one length."""

    begin_rows: Numbers
    """Where the beginning stands in the columns; -1 if it was dropped."""
    end_rows: Numbers
    """Where the end stands in the columns; -1 if the wait never ended."""
    scope: NDArray[Any]
    entity: NDArray[Any]
    start_ns: Numbers
    end_ns: Numbers
    """For a wait that never ended, the end of the recording."""
    has_ended: Flags


def waits_of(columns: Columns) -> Waits:
    """List the waits of one stream.

    Args:
        columns: Of ``as_arrays``.

    Complexity: O(n log n).
    """
    kinds = columns["kind"]
    rows = np.flatnonzero(np.isin(kinds, BEGINS + ENDS))
    is_begin = np.isin(kinds[rows], BEGINS)
    scopes, entities = columns["scope"][rows], columns["entity"][rows]
    groups = (scopes.astype(np.uint64) << np.uint64(32)) | entities
    partners = match_brackets(groups, is_begin)

    begins = np.flatnonzero(is_begin)
    has_waited = columns["wait_ns"][rows] > 0
    lone_ends = np.flatnonzero(~is_begin & (partners < 0) & has_waited)
    firsts = np.sort(np.concatenate((begins, lone_ends)))
    ends = np.where(is_begin[firsts], partners[firsts], firsts)
    begin_rows = np.where(is_begin[firsts], rows[firsts], -1)
    end_rows = np.where(ends >= 0, rows[ends], -1)
    times = columns["t_ns"]
    has_ended = end_rows >= 0
    end_ns = np.where(has_ended, times[end_rows], last_ns(columns)) if len(times) else times
    start_ns = (
        np.where(begin_rows >= 0, times[begin_rows], end_ns - columns["wait_ns"][end_rows]) if len(times) else times
    )
    return Waits(begin_rows, end_rows, scopes[firsts], entities[firsts], start_ns, end_ns, has_ended)
