"""Chunks become segments, segments others, and at every moment the store holds the same events."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from benchmarks import synthetic
from tests.support.chunks import PROCESS_ID, event_chunk
from tests.support.compacting import chunks_of, compact, holds, same_data, send

from clew.convert.stored import pending_tables, streams_of
from clew.format.chunk import ChunkType
from clew.format.reader import Recording, open_recording
from clew.store import compaction, retention, schema
from clew.store.errors import StoreUnavailableError
from clew.store.ingest import CheckedChunk
from clew.store.store import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of two processes, of several chunks each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "CHUNK_EVENTS", 3_000)
        return synthetic.write_recording(tmp_path_factory.mktemp("compaction") / "two.clew", 20_000, processes=2)


@pytest.fixture(scope="module")
def recording(folder: Path) -> Recording:
    """The same, opened."""
    return open_recording(folder)


@pytest.fixture(scope="module")
def chunks(folder: Path) -> list[CheckedChunk]:
    """Its chunks."""
    return chunks_of(folder)


def count(store: Store, table: sa.Table) -> int:
    """How many rows a table of the catalog has."""
    with store.engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def segment_files(store: Store) -> int:
    """How many files of segments there are."""
    return len(list(store.blobs.list("segments")))


def test_a_recording_is_the_same_before_and_after(store, recording, chunks):
    """What a stream holds comes back from chunks, from segments, and from whoever opens the store next."""
    send(store, chunks)
    assert holds(store, recording)

    (written,) = compact(store)

    assert written.events == sum(len(stream.data) for stream in recording.streams)
    assert count(store, schema.chunks) == 0
    assert holds(store, recording)
    assert [stream.end for stream in streams_of(store, None)] == [stream.end for stream in recording.streams]


def test_what_comes_after_a_segment_stands_beside_it(sqlite_store, recording, chunks):
    """A process that is compacted while it runs holds all of it, definitions of later chunks included."""
    open_chunks = [chunk for chunk in chunks if chunk.header.type != ChunkType.END]
    for chunk in open_chunks:
        send(sqlite_store, [chunk])
        compact(sqlite_store, now_ns=1 << 62)
    send(sqlite_store, [chunk for chunk in chunks if chunk.header.type == ChunkType.END])
    assert count(sqlite_store, schema.segments) > 2
    assert holds(sqlite_store, recording)

    for group in compaction.merge_groups(sqlite_store):
        compaction.rewrite(sqlite_store, group)

    assert count(sqlite_store, schema.segments) == 2
    assert holds(sqlite_store, recording)


def test_a_process_that_just_runs_is_left_alone(sqlite_store, chunks):
    """Few events of a process that has not ended stay chunks until they are old."""
    send(sqlite_store, [chunk for chunk in chunks if chunk.header.type != ChunkType.END])

    assert compaction.due(sqlite_store) == []
    (group,) = compaction.due(sqlite_store, now_ns=1 << 62)
    assert len(group) == 2


def test_events_that_come_late_take_their_place(sqlite_store):
    """Numbers that were missing when a segment was written stand in order once they are there, and after a merge."""
    for seqs in ([5, 6, 9], [1, 2, 8], [3, 4, 7]):
        send(sqlite_store, [event_chunk(seqs)])
        compact(sqlite_store, now_ns=1 << 62)
    send(sqlite_store, [event_chunk([10, 12]), event_chunk([11])])
    (stream,) = streams_of(sqlite_store, [PROCESS_ID])
    before = stream.data

    compact(sqlite_store, now_ns=1 << 62)
    with sqlite_store.engine.connect() as connection:
        ids = list(connection.execute(sa.select(schema.segments.c.id)).scalars())
    compaction.rewrite(sqlite_store, ids)

    (stream,) = streams_of(sqlite_store, [PROCESS_ID])
    assert list(before.columns["seq"]) == list(range(1, 13))
    assert same_data(stream.data, before)
    assert len(stream.stored.parts) == 1


def test_compaction_beside_ingest_loses_nothing(store, recording, chunks):
    """While chunks come, a compactor and a reader see every event once: neither twice nor not at all."""
    done = threading.Event()
    problems: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            while not done.is_set():
                work()
        except BaseException as error:  # noqa: BLE001  told to the test
            problems.append(error)

    def look() -> None:
        for stream in streams_of(store, None):
            assert sorted(stream.data.columns["seq"]) == list(range(1, stream.stored.events + 1))

    def squeeze() -> None:
        compact(store, now_ns=1 << 62)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (look, squeeze, squeeze)]
    for thread in threads:
        thread.start()
    for chunk in chunks:
        send(store, [chunk])
    done.set()
    for thread in threads:
        thread.join()

    assert problems == []
    assert holds(store, recording)


def test_of_two_that_compact_the_same_one_wins(sqlite_store, recording, chunks):
    """The second to finish takes its files back, and nothing is stored twice."""
    send(sqlite_store, chunks)
    ids = [stream.id for stream in recording.streams]
    inner: list[object] = []

    def slow(stored: object) -> object:
        if not inner:
            inner.append(None)
            inner[0] = compaction.compact(sqlite_store, ids, lambda other: pending_tables(sqlite_store, other))
        return pending_tables(sqlite_store, stored)

    assert compaction.compact(sqlite_store, ids, slow) is None
    assert inner[0] is not None
    assert count(sqlite_store, schema.segments) == 1
    assert segment_files(sqlite_store) == len(inner[0].files)
    assert holds(sqlite_store, recording)


@pytest.mark.parametrize("survived", [0, 1, 3])
def test_a_crash_while_files_are_written_changes_nothing(sqlite_store, recording, chunks, monkeypatch, survived):
    """Files that were written before it are named by nothing; compacting again works, and retention removes them."""
    send(sqlite_store, chunks)
    put, left = sqlite_store.blobs.put, [None] * survived

    def failing(key: str, data: bytes, **more: bool) -> bool:
        if not left:
            raise StoreUnavailableError("the disk", "it is full")
        left.pop()
        return put(key, data, **more)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_store.blobs, "put", failing)
        with pytest.raises(StoreUnavailableError):
            compact(sqlite_store)
    assert count(sqlite_store, schema.segments) == 0
    assert holds(sqlite_store, recording)

    (written,) = compact(sqlite_store)

    assert segment_files(sqlite_store) == survived + len(written.files)
    retention.apply(sqlite_store, retention.Policy(orphans=0))
    assert segment_files(sqlite_store) == len(written.files)
    assert holds(sqlite_store, recording)


def test_a_crash_before_the_transaction_ends_changes_nothing(sqlite_store, recording, chunks, monkeypatch):
    """Chunks go and the segment comes in one transaction, or neither does."""
    send(sqlite_store, chunks)

    def failing(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(compaction, "_insert", failing)
        with pytest.raises(KeyboardInterrupt):
            compact(sqlite_store)

    assert count(sqlite_store, schema.segments) == 0
    assert holds(sqlite_store, recording)
    compact(sqlite_store)
    assert holds(sqlite_store, recording)


def test_a_purged_process_leaves_its_segment(store, recording, chunks):
    """What is left of a shared segment is written again without it, and the others stay as they were."""
    send(store, chunks)
    compact(store)
    gone, stays = recording.streams
    retention.delete_processes(store, [gone.id], now_ns=1)
    assert [stream.id for stream in streams_of(store, None)] == [stays.id]
    retention.apply(store, retention.Policy(classes={"dev": 1 << 60}))

    (segment,) = retention.segments_to_rewrite(store)
    compaction.rewrite(store, [segment])

    assert retention.segments_to_rewrite(store) == []
    (stream,) = streams_of(store, None)
    assert same_data(stream.data, stays.data)
    (part,) = stream.stored.parts
    assert part.events == len(stays.data)


def test_small_segments_become_one(sqlite_store, chunks, recording):
    """Segments of processes that have ended are merged when there are some of a size."""
    by_process: dict[int, list[CheckedChunk]] = {}
    for number in range(4):
        for chunk in chunks[: len(chunks) // 2]:
            body = bytearray(chunk.body)
            _renumber(body, number + 1)
            by_process.setdefault(number, []).extend(_checked(bytes(body)))
    for some in by_process.values():
        send(sqlite_store, some)
        compact(sqlite_store)
    (group,) = compaction.merge_groups(sqlite_store)

    compaction.rewrite(sqlite_store, group)

    assert compaction.merge_groups(sqlite_store) == []
    assert count(sqlite_store, schema.segments) == 1
    first = (
        recording.streams[0] if recording.streams[0].process_id == chunks[0].header.process_id else recording.streams[1]
    )
    assert all(same_data(stream.data, first.data) for stream in streams_of(sqlite_store, None))


def _renumber(body: bytearray, process: int) -> None:
    import struct
    import zlib

    body[8:16] = struct.pack("<Q", process)
    body[44:48] = struct.pack("<I", zlib.crc32(bytes(body[:44])))


def _checked(body: bytes) -> list[CheckedChunk]:
    from clew.store.ingest import check_chunks

    return check_chunks(body)


def test_a_stream_that_grew_is_decoded_from_where_it_was(sqlite_store, chunks):
    """What came since the last look is added to what was decoded; a compaction makes it decode again."""
    own = [chunk for chunk in chunks if chunk.header.process_id == chunks[0].header.process_id]
    half = len(own) // 2
    send(sqlite_store, own[:half])
    (first,) = streams_of(sqlite_store, None)
    before = len(first.data)

    send(sqlite_store, own[half:])
    (second,) = streams_of(sqlite_store, None, known=[first])
    (fresh,) = streams_of(sqlite_store, None)

    assert len(first.data) == before
    assert same_data(second.data, fresh.data)
    (same,) = streams_of(sqlite_store, None, known=[second])
    assert same.data is second.data
    compact(sqlite_store)
    (after,) = streams_of(sqlite_store, None, known=[second])
    assert same_data(after.data, fresh.data)


def test_a_reader_outlives_a_merge(sqlite_store, chunks, recording):
    """Who knew the segments before they were merged reads the ones they became, though the old files are gone."""
    send(sqlite_store, [chunk for chunk in chunks if chunk.header.type != ChunkType.END])
    compact(sqlite_store, now_ns=1 << 62)
    streams = streams_of(sqlite_store, None)
    with sqlite_store.engine.connect() as connection:
        ids = list(connection.execute(sa.select(schema.segments.c.id)).scalars())
    before = [blob.key for blob in sqlite_store.blobs.list("segments")]
    compaction.rewrite(sqlite_store, ids)
    sqlite_store.blobs.delete(*before)

    assert all(same_data(stored.data, stream.data) for stored, stream in zip(streams, recording.streams, strict=True))
