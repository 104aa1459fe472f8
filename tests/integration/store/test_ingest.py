"""What is sent is stored once, whatever order and shape it comes in."""

from __future__ import annotations

from tests.support.chunks import PROCESS_ID, event_body, event_chunk, json_body, stored_data

from clew.format.chunk import ChunkType
from clew.store.batch import IngestRequest
from clew.store.ingest import check_chunks
from clew.store.store import Store

SITES = [(1, "app.py", 3, "main")]


def test_a_chunk_is_stored_as_it_came(store: Store):
    """What is read is byte for byte what was acknowledged."""
    chunk = event_chunk(range(1, 101), sites=SITES)

    receipt = store.writer.submit(IngestRequest([chunk])).result(10)

    assert (receipt.accepted, receipt.duplicates, receipt.chunks) == (100, 0, 1)
    assert [stored.body for stored in store.chunks_of(PROCESS_ID)] == [chunk.body]
    assert store.process(PROCESS_ID).events == 100


def test_a_chunk_that_comes_again_is_counted_and_not_stored(store: Store):
    """A sender that saw no answer sends once more."""
    request = IngestRequest([event_chunk(range(1, 11))])
    first = store.writer.submit(request).result(10)

    second = store.writer.submit(request).result(10)

    assert (second.accepted, second.duplicates) == (0, 10)
    assert second.revision == first.revision == store.revision
    assert len(list(store.chunks_of(PROCESS_ID))) == 1


def test_of_a_chunk_that_overlaps_only_what_is_new_is_stored(store: Store):
    """Events that stand already stay as they are; definitions come along."""
    store.writer.submit(IngestRequest([event_chunk([4, 5, 6, 9])])).result(10)

    receipt = store.writer.submit(IngestRequest([event_chunk(range(1, 13), sites=SITES, attrs=[(2, "{}")])])).result(10)

    data = stored_data(store)
    assert (receipt.accepted, receipt.duplicates) == (8, 4)
    assert sorted(data.columns["seq"]) == list(range(1, 13))
    assert [t == 2 * seq for seq, t in zip(data.columns["seq"], data.columns["t_ns"], strict=True)] == [True] * 12
    assert data.sites == {1: SITES[0]}
    assert data.attrs == {2: "{}"}


def test_heads_and_ends_are_merged(store: Store):
    """Later keys replace earlier ones, and columns follow the head."""
    head = {"service": "cart", "environment": "prod", "wall_ns": 5, "retention": "ci"}
    body = (
        json_body(ChunkType.PROCESS, head)
        + event_body([1])
        + json_body(ChunkType.END, {"reason": "exit"})
        + json_body(ChunkType.END, {"exit": 0})
    )

    for _ in range(2):
        receipt = store.writer.submit(IngestRequest(check_chunks(body))).result(10)

    row = store.process(PROCESS_ID)
    assert (row.service, row.environment, row.wall_ns, row.retention) == ("cart", "prod", 5, "ci")
    assert row.end == '{"exit":0,"reason":"exit"}'
    assert receipt.revision == row.revision == 1


def test_blobs_come_back(store: Store):
    """Whole, in part, and only once where that was asked for."""
    store.blobs.put("a/b.bin", b"0123456789")

    assert store.blobs.put("a/b.bin", b"other", only_if_new=True) is False
    assert store.blobs.get("a/b.bin") == b"0123456789"
    assert store.blobs.get_range("a/b.bin", 8, 100) == b"89"
    assert [(info.key, info.size) for info in store.blobs.list("a")] == [("a/b.bin", 10)]
    store.blobs.delete("a/b.bin", "a/none")
    assert not store.blobs.exists("a/b.bin")


def test_names_keep_their_numbers(store: Store, open_store):
    """Also when the store is opened again, and for names of any length and letters."""
    names = ["a", "b" * 5000, "c\0d", "\ud800"]

    numbers = store.numbers_of(PROCESS_ID, "entity", names)

    with open_store() as again:
        assert again.numbers_of(PROCESS_ID, "entity", ["new", *names]) == numbers | {"new": 5}
    assert numbers == {name: i for i, name in enumerate(names, 1)}
