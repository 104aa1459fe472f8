"""Chunks and bodies of ingest requests, made by hand."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from clew.format import schema
from clew.format.chunk import HEADER_SIZE, ChunkType, decode_payload, encode_json_chunk
from clew.format.events import Definitions, decode_event_chunk, encode_event_chunk
from clew.format.stream_data import StreamData
from clew.format.tables import TYPECODES, planes_of
from clew.store.ingest import CheckedChunk, check_chunks
from clew.store.store import Store

PROCESS = 0xA1
PROCESS_ID = f"{PROCESS:016x}"


def runs_of(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted numbers as (first, count)."""
    ranges: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if ranges and sum(ranges[-1]) == seq:
            ranges[-1] = (ranges[-1][0], ranges[-1][1] + 1)
        else:
            ranges.append((seq, 1))
    return ranges


def event_body(
    seqs: Sequence[int], *, process: int = PROCESS, ranges: Sequence[tuple[int, int]] | None = None, **definitions: Any
) -> bytes:
    """A chunk with events of these numbers; each event's columns are made from its number."""
    ordered = sorted(seqs)
    planes = []
    for spec in schema.EVENTS.columns:
        limit = 1 << 8 * spec.width
        values = array(TYPECODES[spec.width], [seq * (spec.number + 1) % limit for seq in ordered])
        planes.append((spec.number, planes_of(values)))
    return encode_event_chunk(
        process, runs_of(ordered) if ranges is None else ranges, planes, Definitions(**definitions)
    )


def event_chunk(seqs: Sequence[int], **more: Any) -> CheckedChunk:
    """The same, checked."""
    (chunk,) = check_chunks(event_body(seqs, **more))
    return chunk


def json_body(type_: ChunkType, value: dict[str, Any], *, process: int = PROCESS) -> bytes:
    """A PROCESS or END chunk."""
    return encode_json_chunk(type_, process, value)


def stored_data(store: Store, process_id: str = PROCESS_ID) -> StreamData:
    """Every event and definition of the chunks of a process, as a reader of its stream has them."""

    stored = list(store.chunks_of(process_id))
    return StreamData(decode_event_chunk(chunk.header, decode_payload(chunk.header, chunk.payload)) for chunk in stored)


def events_in(chunk: CheckedChunk) -> dict[int, tuple[int, ...]]:
    """The columns of each event by its number, in the order of the chunk."""
    decoded = decode_event_chunk(chunk.header, decode_payload(chunk.header, memoryview(chunk.body)[HEADER_SIZE:]))
    seqs = [seq for first, count, *_ in decoded.rows(schema.RANGES) for seq in range(first, first + count)]
    return dict(
        zip(
            seqs, zip(*(decoded.column(schema.EVENTS, c.name) for c in schema.EVENTS.columns), strict=True), strict=True
        )
    )
