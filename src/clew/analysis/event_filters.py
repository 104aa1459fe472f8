"""Which events of a process pass a filter?

Names are compared once for each different name, and numbers as arrays: a filter of a
million events takes some tens of milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clew.analysis.filters import Bounds, Field, Kind, Pattern, contains, matches
from clew.analysis.steps import durations_of_events
from clew.model.kinds import EventKind, Operation, Outcome, slug_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from clew.analysis.columns import Flags, Numbers
    from clew.analysis.filters import Term, Value
    from clew.analysis.timeline import ProcessTimeline
    from clew.model.kinds import Vocabulary

    Test = Callable[[str], bool]

FIELDS = {
    "kind": Field(Kind.TEXT, tuple(kind.slug for kind in EventKind)),
    "op": Field(Kind.TEXT, tuple(op.slug for op in Operation)),
    "outcome": Field(Kind.TEXT, tuple(outcome.slug for outcome in Outcome)),
    "scope": Field(Kind.TEXT),
    "entity": Field(Kind.TEXT),
    "service": Field(Kind.TEXT),
    "process": Field(Kind.TEXT),
    "span": Field(Kind.TEXT),
    "file": Field(Kind.TEXT),
    "function": Field(Kind.TEXT),
    "line": Field(Kind.NUMBER),
    "dur": Field(Kind.DURATION),
    "wait": Field(Kind.DURATION),
    "seq": Field(Kind.NUMBER),
    "t": Field(Kind.DURATION),
    "has": Field(Kind.TEXT, ("error", "attrs", "cause")),
}
"""What events can be asked for."""
_ERRORS = (EventKind.ERROR_RAISED, EventKind.ERROR_HANDLED, EventKind.ERROR_UNHANDLED)


def passing(timeline: ProcessTimeline, rows: Numbers, terms: Sequence[Term], origin_ns: int) -> Flags:
    """Tell which of some events pass a filter.

    Args:
        timeline: Their process.
        rows: Where they stand in its columns.
        terms: Of ``filters.parse`` with ``FIELDS``; all must hold.
        origin_ns: The time 0 of the field ``t``, on the clock of *timeline*.

    Complexity: O(n + m) for n events and m different names, for each value.
    """
    events = _Events(timeline, rows, origin_ns)
    result = np.ones(len(rows), bool)
    for term in terms:
        met = np.zeros(len(rows), bool)
        for value in term.values:
            met |= events.meet(term.field, value)
        result &= ~met if term.is_negated else met
    return result


class _Events:
    def __init__(self, timeline: ProcessTimeline, rows: Numbers, origin_ns: int) -> None:
        self._timeline = timeline
        self._rows = rows
        self._origin_ns = origin_ns

    def meet(self, field: str, value: Value) -> Flags:
        """Tell which events have *value* in *field*."""
        if isinstance(value, Pattern):
            if not field:
                return self._any_name(value)
            return self._text(field, value)
        return self._within(field, value) if isinstance(value, Bounds) else np.zeros(len(self._rows), bool)

    def _column(self, name: str) -> NDArray[Any]:
        return self._timeline.columns[name][self._rows]

    def _within(self, field: str, bounds: Bounds) -> Flags:
        numbers = self._numbers(field)
        result = np.ones(len(numbers), bool) if field != "line" else numbers > 0
        if bounds.low is not None:
            result &= numbers >= bounds.low
        if bounds.high is not None:
            result &= numbers <= bounds.high
        return result

    def _numbers(self, field: str) -> Numbers:
        timeline = self._timeline
        if field == "line":
            sites = timeline.data.sites
            return self._each("site", lambda number: sites[number][2] if number in sites else 0, np.int64)
        if field == "dur":
            return durations_of_events(timeline.columns, timeline.steps)[self._rows]
        if field == "t":
            return self._column("t_ns") + (timeline.shift_ns - self._origin_ns)
        return self._column({"wait": "wait_ns", "seq": "seq"}[field])

    def _text(self, field: str, pattern: Pattern) -> Flags:
        def test(text: str) -> bool:
            return matches(pattern, text)

        if field == "has":
            return self._has(pattern)
        if field == "file":
            return self._sites(lambda file, _: any(map(test, _endings(file, "/"))))
        if field == "function":
            return self._sites(lambda _, function: any(map(test, _endings(function, "."))))
        return self._named(field, test)

    def _any_name(self, pattern: Pattern) -> Flags:
        def test(text: str) -> bool:
            return contains(pattern, text)

        result = self._sites(lambda file, function: test(file) or test(function))
        for field in ("kind", "scope", "entity", "span", "service"):
            result |= self._named(field, test)
        return result

    def _named(self, field: str, test: Test) -> Flags:
        timeline = self._timeline
        if field in _VOCABULARIES:
            vocabulary = _VOCABULARIES[field]
            return self._each(field, lambda number: test(slug_of(vocabulary, number) or ""), bool)
        if field in ("scope", "entity"):
            return self._each(field, lambda number: any(map(test, _names(timeline, number))), bool)
        if field == "span":
            spans, of_event = timeline.data.spans, timeline.span_of_event[self._rows]
            return _each(of_event, lambda number: test(spans[number][9] if number in spans else ""), bool)
        text = timeline.service if field == "service" else timeline.stream.id
        return np.full(len(self._rows), test(text))

    def _sites(self, test: Callable[[str, str], bool]) -> Flags:
        sites = self._timeline.data.sites

        def check(number: int) -> bool:
            row = sites.get(number)
            return test(row[1], row[3]) if row is not None else test("", "")

        return self._each("site", check, bool)

    def _has(self, pattern: Pattern) -> Flags:
        data, result = self._timeline.data, np.zeros(len(self._rows), bool)
        if matches(pattern, "error"):
            result |= np.isin(self._column("kind"), _ERRORS) | (self._column("outcome") == Outcome.FAILED)
        if matches(pattern, "attrs"):
            result |= np.isin(self._column("seq"), np.fromiter(data.attrs, np.int64, len(data.attrs)))
        if matches(pattern, "cause"):
            remote = np.fromiter(data.remote_causes, np.int64, len(data.remote_causes))
            result |= (self._column("cause") > 0) | np.isin(self._column("seq"), remote)
        return result

    def _each(self, column: str, value_of: Callable[[int], Any], dtype: type) -> NDArray[Any]:
        return _each(self._column(column), value_of, dtype)


_VOCABULARIES: dict[str, Vocabulary] = {"kind": EventKind, "op": Operation, "outcome": Outcome}


def _each(numbers: NDArray[Any], value_of: Callable[[int], Any], dtype: Any) -> NDArray[Any]:
    """Return the value of each number, worked out once for each different one."""
    found, inverse = np.unique(numbers, return_inverse=True)
    values: list[Any] = [value_of(number) for number in found.tolist()]
    return np.array(values, dtype)[inverse.reshape(-1)]


def _names(timeline: ProcessTimeline, entity: int) -> tuple[str, ...]:
    """Return what an entity may be called: its name, what made it, and both as they are shown."""
    row = timeline.data.entities.get(entity)
    return (row[2] or row[3], timeline.name_of(entity)) if row is not None else ("",)


def _endings(text: str, separator: str) -> list[str]:
    """Return a path and what is left of it without folders from the left."""
    parts = text.split(separator)
    return [separator.join(parts[i:]) for i in range(len(parts))]
