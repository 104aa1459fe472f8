"""Leases: which of several workers does a job that only one may do at a time.

A lease ends by itself, so a worker that was killed is replaced. Its holder must renew it well
before that, and check that it still has it before it makes its work count. Times are those of
the machines that ask: their clocks may differ by less than a lease lasts.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from clew.store import schema

if TYPE_CHECKING:
    from clew.store.store import Store


def take(store: Store, name: str, holder: str, lasts_s: float) -> bool:
    """Take a lease, or renew one that *holder* has.

    Args:
        store: Who shares it.
        name: Of the job, at most 32 characters.
        holder: Who takes it, at most 64 characters: the same for no two processes.
        lasts_s: Seconds until it ends.

    Returns:
        Whether *holder* has it now.
    """
    now = time.time_ns()
    with store.write() as connection:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        insert = dialect.insert(schema.leases).values(
            name=name, holder=holder, expires_ns=now + int(lasts_s * 1_000_000_000)
        )
        columns = schema.leases.c
        statement = insert.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": insert.excluded.holder, "expires_ns": insert.excluded.expires_ns},
            where=(columns.holder == holder) | (columns.expires_ns <= now),
        )
        return connection.execute(statement.returning(columns.name)).first() is not None


def give_up(store: Store, name: str, holder: str) -> None:
    """End a lease, if *holder* has it."""
    columns = schema.leases.c
    with store.write() as connection:
        connection.execute(delete(schema.leases).where(columns.name == name, columns.holder == holder))


def holder_of(store: Store, name: str) -> str | None:
    """Return who has a lease now."""
    columns = schema.leases.c
    with store.engine.connect() as connection:
        return connection.execute(
            select(columns.holder).where(columns.name == name, columns.expires_ns > time.time_ns())
        ).scalar()


def names(store: Store, prefix: str) -> list[str]:
    """List the leases whose names begin with *prefix* and that somebody has now, sorted."""
    columns = schema.leases.c
    with store.engine.connect() as connection:
        held = select(columns.name).where(
            columns.name.startswith(prefix, autoescape=True), columns.expires_ns > time.time_ns()
        )
        return sorted(connection.execute(held).scalars())
