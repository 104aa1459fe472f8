"""Why is what is known of a run incomplete?

Reasons: events were dropped while it was open, or nobody knows when; its process was killed
or crashed while it was open; hooks were switched off; events speak of something whose
definition never came; the caller of its root is not recorded.

Can wrongly report: that events of a run were dropped, where those of another one that was
open at the same time were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from clew.analysis.runs import own_span_of
from clew.model.kinds import EventKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from clew.analysis.runs import SpanRef
    from clew.analysis.timeline import ProcessTimeline

MAX_HOOKS = 200
"""Characters of the names of hooks that are told."""


class Reason(NamedTuple):
    """Why a run is incomplete; ``text_of`` says it."""

    slug: str
    number: int = 0
    detail: str = ""


class Health:
    """Tells why the runs of a process are incomplete.

    Args:
        timeline: The process.
        by_trace: Its spans, of ``runs.spans_by_trace``.
    """

    def __init__(self, timeline: ProcessTimeline, by_trace: Mapping[int, list[SpanRef]]) -> None:
        self._timeline = timeline
        self._by_trace = by_trace
        self._gaps = _gaps(timeline)
        self._undefined = _undefined(timeline, by_trace)
        problems: Any = timeline.end.get("problems")
        hooks = cast("dict[object, object]", problems) if isinstance(problems, dict) else {}
        self._hooks = ", ".join(sorted(map(str, hooks)))[:MAX_HOOKS]
        self._is_cut = not timeline.is_running and not timeline.ended_orderly

    def of(self, trace: int) -> tuple[Reason, ...]:
        """Return the reasons of one run."""
        spans = self._by_trace[trace]
        reasons: list[Reason] = []
        if self._gaps.is_any:
            lost = self._gaps.between(min(span.start_ns for span in spans), max(span.end_ns for span in spans))
            if lost:
                reasons.append(Reason("dropped-events", lost))
        if self._is_cut and any(span.end_row < 0 for span in spans):
            reasons.append(Reason("process-cut"))
        if self._hooks:
            reasons.append(Reason("hooks-off", 0, self._hooks))
        if trace in self._undefined:
            reasons.append(Reason("definitions-missing", self._undefined[trace]))
        return tuple(reasons)


class _Gaps:
    """When events were lost, and how many."""

    def __init__(self, from_ns: NDArray[Any], to_ns: NDArray[Any], lost: NDArray[Any], untold: int) -> None:
        self.is_any = bool(len(lost)) or untold > 0
        self._untold = untold
        by_start, by_end = np.argsort(from_ns), np.argsort(to_ns)
        self._starts, self._ends = from_ns[by_start], to_ns[by_end]
        self._begun = np.concatenate(([0], np.cumsum(lost[by_start])))
        self._over = np.concatenate(([0], np.cumsum(lost[by_end])))

    def between(self, start_ns: int, end_ns: int) -> int:
        """Return how many events were lost in gaps that touch an interval, or nobody knows when."""
        begun = self._begun[np.searchsorted(self._starts, end_ns, "right")]
        over = self._over[np.searchsorted(self._ends, start_ns, "left")]
        return int(begun - over) + self._untold


def _gaps(timeline: ProcessTimeline) -> _Gaps:
    columns = timeline.columns
    rows = np.flatnonzero(columns["kind"] == EventKind.GAP_DROPPED)
    found: list[tuple[int, int, int]] = []
    for row in rows.tolist():
        attrs, at = timeline.attrs_of(row), int(columns["t_ns"][row])
        from_ns, to_ns = (_time(attrs.get(name), at) for name in ("from_ns", "to_ns"))
        found.append((min(from_ns, to_ns), max(from_ns, to_ns), int(columns["arg"][row])))
    starts, ends, lost = (np.array([gap[i] for gap in found], np.int64) for i in range(3))
    untold = max(timeline.dropped - int(lost.sum()), 0)
    return _Gaps(starts + timeline.shift_ns, ends + timeline.shift_ns, lost, untold)


def _time(value: object, otherwise: int) -> int:
    return value if type(value) is int and 0 <= value < 1 << 62 else otherwise


def _undefined(timeline: ProcessTimeline, by_trace: Mapping[int, list[SpanRef]]) -> dict[int, int]:
    """Count the events of each run that speak of something whose definition is missing.

    What is in a span that is not defined cannot be told to be of a run: it counts for the
    process's own.
    """
    columns, data = timeline.columns, timeline.data
    spans = timeline.span_of_event
    is_known = np.isin(spans, timeline.spans_table["id"]) | (spans == 0)
    is_missing = ~is_known
    sites = np.fromiter(data.sites, np.int64, len(data.sites))
    for column, known in (("scope", timeline.entities["id"]), ("entity", timeline.entities["id"]), ("site", sites)):
        is_missing |= (columns[column] > 0) & ~np.isin(columns[column], known)
    if not is_missing.any():
        return {}
    own = own_span_of(timeline)
    found, counts = np.unique(np.where(is_known, spans, own)[is_missing], return_counts=True)
    traces = {span.number: trace for trace, members in by_trace.items() for span in members}
    result: dict[int, int] = {}
    for number, count in zip(found.tolist(), counts.tolist(), strict=True):
        trace = traces.get(number or own)
        if trace is not None:
            result[trace] = result.get(trace, 0) + count
    return result


def text_of(reason: Reason, name: str) -> str:
    """Say in one sentence why a run is incomplete.

    Args:
        reason: Why.
        name: The service, or whatever tells where.
    """
    some = f"{reason.number:,} event{'' if reason.number == 1 else 's'}"
    texts = {
        "dropped-events": f"{some} of {name} came faster than they could be written, and are missing",
        "process-cut": f"{name} was killed or crashed before it said how this ended",
        "hooks-off": f"clew switched off some of its hooks in {name} ({reason.detail}): what they record is missing",
        "definitions-missing": f"{some} of {name} name something whose definition never came",
        "parent-not-recorded": f"{reason.detail or name} was called by something that is not recorded",
        "silent": f"nothing came from {name} for {reason.number:,} s, though it has not ended",
    }
    return texts.get(reason.slug, reason.slug)
