"""What was worked out from processes: parts of runs, runs, findings; written in bulk.

All of it can be worked out again from the events. Whoever writes holds the store's write lock
(``Store.write``), so what is read here is still so when it is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from clew.store import schema
from clew.store.batch import take_revision

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Table

    from clew.store.store import Store

_AT_ONCE = 500
_ROWS = 5_000


class FindingRow(NamedTuple):
    """A finding of a process, without the numbers the catalog gives."""

    run_id: str
    kind: str
    severity: str
    confidence: str
    title: str
    fingerprint: str
    document: str


class ForeignPart(NamedTuple):
    """What another process knows of a run."""

    run_id: str
    process_id: str
    document: str
    head: str


class Changed(NamedTuple):
    """Runs that have to be put together again."""

    run_ids: set[str]
    foreign: list[ForeignPart]


def unindexed(store: Store) -> list[tuple[str, int]]:
    """List the processes that said something since their runs were worked out, with their revision, oldest first."""
    columns = schema.processes.c
    query = select(columns.process_id, columns.revision).where(
        columns.indexed_revision < columns.revision, columns.deleted_ns.is_(None)
    )
    with store.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(columns.revision, columns.process_id))]


def indexed_revision(connection: Connection, process_id: str) -> int | None:
    """Return up to where a process was looked at; None if it is deleted or was never there."""
    columns = schema.processes.c
    query = select(columns.indexed_revision).where(columns.process_id == process_id, columns.deleted_ns.is_(None))
    return connection.execute(query).scalar()


def set_indexed(connection: Connection, process_id: str, revision: int) -> None:
    """Say up to where a process was looked at."""
    columns = schema.processes.c
    connection.execute(
        update(schema.processes).where(columns.process_id == process_id).values(indexed_revision=revision)
    )


def write_parts(connection: Connection, process_id: str, documents: Mapping[str, str], *, all_changed: bool) -> Changed:
    """Write what a process knows of runs, and return the runs that are others now.

    Args:
        connection: In a transaction of ``Store.write``.
        process_id: The process.
        documents: By run, all it knows; what was known of others is removed.
        all_changed: Return all its runs.
    """
    table = schema.run_parts
    query = select(table.c.run_id, table.c.document).where(table.c.process_id == process_id)
    before: dict[str, str] = {row.run_id: row.document for row in connection.execute(query)}
    new = {run: document for run, document in documents.items() if before.get(run) != document}
    rows = [{"run_id": run, "process_id": process_id, "document": document} for run, document in new.items()]
    _upsert(connection, table, rows, ("run_id", "process_id"))
    gone = before.keys() - documents.keys()
    changed = set(documents) | gone if all_changed else set(new) | gone
    foreign = _foreign(connection, process_id, changed)
    for some in _pieces(sorted(gone), _AT_ONCE):
        connection.execute(delete(table).where(table.c.process_id == process_id, table.c.run_id.in_(some)))
    return Changed(changed, foreign)


def _foreign(connection: Connection, process_id: str, run_ids: Collection[str]) -> list[ForeignPart]:
    """Return what other processes know of runs that *process_id* has a part in."""
    if not run_ids:
        return []
    own, other, process = schema.run_parts.alias(), schema.run_parts.alias(), schema.processes
    query = (
        select(other.c.run_id, other.c.process_id, other.c.document, process.c.head)
        .join_from(own, other, own.c.run_id == other.c.run_id)
        .join(process, process.c.process_id == other.c.process_id)
        .where(own.c.process_id == process_id, other.c.process_id != process_id, process.c.deleted_ns.is_(None))
    )
    if len(run_ids) <= _AT_ONCE:
        query = query.where(own.c.run_id.in_(sorted(run_ids)))
    return [ForeignPart(*row) for row in connection.execute(query) if row.run_id in run_ids]


def write_findings(connection: Connection, process_id: str, rows: Iterable[FindingRow]) -> set[str]:
    """Write the findings of a process, and return the runs whose findings are others now.

    Args:
        connection: In a transaction of ``Store.write``.
        process_id: The process.
        rows: All its findings; what was found before is removed.
    """
    table = schema.findings
    columns = [table.c[name] for name in FindingRow._fields]
    query = select(table.c.id, *columns).where(table.c.process_id == process_id)
    before: dict[FindingRow, list[int]] = {}
    for id_, *values in connection.execute(query):
        before.setdefault(FindingRow(*values), []).append(id_)
    new: list[FindingRow] = []
    for row in rows:
        ids = before.get(row)
        if ids:
            ids.pop()
        else:
            new.append(row)
    gone = [id_ for ids in before.values() for id_ in ids]
    for some in _pieces(gone, _AT_ONCE):
        connection.execute(delete(table).where(table.c.id.in_(some)))
    for some in _pieces(new, _ROWS):
        connection.execute(table.insert(), [row._asdict() | {"process_id": process_id} for row in some])
    return {row.run_id for row, ids in before.items() if ids} | {row.run_id for row in new}


def findings_of_runs(connection: Connection, process_id: str, run_ids: Collection[str]) -> dict[str, int]:
    """Count the findings of runs, those that *process_id* has a part in."""
    table, part = schema.findings, schema.run_parts
    query = select(table.c.run_id, func.count()).group_by(table.c.run_id)
    if len(run_ids) <= _AT_ONCE:
        query = query.where(table.c.run_id.in_(sorted(run_ids)))
    else:
        query = query.where(table.c.run_id.in_(select(part.c.run_id).where(part.c.process_id == process_id)))
    return {run: count for run, count in connection.execute(query) if run in run_ids}


def write_runs(connection: Connection, rows: Sequence[dict[str, Any]], gone: Iterable[str]) -> None:
    """Write rows of ``runs`` with a new revision, and remove those of *gone*."""
    if rows:
        revision = take_revision(connection)
        _upsert(connection, schema.runs, [row | {"revision": revision} for row in rows], ("run_id",))
    for some in _pieces(sorted(gone), _AT_ONCE):
        connection.execute(delete(schema.runs).where(schema.runs.c.run_id.in_(some)))


def _upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], key: tuple[str, ...]) -> None:
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(table)
    names = [name for name in rows[0] if name not in key]
    statement = insert.on_conflict_do_update(
        index_elements=list(key), set_={name: insert.excluded[name] for name in names}
    )
    for some in _pieces(rows, _ROWS):
        connection.execute(statement, list(some))


def _pieces(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
