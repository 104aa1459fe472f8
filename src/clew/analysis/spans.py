"""Which runs and spans were open when, and to which one does an event belong?

A span begins with ``life.run_start``, ``life.span_start`` or ``effect.call`` and ends
with ``life.run_end``, ``life.span_end`` or ``effect.result``, each with its number. The
process's own run is ended by the end of the process.

Steps are recorded without a span (reading it would double their cost): a step belongs to
the span its scope was last in. Worked example, for a task defined in span 2:

    life.step               -> 2   the task's definition says so
    life.span_start  span 5 -> 5
    life.step               -> 5
    life.span_end    span 5 -> 5   span 5 has the parent 2
    life.step               -> 2

What it can wrongly report: the span of steps after a change of span that left no event,
such as a context copied by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clew.analysis.columns import distinct, forward_fill, last_ns, look_up, order_of_groups, positions_of
from clew.model.kinds import EventKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clew.analysis.columns import Columns, Flags, Numbers

STARTS = (EventKind.LIFE_RUN_START, EventKind.LIFE_SPAN_START, EventKind.EFFECT_CALL)
ENDS = (EventKind.LIFE_RUN_END, EventKind.LIFE_SPAN_END, EventKind.EFFECT_RESULT)
STEPS = (EventKind.LIFE_STEP, EventKind.LIFE_STEP_END)


class Spans(NamedTuple):
    """Runs and spans, sorted by number; arrays of one length."""

    number: NDArray[Any]
    start_rows: Numbers
    """Where the beginning stands in the columns; -1 if it was dropped."""
    end_rows: Numbers
    """Where the end stands in the columns; -1 if the span never ended."""
    scope: NDArray[Any]
    """Where it began."""
    start_ns: Numbers
    end_ns: Numbers
    """For a span that never ended, the end of the recording."""
    has_ended: Flags


def spans_of(columns: Columns) -> Spans:
    """List the spans of one stream that an event speaks of.

    Args:
        columns: Of ``as_arrays``.

    Complexity: O(n log n).
    """
    kinds, times, spans = columns["kind"], columns["t_ns"], columns["span"]
    is_mark = np.isin(kinds, STARTS + ENDS) & (spans > 0)
    numbers = distinct(spans[is_mark])
    start_rows = _first_rows(numbers, spans, np.isin(kinds, STARTS))
    end_rows = _first_rows(numbers, spans, np.isin(kinds, ENDS))
    _end_with_process(columns, start_rows, end_rows)
    # Where the start was dropped, the span is as old as the first event in it.
    known_rows = np.where(start_rows >= 0, start_rows, _first_rows(numbers, spans, spans > 0))
    has_ended = end_rows >= 0
    end_ns = np.where(has_ended, times[end_rows], last_ns(columns)) if len(times) else times
    return Spans(numbers, start_rows, end_rows, columns["scope"][known_rows], times[known_rows], end_ns, has_ended)


def _first_rows(numbers: NDArray[Any], spans: NDArray[Any], among: Flags) -> Numbers:
    """Return the first row of each span among some rows, -1 where it has none."""
    rows = np.flatnonzero(among)
    rows = rows[order_of_groups(spans[rows])]
    found = spans[rows]
    first = rows[np.flatnonzero(np.append(np.ones(len(rows[:1]), bool), found[1:] != found[:-1]))]
    at = positions_of(spans[first], numbers)
    return np.where(at >= 0, first[at], -1) if len(first) else at


def _end_with_process(columns: Columns, start_rows: Numbers, end_rows: Numbers) -> None:
    process_ends = np.flatnonzero(columns["kind"] == EventKind.LIFE_PROCESS_END)
    if len(process_ends):
        process = columns["entity"][process_ends[0]]
        is_own = (start_rows >= 0) & (end_rows < 0) & (columns["entity"][start_rows] == process) & (process > 0)
        end_rows[is_own] = process_ends[0]


def spans_of_events(columns: Columns, after: NDArray[Any]) -> NDArray[Any]:
    """Return for each event the number of the span it belongs to, 0 if it is in none.

    Args:
        columns: Of ``as_arrays``.
        after: Of ``spans_after_events``.
    """
    result = columns["span"].copy()
    is_step = np.isin(columns["kind"], STEPS) & (result == 0) & (columns["scope"] > 0)
    result[is_step] = after[is_step]
    return result


def spans_after_events(columns: Columns, entities: Columns, spans: Columns) -> NDArray[Any]:
    """Return for each event the span its scope is in after it: for the end of a span, the parent.

    Args:
        columns: Of ``as_arrays``.
        entities: Of ``table_of`` with ``schema.ENTITIES``.
        spans: Of ``table_of`` with ``schema.SPANS``.

    Complexity: O(n log n).
    """
    scopes, own = columns["scope"], columns["span"]
    after = own.copy()
    is_end = np.isin(columns["kind"], ENDS)
    after[is_end] = look_up(spans, "parent", own[is_end])
    order = order_of_groups(scopes)
    latest = forward_fill((own > 0)[order], scopes[order])
    is_known = latest >= 0
    result = np.empty(len(own), own.dtype)
    result[order[is_known]] = after[order[latest[is_known]]]
    result[order[~is_known]] = look_up(entities, "span", scopes[order[~is_known]])
    return result
