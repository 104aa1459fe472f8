"""What did each task do between its steps? Pauses as intervals: it waited, then it was ready.

A pause lies before a step of a task: from the end of the step before it (of the first step:
from the task's start) to the step; or after the last step, if the task never ended. The step
says how long the task was ready before it ran; the rest it waited.

Waits that are no pauses hold up their thread: ``blocking_waits_of``.

For what it waited is told by the innermost wait that was open, if it was recorded.

What it can miss: waits of a task whose steps were dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clew.analysis.brackets import innermost
from clew.analysis.columns import last_ns, order_of_groups
from clew.model.kinds import EntityKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clew.analysis.columns import Flags, Numbers
    from clew.analysis.timeline import ProcessTimeline

MOST_COVERED = 4
"""Waits open on average in a pause, up to which each is written down for each pause; more are searched for."""


class Pauses(NamedTuple):
    """Pauses, by task and time; arrays of one length."""

    scope: NDArray[Any]
    before: Numbers
    """The step it comes after; -1 for the time before the first."""
    after: Numbers
    """The step it comes before; -1 for one that never ended."""
    start_ns: Numbers
    woken_ns: Numbers
    """When the task could have gone on. (Before the first step, what lies before that is the loop's work.)"""
    end_ns: Numbers
    """For one that never ended, the end of the recording; so is ``woken_ns``."""
    wait: Numbers
    """The innermost recorded wait that was open, or -1."""
    span: NDArray[Any]
    """The span the task was in, or 0."""


def pauses_of(timeline: ProcessTimeline) -> Pauses:
    """List the pauses of the tasks of a process.

    Complexity: O(n log n).
    """
    steps, lifetimes = timeline.steps, timeline.lifetimes
    by_start = np.argsort(steps.start_ns, kind="stable")
    order = by_start[order_of_groups(steps.scope[by_start])]
    order = order[timeline.kinds_of(steps.scope[order]) == EntityKind.TASK]
    scopes = steps.scope[order]
    lived = np.searchsorted(lifetimes.id, scopes)
    is_first = np.concatenate((np.ones(len(order[:1]), bool), scopes[1:] != scopes[:-1]))
    is_last = np.concatenate((is_first[1:], np.ones(len(order[:1]), bool)))
    starts, ends = steps.start_ns[order], steps.end_ns[order]
    pause_starts = np.where(is_first, lifetimes.start_ns[lived], np.concatenate((ends[:1], ends[:-1])))
    pause_starts = np.minimum(pause_starts, starts)
    ready = timeline.columns["wait_ns"][steps.rows[order]]
    woken = np.clip(starts - ready, pause_starts, starts)
    before = np.where(is_first, -1, np.concatenate((order[:1], order[:-1])))
    is_open = is_last & steps.has_ended[order] & ~lifetimes.has_ended[lived]
    n_open = int(is_open.sum())
    never, last = np.full(n_open, -1, np.int64), np.full(n_open, last_ns(timeline.columns), np.int64)
    # What a task is in after its last step, its last event says.
    after_last = timeline.span_after_event[lifetimes.last_rows[lived[is_open]]]
    return Pauses(
        np.concatenate((scopes, scopes[is_open])),
        np.concatenate((before, order[is_open])),
        np.concatenate((order, never)),
        np.concatenate((pause_starts, np.minimum(ends[is_open], last))),
        np.concatenate((woken, last)),
        np.concatenate((starts, last)),
        _waits_of_pauses(timeline, order, is_open),
        np.concatenate((timeline.span_of_event[steps.rows[order]], after_last)),
    )


def blocking_waits_of(timeline: ProcessTimeline) -> Numbers:
    """List the waits that hold up a thread: those of threads, and of tasks within one step."""
    waits, step_of_event = timeline.waits, timeline.step_of_event
    is_whole = (waits.begin_rows >= 0) & waits.has_ended
    begins, ends = step_of_event[waits.begin_rows], step_of_event[waits.end_rows]
    is_within = is_whole & (begins >= 0) & (begins == ends)
    return np.flatnonzero((timeline.kinds_of(waits.scope) == EntityKind.THREAD) | is_within)


def _waits_of_pauses(timeline: ProcessTimeline, order: Numbers, is_open: Flags) -> Numbers:
    """Return for each pause its wait: of those before each step in *order*, then of the open ones.

    A wait that began in one step of a task and ended in another was open in all pauses
    between the two. The innermost of several is the one that began last.
    """
    waits, steps = timeline.waits, timeline.steps
    n, n_open = len(order), int(is_open.sum())
    result = np.full(n + n_open, -1, np.int64)
    if not n or not len(waits.scope):
        return result
    place = np.full(len(steps.rows) + 1, -1, np.int64)
    place[order] = np.arange(n)
    step_of_event = timeline.step_of_event
    begun = np.where(waits.begin_rows >= 0, place[step_of_event[waits.begin_rows]], -1)
    ended = np.where(waits.has_ended, place[step_of_event[waits.end_rows]], -1)
    is_never = ~waits.has_ended & (begun >= 0)
    last = _last_places(steps.scope[order])
    ended = np.where(is_never, last[begun], ended)
    # Of a wait whose beginning was dropped, only the pause it ended after is known.
    first = np.where(waits.begin_rows >= 0, begun, ended - 1) + 1
    is_known = (ended >= 0) & ((begun >= 0) | (waits.begin_rows < 0))
    kept = np.flatnonzero(is_known)
    kept = kept[np.argsort(waits.start_ns[kept], kind="stable")]
    result[:n] = _latest_over(n, first[kept], ended[kept] + 1, kept)
    place_of_open = np.full(n, -1, np.int64)
    place_of_open[is_open] = n + np.arange(n_open)
    kept = kept[is_never[kept]]
    at = place_of_open[last[begun[kept]]]
    result[at[at >= 0]] = kept[at >= 0]
    return result


def _last_places(groups: NDArray[Any]) -> Numbers:
    """Return for each place the last one of its group; those of a group stand together."""
    ends = np.append(np.flatnonzero(groups[1:] != groups[:-1]), len(groups) - 1)
    return ends[np.searchsorted(ends, np.arange(len(groups)))]


def _latest_over(n: int, starts: Numbers, ends: Numbers, names: Numbers) -> Numbers:
    """Return for each of *n* places the name of the last range (*start* to *end*) that covers it, or -1."""
    lengths = np.maximum(ends - starts, 0)
    total = int(lengths.sum())
    if total > MOST_COVERED * (n + len(names)):
        zeros = np.zeros(len(names), np.int64)
        found = innermost(zeros, starts, ends, np.zeros(n, np.int64), np.arange(n))
        return np.where(found >= 0, names[found], -1)
    result = np.full(n, -1, np.int64)
    # Of several values for one place numpy keeps the last.
    offsets = np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    result[np.repeat(starts, lengths) + offsets] = np.repeat(names, lengths)
    return result
