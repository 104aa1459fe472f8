"""Filters of runs as conditions of the catalog. What a user typed is only ever a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, false, func, literal, not_, or_, true

from clew.analysis.filters import Bounds, Field, Kind, Pattern, Since, parse
from clew.store.batch import storable
from clew.store.schema import run_parts, runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement

    from clew.analysis.filters import Term, Value

STATUSES = ("running", "succeeded", "failed", "cancelled", "lost")
FIELDS = {
    "service": Field(Kind.TEXT),
    "status": Field(Kind.TEXT, STATUSES),
    "name": Field(Kind.TEXT),
    "env": Field(Kind.TEXT),
    "entry": Field(Kind.TEXT, ("process", "request", "named")),
    "mode": Field(Kind.TEXT, ("live", "exact", "cached", "simulated")),
    "id": Field(Kind.TEXT),
    "process": Field(Kind.TEXT),
    "dur": Field(Kind.DURATION),
    "events": Field(Kind.NUMBER),
    "errors": Field(Kind.NUMBER),
    "findings": Field(Kind.NUMBER),
    "since": Field(Kind.SINCE),
}
"""What runs can be asked for."""
_LEAST = -(1 << 63)


def conditions_of(text: str, *, now_ns: int) -> list[ColumnElement[bool]]:
    """Return the conditions on ``schema.runs`` that a filter means; all must hold.

    Args:
        text: As it was typed.
        now_ns: Unix time, for what is given as so long ago.

    Raises:
        FilterError: It means nothing.
    """
    return [_condition(term, now_ns) for term in parse(text, FIELDS)]


def _condition(term: Term, now_ns: int) -> ColumnElement[bool]:
    met = or_(false(), *(_met(term.field, value, now_ns) for value in term.values))
    return not_(met) if term.is_negated else met


def _met(field: str, value: Value, now_ns: int) -> ColumnElement[bool]:
    if isinstance(value, Pattern):
        return _TEXTS[field](value)
    if isinstance(value, Since):
        since_ns = value.wall_ns if value.wall_ns is not None else now_ns - (value.ago_ns or 0)
        return runs.c.started_ns >= max(since_ns, _LEAST)
    return _within(_NUMBERS[field], value)


_NUMBERS = {"dur": runs.c.duration_ns, "events": runs.c.events, "errors": runs.c.errors, "findings": runs.c.findings}


def _within(column: Any, bounds: Bounds) -> ColumnElement[bool]:
    return and_(
        true() if bounds.low is None else column >= bounds.low,
        true() if bounds.high is None else column <= bounds.high,
    )


def like(column: Any, pattern: Pattern, *, around: str = "") -> ColumnElement[bool]:
    """Compare without regard to case, as far as the database knows it: SQLite does for ASCII.

    Both sides are folded by the database: a name is always equal to itself.
    """
    parts = [storable(part) for part in pattern.parts]
    if len(parts) == 1 and not around:
        return func.lower(column) == func.lower(literal(parts[0]))
    escaped = [part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for part in parts]
    return func.lower(column).like(func.lower(literal(around + "%".join(escaped) + around)), escape="\\")


def _service(pattern: Pattern) -> ColumnElement[bool]:
    """Match the service of the root; others of the run are found by ``process`` or free text."""
    return like(runs.c.service, pattern)


def _process(pattern: Pattern) -> ColumnElement[bool]:
    """Match any process that has a part in the run."""
    return exists().where(run_parts.c.run_id == runs.c.run_id, like(run_parts.c.process_id, pattern))


def _name(pattern: Pattern) -> ColumnElement[bool]:
    return or_(like(runs.c.name, pattern, around="%"), like(runs.c.services, pattern, around="%"))


_TEXTS: dict[str, Callable[[Pattern], ColumnElement[bool]]] = {
    "": _name,
    "service": _service,
    "status": lambda pattern: like(runs.c.status, pattern),
    "name": lambda pattern: like(runs.c.name, pattern),
    "env": lambda pattern: like(runs.c.environment, pattern),
    "entry": lambda pattern: like(runs.c.entry, pattern),
    "mode": lambda pattern: like(runs.c.mode, pattern),
    "id": lambda pattern: like(runs.c.run_id, pattern),
    "process": _process,
}
