"""What does one process know of each run, and which run do the parts of several processes make?

A process is looked at when something came from it, and by itself: opening all processes of
a run each time one of them says something would cost as much as all of them together. So
what is known of a run is kept in parts, one for each process that has spans of it, and
``merge`` makes of them what ``runs.runs_of`` makes of all the processes: the rule stands
there (``tops_of``, ``root_of``).

Assumptions: the clocks of several processes are put on one as for a recording
(``format.clocks``), among the processes of the run.

What it can wrongly report: the root, where a process has more than ``MAX_TOPS`` spans whose
parents are in other processes, all before the one that opened the run; or where a process
has more than ``MAX_IDS`` spans of one run, and the parent of the root of another process
is one of them that calls nobody. Neither can be so where the clocks are right and the
process that began the run is recorded.
"""

from __future__ import annotations

import base64
import binascii
from array import array
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clew.analysis.run_health import Health, Reason, text_of
from clew.analysis.runs import entry_of, errors_by_span, root_of, spans_by_trace, status_of, tops_of
from clew.format.clocks import wall_offset, wall_offsets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clew.analysis.runs import SpanRef
    from clew.analysis.timeline import ProcessTimeline

VERSION = 1
"""Of the documents: a part of another version is worked out again."""
MAX_TOPS = 16
MAX_IDS = 10_000
_OUTWARD = ("client", "producer")
"""Kinds of spans whose children are in other processes."""


