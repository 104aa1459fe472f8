"""A recording for the Perfetto UI, as Chrome trace events in JSON.

What a person sees: processes, in them threads, below each thread the tasks it ran. A
thread's row shows what ran on it; a task's row when it ran, when it was ready, and what
it waited for; arrows go from what woke a step to the step. Runs and spans have rows of
their own, one for each name. See docs/reference/perfetto.md.

Rejected: a task as an asynchronous track of its own name, which the viewer lays out by
itself (arrows of this format cannot end there, and its rows have no names); spans nested
in the rows of tasks (a span begins in the middle of one step and ends in the middle of
another, and slices of a row must nest).

Source: "Trace Event Format" (the Chromium project), and the reading of it by Perfetto's
src/trace_processor/importers/json.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from clew.analysis.timeline import timelines_of
from clew.convert.perfetto_flows import flow_events
from clew.convert.perfetto_rows import Drawing
from clew.convert.perfetto_spans import remote_parents, span_events
from clew.convert.perfetto_tracks import Rows, assign_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clew.analysis.timeline import ProcessTimeline
    from clew.format.reader import Recording

_BATCH = 8192


def trace_of(recording: Recording, progress: Callable[[int], None] = lambda events: None) -> Iterator[str]:
    """Yield the text of the trace, piece by piece.

    Args:
        recording: What to draw.
        progress: Called now and then with the number of trace events written since.
    """
    timelines = timelines_of(recording)
    drawings = [Drawing(timeline, Rows(timeline)) for timeline in timelines]
    assign_numbers([(_pid(drawing.timeline), drawing.rows) for drawing in drawings])
    yield f'{{"displayTimeUnit":"ns","otherData":{json.dumps(_about(recording, timelines))},"traceEvents":[\n'
    events = _events(drawings)
    separator = ""
    while batch := list(islice(events, _BATCH)):
        yield separator + ",\n".join(batch)
        separator = ",\n"
        progress(len(batch))
    yield "\n]}\n"


def _events(drawings: list[Drawing]) -> Iterator[str]:
    # Of slices that begin at one instant the viewer takes the earlier in the file for the
    # outer one, so what encloses comes first and arrows come last.
    for drawing in drawings:
        yield from drawing.names()
    parents = remote_parents([drawing.timeline for drawing in drawings])
    for drawing in drawings:
        yield from drawing.slices()
        yield from span_events(drawing, parents)
    yield from flow_events(drawings)


def _pid(timeline: ProcessTimeline) -> int:
    pid = timeline.stream.process.get("pid")
    # The viewer keeps pids in 32 bits, and needs room above for the rows' numbers.
    return pid if type(pid) is int and 0 < pid < 1 << 30 else 1


def _about(recording: Recording, timelines: list[ProcessTimeline]) -> dict[str, Any]:
    started = min((stream.process.get("wall_ns", 0) for stream in recording.streams), default=0)
    return {
        "recorded_by": "clew",
        "recording": recording.path.name,
        "started_at": datetime.fromtimestamp(started // 10**9, UTC).isoformat() if type(started) is int else "",
        "processes": [
            {
                "process": timeline.stream.id,
                "service": timeline.service,
                "pid": timeline.stream.process.get("pid"),
                "events": len(timeline.data),
            }
            for timeline in timelines
        ],
    }
