"""What belongs to one run, and what happened inside what?

Items are the spans of the run in every process, the tasks and threads created inside it,
their waits, errors, log records, custom events and gaps. An item lies in the innermost
span or task around it:

* a span lies in the span it was begun in, or, where its scope is a task created inside
  that span, in the task; one that another process asked for lies in the asking span;
* a task or thread lies in the task or span whose code created it;
* what a scope did in a span lies in that span if it began in this scope, in the task if
  it was created in the span, and else (a worker thread that does a job) in a *visit*.

Assumes: nothing of a run is in a scope the recording does not define.
What it can miss: what ran for the run without its context, such as a queue's worker.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clew.analysis.columns import positions_of
from clew.analysis.processes import START_EFFECTS
from clew.analysis.runs import MAIN_SPAN
from clew.model.kinds import EntityKind, EventKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from clew.analysis.columns import Flags, Numbers
    from clew.analysis.runs import Run
    from clew.analysis.timeline import ProcessTimeline

ERRORS = (EventKind.ERROR_RAISED, EventKind.ERROR_HANDLED, EventKind.ERROR_UNHANDLED)
MARKS = (*ERRORS, EventKind.LOG_RECORD, EventKind.CUSTOM_EVENT)
WRONG = (Outcome.FAILED, Outcome.CANCELLED, Outcome.TIMEOUT)


class ItemKind(IntEnum):
    """What an item is, and what its ``ref`` means."""

    SPAN = 0
    """A span; its position in the run."""
    SCOPE = 1
    """A task or thread created in the run; its number."""
    VISIT = 2
    """What a scope from elsewhere did for the run; its number."""
    WAIT = 3
    """A wait; its position in the timeline's waits."""
    MARK = 4
    """An error, a log record or a custom event; its row."""
    GAP = 5
    """Events that were dropped; the row."""
    RUN = 6
    """A span of another run that was begun in this one; its number."""


class Items(NamedTuple):
    """The items of a run, the root first; arrays of one length."""

    kind: NDArray[Any]
    process: Numbers
    """Position of the process among the timelines."""
    ref: Numbers
    parent: Numbers
    """Position of the item it lies in; the root's own is 0."""
    start_ns: Numbers
    """On the recording's clock."""
    end_ns: Numbers
    alike: Numbers
    """Items of one number differ in nothing but time and identity."""
    is_wrong: Flags
    """Failed, was cancelled, ran out of time; or is an error or a gap."""


def items_of(run: Run, timelines: list[ProcessTimeline]) -> Items:
    """List what belongs to a run; the span at position *i* of ``run.spans`` is item *i*.

    Args:
        run: Of ``runs_of``.
        timelines: All processes of the recording.

    Complexity: O(n log n) for n events, plus Python work for each span, task and thread of the run.
    """
    gathering = _Gathering(run, timelines)
    members: dict[int, set[int]] = {}
    for span in run.spans:
        members.setdefault(span.process, set()).add(span.number)
    numbers = {process: np.array(sorted(found | gathering.unspanned(process))) for process, found in members.items()}
    for process, spans in numbers.items():
        gathering.add_scopes(process, spans)
        gathering.add_runs(process, spans)
    blocks: list[_Block] = []
    for process, spans in numbers.items():
        blocks += (gathering.waits(process, spans), gathering.marks(process, spans), gathering.gaps(process))
    blocks.insert(0, gathering.block())
    joined = Items(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))
    return _without_circles(_with_times_of_visits(joined))


_Block = tuple["NDArray[Any]", ...]
"""Columns in the order of ``Items``."""


