"""Moments that are worth a mark in the picture of a run: errors, lost events, log records, events of the program."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clew.analysis.run_nodes import message_of
from clew.analysis.words import short_type
from clew.model.kinds import EventKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clew.analysis.columns import Numbers
    from clew.analysis.lanes import Lanes
    from clew.analysis.texts import Texts
    from clew.analysis.timeline import ProcessTimeline

MAX_LABEL = 120
"""Most characters of a message that are shown."""


class MarkKind(IntEnum):
    """What a mark is."""

    ERROR = 1
    UNHANDLED_ERROR = 2
    DROPPED = 3
    LOG = 4
    CUSTOM = 5


class Marks(NamedTuple):
    """Marks by time; arrays of one length. Times are ns since the run's start."""

    t: Numbers
    row: Numbers
    kind: NDArray[Any]
    label: Numbers
    process: Numbers
    seq: Numbers
    counts: Numbers
    """How many events were dropped; of other marks 1."""


def marks_of(timelines: list[ProcessTimeline], lanes: Lanes, labels: Texts, origin_ns: int) -> Marks:
    """List the marks of *timelines*.

    An error that was seen several times (raised, logged, not handled) has one mark.

    Args:
        timelines: The processes.
        lanes: Their rows.
        labels: Takes the texts.
        origin_ns: When the run began, on the clock of *timelines*.

    Complexity: O(n), and Python work for each mark.
    """
    parts: list[Marks] = []
    for position, timeline in enumerate(timelines):
        columns = timeline.columns
        kinds = columns["kind"]
        notes = (EventKind.GAP_DROPPED, EventKind.LOG_RECORD, EventKind.CUSTOM_EVENT)
        rows = np.union1d(np.flatnonzero(np.isin(kinds, notes)), timeline.errors.rows)
        is_gap = kinds[rows] == EventKind.GAP_DROPPED
        parts.append(
            Marks(
                columns["t_ns"][rows] + timeline.shift_ns - origin_ns,
                lanes.processes[position].of(columns["scope"][rows]),
                np.array([_kind(timeline, row) for row in rows.tolist()], np.int64),
                np.array([labels.number(_label(timeline, row)) for row in rows.tolist()], np.int64),
                np.full(len(rows), position),
                columns["seq"][rows],
                np.where(is_gap, columns["arg"][rows], 1),
            )
        )
    if not parts:
        return Marks(*(np.empty(0, np.int64) for _ in Marks._fields))
    joined = Marks(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    order = np.argsort(joined.t, kind="stable")
    return Marks(*(column[order] for column in joined))


def _kind(timeline: ProcessTimeline, row: int) -> MarkKind:
    kind = timeline.columns["kind"][row]
    if kind == EventKind.GAP_DROPPED:
        return MarkKind.DROPPED
    if kind == EventKind.LOG_RECORD:
        return MarkKind.LOG
    if kind == EventKind.CUSTOM_EVENT:
        return MarkKind.CUSTOM
    return MarkKind.UNHANDLED_ERROR if row in timeline.errors.unhandled else MarkKind.ERROR


def _label(timeline: ProcessTimeline, row: int) -> str:
    kind, attrs = timeline.columns["kind"][row], timeline.attrs_of(row)
    if kind == EventKind.GAP_DROPPED:
        count = int(timeline.columns["arg"][row])
        text = f"{count:,} event{'' if count == 1 else 's'} dropped"
    elif kind == EventKind.LOG_RECORD:
        text = message_of(attrs)
    elif kind == EventKind.CUSTOM_EVENT:
        text = str(attrs.get("name", "event"))
    else:
        text = error_text(attrs)
    return text if len(text) <= MAX_LABEL else f"{text[:MAX_LABEL]}…"


def error_text(attrs: dict[str, Any]) -> str:
    """Name an error by its type and message: ``KeyError: charlie``."""
    name, message = short_type(str(attrs.get("type", "error"))), str(attrs.get("message") or "")
    return f"{name}: {message}" if message else name
