"""Which events are of a run, in which order?

An event is of a run by the span it belongs to (``ProcessTimeline.span_of_event``), in
whichever process. They are sorted by time on one clock, then by process and number: an
order that is the same each time, whatever came in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clew.analysis.event_filters import passing
from clew.analysis.runs import MASK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clew.analysis.columns import Numbers
    from clew.analysis.filters import Term
    from clew.analysis.timeline import ProcessTimeline


class EventRef(NamedTuple):
    """An event: its process among the timelines, and where it stands in the columns there."""

    process: int
    row: int


class EventList:
    """The events of a run, by time.

    Args:
        timelines: The processes.
        run_id: The run, 32 hexadecimal digits.
        origin_ns: Its start, on the clock of *timelines*.

    Complexity: O(n log n) for n events of the run.
    """

    def __init__(self, timelines: list[ProcessTimeline], run_id: str, origin_ns: int) -> None:
        self._timelines = timelines
        self._origin_ns = origin_ns
        self._members = [_members(timeline, int(run_id, 16)) for timeline in timelines]
        times = [
            timeline.columns["t_ns"][rows] + timeline.shift_ns
            for timeline, rows in zip(timelines, self._members, strict=True)
        ]
        seqs = [timeline.columns["seq"][rows] for timeline, rows in zip(timelines, self._members, strict=True)]
        processes = [np.full(len(rows), i, np.int64) for i, rows in enumerate(self._members)]
        all_times, all_seqs, all_processes, all_rows = (
            np.concatenate([np.empty(0, np.int64), *arrays]) for arrays in (times, seqs, processes, self._members)
        )
        self._order = np.lexsort((all_seqs, all_processes, all_times))
        self._times, self._seqs = all_times[self._order], all_seqs[self._order]
        self._processes, self._rows = all_processes[self._order], all_rows[self._order]

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, rank: int) -> EventRef:
        return EventRef(int(self._processes[rank]), int(self._rows[rank]))

    def select(self, terms: Sequence[Term]) -> Numbers:
        """Return the ranks of the events that pass a filter, ascending.

        Args:
            terms: Of ``filters.parse`` with ``event_filters.FIELDS``.
        """
        if not terms:
            return np.arange(len(self))
        flags = [
            passing(timeline, rows, terms, self._origin_ns)
            for timeline, rows in zip(self._timelines, self._members, strict=True)
        ]
        return np.flatnonzero(np.concatenate([np.empty(0, bool), *flags])[self._order])

    def rank_of(self, event: EventRef) -> int:
        """Return the rank of an event of any of the processes; of another run, that of the next one of this."""
        columns = self._timelines[event.process].columns
        at_ns = int(columns["t_ns"][event.row]) + self._timelines[event.process].shift_ns
        key = event.process, int(columns["seq"][event.row])
        low, high = (int(np.searchsorted(self._times, at_ns, side)) for side in ("left", "right"))
        while low < high:
            middle = (low + high) // 2
            if (int(self._processes[middle]), int(self._seqs[middle])) < key:
                low = middle + 1
            else:
                high = middle
        return low


def _members(timeline: ProcessTimeline, trace: int) -> Numbers:
    table = timeline.spans_table
    is_member = (table["trace_high"] == np.uint64(trace >> 64)) & (table["trace_low"] == np.uint64(trace & MASK))
    numbers = table["id"][is_member]
    if not len(numbers):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.isin(timeline.span_of_event, numbers))
