"""From when to when did each task and thread live, and in which thread did a task run?

A lifetime begins with ``life.task_start`` or ``life.thread_start`` and ends with
``life.task_end`` or ``life.thread_end``, each on the task or thread as its entity. Where
one of them is missing (the main thread has no start; what was alive before recording
began has none either), the events of the scope say how far it is known.

A task runs in the thread of the code that created it: its creator, and that one's
creator, up to a thread. (A loop creates tasks only in its own thread, also for
``run_coroutine_threadsafe``.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clew.analysis.columns import last_ns, order_of_groups, positions_of
from clew.model.kinds import EntityKind, EventKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clew.analysis.columns import Columns, Flags, Numbers

STARTS = (EventKind.LIFE_TASK_START, EventKind.LIFE_THREAD_START)
ENDS = (EventKind.LIFE_TASK_END, EventKind.LIFE_THREAD_END)


class Lifetimes(NamedTuple):
    """Tasks and threads that an event speaks of, sorted by number; arrays of one length."""

    id: NDArray[Any]
    kind: NDArray[Any]
    start_rows: Numbers
    """Where its start stands in the columns, or -1."""
    end_rows: Numbers
    """Where its end stands in the columns, or -1."""
    last_rows: Numbers
    """Where its latest event as a scope stands in the columns, or -1."""
    start_ns: Numbers
    """When it was started, or its first event if that is earlier or all that is known."""
    end_ns: Numbers
    """For one that never ended, the end of the recording."""
    has_ended: Flags


def lifetimes_of(columns: Columns, entities: Columns) -> Lifetimes:
    """List the lifetimes of the tasks and threads of one stream.

    Args:
        columns: Of ``as_arrays``.
        entities: Of ``table_of`` with ``schema.ENTITIES``.

    Complexity: O(n log n).
    """
    kinds, times, scopes = columns["kind"], columns["t_ns"], columns["scope"]
    is_alive = np.isin(entities["kind"], (EntityKind.TASK, EntityKind.THREAD))
    ids, entity_kinds = entities["id"][is_alive], entities["kind"][is_alive]
    start_rows, end_rows = _rows_about(ids, columns, STARTS), _rows_about(ids, columns, ENDS)
    first_rows, last_rows = _rows_within(ids, scopes)
    # The thread in which the process ended ended with it.
    process_ends = np.flatnonzero(kinds == EventKind.LIFE_PROCESS_END)
    if len(process_ends):
        main = (ids == scopes[process_ends[-1]]) & (end_rows < 0)
        end_rows[main] = process_ends[-1]
    known = np.flatnonzero((start_rows >= 0) | (first_rows >= 0) | (end_rows >= 0))
    ids, entity_kinds, start_rows, end_rows = ids[known], entity_kinds[known], start_rows[known], end_rows[known]
    first_rows, last_rows = first_rows[known], last_rows[known]
    if not len(known):
        return Lifetimes(ids, entity_kinds, start_rows, end_rows, last_rows, known, known, known > 0)
    never = np.iinfo(np.int64).max
    start_ns = np.minimum(
        np.where(start_rows >= 0, times[start_rows], never), np.where(first_rows >= 0, times[first_rows], never)
    )
    has_ended = end_rows >= 0
    start_ns = np.where(start_ns == never, times[end_rows], start_ns)
    # What a scope does in its very end (the step that ends it) may be recorded after it.
    end_ns = np.maximum(times[end_rows], np.where(last_rows >= 0, times[last_rows], 0))
    end_ns = np.where(has_ended, end_ns, last_ns(columns))
    return Lifetimes(ids, entity_kinds, start_rows, end_rows, last_rows, start_ns, end_ns, has_ended)


def _rows_about(ids: NDArray[Any], columns: Columns, kinds: tuple[EventKind, ...]) -> Numbers:
    """Return the first event of some kinds on each entity, or -1."""
    rows = np.flatnonzero(np.isin(columns["kind"], kinds))
    found = positions_of(columns["entity"][rows], ids)
    return np.where(found >= 0, rows[found], -1) if len(rows) else found


def _rows_within(ids: NDArray[Any], scopes: NDArray[Any]) -> tuple[Numbers, Numbers]:
    """Return the first and the last event in each scope, or -1."""
    if not len(scopes):
        return np.full(len(ids), -1, np.int64), np.full(len(ids), -1, np.int64)
    order = order_of_groups(scopes)
    is_first = np.concatenate(([True], scopes[order[1:]] != scopes[order[:-1]]))
    first, last = order[is_first], order[np.append(is_first[1:], True)]
    at = positions_of(scopes[first], ids)
    return np.where(at >= 0, first[at], -1), np.where(at >= 0, last[at], -1)


def threads_of_scopes(entities: Columns) -> NDArray[Any]:
    """Return for each row of *entities* the thread it runs in, 0 where that is not known.

    A thread runs in itself, a task in the thread of its creator.

    Args:
        entities: Of ``table_of`` with ``schema.ENTITIES``.

    Complexity: O(n log d) for chains of creators d long.
    """
    ids, kinds, parents = entities["id"], entities["kind"], entities["parent"]
    is_task, is_thread = kinds == EntityKind.TASK, kinds == EntityKind.THREAD
    n = len(ids)
    # Position n stands for «nothing», which leads nowhere.
    up = np.append(positions_of(ids, parents), n)
    up[up < 0] = n
    stays = np.append(~is_task, True)
    up[stays] = np.arange(n + 1)[stays]
    # Each round doubles how far up is looked; a circle of creators (a damaged recording)
    # leads to a task for ever, which is no thread.
    for _ in range(n.bit_length()):
        further = up[up]
        if np.array_equal(further, up):
            break
        up = further
    is_found = np.append(is_thread, False)[up[:n]]
    return np.where(is_found, np.append(ids, 0)[up[:n]], 0).astype(ids.dtype)