class _Gathering:
    """The items of one run so far, and where each stands."""

    def __init__(self, run: Run, timelines: list[ProcessTimeline]) -> None:
        self._run = run
        self._timelines = timelines
        self._rows: list[tuple[int, int, int, int, int, int, bool]] = []
        self._places: list[tuple[int, int, int]] = []
        """For each item process, scope and span it was begun in; the span -1: in the item «scope»."""
        self._alike: dict[Hashable, int] = {}
        self._spans: dict[tuple[int, int], int] = {}
        self._scopes: dict[tuple[int, int], int] = {}
        self._visits: dict[tuple[int, int, int], int] = {}
        self._own = {span.process for span in run.spans if span.number == MAIN_SPAN and span.role == "run"}
        by_id: dict[int, int] = {}
        for i, span in enumerate(run.spans):
            is_wrong = span.outcome in ("failed", "cancelled", "timeout")
            process = i if span.effect in START_EFFECTS else 0  # each is one of its own
            alike = ("span", span.process, span.name, span.effect, span.kind, span.site, span.outcome, process)
            self._add(ItemKind.SPAN, span.process, span.number, span.start_ns, span.end_ns, alike, is_wrong=is_wrong)
            self._spans[span.process, span.number] = i
            by_id.setdefault(span.span_id, i)
        for i, span in enumerate(run.spans):
            asking = by_id.get(span.parent_span_id, 0) if i else 0
            parent = run.spans[asking]
            is_local = parent.process == span.process
            self._places.append((span.process, span.scope, parent.number) if is_local else (span.process, asking, -1))

    def _add(
        self, kind: ItemKind, process: int, ref: int, start_ns: int, end_ns: int, alike: Hashable, *, is_wrong: bool
    ) -> int:
        self._rows.append((kind, process, ref, start_ns, end_ns, self._number(alike), is_wrong))
        return len(self._rows) - 1

    def _number(self, alike: Hashable) -> int:
        return self._alike.setdefault(alike, len(self._alike))

    def unspanned(self, process: int) -> set[int]:
        """Return the number that stands for «no span», if what is in none belongs to the run."""
        return {0} if process in self._own else set()

    def add_scopes(self, process: int, spans: NDArray[Any]) -> None:
        """Add the tasks and threads created in *spans*."""
        timeline = self._timelines[process]
        entities, lifetimes = timeline.entities, timeline.lifetimes
        at = np.flatnonzero(
            np.isin(entities["kind"], (EntityKind.TASK, EntityKind.THREAD)) & np.isin(entities["span"], spans)
        )
        lived = positions_of(lifetimes.id, entities["id"][at])
        at, lived = at[lived >= 0], lived[lived >= 0]
        end_rows = lifetimes.end_rows[lived]
        outcomes = np.where(end_rows >= 0, timeline.columns["outcome"][end_rows], 0)
        shift = timeline.shift_ns
        known = (entities["id"][at], entities["parent"][at], entities["span"][at], entities["site"][at], outcomes,
                 lifetimes.start_ns[lived] + shift, lifetimes.end_ns[lived] + shift)  # fmt: skip
        main = {self._run.spans[self._spans[process, MAIN_SPAN]].scope} if process in self._own else set[int]()
        for number, creator, span, site, outcome, start, end in zip(*(array.tolist() for array in known), strict=True):
            if number in main:
                continue
            row = timeline.data.entities[number]
            name = row[3] if row[1] == EntityKind.TASK else row[2].rstrip("0123456789")
            alike = ("scope", process, name, site, outcome)
            self._scopes[process, number] = self._add(
                ItemKind.SCOPE, process, number, start, end, alike, is_wrong=outcome in WRONG
            )
            self._places.append((process, creator, span))

    def add_runs(self, process: int, spans: NDArray[Any]) -> None:
        """Add the spans of other runs that were begun in *spans*."""
        timeline = self._timelines[process]
        table, known = timeline.spans_table, timeline.spans
        numbers = table["id"][np.isin(table["parent"], spans[spans > 0]) & ~np.isin(table["id"], spans)]
        at = positions_of(known.number, numbers)
        for i in at[at >= 0].tolist():
            number = int(known.number[i])
            row = timeline.data.spans[number]
            end_row = int(known.end_rows[i])
            outcome = int(timeline.columns["outcome"][end_row]) if end_row >= 0 else 0
            start, end = int(known.start_ns[i]) + timeline.shift_ns, int(known.end_ns[i]) + timeline.shift_ns
            alike = ("run", process, row[9], outcome)
            self._add(ItemKind.RUN, process, number, start, end, alike, is_wrong=outcome in WRONG)
            self._places.append((process, int(known.scope[i]), row[5]))

    def _item_at(self, process: int, scope: int, span: int) -> int:
        """Return the item that what *scope* does in *span* lies in."""
        if span < 0:
            return scope
        own_scope = self._scopes.get((process, scope), -1)
        item = self._spans.get((process, span or MAIN_SPAN), -1)
        if item < 0:
            return max(own_scope, 0)
        if scope in (0, self._run.spans[item].scope):
            return item
        if own_scope >= 0 and self._timelines[process].data.entities[scope][6] in (span, 0):
            return own_scope
        visit = self._visits.get((process, scope, span))
        if visit is None:
            alike = ("visit", process, scope, item)
            visit = self._add(ItemKind.VISIT, process, scope, 0, 0, alike, is_wrong=False)
            self._visits[process, scope, span] = visit
            self._places.append((process, item, -1))
        return visit

    def _items_at(self, process: int, scopes: NDArray[Any], spans: NDArray[Any]) -> Numbers:
        keys = scopes.astype(np.uint64) << np.uint64(32) | spans.astype(np.uint64)
        found, inverse = np.unique(keys, return_inverse=True)
        items = [self._item_at(process, key >> 32, key & 0xFFFFFFFF) for key in found.tolist()]
        return np.array(items, np.int64)[inverse] if items else np.empty(0, np.int64)

    def waits(self, process: int, spans: NDArray[Any]) -> _Block:
        """Return the waits in *spans*."""
        timeline, waits, columns = (
            self._timelines[process],
            self._timelines[process].waits,
            self._timelines[process].columns,
        )
        rows = np.where(waits.begin_rows >= 0, waits.begin_rows, waits.end_rows)
        at = np.flatnonzero(np.isin(columns["span"][rows], spans))
        rows, ends = rows[at], waits.end_rows[at]
        outcomes = np.where(ends >= 0, columns["outcome"][ends], 0)
        sites, entities = columns["site"][rows].astype(np.int64), waits.entity[at].astype(np.int64)
        # Without a site, only waits for one thing are alike.
        things = np.where(sites > 0, timeline.kinds_of(waits.entity[at]).astype(np.int64), entities)
        keys = np.stack((sites, columns["op"][rows].astype(np.int64), things, outcomes.astype(np.int64)))
        found, inverse = np.unique(keys, axis=1, return_inverse=True)
        numbers = np.array([self._number(("wait", process, *key)) for key in found.T.tolist()], np.int64)
        is_wrong = outcomes == Outcome.TIMEOUT
        parents = self._items_at(process, waits.scope[at], columns["span"][rows])
        shift = timeline.shift_ns
        alike = numbers[inverse.reshape(-1)] if len(at) else at
        return _block(
            ItemKind.WAIT, process, at, parents, waits.start_ns[at] + shift, waits.end_ns[at] + shift, alike, is_wrong
        )

    def marks(self, process: int, spans: NDArray[Any]) -> _Block:
        """Return errors, log records and custom events in *spans*."""
        timeline, columns = self._timelines[process], self._timelines[process].columns
        rows = np.flatnonzero(np.isin(columns["kind"], MARKS))
        scopes, owned = columns["scope"][rows], columns["span"][rows].copy()
        # How a scope itself ended is noted by its scheduler, outside of its context.
        ids, defined = timeline.entities["id"], timeline.entities["span"]
        is_own_end = (scopes > 0) & (columns["entity"][rows] == scopes)
        is_own_end &= (timeline.kinds_of(scopes) == EntityKind.TASK) | (timeline.kinds_of(scopes) == EntityKind.THREAD)
        at = positions_of(ids, scopes[is_own_end])
        owned[is_own_end] = np.where(at >= 0, defined[at], owned[is_own_end]) if len(ids) else owned[is_own_end]
        is_inside = np.isin(owned, spans)
        rows, scopes, owned = rows[is_inside], scopes[is_inside], owned[is_inside]
        rows, scopes, owned = self._without_repeats(timeline, rows, scopes, owned)
        alike = [self._mark_key(process, row) for row in rows.tolist()]
        times = columns["t_ns"][rows] + timeline.shift_ns
        is_wrong = np.isin(columns["kind"][rows], ERRORS)
        parents = self._items_at(process, scopes, owned)
        return _block(ItemKind.MARK, process, rows, parents, times, times, np.array(alike, np.int64), is_wrong)

    @staticmethod
    def _without_repeats(timeline: ProcessTimeline, rows: Numbers, *others: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Leave out that an error was handled or not, where the error itself is among *rows*."""
        columns = timeline.columns
        seqs = columns["seq"][rows[columns["kind"][rows] == EventKind.ERROR_RAISED]]
        is_about = np.isin(columns["kind"][rows], (EventKind.ERROR_HANDLED, EventKind.ERROR_UNHANDLED))
        kept = ~(is_about & np.isin(columns["cause"][rows], seqs))
        return rows[kept], *(other[kept] for other in others)

    def _mark_key(self, process: int, row: int) -> int:
        timeline = self._timelines[process]
        kind, site = int(timeline.columns["kind"][row]), int(timeline.columns["site"][row])
        name = "type" if kind in ERRORS else "name" if kind == EventKind.CUSTOM_EVENT else "logger"
        return self._number(("mark", process, kind, site, str(timeline.attrs_of(row).get(name))))

    def gaps(self, process: int) -> _Block:
        """Return the gaps of a process while the run lasted."""
        timeline, columns = self._timelines[process], self._timelines[process].columns
        rows = np.flatnonzero(columns["kind"] == EventKind.GAP_DROPPED)
        ends = columns["t_ns"][rows]
        since = [timeline.attrs_of(row).get("from_ns") for row in rows.tolist()]
        starts = np.array([since[i] if type(since[i]) is int else end for i, end in enumerate(ends.tolist())], np.int64)
        starts, ends = np.minimum(starts, ends) + timeline.shift_ns, ends + timeline.shift_ns
        span = self._run.spans[0]
        is_during = (ends >= span.start_ns) & (starts <= span.end_ns)
        rows, starts, ends = rows[is_during], starts[is_during], ends[is_during]
        alike = np.full(len(rows), self._number(("gap", process)), np.int64)
        parents = np.zeros(len(rows), np.int64)
        return _block(ItemKind.GAP, process, rows, parents, starts, ends, alike, np.ones(len(rows), bool))

    def block(self) -> _Block:
        """Return the spans, scopes, runs and visits."""
        # Finding out what lies where may add visits, at the end.
        parents: list[int] = []
        while len(parents) < len(self._places):
            parents.append(self._item_at(*self._places[len(parents)]))
        parents[0] = 0
        kind, process, ref, start, end, alike, is_wrong = np.array(self._rows, np.int64).T
        return kind, process, ref, np.array(parents, np.int64), start, end, alike, is_wrong.astype(bool)


def _block(
    kind: ItemKind,
    process: int,
    ref: Numbers,
    parent: Numbers,
    start: Numbers,
    end: Numbers,
    alike: Numbers,
    is_wrong: Flags,
) -> _Block:
    n = len(ref)
    return np.full(n, int(kind)), np.full(n, process), ref, parent, start, end, alike, is_wrong


def _with_times_of_visits(items: Items) -> Items:
    """Let visits last as long as what lies in them."""
    visits = np.flatnonzero(items.kind == ItemKind.VISIT)
    if not len(visits):
        return items
    inside = np.flatnonzero((items.kind[items.parent] == ItemKind.VISIT) & (items.kind != ItemKind.VISIT))
    start, end = items.start_ns.copy(), items.end_ns.copy()
    start[visits] = np.iinfo(np.int64).max
    end[visits] = np.iinfo(np.int64).min
    np.minimum.at(start, items.parent[inside], items.start_ns[inside])
    np.maximum.at(end, items.parent[inside], items.end_ns[inside])
    empty = visits[end[visits] < start[visits]]
    start[empty] = items.start_ns[items.parent[empty]]
    end[empty] = start[empty]
    return items._replace(start_ns=start, end_ns=end)


def _without_circles(items: Items) -> Items:
    """Put what lies in itself (in a damaged recording) into the root."""
    parent = items.parent.copy()
    parent[tops_of(parent) != 0] = 0
    return items._replace(parent=parent)


def tops_of(parent: Numbers) -> Numbers:
    """Return for each item the one above it that is its own parent; any, if it lies in a circle.

    Complexity: O(n log d) for items d deep.
    """
    top = parent
    for _ in range(len(parent).bit_length()):
        further = top[top]
        if np.array_equal(further, top):
            break
        top = further
    return top
