"""Which errors happened, each once?

An exception may be seen several times: as it is raised, as a log record tells it, as it
leaves a task and then the program. Which of these are seen depends on the version of
Python. The later events of an error have the first as their cause.

What it can wrongly report: as one error two of one type, message and place, of which the
second was raised while the first was handled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clew.model.kinds import EventKind

if TYPE_CHECKING:
    from clew.analysis.columns import Numbers
    from clew.analysis.timeline import ProcessTimeline

ERRORS = (EventKind.ERROR_RAISED, EventKind.ERROR_HANDLED, EventKind.ERROR_UNHANDLED)


class Errors(NamedTuple):
    """The errors of a process, each once, however often it was seen: raised, logged, not handled."""

    rows: Numbers
    """Where each was seen first."""
    unhandled: frozenset[int]
    """Those of *rows* that nobody handled."""


def errors_of_process(timeline: ProcessTimeline) -> Errors:
    """List the errors of a process.

    A later event of an error has the first as its cause; but the cause may be another error
    as well, from which this one was raised.
    """
    columns = timeline.columns
    kinds, causes = columns["kind"], columns["cause"]
    first_of: dict[int, int] = {}
    unhandled: set[int] = set()
    for row in np.flatnonzero(np.isin(kinds, ERRORS)).tolist():
        first = row
        if kinds[row] != EventKind.ERROR_RAISED and causes[row]:
            cause = timeline.row_of(int(causes[row]))
            if cause in first_of and _is_same_error(timeline, cause, row):
                first = first_of[cause]
        first_of[row] = first
        if kinds[row] == EventKind.ERROR_UNHANDLED:
            unhandled.add(first)
    rows = np.array([row for row, first in first_of.items() if row == first], np.int64)
    return Errors(rows, frozenset(unhandled))


def _is_same_error(timeline: ProcessTimeline, before: int, again: int) -> bool:
    """Tell whether two events are of one error; its place is sometimes not known any more."""
    one, two = timeline.attrs_of(before), timeline.attrs_of(again)
    sites = timeline.columns["site"]
    is_place = sites[again] == 0 or timeline.place_of(int(sites[before])) == timeline.place_of(int(sites[again]))
    return is_place and all(one.get(name) == two.get(name) for name in ("type", "message"))
