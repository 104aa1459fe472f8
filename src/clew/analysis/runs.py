"""Which runs does a recording hold, and how did each end?

A run is a trace: all spans with one trace id, in whichever processes. Its root is the span
that opened it: of role ``run``, or, where that process is not recorded, the earliest span
whose parent is not recorded (``root_of``). A run ends as its root ends.

What it can miss: what happened in processes that were not recorded. What it can wrongly
report: a root that ended before its children did gives the run a duration shorter than theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np

from clew.analysis.columns import look_up, positions_of
from clew.model.kinds import EntityKind, Operation, Outcome, SpanKind, SpanRole, slug_of

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from numpy.typing import NDArray

    from clew.analysis.columns import Flags, Numbers
    from clew.analysis.timeline import ProcessTimeline

LEAST_PREFIX = 4
"""Digits of an id by which a span is found: fewer mean too many."""
MASK = (1 << 64) - 1
"""The lower half of a trace id."""
MAIN_SPAN = 1
"""Number of the span of a process's own run."""


class SpanRef(NamedTuple):
    """One span of a run.

    Attributes:
        process: Position of its process among the timelines.
        number: Its number there.
        start_ns: On the recording's clock.
        end_ns: On the recording's clock; where it has not ended, the end of its stream.
        outcome: How it ended; empty if it did not.
        events: How many events belong to it itself.
    """

    process: int
    number: int
    span_id: int
    parent_span_id: int
    name: str
    kind: str
    role: str
    effect: str
    start_ns: int
    end_ns: int
    outcome: str
    events: int
    site: int
    scope: int
    start_row: int
    end_row: int


_START = attrgetter("start_ns", "process", "number")


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        id: Its trace id, 32 hex digits.
        status: ``running``, ``succeeded``, ``failed``, ``cancelled`` or ``lost``.
        entry: ``process`` for a process's own run, else ``request`` or ``named``.
        spans: Its spans, the root first, then by start.
    """

    id: str
    name: str
    service: str
    process: str
    pid: int
    status: str
    entry: str
    start_ns: int
    duration_ns: int
    events: int
    errors: int
    spans: tuple[SpanRef, ...]


def runs_of(timelines: list[ProcessTimeline]) -> list[Run]:
    """List the runs of a recording, by start.

    Complexity: O(n log n) for n events, plus Python work per span.
    """
    by_trace: dict[int, list[SpanRef]] = {}
    for position, timeline in enumerate(timelines):
        for trace, span in spans_by_trace(timeline, position).items():
            by_trace.setdefault(trace, []).extend(span)
    errors = _errors(timelines)
    runs = [_run(trace, spans, timelines, errors) for trace, spans in by_trace.items()]
    return sorted(runs, key=lambda run: (run.start_ns, run.id))


def run_of(timelines: list[ProcessTimeline], run_id: str) -> Run | None:
    """Return one run of a recording, None if no span of it is recorded.

    Complexity: as ``runs_of``, without the Python work for the spans of other runs.
    """
    trace = int(run_id, 16)
    spans = [
        span
        for position, timeline in enumerate(timelines)
        for span in spans_by_trace(timeline, position, trace).get(trace, ())
    ]
    return _run(trace, spans, timelines, _errors(timelines)) if spans else None


def _errors(timelines: list[ProcessTimeline]) -> dict[tuple[int, int], int]:
    """Count errors by process and span."""
    return {
        (position, span): count
        for position, timeline in enumerate(timelines)
        for span, count in errors_by_span(timeline).items()
    }


def errors_by_span(timeline: ProcessTimeline) -> dict[int, int]:
    """Count the errors of each span of a process that has some."""
    spans, counts = np.unique(owning_spans(timeline, timeline.errors.rows), return_counts=True)
    return dict(zip(spans.tolist(), counts.tolist(), strict=True))


def owning_spans(timeline: ProcessTimeline, rows: Numbers) -> NDArray[Any]:
    """Return for each event of *rows* the span it is part of.

    How a task or thread itself ended is noted by its scheduler, in another context than its
    own: that is part of the span it was created in.
    """
    columns = timeline.columns
    scopes, spans = columns["scope"][rows], columns["span"][rows].copy()
    kinds = timeline.kinds_of(scopes)
    is_own = (columns["entity"][rows] == scopes) & ((kinds == EntityKind.TASK) | (kinds == EntityKind.THREAD))
    spans[is_own] = look_up(timeline.entities, "span", scopes[is_own])
    return spans


def are_whole_processes(timeline: ProcessTimeline) -> Flags:
    """Tell which spans of a process are its own run, which lasts as long as the process does."""
    spans, columns = timeline.spans, timeline.columns
    roles = look_up(timeline.spans_table, "role", spans.number)
    return (roles == SpanRole.RUN) & (spans.start_rows >= 0) & (columns["entity"][spans.start_rows] > 0)


def own_span_of(timeline: ProcessTimeline) -> int:
    """Return the span of the process's own run, 0 if it has none (other SDKs know no such thing)."""
    main = timeline.data.spans.get(MAIN_SPAN)
    return MAIN_SPAN if main is not None and main[7] == SpanRole.RUN else 0


