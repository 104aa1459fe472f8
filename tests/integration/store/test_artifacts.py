"""Artifacts are kept once, given out in part, and known by their hash."""

import hashlib

import pytest
from tests.support.chunks import PROCESS_ID, event_chunk

from clew.store import artifacts, retention
from clew.store.batch import IngestRequest
from clew.store.errors import StoreError
from clew.store.store import Store

DATA = b"prompt and answer" * 50
HASH = hashlib.sha256(DATA).hexdigest()
OTHER_ID = "00000000000000b2"


def put(store: Store, **more):
    return artifacts.put(store, DATA, **({"expected_hash": HASH, "media_type": "text/plain; charset=utf-8"} | more))


def test_an_artifact_comes_back_whole_and_in_part(store: Store):
    """With what was said of it."""
    row = put(store, encoding="gzip", process_id=PROCESS_ID, redaction={"email": 2})

    assert artifacts.find(store, HASH) == row
    assert (row.size, row.encoding, row.redaction) == (len(DATA), "gzip", '{"email": 2}')
    assert artifacts.read(store, HASH) == DATA
    assert artifacts.read(store, HASH, 3, 10) == DATA[3:13]
    assert artifacts.read(store, HASH, 840) == DATA[840:]
    assert artifacts.read(store, HASH, 10_000, 5) == b""


def test_the_same_artifact_is_kept_once(store: Store):
    """Each process that sends it refers to it."""
    first = put(store, process_id=PROCESS_ID)
    second = put(store, process_id=OTHER_ID, media_type="text/html")

    assert second == first
    assert artifacts.of_process(store, PROCESS_ID) == artifacts.of_process(store, OTHER_ID) == [HASH]
    assert [info.size for info in store.blobs.list(artifacts.FOLDER)] == [len(DATA)]


@pytest.mark.parametrize(
    ("more", "slug"),
    [
        ({"expected_hash": "0" * 64}, "artifact-hash"),
        ({"expected_hash": HASH.upper()}, "artifact-hash"),
        ({"expected_hash": "../../etc/passwd"}, "artifact-hash"),
        ({"media_type": "text"}, "artifact-type"),
        ({"media_type": "text/html\r\nX-Bad: 1"}, "artifact-type"),
        ({"process_id": "../x"}, "artifact-process"),
    ],
)
def test_what_does_not_fit_is_refused(sqlite_store: Store, more, slug):
    """And nothing of it is kept."""
    with pytest.raises(StoreError) as caught:
        put(sqlite_store, **more)

    assert caught.value.slug == slug
    assert list(sqlite_store.blobs.list()) == []


def test_too_large_an_artifact_is_refused(sqlite_store: Store, monkeypatch):
    """The bound is checked before the hash."""
    monkeypatch.setattr(artifacts, "MAX_SIZE", 10)

    with pytest.raises(StoreError, match="artifact-size"):
        put(sqlite_store)


@pytest.mark.parametrize("hash_", ["", "0" * 64, "../../../etc/passwd", HASH[:-1], HASH.upper(), "a\0b"])
def test_a_hash_of_nothing_is_said_to_be_one(store: Store, hash_):
    """Whatever it looks like."""
    put(store)

    assert artifacts.find(store, hash_) is None
    with pytest.raises(StoreError, match="artifact-missing"):
        artifacts.read(store, hash_)


def test_the_artifact_of_a_deleted_process_is_hidden(store: Store):
    """Unless another one refers to it."""
    store.writer.submit(IngestRequest([event_chunk([1])])).result(10)
    put(store, process_id=PROCESS_ID)

    retention.delete_processes(store, [PROCESS_ID])

    assert artifacts.find(store, HASH) is None
    put(store, process_id=PROCESS_ID)
    assert artifacts.find(store, HASH) is None
    put(store, process_id=OTHER_ID)
    assert artifacts.find(store, HASH) is not None


def test_bytes_that_are_removed_while_the_artifact_is_put_are_written_again(sqlite_store: Store, monkeypatch):
    """A row never names what is not there."""
    plain = artifacts._insert_once

    def remove_first(connection, table, row):
        sqlite_store.blobs.delete(artifacts.key_of(HASH))
        plain(connection, table, row)

    monkeypatch.setattr(artifacts, "_insert_once", remove_first)

    put(sqlite_store)

    assert artifacts.read(sqlite_store, HASH) == DATA
