"""Findings of the catalog, listed: the latest first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select, true

from clew.store import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from clew.store.store import Store

MOST = 1_000
"""Findings that are told of one run."""


class Page(NamedTuple):
    """Some findings, each with ``run`` and ``process``; and the number to go on after, or None."""

    findings: list[dict[str, Any]]
    after: int | None


def list_findings(store: Store, conditions: Sequence[ColumnElement[bool]], *, after: int | None, limit: int) -> Page:
    """Return a page of findings.

    Args:
        store: Where.
        conditions: On ``schema.findings``; all must hold.
        after: Of the page before; None: the first page.
        limit: Most findings.
    """
    table = schema.findings.c
    query = (
        select(table.id, table.run_id, table.process_id, table.document)
        .where(*conditions, true() if after is None else table.id < after)
        .order_by(table.id.desc())
        .limit(limit + 1)
    )
    with store.engine.connect() as connection:
        rows = connection.execute(query).all()
    found = [json.loads(row.document) | {"run": row.run_id or None, "process": row.process_id} for row in rows[:limit]]
    return Page(found, rows[limit - 1].id if len(rows) > limit else None)


def findings_of_run(store: Store, run_id: str) -> list[dict[str, Any]]:
    """Return the findings of one run, the gravest of each process first."""
    table = schema.findings.c
    query = select(table.process_id, table.document).where(table.run_id == run_id).order_by(table.id).limit(MOST)
    with store.engine.connect() as connection:
        return [
            json.loads(row.document) | {"run": run_id, "process": row.process_id} for row in connection.execute(query)
        ]
