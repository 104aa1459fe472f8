"""Recordings put into a store, and what it then says of them."""

from __future__ import annotations

from pathlib import Path

from clew.convert.stored import StoredStream, pending_tables, streams_of
from clew.format.reader import Recording
from clew.format.stream_data import StreamData
from clew.store import compaction
from clew.store.batch import IngestRequest
from clew.store.ingest import CheckedChunk, check_chunks
from clew.store.segments import WrittenSegment
from clew.store.store import Store


def chunks_of(recording: Path) -> list[CheckedChunk]:
    """Every chunk of a recording, process by process."""
    return [chunk for path in sorted(recording.glob("*.stream")) for chunk in check_chunks(path.read_bytes())]


def send(store: Store, chunks: list[CheckedChunk]) -> None:
    """Send chunks in one request, and wait until they are stored."""
    store.writer.submit(IngestRequest(chunks)).result()


def compact(store: Store, **options: int) -> list[WrittenSegment | None]:
    """Compact whatever is due."""
    return [
        compaction.compact(store, group, lambda stored: pending_tables(store, stored))
        for group in compaction.due(store, **options)
    ]


def same_data(first: StreamData, second: StreamData) -> bool:
    """Whether two streams hold the same."""
    return vars(first) == vars(second)


def holds(store: Store, recording: Recording) -> bool:
    """Whether the store holds a recording, all of it and nothing else of its processes."""
    streams: list[StoredStream] = streams_of(store, [stream.id for stream in recording.streams])
    return [stream.id for stream in streams] == [stream.id for stream in recording.streams] and all(
        same_data(stored.data, stream.data) for stored, stream in zip(streams, recording.streams, strict=True)
    )
