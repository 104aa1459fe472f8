"""Compaction: chunks become segments, small segments larger ones, and purged processes leave them.

Every change is made in the same order: files first, under a key of their own; then one
transaction that names them and removes what they stand for, provided that all of it is still
there. Whoever is killed in between leaves files that nothing names, which the retention removes later. Whoever
comes second with the same chunks takes his files back: a lease (``clew.store.leases``) saves
the work, and is not needed for what is right.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# pyarrow carries no types.

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import delete, func, select

from clew.format.clocks import wall_offset
from clew.store import schema
from clew.store.retention import PURGED
from clew.store.segments import new_key, path_of, read_segment, write_segment
from clew.store.stored import read_stored
from clew.store.stream_tables import Tables, concatenated, folded, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import Connection

    from clew.store.segments import WrittenSegment
    from clew.store.store import Store
    from clew.store.stored import Stored

PENDING_EVENTS = 100_000
"""A running process is compacted when so many of its events are pending …"""
PENDING_SHARE = 0.1
"""… and this part of all it has: deriving looks at all of them, so that n events cost 11 n."""
PENDING_BYTES = 16 << 20
PENDING_NS = 600 * 1_000_000_000
"""A process whose chunks have waited so long is compacted, whether it runs or was lost."""
MAX_SEGMENT_EVENTS = 4_000_000
MERGE_COUNT = 4
"""So many segments of a similar size become one: each event is rewritten once for every fourfold growth."""


class Due(NamedTuple):
    """A process with chunks that should become a segment."""

    process_id: str
    events: int


def due(
    store: Store,
    *,
    now_ns: int | None = None,
    settle_ns: int = 0,
    is_wanted: Callable[[str], bool] = lambda process_id: True,
) -> list[list[str]]:
    """List the processes whose chunks should become segments, in groups that share one.

    Args:
        store: Where.
        now_ns: Wall time.
        settle_ns: How long after its last chunk a process that has ended is left alone.
        is_wanted: Whether a process is ours to compact.
    """
    now = time.time_ns() if now_ns is None else now_ns
    chunk, process = schema.chunks.c, schema.processes.c
    counted = (
        select(
            chunk.process_id,
            func.sum(chunk.events).label("events"),
            func.sum(func.length(chunk.body)).label("bytes"),
            func.min(chunk.received_ns).label("oldest"),
        )
        .group_by(chunk.process_id)
        .subquery()
    )
    statement = (
        select(counted, process.events.label("stored"), process.end.is_not(None).label("ended"), process.received_ns)
        .join(schema.processes, process.process_id == counted.c.process_id)
        .where(process.deleted_ns.is_(None))
        .order_by(counted.c.process_id)
    )
    with store.engine.connect() as connection:
        rows = connection.execute(statement).all()
    found = [
        Due(row.process_id, int(row.events))
        for row in rows
        if is_wanted(row.process_id) and _is_due(row, now, settle_ns)
    ]
    return _groups(found)


def _is_due(row: Any, now_ns: int, settle_ns: int) -> bool:
    if row.ended and now_ns - row.received_ns >= settle_ns:
        return True
    is_much = row.events >= max(PENDING_EVENTS, PENDING_SHARE * row.stored)
    return is_much or row.bytes >= PENDING_BYTES or now_ns - row.oldest >= PENDING_NS


def _groups(found: Sequence[Due]) -> list[list[str]]:
    groups: list[list[str]] = []
    size = MAX_SEGMENT_EVENTS
    for process in found:
        if size + process.events > MAX_SEGMENT_EVENTS:
            groups.append([])
            size = 0
        groups[-1].append(process.process_id)
        size += process.events
    return groups


def compact(store: Store, process_ids: Collection[str], tables_of: Callable[[Stored], Tables]) -> WrittenSegment | None:
    """Make one segment of the pending chunks of some processes.

    Args:
        store: Where.
        process_ids: Whose chunks.
        tables_of: Makes the tables of what is pending of a process.

    Returns:
        The segment; None if nothing was pending, or somebody else was quicker.

    Raises:
        StoreUnavailableError: The blobs are away; nothing has changed.
    """
    stored = sorted((row for row in read_stored(store, process_ids) if row.chunks), key=lambda row: signed(row.number))
    if not stored:
        return None
    tables = concatenated([tables_of(row) for row in stored])
    written = write_segment(store.blobs, new_key(), tables)
    ids = [chunk.id for row in stored for chunk in row.chunks]
    try:
        with store.write() as connection:
            _remove(connection, schema.chunks, schema.chunks.c.id, ids)
            _insert(connection, written, tables, {row.process_id: json.loads(row.head) for row in stored})
    except _Overtaken:
        _discard(store, written)
        return None
    store.shrink()
    return written


def merge_groups(store: Store) -> list[list[int]]:
    """List segments that should be merged: those of one process that has ended, or several small ones.

    A process's segments are merged all at once, never some of them: what came later must stay
    behind what came earlier.
    """
    part, segment, process = schema.segment_parts.c, schema.segments.c, schema.processes.c
    statement = (
        select(segment.id, segment.events, part.process_id, process.end.is_(None).label("grows"))
        .join_from(schema.segment_parts, schema.segments)
        .join(schema.processes, process.process_id == part.process_id)
        .where(process.deleted_ns.is_(None))
        .order_by(segment.id)
    )
    sizes: dict[int, int] = {}
    segments: dict[str, list[int]] = {}
    growing: set[int] = set()
    with store.engine.connect() as connection:
        for row in connection.execute(statement):
            sizes[row.id] = row.events
            segments.setdefault(row.process_id, []).append(row.id)
            if row.grows:
                growing.add(row.id)
    several = [ids for ids in segments.values() if len(ids) > 1]
    shared = {id_ for ids in several for id_ in ids}
    groups: list[list[int]] = []
    taken = set(growing)
    for ids in several:
        others = {id_ for more in several if not set(more).isdisjoint(ids) for id_ in more}
        if others == set(ids) and taken.isdisjoint(ids) and sum(sizes[id_] for id_ in ids) <= MAX_SEGMENT_EVENTS:
            groups.append(ids)
            taken.update(ids)
    classes: dict[int, list[int]] = {}
    for id_, events in sorted(sizes.items()):
        if id_ not in taken and id_ not in shared and events <= MAX_SEGMENT_EVENTS // MERGE_COUNT:
            classes.setdefault(max(events, 1).bit_length() // 2, []).append(id_)
    return groups + [ids[:MERGE_COUNT] for _, ids in sorted(classes.items()) if len(ids) >= MERGE_COUNT]


def rewrite(store: Store, segment_ids: Sequence[int]) -> WrittenSegment | None:
    """Replace segments by one that holds the same, less the processes that were purged.

    Args:
        store: Where.
        segment_ids: Which; if one does not exist any more, nothing is done.

    Returns:
        The new segment; None if nothing is left, or somebody else was quicker.
    """
    segments, parts = _named(store, segment_ids)
    if len(segments) != len(set(segment_ids)):
        return None
    heads = _heads(store, {part.process_id for part in parts})
    order = sorted(segments, key=lambda row: min(part.first_seq for part in parts if part.segment_id == row.id))
    pieces = [read_segment(store.blobs, row.key, json.loads(row.files)) for row in order]
    tables = _merged(concatenated(pieces), [int(process_id, 16) for process_id in heads])
    written = write_segment(store.blobs, new_key(), tables) if heads else None
    ids = [row.id for row in segments]
    try:
        with store.write() as connection:
            connection.execute(delete(schema.segment_parts).where(schema.segment_parts.c.segment_id.in_(ids)))
            _remove(connection, schema.segments, schema.segments.c.id, ids)
            if written is not None:
                _insert(connection, written, tables, heads)
    except _Overtaken:
        if written is not None:
            _discard(store, written)
        return None
    return written


class _Overtaken(Exception):
    """Somebody else has removed what was to be replaced."""


def _named(store: Store, segment_ids: Sequence[int]) -> tuple[Sequence[Any], Sequence[Any]]:
    with store.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        segments = select(schema.segments).where(schema.segments.c.id.in_(segment_ids)).order_by(schema.segments.c.id)
        parts = select(schema.segment_parts).where(schema.segment_parts.c.segment_id.in_(segment_ids))
        return connection.execute(segments).all(), connection.execute(parts).all()


def _heads(store: Store, process_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what is known of those processes that were not purged."""
    rows = store.processes(process_ids)
    return {row.process_id: json.loads(row.head) for row in rows if row.retention != PURGED}


