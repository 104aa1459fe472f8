"""Which function calls ran when? Calls as intervals, from ``life.call_start`` and ``call_end``.

Within a scope calls end in the opposite order of their beginnings, so the end belongs to
the latest call that is still open.

What it can wrongly report: a call as unfinished whose end was dropped.
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


class Calls(NamedTuple):
    """Calls in the order they began; arrays of one length."""

    start_rows: Numbers
    end_rows: Numbers
    """Where the end stands in the columns; -1 if the call never ended."""
    scope: NDArray[Any]
    start_ns: Numbers
    end_ns: Numbers
    """For a call that never ended, the end of the recording."""
    has_ended: Flags


def calls_of(columns: Columns) -> Calls:
    """List the recorded function calls of one stream.

    Args:
        columns: Of ``as_arrays``.

    Complexity: O(n log n).
    """
    kinds, times = columns["kind"], columns["t_ns"]
    rows = np.flatnonzero((kinds == EventKind.LIFE_CALL_START) | (kinds == EventKind.LIFE_CALL_END))
    is_start = kinds[rows] == EventKind.LIFE_CALL_START
    partners = match_brackets(columns["scope"][rows], is_start)
    starts = np.flatnonzero(is_start)
    has_ended = partners[starts] >= 0
    start_rows = rows[starts]
    end_rows = np.where(has_ended, rows[partners[starts]], -1)
    end_ns = np.where(has_ended, times[end_rows], last_ns(columns))
    return Calls(start_rows, end_rows, columns["scope"][start_rows], times[start_rows], end_ns, has_ended)
