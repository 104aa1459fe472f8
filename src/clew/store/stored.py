"""What is stored of processes at one moment: their segments, and the chunks beside them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from clew.format.chunk import HEADER_SIZE, decode_payload, parse_header
from clew.format.events import decode_event_chunk
from clew.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from clew.format.events import EventChunk
    from clew.store.store import Store

_AT_ONCE = 500


class Part(NamedTuple):
    """What a segment holds of one process."""

    segment: int
    key: str
    files: dict[str, int]
    process_id: str
    first_seq: int
    end_seq: int
    events: int
    start_ns: int
    end_ns: int


class PendingChunk(NamedTuple):
    """A chunk of events that is in no segment yet."""

    id: int
    first_seq: int
    body: bytes

    def decode(self) -> EventChunk:
        """Decode it."""
        header = parse_header(self.body, 0)
        return decode_event_chunk(header, decode_payload(header, memoryview(self.body)[HEADER_SIZE:]))


class Stored(NamedTuple):
    """What is stored of one process; nothing is decoded yet."""

    process_id: str
    head: str
    end: str | None
    wall_ns: int
    service: str
    events: int
    revision: int
    parts: tuple[Part, ...]
    """By first sequence number."""
    chunks: tuple[PendingChunk, ...]
    """In the order of a stream: definitions, then by first sequence number."""

    @property
    def number(self) -> int:
        """The process id as a number."""
        return int(self.process_id, 16)

    def decoded_chunks(self) -> Iterator[EventChunk]:
        """Decode what is in no segment."""
        return (chunk.decode() for chunk in self.chunks)


def read_stored(store: Store, process_ids: Iterable[str] | None = None) -> list[Stored]:
    """Read what is stored of processes, all of one moment.

    Args:
        store: Where.
        process_ids: Which; None for all. Those that are deleted or unknown are left out.

    Returns:
        By the start of the process, as a recording has its streams.
    """
    with store.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            # A compaction between two of the statements would show events twice, or not at all.
            connection.execution_options(isolation_level="REPEATABLE READ")
        rows = _processes(connection, process_ids)
        wanted = None if process_ids is None else [row.process_id for row in rows]
        parts = _parts(connection, wanted)
        chunks = _chunks(connection, wanted)
    found = [row._replace(parts=parts.get(row.process_id, ()), chunks=chunks.get(row.process_id, ())) for row in rows]
    return sorted(found, key=lambda row: (json.loads(row.head).get("wall_ns") or 0, row.process_id))


def _processes(connection: Connection, process_ids: Iterable[str] | None) -> list[Stored]:
    table = schema.processes.c
    columns = (
        table.process_id, table.head, table.end, table.wall_ns, table.service, table.events, table.revision,
    )  # fmt: skip
    statement = select(*columns).where(table.deleted_ns.is_(None))
    found: list[Stored] = []
    for some in _pieces(None if process_ids is None else sorted(set(process_ids))):
        rows = connection.execute(statement if some is None else statement.where(table.process_id.in_(some)))
        found += [
            Stored(
                row.process_id, row.head, row.end, row.wall_ns, row.service, row.events, row.revision, (), ()
            )
            for row in rows
        ]  # fmt: skip
    return found


def _parts(connection: Connection, wanted: Sequence[str] | None) -> dict[str, tuple[Part, ...]]:
    part, segment = schema.segment_parts.c, schema.segments.c
    statement = select(
        segment.id, segment.key, segment.files, part.process_id, part.first_seq, part.end_seq, part.events,
        part.start_ns, part.end_ns,
    ).join_from(schema.segment_parts, schema.segments).order_by(part.process_id, part.first_seq, segment.id)  # fmt: skip
    found: dict[str, list[Part]] = {}
    files: dict[str, dict[str, int]] = {}
    for some in _pieces(wanted):
        for row in connection.execute(statement if some is None else statement.where(part.process_id.in_(some))):
            sizes = files.get(row.key)
            if sizes is None:
                sizes = files[row.key] = json.loads(row.files)
            found.setdefault(row.process_id, []).append(Part(row.id, row.key, sizes, *row[3:]))
    return {process_id: tuple(parts) for process_id, parts in found.items()}


def _chunks(connection: Connection, wanted: Sequence[str] | None) -> dict[str, tuple[PendingChunk, ...]]:
    table = schema.chunks.c
    statement = select(table.process_id, table.id, table.first_seq, table.body).order_by(
        table.process_id, table.first_seq, table.id
    )
    found: dict[str, list[PendingChunk]] = {}
    for some in _pieces(wanted):
        for row in connection.execute(statement if some is None else statement.where(table.process_id.in_(some))):
            found.setdefault(row.process_id, []).append(PendingChunk(row.id, row.first_seq, bytes(row.body)))
    return {process_id: tuple(chunks) for process_id, chunks in found.items()}


def _pieces(values: Sequence[str] | None) -> Iterator[Sequence[str] | None]:
    if values is None:
        yield None
        return
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]
