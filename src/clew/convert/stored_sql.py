"""SQL over the store, with what follows from events that are in no segment yet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from clew.convert.stored import pending_tables
from clew.store import surface

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from contextlib import AbstractContextManager

    from clew.store.sql import Answer
    from clew.store.store import Store

_TABLES_OF = partial(pending_tables, is_exact=False)


def query(
    store: Store,
    statement: str,
    *,
    run: str | None = None,
    limit: int = surface.LIMIT,
    timeout_s: float = surface.TIMEOUT_S,
    memory_limit: str = surface.MEMORY_LIMIT,
) -> Answer:
    """Answer one statement of a user's, as ``surface.query`` does.

    Args:
        store: Where.
        statement: One statement that reads.
        run: Id of a run, to which the tables are confined.
        limit: Most rows that are returned.
        timeout_s: It is stopped after so many seconds.
        memory_limit: As DuckDB writes it.
    """
    return surface.query(
        store, statement, run=run, limit=limit, timeout_s=timeout_s, memory_limit=memory_limit, tables_of=_TABLES_OF
    )


def open_surface(
    store: Store,
    *,
    processes: Iterable[str] | None = None,
    run: str | None = None,
    used: Collection[str] | None = None,
    memory_limit: str = surface.MEMORY_LIMIT,
) -> AbstractContextManager[surface.Surface]:
    """Open the tables for statements of clew's own, as ``surface.open_surface`` does.

    Args:
        store: Where.
        processes: Only what these recorded; None for all.
        run: Only what belongs to this run.
        used: Names of the tables and columns that will be used.
        memory_limit: As DuckDB writes it.
    """
    return surface.open_surface(
        store, processes=processes, run=run, used=used, memory_limit=memory_limit, tables_of=_TABLES_OF
    )
