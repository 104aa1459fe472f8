"""What in one process led to what in another?

Three things say so: an event that names an event of another process as its cause; a span
whose parent is a span of another process (the request that is served was sent there, and its
end is what the caller waited for); a process that another one started.

What it can miss: calls whose trace context was not passed on. What it can wrongly report: of
a request that went on after its answer was sent, its beginning as what the caller waited for.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clew.analysis.columns import positions_of
from clew.analysis.processes import STARTS, Process, Start, join_processes
from clew.analysis.wakes import positions_by_id
from clew.model.kinds import EventKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clew.analysis.columns import Numbers
    from clew.analysis.timeline import ProcessTimeline

TOLERANCE_NS = 1_000_000
"""How much later than its answer a request may end and still count as what was waited for."""


class Arrivals(NamedTuple):
    """Events of one process that another one led to, by row; arrays of one length."""

    rows: Numbers
    processes: Numbers
    """Position of the other process."""
    sources: Numbers
    """The row of the event there."""


class Links:
    """The connections between processes.

    Args:
        timelines: All processes.
    """

    def __init__(self, timelines: list[ProcessTimeline]) -> None:
        self._timelines = timelines
        self.positions = positions_by_id(timelines)
        self._sources: list[dict[int, tuple[int, int]]] = [{} for _ in timelines]
        self._lost: list[set[int]] = [set() for _ in timelines]
        for position in range(len(timelines)):
            self._add_named(position)
        if len(timelines) > 1:
            for link in self._spans():
                self._add(*link)
            for link in self._processes():
                self._add(*link)

    def source_of(self, process: int, row: int) -> tuple[int, int] | None:
        """Return process and row of what led to an event from another process; None if nothing did."""
        return self._sources[process].get(row)

    def is_lost(self, process: int, row: int) -> bool:
        """Tell whether an event names a cause in another process that is not recorded."""
        return row in self._lost[process]

    def arrivals(self, process: int) -> Arrivals:
        """Return the events of a process that another one led to."""
        found = self._sources[process]
        rows = sorted(found)
        pairs = np.array([found[row] for row in rows], np.int64).reshape(-1, 2)
        return Arrivals(np.array(rows, np.int64), pairs[:, 0], pairs[:, 1])

    @cached_property
    def _targets(self) -> dict[tuple[int, int], list[tuple[int, int]]]:
        targets: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for process, sources in enumerate(self._sources):
            for row, source in sources.items():
                targets.setdefault(source, []).append((process, row))
        return targets

    def targets_of(self, process: int, row: int) -> list[tuple[int, int]]:
        """Return what an event led to in other processes."""
        return self._targets.get((process, row), [])

    def _add(self, process: int, row: int, source: int, source_row: int) -> None:
        if row >= 0 and source_row >= 0:
            self._sources[process].setdefault(row, (source, source_row))

    def _add_named(self, process: int) -> None:
        timeline = self._timelines[process]
        for seq, (other, cause) in timeline.data.remote_causes.items():
            row = timeline.row_of(seq)
            if row < 0:
                continue
            position = self.positions.get(other)
            source = -1 if position is None else self._timelines[position].row_of(cause)
            if position is None or source < 0:
                self._lost[process].add(row)
            else:
                self._add(process, row, position, source)

    def _spans(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield for spans with a parent in another process what led to their start, and to the parent's end."""
        tables = [timeline.spans_table for timeline in self._timelines]
        ids = np.concatenate([table["span_id"] for table in tables])
        owners = np.repeat(np.arange(len(tables)), [len(table["id"]) for table in tables])
        numbers = np.concatenate([table["id"] for table in tables]).astype(np.int64)
        traces = np.stack([np.concatenate([table[half] for table in tables]) for half in ("trace_high", "trace_low")])
        parents = np.concatenate([table["parent_span_id"] for table in tables])
        # A span whose parent is elsewhere may name one here beside it: the one it was begun in.
        children = np.flatnonzero(parents > 0)
        order = np.argsort(ids, kind="stable")
        at = np.minimum(np.searchsorted(ids[order], parents[children]), max(len(order) - 1, 0))
        found = order[at] if len(order) else at
        is_found = (ids[found] == parents[children]) & np.all(traces[:, found] == traces[:, children], axis=0)
        is_found &= owners[found] != owners[children]
        for child, parent in zip(children[is_found].tolist(), found[is_found].tolist(), strict=True):
            yield from self._pair(int(owners[child]), int(numbers[child]), int(owners[parent]), int(numbers[parent]))

    def _pair(self, process: int, child: int, other: int, parent: int) -> Iterator[tuple[int, int, int, int]]:
        start, end = self._bounds(process, child)
        asked, answered = self._bounds(other, parent)
        yield process, start, other, asked
        if answered < 0 or not self._timelines[other].data.spans[parent][8]:
            return
        if self._timelines[other].columns["outcome"][answered] in (Outcome.CANCELLED, Outcome.TIMEOUT):
            return  # nobody waited for the answer any more
        in_time = end >= 0 and self._at(process, end) <= self._at(other, answered) + TOLERANCE_NS
        yield other, answered, process, end if in_time else start

    def _bounds(self, process: int, number: int) -> tuple[int, int]:
        spans = self._timelines[process].spans
        (at,) = positions_of(spans.number, np.array([number])).tolist()
        return (int(spans.start_rows[at]), int(spans.end_rows[at])) if at >= 0 else (-1, -1)

    def _at(self, process: int, row: int) -> int:
        timeline = self._timelines[process]
        return int(timeline.columns["t_ns"][row]) + timeline.shift_ns

    def _processes(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield for processes the event by which another one started them, and what that led to."""
        heads = [_process(timeline) for timeline in self._timelines]
        starts = [start for timeline in self._timelines for start in _starts(timeline)]
        for link in join_processes(heads, starts):
            child, parent = self.positions[link.child], self.positions.get(link.parent)
            if parent is None:
                continue
            begun = np.flatnonzero(self._timelines[child].columns["kind"] == EventKind.LIFE_PROCESS_START)[:1]
            if len(begun) and link.seq:
                yield child, int(begun[0]), parent, self._timelines[parent].row_of(link.seq)
            ended = np.flatnonzero(self._timelines[child].columns["kind"] == EventKind.LIFE_PROCESS_END)[-1:]
            if len(ended) and link.result_seq:
                yield parent, self._timelines[parent].row_of(link.result_seq), child, int(ended[0])


def _process(timeline: ProcessTimeline) -> Process:
    head = timeline.stream.process
    return Process(
        timeline.stream.process_id, str(head.get("host", "")), timeline.pid, _number(head.get("parent_pid")),
        _parent(head.get("parent")), timeline.start_ns,
    )  # fmt: skip


def _parent(value: Any) -> tuple[int, int] | None:
    """Return process and event that the head of a stream names; None if it says nothing of the kind."""
    match value:
        case [str(process), int(seq)]:
            try:
                return int(process, 16), seq
            except ValueError:
                return None
        case _:
            return None


def _starts(timeline: ProcessTimeline) -> Iterator[Start]:
    """Yield the events of a process that started one whose pid is known."""
    columns, spans = timeline.columns, timeline.spans
    rows = np.flatnonzero(
        (columns["kind"] == EventKind.EFFECT_CALL) & np.isin(columns["op"], [int(op) for op in STARTS])
    )
    for row in rows.tolist():
        (at,) = positions_of(spans.number, columns["span"][row : row + 1]).tolist()
        end = int(spans.end_rows[at]) if at >= 0 else -1
        pid = timeline.attrs_of(row).get("pid") or (timeline.attrs_of(end).get("pid") if end >= 0 else 0)
        if type(pid) is not int or pid <= 0:
            continue
        seq, at_ns = int(columns["seq"][row]), int(columns["t_ns"][row]) + timeline.shift_ns
        if end >= 0:
            ended_ns = int(columns["t_ns"][end]) + timeline.shift_ns
            yield Start(timeline.stream.process_id, seq, pid, at_ns, int(columns["seq"][end]), ended_ns)
        else:
            yield Start(timeline.stream.process_id, seq, pid, at_ns)


def _number(value: object) -> int:
    return value if type(value) is int and 0 <= value < 1 << 62 else 0
