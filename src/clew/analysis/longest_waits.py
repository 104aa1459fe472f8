"""Which waits took longest, and who ended them?

A wait is one of ``waits_of``, or a call to something outside the process; what is waited
for inside such a call (a socket's event, a lock of the connection pool) is the call.
Grouped are waits of one process for things of one name in one place.

Left out is what is meant to last: a sleep; a scope that waits for work and is no part of a
request, that is, one that waits for an item, an event or a notification outside of every
span (or in one it outlives) for more than half of its life, or until its process has ended
in an orderly way. (An item that the main thread or its first task waits for is told: the
program waits for it.)

What it can miss: waits for what has no instrument, such as a socket read by a thread.
What it can wrongly report: a consumer that is idle less than half of its life.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clew.analysis.columns import positions_of
from clew.analysis.processes import START_EFFECTS
from clew.analysis.runs import MAIN_SPAN
from clew.analysis.wakes import positions_by_id, wake_of
from clew.model.kinds import EntityKind, Operation, Outcome, slug_of

if TYPE_CHECKING:
    from clew.analysis.columns import Flags, Numbers
    from clew.analysis.runs import Run, SpanRef
    from clew.analysis.timeline import ProcessTimeline

FOR_WORK = (Operation.GET, Operation.EVENT_WAIT, Operation.NOTIFY_WAIT)
"""What a scope that has nothing to do waits for."""


@dataclass(frozen=True, slots=True)
class WaitGroup:
    """Waits for one thing, or things of one name.

    Attributes:
        longest_by: Who waited longest.
        site: Where that wait was.
        ended: How: ``woken``, ``cancelled``, ``timeout``, ``served``; empty if it never did.
        ended_by: Who did it; empty if that is not known.
    """

    label: str
    service: str
    count: int
    unfinished: int
    total_ns: int
    longest_ns: int
    longest_by: str
    site: str
    ended: str
    ended_by: str


class _Found(NamedTuple):
    """Some waits that are alike: how many, how long, and which was the longest."""

    number: int
    unfinished: int
    total_ns: int
    longest_ns: int
    wait: int = -1
    call: SpanRef | None = None


def longest_waits_of(runs: list[Run], timelines: list[ProcessTimeline], limit: int = 8) -> tuple[WaitGroup, ...]:
    """List the waits that took longest; those that never ended first.

    Args:
        runs: Of ``runs_of``.
        timelines: All processes of the recording.
        limit: Most groups returned.

    Complexity: O(n log n) for n waits.
    """
    groups: dict[tuple[int, str, str], list[_Found]] = defaultdict(list)
    calls = _calls(runs)
    for position, timeline in enumerate(timelines):
        _add_waits(position, timeline, {span.number for span in calls if span.process == position}, groups)
    _add_calls(calls, timelines, groups)
    ordered = sorted(
        groups.items(),
        key=lambda item: (not any(f.unfinished for f in item[1]), -max(f.longest_ns for f in item[1]), item[0]),
    )
    positions = positions_by_id(timelines)
    served = {span.parent_span_id: span for run in runs for span in run.spans if span.kind == "server"} if calls else {}
    return tuple(_group(key, found, timelines, positions, served) for key, found in ordered[:limit])


def _calls(runs: list[Run]) -> list[SpanRef]:
    return [span for run in runs for span in run.spans if span.effect]


def _add_calls(
    calls: list[SpanRef], timelines: list[ProcessTimeline], groups: dict[tuple[int, str, str], list[_Found]]
) -> None:
    for span in calls:
        if span.effect in START_EFFECTS:
            continue  # a process that is started is waited for elsewhere, if it is
        took = span.end_ns - span.start_ns
        is_open = span.end_row < 0 and not timelines[span.process].dropped
        key = (span.process, f"{span.effect} {span.name}", timelines[span.process].place_of(span.site))
        groups[key].append(_Found(1, int(is_open), took, took, call=span))


def _add_waits(
    position: int, timeline: ProcessTimeline, calls: set[int], groups: dict[tuple[int, str, str], list[_Found]]
) -> None:
    waits, columns = timeline.waits, timeline.columns
    if not len(waits.scope):
        return
    rows = np.where(waits.begin_rows >= 0, waits.begin_rows, waits.end_rows)
    ops, sites, spans = (
        columns["op"][rows].astype(np.int64),
        columns["site"][rows].astype(np.int64),
        columns["span"][rows],
    )
    is_inside_call = np.isin(spans, np.array(sorted(calls), spans.dtype))
    keep = np.flatnonzero(~is_inside_call & (ops != Operation.SLEEP) & ~_is_idle(timeline, ops, spans))
    keys = np.stack((waits.entity[keep].astype(np.int64), ops[keep], sites[keep]))
    found, inverse = np.unique(keys, axis=1, return_inverse=True)
    order = np.argsort(inverse.reshape(-1), kind="stable")
    groups_in_order = inverse.reshape(-1)[order]
    bounds = np.searchsorted(groups_in_order, np.arange(len(found.T) + 1))
    durations = (waits.end_ns - waits.start_ns)[keep]
    for i, (entity, op, site) in enumerate(found.T.tolist()):
        at = order[bounds[i] : bounds[i + 1]]
        longest = int(keep[at[np.argmax(durations[at])]])
        # Where events were dropped, the end may be among them.
        unfinished = 0 if timeline.dropped else int((~waits.has_ended[keep[at]]).sum())
        label = _name(timeline, entity, op)
        groups[position, label, timeline.place_of(site)].append(
            _Found(len(at), unfinished, int(durations[at].sum()), int(durations[at].max()), wait=longest)
        )


def _is_idle(timeline: ProcessTimeline, ops: Numbers, spans: Any) -> Flags:
    """Tell which waits are those of scopes that have nothing to do."""
    waits, lifetimes = timeline.waits, timeline.lifetimes
    is_for_work = np.isin(ops, FOR_WORK) & ~_is_of_request(timeline, spans)
    is_for_work &= (ops != Operation.GET) | ~np.isin(waits.scope, _leading(timeline))
    is_left = ~waits.has_ended & timeline.ended_orderly
    took = np.where(is_for_work, waits.end_ns - waits.start_ns, 0)
    at = positions_of(lifetimes.id, waits.scope)
    lived = np.where(at >= 0, (lifetimes.end_ns - lifetimes.start_ns)[at], 0) if len(lifetimes.id) else at
    in_all = np.bincount(at + 1, weights=took)[at + 1]
    # Of a process that was killed, what was waited for at its end is what people look for.
    is_known = waits.has_ended | timeline.ended_orderly
    return is_for_work & is_known & (is_left | ((lived > 0) & (in_all * 2 >= lived)))


def _is_of_request(timeline: ProcessTimeline, of_waits: Any) -> Flags:
    """Tell which waits are part of a request or run, or of a task or thread that ended with it.

    What a request started and left behind, such as the thread of a connection pool, is not.
    """
    waits, lifetimes, spans = timeline.waits, timeline.lifetimes, timeline.spans
    at, lived = positions_of(spans.number, of_waits), positions_of(lifetimes.id, waits.scope)
    is_inside = (at >= 0) & (of_waits > MAIN_SPAN)
    if not is_inside.any():
        return is_inside
    is_own = spans.scope[at] == waits.scope
    has_ended_before = (lived >= 0) & spans.has_ended[at]
    if len(lifetimes.id):
        has_ended_before &= spans.end_ns[at] < lifetimes.end_ns[lived]
    return is_inside & (is_own | ~has_ended_before)


def _leading(timeline: ProcessTimeline) -> list[int]:
    """Return the main thread and the first task it created: the program is over when they are."""
    entities = timeline.entities
    spans = timeline.spans
    main = spans.scope[spans.number == MAIN_SPAN][:1].tolist()
    tasks = entities["id"][(entities["kind"] == EntityKind.TASK) & np.isin(entities["parent"], main)]
    return main + tasks[:1].tolist()


def _name(timeline: ProcessTimeline, entity: int, op: int) -> str:
    """Name what is waited for; without its number, which tells nothing to people."""
    label = timeline.wait_label_of(entity, op).removeprefix("wait ")
    return label.replace(f" #{entity}", "") if entity else label


def _group(
    key: tuple[int, str, str],
    found: list[_Found],
    timelines: list[ProcessTimeline],
    positions: dict[int, int],
    served: dict[int, SpanRef],
) -> WaitGroup:
    position, label, site = key
    timeline = timelines[position]
    longest = max(found, key=lambda part: part.longest_ns)
    if longest.call is not None:
        answer = served.get(longest.call.span_id)
        scope, ended_by = longest.call.scope, timelines[answer.process].label if answer else ""
        ended = "served" if answer else longest.call.outcome
    else:
        scope = int(timeline.waits.scope[longest.wait])
        end_row = int(timeline.waits.end_rows[longest.wait])
        ended_by = _ended_by(position, end_row, timelines, positions)
        outcome = int(timeline.columns["outcome"][end_row]) if end_row >= 0 else 0
        ended = (slug_of(Outcome, outcome) if outcome > Outcome.OK else "woken") or "" if end_row >= 0 else ""
    return WaitGroup(
        label=label,
        service=timeline.label,
        count=sum(part.number for part in found),
        unfinished=sum(part.unfinished for part in found),
        total_ns=sum(part.total_ns for part in found),
        longest_ns=longest.longest_ns,
        longest_by=timeline.name_of(scope),
        site=site,
        ended=ended,
        ended_by=ended_by,
    )


def _ended_by(position: int, end_row: int, timelines: list[ProcessTimeline], positions: dict[int, int]) -> str:
    wake = wake_of(timelines, positions, position, end_row) if end_row >= 0 else None
    if wake is None:
        return ""
    timeline = timelines[wake.process]
    if wake.how != "event":
        return "a timer" if wake.how == "timer" else "I/O"
    name = timeline.name_of(int(timeline.columns["scope"][wake.row]))
    return name if wake.process == position else f"{name} of {timeline.label}"
