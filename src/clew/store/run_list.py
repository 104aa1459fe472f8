"""Runs of the catalog, listed: chosen by conditions, sorted, page by page.

A page begins after the last row of the one before it, by the values that are sorted by: rows
that come or go in between are neither shown twice nor left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, or_, select, true

from clew.store import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Column, ColumnElement

    from clew.store.store import Store

_RUNS = schema.runs.c
SORTS: dict[str, Column[Any]] = {
    "started": _RUNS.started_ns,
    "duration": _RUNS.duration_ns,
    "events": _RUNS.events,
    "errors": _RUNS.errors,
    "name": _RUNS.name,
    "service": _RUNS.service,
    "status": _RUNS.status,
}
"""What can be sorted by."""
NUMERIC = frozenset({"started", "duration", "events", "errors"})
"""Those of them that are numbers; the others are texts."""


class Page(NamedTuple):
    """Some runs.

    Attributes:
        rows: Of ``runs``, each with ``received_ns`` of the process of its root.
        total: How many there are in all.
        has_more: Whether there are more after these.
    """

    rows: Sequence[Mapping[str, Any]]
    total: int
    has_more: bool


def list_runs(
    store: Store,
    conditions: Sequence[ColumnElement[bool]],
    *,
    sort: str,
    is_descending: bool,
    after: tuple[Any, str] | None,
    limit: int,
) -> Page:
    """Return a page of runs.

    Args:
        store: Where.
        conditions: On ``schema.runs``; all must hold.
        sort: One of ``SORTS``; runs that are equal in it are sorted by id.
        is_descending: Both from the greatest.
        after: Value and id of the last row of the page before; None: the first page.
        limit: Most rows.
    """
    column, run_id, process = SORTS[sort], _RUNS.run_id, schema.processes.c
    order = (column.desc(), run_id.desc()) if is_descending else (column.asc(), run_id.asc())
    query = (
        select(schema.runs, process.received_ns)
        .join_from(schema.runs, schema.processes, process.process_id == _RUNS.process_id, isouter=True)
        .where(*conditions, _after(column, after, is_descending=is_descending))
        .order_by(*order)
        .limit(limit + 1)
    )
    with store.engine.connect() as connection:
        rows: list[Mapping[str, Any]] = [dict(row) for row in connection.execute(query).mappings()]
        total = connection.execute(select(func.count()).select_from(schema.runs).where(*conditions)).scalar_one()
    return Page(rows[:limit], total, len(rows) > limit)


def _after(column: Column[Any], after: tuple[Any, str] | None, *, is_descending: bool) -> ColumnElement[bool]:
    if after is None:
        return true()
    value, run_id = after
    if is_descending:
        return or_(column < value, and_(column == value, _RUNS.run_id < run_id))
    return or_(column > value, and_(column == value, _RUNS.run_id > run_id))


def find(store: Store, run_id: str) -> Mapping[str, Any] | None:
    """Return a run as ``list_runs`` does, None if there is none with this id."""
    page = list_runs(store, [_RUNS.run_id == run_id], sort="started", is_descending=False, after=None, limit=1)
    return page.rows[0] if page.rows else None
