"""Runs and spans as asynchronous slices: each name a track of its own below the threads.

The spans of one scope that lie in one another share an id, which makes the viewer stack
them; it puts tracks of one name together and lays them out so that none overlap. Where a
span of another process is the child of one here, an arrow goes from parent to child.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from clew.analysis.runs import are_whole_processes
from clew.convert.perfetto_rows import microseconds, quote
from clew.model.kinds import Operation, SpanRole, slug_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clew.analysis.timeline import ProcessTimeline
    from clew.convert.perfetto_rows import Drawing
    from clew.format.events import Row

_Key = tuple[int, int, int]
"""Both halves of a trace id, and a span id."""


def _own_key(definition: Row) -> _Key:
    return definition[1], definition[2], definition[3]


def _parent_key(definition: Row) -> _Key:
    return definition[1], definition[2], definition[4]


def remote_parents(timelines: list[ProcessTimeline]) -> dict[_Key, int]:
    """Number the spans that have a child in another process."""
    homes = {_own_key(row): timeline for timeline in timelines for row in timeline.data.spans.values()}
    parents: dict[_Key, int] = {}
    for timeline in timelines:
        for row in timeline.data.spans.values():
            key = _parent_key(row)
            if homes.get(key, timeline) is not timeline:
                parents.setdefault(key, len(parents) + 1)
    return parents


class _Open:
    """A span that was begun on a track and not ended yet."""

    __slots__ = ("end", "text", "track")

    def __init__(self, end: int, track: int, text: str) -> None:
        self.end = end
        self.track = track
        self.text = text


def span_events(drawing: Drawing, parents: dict[_Key, int]) -> Iterator[str]:
    """Draw the spans of one process.

    Args:
        drawing: The process.
        parents: Numbers of the spans that have a child in another process.
    """
    timeline, spans = drawing.timeline, drawing.timeline.spans
    order = np.lexsort((-spans.end_ns, spans.start_ns, spans.scope))
    definitions = timeline.data.spans
    stack: list[_Open] = []
    scope, tracks = -1, 0
    of_process = are_whole_processes(timeline).tolist()  # its row would say nothing
    for i in order.tolist():
        definition = definitions.get(int(spans.number[i]))
        if definition is None or of_process[i]:
            continue
        start, end = int(spans.start_ns[i]), int(spans.end_ns[i])
        if int(spans.scope[i]) != scope:
            yield from _close(drawing, stack, None)
            scope = int(spans.scope[i])
        yield from _close(drawing, stack, start)
        fits = bool(stack) and end <= stack[-1].end
        if not fits:
            tracks += 1
        track = stack[-1].track if fits else tracks
        yield _begin(drawing, i, definition, track, parents)
        name = quote(definition[-1] or "span")
        text = f'{{"ph":"e","pid":{drawing.rows.pid},"id2":{{"local":"{track}"}},"cat":"span","name":{name}'
        opened = _Open(end, track, text if spans.has_ended[i] else "")
        if fits or not stack:
            stack.append(opened)
        else:
            # It overlaps the span before it without lying in it: it is ended on its own.
            yield from _close(drawing, [opened], None)
    yield from _close(drawing, stack, None)


def _close(drawing: Drawing, stack: list[_Open], until: int | None) -> Iterator[str]:
    """End the innermost spans that are over at *until*, or all."""
    while stack and (until is None or stack[-1].end <= until):
        opened = stack.pop()
        if opened.text:
            yield f'{opened.text},"ts":{microseconds(opened.end + drawing.timeline.shift_ns)}}}'


@cache
def _kind(role: int, op: int) -> str:
    return "run" if role == SpanRole.RUN else slug_of(Operation, op) or "span"


def _begin(drawing: Drawing, i: int, definition: Row, track: int, parents: dict[_Key, int]) -> str:
    timeline, spans = drawing.timeline, drawing.timeline.spans
    _, trace_high, trace_low, span_id, *_, name = definition
    args = [
        f'"kind":"{_kind(*definition[-3:-1])}","trace":"{trace_high:016x}{trace_low:016x}","span":"{span_id:016x}"',
        f'"in":{quote(timeline.name_of(int(spans.scope[i])))}',
    ]
    if spans.start_rows[i] >= 0:
        args.append(f'"start":{{{drawing.event_args(int(spans.start_rows[i]))}}}')
    if spans.end_rows[i] >= 0:
        args.append(f'"end":{{{drawing.event_args(int(spans.end_rows[i]))}}}')
    arrow = ""
    if number := parents.get(_own_key(definition)):
        arrow = f',"bind_id":"0x{number:x}","flow_out":true'
    elif number := parents.get(_parent_key(definition)):
        arrow = f',"bind_id":"0x{number:x}","flow_in":true'
    return (
        f'{{"ph":"b","pid":{drawing.rows.pid},"id2":{{"local":"{track}"}},"cat":"span",'
        f'"name":{quote(name or "span")},"ts":{microseconds(int(spans.start_ns[i]) + timeline.shift_ns)}{arrow},'
        f'"args":{{{",".join(args)}}}}}'
    )