def events_of_run(timeline: ProcessTimeline, run_id: str) -> Flags:
    """Tell which events of a process belong to a run.

    What is in no span belongs to the process's own run.
    """
    table, of_event = timeline.spans_table, timeline.span_of_event
    trace = int(run_id, 16)
    is_member = (table["trace_high"] == np.uint64(trace >> 64)) & (table["trace_low"] == np.uint64(trace & MASK))
    at = positions_of(table["id"], of_event)
    main = timeline.data.spans.get(own_span_of(timeline))
    is_own = main is not None and (main[1] << 64 | main[2]) == trace
    if not len(is_member):
        return np.zeros(len(at), bool)
    return is_member[at] & (at >= 0) | (at < 0) & (of_event == 0) & is_own


def run_starts(timeline: ProcessTimeline, run_id: str) -> int | None:
    """Return when a run began in a process, on the recording's clock; None if it has no span there."""
    table, spans, trace = timeline.spans_table, timeline.spans, int(run_id, 16)
    is_member = (table["trace_high"] == np.uint64(trace >> 64)) & (table["trace_low"] == np.uint64(trace & MASK))
    at = positions_of(spans.number, table["id"][is_member])
    starts = spans.start_ns[at[at >= 0]]
    return int(starts.min()) + timeline.shift_ns if len(starts) else None


def spans_by_trace(timeline: ProcessTimeline, position: int = 0, only: int | None = None) -> dict[int, list[SpanRef]]:
    """Return the spans of a process by trace id, by number in each.

    Args:
        timeline: The process.
        position: What the spans are to say of its place among others.
        only: The trace that is asked for; None for all.
    """
    spans, columns = timeline.spans, timeline.columns
    events = np.bincount(timeline.span_of_event, minlength=1).tolist()
    rows, shift_ns = timeline.data.spans, timeline.shift_ns
    result: dict[int, list[SpanRef]] = {}
    # As lists: taking one number after the other out of an array costs five times as much.
    sites = columns["site"][spans.start_rows].tolist()
    outcomes = columns["outcome"][spans.end_rows].tolist()
    for number, start_row, end_row, start_ns, end_ns, scope, site, outcome in zip(
        spans.number.tolist(), spans.start_rows.tolist(), spans.end_rows.tolist(), spans.start_ns.tolist(),
        spans.end_ns.tolist(), spans.scope.tolist(), sites, outcomes, strict=True,
    ):  # fmt: skip
        row = rows.get(number)
        if row is None:
            continue
        trace = row[1] << 64 | row[2]
        if only is not None and trace != only:
            continue
        # By position: by name it takes twice as long, and a recording may hold a million.
        ref = SpanRef(
            position, number, row[3], row[4], row[9],
            slug_of(SpanKind, row[6]) or "", slug_of(SpanRole, row[7]) or "", slug_of(Operation, row[8]) or "",
            start_ns + shift_ns, end_ns + shift_ns, (slug_of(Outcome, outcome) or "ok") if end_row >= 0 else "",
            events[number] if number < len(events) else 0, site if start_row >= 0 else 0, scope, start_row, end_row,
        )  # fmt: skip
        result.setdefault(trace, []).append(ref)
    return result


class Opening(Protocol):
    """What may have opened a run, as far as its rule needs to know."""

    @property
    def parent_span_id(self) -> int:
        """The id of its parent, 0 without one."""
        ...

    @property
    def role(self) -> str:
        """``run`` or ``step``."""
        ...


_Opening = TypeVar("_Opening", bound=Opening)