class Top(NamedTuple):
    """A span that may have opened its run; times are Unix time by the process's own clock."""

    span_id: int
    parent_span_id: int
    number: int
    name: str
    role: str
    entry: str
    status: str
    start_ns: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class RunPart:
    """What one process knows of one run.

    Attributes:
        run: Trace id, 32 hexadecimal digits.
        process: Process id, 16 hexadecimal digits.
        tops: Spans that may have opened the run, by start.
        span_ids: Of its spans, the tops among them.
        events: How many of its events belong to the run, by its spans.
        spans: How many.
        health: Why the run is incomplete, as far as this process knows.
    """

    run: str
    process: str
    service: str
    environment: str
    tops: tuple[Top, ...]
    span_ids: frozenset[int]
    events: int
    errors: int
    spans: int
    health: tuple[Reason, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return its document, without the ids of run and process."""
        own = {top.span_id for top in self.tops}
        document: dict[str, Any] = {
            "v": VERSION,
            "service": self.service,
            "tops": [[f"{top.span_id:x}", f"{top.parent_span_id:x}", *top[2:]] for top in self.tops],
            "n": [self.events, self.errors, self.spans],
        }
        if self.environment:
            document["environment"] = self.environment
        if self.span_ids - own:
            document["ids"] = _packed(self.span_ids - own)
        if self.health:
            document["health"] = [list(reason) for reason in self.health]
        return document

    @classmethod
    def from_json(cls, run: str, process: str, document: Mapping[str, Any]) -> RunPart | None:
        """Read a document, None if another version wrote it.

        Args:
            run: Trace id.
            process: Process id.
            document: Of ``to_json``.
        """
        if document.get("v") != VERSION:
            return None
        tops = tuple(Top(int(top[0], 16), int(top[1], 16), *top[2:]) for top in document["tops"])
        events, errors, spans = document["n"]
        return cls(
            run, process, document["service"], document.get("environment", ""), tops,
            frozenset(_unpacked(document.get("ids", ""))) | {top.span_id for top in tops}, events, errors, spans,
            tuple(Reason(*reason) for reason in document.get("health", ())),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class WholeRun:
    """A run, as all its parts tell it.

    Attributes:
        process: Of its root.
        started_ns: Unix time.
        services: Sorted.
        processes: Their ids, by start.
        health: ``{"reason", "text"}`` each, sorted.
    """

    id: str
    name: str
    service: str
    services: tuple[str, ...]
    environment: str
    process: str
    entry: str
    status: str
    started_ns: int
    duration_ns: int
    events: int
    errors: int
    spans: int
    processes: tuple[str, ...]
    health: tuple[dict[str, str], ...]


# -- the parts of a process


def parts_of(timeline: ProcessTimeline) -> list[RunPart]:
    """Return what a process knows of each run it has spans of, by trace id.

    Args:
        timeline: The process; its ``shift_ns`` is the ``wall_offset`` of its head.

    Complexity: O(n log n) for n events, plus Python work per span.
    """
    by_trace = spans_by_trace(timeline)
    errors = errors_by_span(timeline)
    health = Health(timeline, by_trace)
    head = timeline.stream.process
    environment, process = str(head.get("environment") or ""), timeline.stream.id
    parts: list[RunPart] = []
    for trace, spans in sorted(by_trace.items()):
        tops = _telling(sorted(tops_of(spans), key=_START))
        own_errors = sum([errors.get(span.number, 0) for span in spans]) if errors else 0
        parts.append(
            RunPart(
                f"{trace:032x}", process, timeline.service, environment,
                tuple(_top(span, timeline) for span in tops), _ids(spans), sum([span.events for span in spans]),
                own_errors, len(spans), health.of(trace),
            )
        )  # fmt: skip
    return parts


_START = attrgetter("start_ns", "number")


def _top(span: SpanRef, timeline: ProcessTimeline) -> Top:
    return Top(
        span.span_id, span.parent_span_id, span.number, span.name, span.role, entry_of(span),
        status_of(span, timeline), span.start_ns, span.end_ns - span.start_ns,
    )  # fmt: skip


def _telling(tops: list[SpanRef]) -> list[SpanRef]:
    """Leave out tops that cannot open the run whatever other processes know, by start.

    A service that answers ten thousand requests of one run has as many tops. The first
    without a parent is one for certain, so none after it counts; of those with one parent
    the first stands for all. Those of role ``run`` go before others, so each role has its own.
    """
    if len(tops) == 1:
        return tops
    kept: list[SpanRef] = []
    for is_run in (True, False):
        parents: set[int] = set()
        for span in tops:
            if (span.role == "run") != is_run or span.parent_span_id in parents:
                continue
            kept.append(span)
            parents.add(span.parent_span_id)
            if not span.parent_span_id or len(parents) == MAX_TOPS:
                break
    return sorted(kept, key=_START) if len(kept) > 1 else kept


def _ids(spans: list[SpanRef]) -> frozenset[int]:
    if len(spans) > MAX_IDS:
        spans = [span for span in spans if span.kind in _OUTWARD or span.effect][:MAX_IDS]
    return frozenset([span.span_id for span in spans])


def _packed(ids: Iterable[int]) -> str:
    # Eight bytes each, in text: half of what a list of hexadecimal numbers would take.
    return base64.b64encode(b"".join(id_.to_bytes(8, "big") for id_ in sorted(ids))).decode()


def _unpacked(text: str) -> array[int]:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    values = array("Q", data[: len(data) // 8 * 8])
    values.byteswap() if np.little_endian else None
    return values


# -- the run


def merge(parts: Sequence[RunPart], heads: Mapping[str, Mapping[str, Any]]) -> WholeRun:
    """Put the parts of one run together.

    Args:
        parts: Of all processes that have spans of it: at least one.
        heads: The heads of these processes, by id, for their clocks.
    """
    parts = sorted(parts, key=lambda part: (_number(heads[part.process].get("wall_ns")), part.process))
    tops = _all_tops(parts, heads)
    recorded = frozenset[int]().union(*(part.span_ids for part in parts)) if len(parts) > 1 else parts[0].span_ids
    root = root_of([top for _, _, top in tops], recorded)
    started_ns, position = next((start_ns, i) for start_ns, i, top in tops if top is root)
    first = parts[position]
    is_orphan = bool(root.parent_span_id) and root.parent_span_id not in recorded
    return WholeRun(
        id=first.run,
        name=root.name,
        service=first.service,
        services=tuple(sorted({part.service for part in parts})),
        environment=first.environment,
        process=first.process,
        entry=root.entry,
        status=root.status,
        started_ns=started_ns,
        duration_ns=root.duration_ns,
        events=sum(part.events for part in parts),
        errors=sum(part.errors for part in parts),
        spans=sum(part.spans for part in parts),
        processes=tuple(part.process for part in parts),
        health=_health(parts, Reason("parent-not-recorded", 0, root.name) if is_orphan else None, first.service),
    )


def _all_tops(parts: Sequence[RunPart], heads: Mapping[str, Mapping[str, Any]]) -> list[tuple[int, int, Top]]:
    """Return when each top began on the clock of the first process, the position of its part, and itself; by start."""
    if len(parts) == 1:
        return [(top.start_ns, 0, top) for top in parts[0].tops]
    offsets = wall_offsets(heads[part.process] for part in parts)
    tops: list[tuple[int, int, Top]] = []
    for i, (offset, part) in enumerate(zip(offsets, parts, strict=True)):
        shift_ns = offset - wall_offset(heads[part.process])
        tops += [(top.start_ns + shift_ns, i, top) for top in part.tops]
    return sorted(tops, key=lambda found: (found[0], found[1], found[2].number))


def _health(parts: Sequence[RunPart], orphan: Reason | None, service: str) -> tuple[dict[str, str], ...]:
    found = {(reason.slug, text_of(reason, part.service)) for part in parts for reason in part.health}
    if orphan is not None:
        found.add((orphan.slug, text_of(orphan, service)))
    return tuple({"reason": slug, "text": text} for slug, text in sorted(found)) if found else ()


def _number(value: object) -> int:
    return value if type(value) is int else 0
