"""The picture of a run as columns: what lies on which row, from when to when, and what led to it.

Blocks are intervals: the steps of every scope (``STEP``), the time a task could have run and
did not (``READY``), waits (``WAIT``: the pauses of tasks, and what held up a thread), spans, and
the lives of tasks and threads. Marks are moments. Everything is worked out a column at a time;
what is left out at a zoom is for who draws it to decide.

A block's waker is the block in which the event happened that enabled it: the step, or where
its scope has none the life. Of a step and a span that is the cause of its first event; of a
wait the cause of what ended it, else of the step after it; of a life what created it.

What it can miss: the waker, where the cause was not recorded. The run of a process is no
block: it lasts as long as the process, and would say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clew.analysis.block_parts import Part, ProcessParts
from clew.analysis.lanes import Lanes, lanes_of
from clew.analysis.links import Links
from clew.analysis.marks import Marks, marks_of
from clew.analysis.packing import by_start
from clew.analysis.runs import events_of_run
from clew.analysis.texts import Texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clew.analysis.timeline import ProcessTimeline


@dataclass(frozen=True, slots=True)
class Picture:
    """What there is to draw of a run.

    Attributes:
        blocks: By start, longer ones first; times are ns since the run's start.
        block_of_step: For each process, for each step its position in *blocks*.
        marks: By time.
        labels: Texts that labels are numbers of.
        places: Texts that places are numbers of; 0 is empty.
        from_ns: When the first process began.
        to_ns: When the last event happened.
    """

    lanes: Lanes
    blocks: Part
    block_of_step: tuple[NDArray[Any], ...]
    marks: Marks
    labels: list[str]
    places: list[str]
    from_ns: int
    to_ns: int


def picture_of(timelines: list[ProcessTimeline], run_id: str, origin_ns: int, links: Links | None = None) -> Picture:
    """Draw a run.

    Args:
        timelines: Its processes, in the order they are drawn.
        run_id: Its trace id, 32 hex digits.
        origin_ns: When it began, on the clock of *timelines*.
        links: Between them, if they are known already.

    Complexity: O(n log n) for n events; Python work for each task, thread, span, different
    label, error and log record.
    """
    members = [events_of_run(timeline, run_id) for timeline in timelines]
    lanes = lanes_of(timelines, members)
    labels, places = Texts(), Texts()
    parts = [
        ProcessParts(position, timeline, members[position], lanes.processes[position], labels, places)
        for position, timeline in enumerate(timelines)
    ]
    bases = np.cumsum([0] + [len(part.blocks.start) for part in parts]).tolist()
    links = links or Links(timelines)
    for part in parts:
        part.blocks.waker[:] = part.wakers(parts, bases, links)
    joined = _joined([part.blocks for part in parts])
    order = by_start(joined.start, joined.end)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    columns: list[Any] = [column[order] for column in joined]
    blocks = Part(*columns)
    wakers = np.where(blocks.waker >= 0, place[blocks.waker], -1) if len(order) else blocks.waker
    blocks = blocks._replace(start=blocks.start - origin_ns, end=blocks.end - origin_ns, waker=wakers)
    marks = marks_of(timelines, lanes, labels, origin_ns)
    known = [timeline for timeline in timelines if len(timeline.data)]
    return Picture(
        lanes,
        blocks,
        tuple(place[base : base + len(part.timeline.steps.rows)] for base, part in zip(bases[:-1], parts, strict=True)),
        marks,
        labels.texts,
        places.texts,
        min((timeline.start_ns for timeline in known), default=origin_ns) - origin_ns,
        max((timeline.end_ns for timeline in known), default=origin_ns) - origin_ns,
    )


def _joined(parts: list[Part]) -> Part:
    """Put the blocks of all processes after one another; those of one are not copied."""
    if len(parts) == 1:
        return parts[0]
    columns: list[Any] = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    return Part(*(columns or [np.empty(0, np.int64)] * len(Part._fields)))