def tops_of(spans: Sequence[SpanRef]) -> list[SpanRef]:
    """Return the spans of one process that may have opened their run: those whose parent is not among them.

    Args:
        spans: All spans of one run in one process. Where each has a parent among them, each may have.
    """
    if len(spans) == 1:
        return list(spans)  # of a hundred thousand runs, most have one span
    own = {span.span_id for span in spans}
    tops = [span for span in spans if not span.parent_span_id or span.parent_span_id not in own]
    return tops or list(spans)


def root_of(tops: Sequence[_Opening], recorded: Container[int]) -> _Opening:
    """Return which of *tops* opened the run.

    Args:
        tops: Of all its processes, by start: at least one.
        recorded: The ids of all its spans.
    """
    roots = [top for top in tops if not top.parent_span_id or top.parent_span_id not in recorded] or tops
    return next((top for top in roots if top.role == "run"), roots[0])


def _run(trace: int, spans: list[SpanRef], timelines: list[ProcessTimeline], errors: dict[tuple[int, int], int]) -> Run:
    ordered = sorted(spans, key=_START)
    root = root_of(_all_tops(ordered), {span.span_id for span in spans})
    others = [span for span in ordered if span is not root]
    timeline = timelines[root.process]
    return Run(
        id=f"{trace:032x}",
        name=root.name,
        service=timeline.service,
        process=timeline.stream.id,
        pid=timeline.pid,
        status=status_of(root, timeline),
        entry=entry_of(root),
        start_ns=root.start_ns,
        duration_ns=root.end_ns - root.start_ns,
        events=sum([span.events for span in spans]),
        errors=sum([errors.get((span.process, span.number), 0) for span in spans]) if errors else 0,
        spans=(root, *others),
    )


def _all_tops(ordered: list[SpanRef]) -> list[SpanRef]:
    if len(ordered) == 1:
        return ordered
    by_process: dict[int, list[SpanRef]] = {}
    for span in ordered:
        by_process.setdefault(span.process, []).append(span)
    return sorted((top for members in by_process.values() for top in tops_of(members)), key=_START)


def entry_of(root: SpanRef) -> str:
    """Return how a run with this root was entered: ``process``, ``request`` or ``named``."""
    if _is_whole_process(root):
        return "process"
    return "request" if root.kind == "server" else "named"


def status_of(root: SpanRef, timeline: ProcessTimeline) -> str:
    """Return how a run with this root stands.

    Args:
        root: Its root.
        timeline: The process of the root.
    """
    if _is_whole_process(root):
        return _process_status(timeline)
    if root.end_row < 0:
        return "running" if timeline.is_running else "lost"
    return {"ok": "succeeded", "cancelled": "cancelled"}.get(root.outcome, "failed")


def _is_whole_process(root: SpanRef) -> bool:
    return root.number == MAIN_SPAN and root.role == "run"


def _process_status(timeline: ProcessTimeline) -> str:
    """A process succeeds with exit code 0; one that was ended by a signal is lost."""
    if timeline.is_running:
        return "running"
    code = timeline.exit_code
    if code is None:
        return "succeeded" if timeline.ended_orderly else "lost"
    return "succeeded" if code == 0 else "failed" if code > 0 else "lost"


def find_run(runs: list[Run], wanted: str) -> list[Run]:
    """Return the runs that *wanted* may mean: an id, the beginning of one, or a name.

    Args:
        runs: Of ``runs_of``.
        wanted: What the user typed.
    """
    exact = [run for run in runs if wanted in (run.id, run.name)]
    if exact:
        return exact
    prefix = wanted.lower()
    return [run for run in runs if run.id.startswith(prefix)] or [run for run in runs if wanted in run.name]


def find_spans(runs: list[Run], wanted: str) -> list[tuple[Run, SpanRef]]:
    """Return the spans that *wanted* may mean, with their runs: an id, the beginning of one, or a name.

    Requests go before other spans of the same name.

    Args:
        runs: Of ``runs_of``.
        wanted: What the user typed.
    """
    spans = [(run, span) for run in runs for span in run.spans]
    exact = [found for found in spans if found[1].name == wanted]
    prefix = wanted.lower()
    if not exact and len(prefix) >= LEAST_PREFIX:
        exact = [found for found in spans if f"{found[1].span_id:016x}".startswith(prefix)]
    return [found for found in exact if found[1].kind == "server"] or exact