def _merged(tables: Tables, numbers: Sequence[int]) -> Tables:
    """Put the rows of each process together, those of earlier events first."""
    wanted = pa.array(sorted(map(signed, numbers)), pa.int64())
    result: Tables = {}
    for name, table in tables.items():
        kept = table.filter(pc.is_in(table["process"], wanted))
        kept = kept.append_column("row", pa.array(range(len(kept)), pa.int64()))
        keys = ["process", "row"]
        if name == "events" and _came_late(kept):
            keys = ["process", "seq"]
        result[name] = kept.sort_by([(key, "ascending") for key in keys]).drop_columns(["row"])
    return folded(result)


def _came_late(events: Any) -> bool:
    """Tell whether the numbers of a process go back by more than the order of threads explains."""
    process, seq = events["process"].to_numpy(), events["seq"].to_numpy()
    return bool(((process[1:] == process[:-1]) & (seq[1:] < seq[:-1])).any())


def _remove(connection: Connection, table: Any, column: Any, ids: Sequence[int]) -> None:
    """Remove rows, all of which must be there.

    Raises:
        _Overtaken: One is not.
    """
    count = 0
    for start in range(0, len(ids), 500):
        count += connection.execute(delete(table).where(column.in_(ids[start : start + 500]))).rowcount
    if count != len(ids):
        raise _Overtaken


