"""Who changed what: written in the transaction of the change itself, never altered."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from clew.store import schema
from clew.store.batch import storable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from clew.store.store import Store


class AuditEntry(NamedTuple):
    """One line of the log."""

    id: int
    at_ns: int
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
    request_id: str


def record(
    target: Store | Connection,
    actor: str,
    action: str,
    *,
    subject: str = "",
    details: Mapping[str, Any] | None = None,
    request_id: str = "",
) -> None:
    """Write a line.

    Args:
        target: The transaction of the change that the line is about; or the store, for what
            changes nothing in it.
        actor: Who: the name of a key, ``retention``, ``local``.
        action: What: ``key.make``, ``run.delete``.
        subject: The id of what it was done to.
        details: What else to know, fit for JSON.
        request_id: Of the request, at most 32 characters.
    """
    from clew.store.store import Store

    if isinstance(target, Store):
        with target.write() as connection:
            record(connection, actor, action, subject=subject, details=details, request_id=request_id)
        return
    target.execute(
        schema.audit_log.insert(),
        {
            "at_ns": time.time_ns(),
            "actor": storable(actor),
            "action": storable(action),
            "subject": storable(subject),
            "details": json.dumps(dict(details or {}), separators=(",", ":"), sort_keys=True),
            "request_id": storable(request_id)[:32],
        },
    )


def entries(store: Store, *, before_id: int | None = None, limit: int = 100) -> list[AuditEntry]:
    """List lines, latest first.

    Args:
        store: Of which.
        before_id: Only lines older than this one.
        limit: At most so many.
    """
    table = schema.audit_log
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(table.c.id < before_id)
    with store.engine.connect() as connection:
        return [AuditEntry(*row)._replace(details=json.loads(row.details)) for row in connection.execute(query)]
