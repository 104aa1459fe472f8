"""When did each scope run? Steps as intervals.

A step is what ``life.step`` begins: code of a task between two awaits, a callback of a
loop, the function of a thread, a job of an executor. A short one carries its duration;
a long one is ended by ``life.step_end``, which names it as its cause, or, where SystemExit
or KeyboardInterrupt went through it, ends the latest open step of its scope.

Assumes: only a thread's function or a job (``op`` ``run``) has other steps of its own
scope inside it.
What it can miss: the end of a step whose ``life.step_end`` was dropped. It is taken to
last until the next step of its scope, or to the end of the recording.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clew.analysis.brackets import innermost
from clew.analysis.columns import forward_fill, last_ns, order_of_groups, positions_of
from clew.model.kinds import EventKind, Operation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clew.analysis.columns import Columns, Flags, Numbers


class Steps(NamedTuple):
    """Steps in the order of their events; arrays of one length."""

    rows: Numbers
    """Where the ``life.step`` stands in the columns."""
    scope: NDArray[Any]
    start_ns: Numbers
    end_ns: Numbers
    """For a step that never ended, how far it is known to have lasted."""
    has_ended: Flags
    awaited: NDArray[Any]
    """The task it ended up waiting for, or an executor's future; 0 if neither."""


def steps_of(columns: Columns) -> Steps:
    """List the steps of one stream.

    Args:
        columns: Of ``as_arrays``.

    Complexity: O(n log n) at worst, O(n) where events stand by ``seq``.
    """
    kinds, times = columns["kind"], columns["t_ns"]
    rows = np.flatnonzero(kinds == EventKind.LIFE_STEP)
    starts, scopes = times[rows], columns["scope"][rows]
    durations = columns["arg"][rows].copy()
    awaited = columns["entity"][rows].copy()
    has_ended = durations > 0

    end_rows = np.flatnonzero(kinds == EventKind.LIFE_STEP_END)
    ended = positions_of(columns["seq"][rows], columns["cause"][end_rows])
    orphans = np.flatnonzero(ended < 0)
    ended[orphans] = _latest_open(rows, scopes, has_ended, ended, end_rows[orphans], columns)
    end_rows, ended = end_rows[ended >= 0], ended[ended >= 0]
    measured = columns["arg"][end_rows]
    durations[ended] = np.where(measured > 0, measured, times[end_rows] - starts[ended])
    awaited[ended] = columns["entity"][end_rows]
    has_ended[ended] = True

    known_until = np.maximum(starts, last_ns(columns))
    following = _next_start(scopes, starts)
    can_nest = columns["op"][rows] == Operation.RUN
    open_until = np.where((following >= 0) & ~can_nest, following, known_until)
    return Steps(rows, scopes, starts, np.where(has_ended, starts + durations, open_until), has_ended, awaited)


def _latest_open(
    rows: Numbers, scopes: NDArray[Any], has_ended: Flags, ended: Numbers, end_rows: Numbers, columns: Columns
) -> Numbers:
    """Return for each end that names no step the latest open one of its scope, or -1."""
    is_open = ~has_ended
    is_open[ended[ended >= 0]] = False
    is_open = np.flatnonzero(is_open)
    if not len(is_open) or not len(end_rows):
        return np.full(len(end_rows), -1, np.int64)
    # Scope and row in one key: rows of a stream stay below 2**31.
    keys = (scopes[is_open].astype(np.uint64) << np.uint64(31)) | rows[is_open].astype(np.uint64)
    order = np.argsort(keys)
    end_scopes = columns["scope"][end_rows]
    wanted = (end_scopes.astype(np.uint64) << np.uint64(31)) | end_rows.astype(np.uint64)
    at = np.searchsorted(keys[order], wanted) - 1
    found = is_open[order[np.maximum(at, 0)]]
    return np.where((at >= 0) & (scopes[found] == end_scopes), found, -1)


def _next_start(scopes: NDArray[Any], starts: Numbers) -> Numbers:
    """Return when the next step of the same scope begins, -1 if there is none."""
    order = order_of_groups(scopes)
    following = np.full(len(scopes), -1, np.int64)
    is_same = scopes[order[1:]] == scopes[order[:-1]]
    following[order[:-1][is_same]] = starts[order[1:][is_same]]
    return following


def steps_of_events(columns: Columns, steps: Steps) -> Numbers:
    """Return for each event the step it happened in, as a position in *steps*, or -1.

    A ``life.step`` happens in itself, a ``life.step_end`` in the step it ends.

    Complexity: O(n log n).
    """
    scopes, times = columns["scope"], columns["t_ns"]
    step_at = np.full(len(scopes), -1, np.int64)
    step_at[steps.rows] = np.arange(len(steps.rows))
    order = order_of_groups(scopes)
    latest = forward_fill(step_at[order] >= 0, scopes[order])
    found = np.where(latest >= 0, step_at[order[latest]], -1)
    result = np.empty(len(scopes), np.int64)
    result[order] = found
    is_outside = (result >= 0) & (times > steps.end_ns[result]) if len(steps.rows) else result >= 0
    # An event after the latest step may still lie in an outer one: in the function of a
    # thread, after a callback of its loop.
    outside = np.flatnonzero(is_outside)
    result[outside] = innermost(steps.scope, steps.start_ns, steps.end_ns, scopes[outside], times[outside])
    ends = np.flatnonzero(columns["kind"] == EventKind.LIFE_STEP_END)
    ended = positions_of(columns["seq"][steps.rows], columns["cause"][ends])
    result[ends] = np.where(ended >= 0, ended, result[ends])
    return result


def durations_of_events(columns: Columns, steps: Steps) -> Numbers:
    """Return for each event how long what it stands for lasted, in ns; 0 if it has no duration.

    A step's stands with its ``life.step``. A call's stands with its ``life.call_start`` if
    it was short, or else with its ``life.call_end``: with one of them, so that sums are right.
    """
    kinds = columns["kind"]
    is_call = (kinds == EventKind.LIFE_CALL_START) | (kinds == EventKind.LIFE_CALL_END)
    result = np.where(is_call, columns["arg"], 0)
    result[steps.rows] = np.where(steps.has_ended, steps.end_ns - steps.start_ns, 0)
    return result
