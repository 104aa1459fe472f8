"""How long what is stored stays: classes, holds, and deletion in two steps.

First a process is hidden: its row says when it was deleted, and what was worked out from it goes.
A day later it is purged: its events go. Its row stays for a month more, with the retention
``purged``, because whoever still sends events of it would otherwise bring it back in part: they
are counted as duplicates, so that their sender does not try for ever.

Rows go before the files they name: a crash in between leaves files that no row names, which are
removed when they are a day old (a younger one may be about to get its row).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, exists, or_, select, update

from clew.store import artifacts, schema
from clew.store.batch import RETENTION_CLASSES, take_revision
from clew.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from clew.store.store import Store

DAY_NS = 86_400 * 1_000_000_000
PURGED = "purged"
SEGMENTS = "segments"
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Policy:
    """How long things stay; all in nanoseconds.

    Attributes:
        classes: A process, after its last chunk came, by its class.
        grace: What was deleted, until it is purged.
        tombstones: The rows of purged processes.
        receipts: Answers to requests that may come again.
        orphans: Files that no row names.
    """

    classes: Mapping[str, int] = field(
        default_factory=lambda: {"dev": 7 * DAY_NS, "ci": 30 * DAY_NS, "incident": 180 * DAY_NS}
    )
    grace: int = DAY_NS
    tombstones: int = 30 * DAY_NS
    receipts: int = 7 * DAY_NS
    orphans: int = DAY_NS


class Removed(NamedTuple):
    """What a run of the retention did."""

    deleted: int
    """Processes hidden."""
    purged: int
    """Processes whose events went."""
    segments: int
    artifacts: int
    blobs: int


def apply(store: Store, policy: Policy | None = None, *, now_ns: int | None = None) -> Removed:
    """Delete what is too old, purge what was deleted long enough ago, remove what nothing names.

    Meant for one worker at a time; a second one does no harm.

    Args:
        store: Whose.
        policy: How long things stay.
        now_ns: Wall time, for tests.
    """
    policy = policy or Policy()
    now = time.time_ns() if now_ns is None else now_ns
    deleted = _delete_expired(store, policy, now)
    purged = _purge(store, policy, now)
    segments = _remove_segments(store)
    removed = _remove_artifacts(store, policy, now)
    blobs = _remove_orphans(store, policy, now)
    with store.write() as connection:
        connection.execute(delete(schema.receipts).where(schema.receipts.c.received_ns < now - policy.receipts))
        columns = schema.processes.c
        old = columns.deleted_ns < now - policy.grace - policy.tombstones
        connection.execute(delete(schema.processes).where(columns.retention == PURGED, old))
    if purged or segments:
        store.shrink()
    return Removed(deleted, purged, segments, removed, blobs)


def keep(
    store: Store, process_ids: Iterable[str], *, retention: str, hold: bool, connection: Connection | None = None
) -> int:
    """Set the class of processes, and whether they are under hold.

    Args:
        store: Whose.
        process_ids: Of the processes; deleted ones are left as they are.
        retention: One of ``dev``, ``ci``, ``incident``.
        hold: Whether they stay until this is taken back.
        connection: The transaction to do it in; by default one of its own.

    Returns:
        How many processes it was set for.

    Raises:
        StoreError: There is no such class.
    """
    if retention not in RETENTION_CLASSES:
        raise StoreError(
            "retention-class",
            f"the class is {retention[:40]!r}",
            f"expected one of {', '.join(RETENTION_CLASSES)}",
            "choose one",
        )
    if connection is None:
        with store.write() as own:
            return keep(store, process_ids, retention=retention, hold=hold, connection=own)
    columns, count = schema.processes.c, 0
    revision = take_revision(connection)
    for some in _pieces(sorted(set(process_ids))):
        done = connection.execute(
            update(schema.processes)
            .where(columns.process_id.in_(some), columns.deleted_ns.is_(None))
            .values(retention=retention, hold=int(hold), revision=revision)
        )
        count += done.rowcount
    return count


def delete_processes(
    store: Store, process_ids: Iterable[str], *, now_ns: int | None = None, connection: Connection | None = None
) -> int:
    """Hide processes at once; they are purged after a day.

    Args:
        store: Whose.
        process_ids: Of the processes.
        now_ns: Wall time, for tests.
        connection: The transaction to do it in; by default one of its own.

    Returns:
        How many were hidden that were not before.

    Raises:
        StoreError: One of them is under hold (``under-hold``); then none is hidden.
    """
    if connection is None:
        with store.write() as own:
            return delete_processes(store, process_ids, now_ns=now_ns, connection=own)
    wanted = sorted(set(process_ids))
    columns = schema.processes.c
    held: list[str] = []
    for some in _pieces(wanted):
        query = select(columns.process_id).where(columns.process_id.in_(some), columns.hold != 0)
        held += connection.execute(query).scalars()
    if held:
        raise StoreError(
            "under-hold",
            f"process {held[0]} is under hold" + (f", and {len(held) - 1} more" if len(held) > 1 else ""),
            "expected processes that nobody wants to keep",
            "take the hold back first",
        )
    return _hide(connection, wanted, time.time_ns() if now_ns is None else now_ns)


def _delete_expired(store: Store, policy: Policy, now: int) -> int:
    columns = schema.processes.c
    too_old = or_(
        *(
            (columns.retention == name) & (columns.received_ns < now - lasts)
            for name, lasts in sorted(policy.classes.items())
        )
    )
    count = 0
    while True:
        with store.write() as connection:
            query = select(columns.process_id).where(too_old, columns.hold == 0, columns.deleted_ns.is_(None))
            some = connection.execute(query.order_by(columns.received_ns).limit(_AT_ONCE)).scalars().all()
            count += _hide(connection, some, now)
        if len(some) < _AT_ONCE:
            return count


def _hide(connection: Connection, process_ids: Sequence[str], now: int) -> int:
    columns, count = schema.processes.c, 0
    if not process_ids:
        return 0
    revision = take_revision(connection)
    for some in _pieces(process_ids):
        done = connection.execute(
            update(schema.processes)
            .where(columns.process_id.in_(some), columns.deleted_ns.is_(None))
            .values(deleted_ns=now, revision=revision)
        )
        count += done.rowcount
        _remove_findings_and_runs(connection, some)
    return count


def _remove_findings_and_runs(connection: Connection, process_ids: Sequence[str]) -> None:
    """Remove what was worked out from processes; runs that others have a part in are worked out anew."""
    parts, runs, processes = schema.run_parts, schema.runs, schema.processes
    touched = connection.execute(select(parts.c.run_id).where(parts.c.process_id.in_(process_ids)).distinct()).scalars()
    run_ids = sorted(touched)
    connection.execute(delete(parts).where(parts.c.process_id.in_(process_ids)))
    connection.execute(delete(schema.findings).where(schema.findings.c.process_id.in_(process_ids)))
    for some in _pieces(run_ids):
        has_parts = exists().where(parts.c.run_id == runs.c.run_id)
        connection.execute(delete(runs).where(runs.c.run_id.in_(some), ~has_parts))
        others = select(parts.c.process_id).where(parts.c.run_id.in_(some))
        connection.execute(update(processes).where(processes.c.process_id.in_(others)).values(indexed_revision=0))


def _purge(store: Store, policy: Policy, now: int) -> int:
    """Remove the events of processes that were deleted long enough ago."""
    columns, count = schema.processes.c, 0
    due = (columns.deleted_ns < now - policy.grace) & (columns.hold == 0) & (columns.retention != PURGED)
    while True:
        with store.write() as connection:
            query = select(columns.process_id).where(due).order_by(columns.deleted_ns).limit(_AT_ONCE)
            some = connection.execute(query).scalars().all()
            if some:
                _purge_some(connection, some)
        count += len(some)
        if len(some) < _AT_ONCE:
            return count


def _purge_some(connection: Connection, process_ids: Sequence[str]) -> None:
    for table in (schema.chunks, schema.coverage, schema.names, schema.artifact_refs):
        connection.execute(delete(table).where(table.c.process_id.in_(process_ids)))
    # Once more: whoever worked them out may not have seen the deletion.
    _remove_findings_and_runs(connection, process_ids)
    table = schema.processes
    connection.execute(
        update(table)
        .where(table.c.process_id.in_(process_ids))
        .values(retention=PURGED, head="{}", end=None, service="", environment="", events=0)
    )


def _is_gone() -> Any:
    """Say of a row of ``segment_parts`` that its process was purged."""
    columns = schema.processes.c
    stays = exists().where(columns.process_id == schema.segment_parts.c.process_id, columns.retention != PURGED)
    return ~stays


def segments_to_rewrite(store: Store) -> list[int]:
    """List the segments that hold events of purged processes beside those of others.

    Compaction writes them again without the former; until then readers skip them.
    """
    parts = schema.segment_parts
    gone = select(parts.c.segment_id).where(_is_gone())
    stays = select(parts.c.segment_id).where(~_is_gone())
    with store.engine.connect() as connection:
        query = select(schema.segments.c.id).where(schema.segments.c.id.in_(gone), schema.segments.c.id.in_(stays))
        return sorted(connection.execute(query).scalars())


def _remove_segments(store: Store) -> int:
    """Remove the segments all of whose processes were purged: their rows, then their files."""
    parts, table = schema.segment_parts, schema.segments
    stays = exists().where(parts.c.segment_id == table.c.id, ~_is_gone())
    with store.write() as connection:
        rows = connection.execute(select(table.c.id, table.c.key).where(~stays)).all()
        for some in _pieces([row.id for row in rows]):
            connection.execute(delete(parts).where(parts.c.segment_id.in_(some)))
            connection.execute(delete(table).where(table.c.id.in_(some)))
    for row in rows:
        for info in list(store.blobs.list(f"{SEGMENTS}/{row.key}")):
            store.blobs.delete(info.key)
    return len(rows)


def _remove_artifacts(store: Store, policy: Policy, now: int) -> int:
    """Mark artifacts without a reference, and remove those that were marked long enough ago."""
    table, refs, processes = schema.artifacts, schema.artifact_refs, schema.processes
    referred = exists().where(refs.c.hash == table.c.hash)
    with store.write() as connection:
        # Of processes that never came.
        known = exists().where(processes.c.process_id == refs.c.process_id)
        old = select(table.c.hash).where(table.c.created_ns < now - policy.classes.get("dev", DAY_NS))
        connection.execute(delete(refs).where(~known, refs.c.hash.in_(old)))
        connection.execute(update(table).where(table.c.deleted_ns.is_not(None), referred).values(deleted_ns=None))
        lonely = table.c.created_ns < now - policy.grace
        connection.execute(update(table).where(table.c.deleted_ns.is_(None), ~referred, lonely).values(deleted_ns=now))
        due = select(table.c.hash).where(table.c.deleted_ns < now - policy.grace)
        hashes = connection.execute(due).scalars().all()
        for some in _pieces(hashes):
            connection.execute(delete(table).where(table.c.hash.in_(some)))
    _remove_unnamed(store, [artifacts.key_of(hash_) for hash_ in hashes])
    return len(hashes)


def _remove_orphans(store: Store, policy: Policy, now: int) -> int:
    """Remove files that no row names: what a crash left between a file and its row."""
    old = [
        info.key
        for folder in (SEGMENTS, artifacts.FOLDER)
        for info in store.blobs.list(folder)
        if info.modified_ns < now - policy.orphans
    ]
    return _remove_unnamed(store, old)


def _remove_unnamed(store: Store, keys: Sequence[str]) -> int:
    """Remove those of *keys* that no row names."""
    count = 0
    for some in _pieces(keys):
        # In a transaction that writes: no row can begin to name one meanwhile.
        with store.write() as connection:
            named = _named(connection, some)
            unnamed = [key for key in some if key not in named]
            store.blobs.delete(*unnamed)
        count += len(unnamed)
    return count


def _named(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Return which of *keys* a row names."""
    owners = {key: key.split("/")[1] if key.startswith(SEGMENTS + "/") else key.rpartition("/")[2] for key in keys}
    found: set[str] = set()
    for column in (schema.segments.c.key, schema.artifacts.c.hash):
        found.update(connection.execute(select(column).where(column.in_(sorted(set(owners.values()))))).scalars())
    return {key for key, owner in owners.items() if owner in found}


def _pieces(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]
