"""Which function calls ran when? Calls as intervals, from ``life.call_start`` and ``call_end``.

A start that has its duration is a whole interval. An end that names its start closes it;
one whose start was dropped stands for the time before it. Where an end says neither (it
was recorded by something else than clew), it belongs to the latest call of its scope
that is still open.

What it can wrongly report: a call whose end was dropped as lasting as long as the one
around it. A gap event then lies in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clew.analysis.brackets import innermost, match_brackets
from clew.analysis.columns import last_ns, positions_of
from clew.model.kinds import EventKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clew.analysis.columns import Columns, Flags, Numbers


class Calls(NamedTuple):
    """Intervals in which a function ran, in the order they began; arrays of one length.

    A function that suspends has one interval for each time it goes on.
    """

    start_rows: Numbers
    """Where the start stands in the columns; the end, if the start was dropped."""
    end_rows: Numbers
    """Where what is known of the end stands; -1 if the call never ended."""
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
    kinds, times, durations = columns["kind"], columns["t_ns"], columns["arg"]
    starts = np.flatnonzero(kinds == EventKind.LIFE_CALL_START)
    ends = np.flatnonzero(kinds == EventKind.LIFE_CALL_END)
    end_rows = np.where(durations[starts] > 0, starts, -1)
    end_ns = times[starts] + durations[starts]
    ended = _ends_by_cause(columns, starts, ends)
    known = ended >= 0
    end_rows[ended[known]] = ends[known]
    is_whole = ~known & (durations[ends] > 0)
    _match_rest(columns["scope"], starts, ends[~known & ~is_whole], end_rows)
    has_end_event = (end_rows >= 0) & (end_rows != starts)
    end_ns = np.where(has_end_event, times[end_rows], end_ns)
    alone = ends[is_whole]
    start_rows = np.concatenate((starts, alone))
    start_ns = np.concatenate((times[starts], times[alone] - durations[alone]))
    order = np.argsort(start_ns, kind="stable")
    return _bounded(
        start_rows[order],
        np.concatenate((end_rows, alone))[order],
        columns["scope"][start_rows][order],
        start_ns[order],
        np.concatenate((end_ns, times[alone]))[order],
        last_ns(columns),
    )


def _ends_by_cause(columns: Columns, starts: Numbers, ends: Numbers) -> Numbers:
    """Return for each end the position of the start it names, or -1."""
    causes = columns["cause"][ends]
    found = positions_of(columns["seq"][starts], causes)
    return np.where(causes > 0, found, -1)


def _match_rest(scope: NDArray[Any], starts: Numbers, ends: Numbers, end_rows: Numbers) -> None:
    """Give ends that say nothing to the starts without an end, in place."""
    if not len(ends):
        return
    waiting = np.flatnonzero(end_rows < 0)
    rows = np.concatenate((starts[waiting], ends))
    order = np.argsort(rows, kind="stable")
    is_start = order < len(waiting)
    partners = match_brackets(scope[rows[order]], is_start)
    paired = np.flatnonzero(is_start & (partners >= 0))
    end_rows[waiting[order[paired]]] = rows[order[partners[paired]]]


def _bounded(
    start_rows: Numbers, end_rows: Numbers, scope: NDArray[Any], start_ns: Numbers, end_ns: Numbers, last: int
) -> Calls:
    """End calls without an end where the call around them ends, or else with the recording."""
    has_ended = end_rows >= 0
    lost = np.flatnonzero(~has_ended)
    if len(lost):
        kept = np.flatnonzero(has_ended)
        around = innermost(scope[kept], start_ns[kept], end_ns[kept], scope[lost], start_ns[lost])
        outer = np.where(around >= 0, kept[around], -1) if len(kept) else around
        is_inside = outer >= 0
        end_ns[lost] = np.where(is_inside, end_ns[outer], last)
        end_rows[lost] = np.where(is_inside, end_rows[outer], -1)
        has_ended[lost] = is_inside
    return Calls(start_rows, end_rows, scope, start_ns, end_ns, has_ended)
