"""The spans of a recording, each with its events, as the tests of HTTP look at them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from conftest import Event, events_of

from clew.format.reader import Recording
from clew.model.kinds import Operation, SpanKind, SpanRole

_STARTS = ("life.run_start", "life.span_start", "effect.call")
_ENDS = ("life.run_end", "life.span_end", "effect.result")


@dataclass
class RecordedSpan:
    """A span, and what was recorded in it."""

    process: str
    number: int
    trace: str
    span_id: int
    parent_id: int
    parent: int
    kind: str
    role: str
    op: str
    name: str
    events: list[Event] = field(default_factory=list)

    @property
    def start(self) -> Event:
        (event,) = [e for e in self.events if e.kind in _STARTS]
        return event

    @property
    def end(self) -> Event:
        (event,) = [e for e in self.events if e.kind in _ENDS]
        return event

    @property
    def attrs(self) -> dict[str, Any]:
        return self.start.attrs | self.end.attrs

    def of(self, kind: str) -> list[Event]:
        """Events of *kind* that belong to this span."""
        return [e for e in self.events if e.kind == kind]


def spans_of(recording: Recording) -> list[RecordedSpan]:
    """Every span of every process but the processes' own runs, in order."""
    spans: dict[tuple[str, int], RecordedSpan] = {}
    for stream in recording.streams:
        for row in stream.data.spans.values():
            number, high, low, span_id, parent_id, parent, kind, role, op, name = row
            spans[stream.id, number] = RecordedSpan(
                stream.id, number, f"{high:016x}{low:016x}", span_id, parent_id, parent,
                SpanKind(kind).slug, SpanRole(role).slug, Operation(op).slug, name,
            )  # fmt: skip
    for event in events_of(recording):
        if (event.process, event.span) in spans:
            spans[event.process, event.span].events.append(event)
    return [span for span in spans.values() if span.number > 1]