def _insert(connection: Connection, written: WrittenSegment, tables: Tables, heads: dict[str, dict[str, Any]]) -> None:
    values = {
        "key": written.key,
        "events": written.events,
        "bytes": written.size,
        "files": json.dumps(written.files, separators=(",", ":"), sort_keys=True),
        "created_ns": time.time_ns(),
    }
    segment = connection.execute(schema.segments.insert().values(**values)).inserted_primary_key
    events = tables["events"]
    found = events.group_by("process").aggregate(
        [("seq", "min"), ("seq", "max"), ("seq", "count"), ("t_ns", "min"), ("t_ns", "max")]
    )
    stats = {row["process"]: row for row in found.to_pylist()}
    rows: list[dict[str, Any]] = []
    for process_id, head in sorted(heads.items()):
        row = stats.get(signed(int(process_id, 16)))
        offset = wall_offset(head)
        rows.append(
            {
                "segment_id": segment[0] if segment else 0,
                "process_id": process_id,
                "first_seq": row["seq_min"] if row else 0,
                "end_seq": row["seq_max"] + 1 if row else 0,
                "events": row["seq_count"] if row else 0,
                "start_ns": _wall(row["t_ns_min"], offset) if row else 0,
                "end_ns": _wall(row["t_ns_max"], offset) if row else 0,
            }
        )
    connection.execute(schema.segment_parts.insert(), rows)


def _wall(t_ns: int, offset: int) -> int:
    return min(max(t_ns + offset, -(1 << 63)), (1 << 63) - 1)


def _discard(store: Store, written: WrittenSegment) -> None:
    store.blobs.delete(*(path_of(written.key, name) for name in written.files))
