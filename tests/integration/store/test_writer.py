"""The writer: what it takes, what it refuses, and what a database that fails does to whom."""

import fcntl
import os
import sqlite3
import threading
from concurrent.futures import wait

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from tests.support.chunks import PROCESS, PROCESS_ID, event_chunk, json_body, stored_data

from clew.format.chunk import ChunkType
from clew.model.errors import FormatError
from clew.store import writer
from clew.store.batch import IngestRequest
from clew.store.errors import StoreBusyError, StoreError, StoreUnavailableError
from clew.store.ingest import check_chunks
from clew.store.writer import Writer


class Gate:
    """Keeps the writer's thread within a transaction until it is opened."""

    def __init__(self, store):
        self._entered, self._open = threading.Event(), threading.Event()
        self.request = IngestRequest(build=self._wait)
        self.future = store.writer.submit(self.request)
        assert self._entered.wait(10)

    def _wait(self, next_seq):
        self._entered.set()
        assert self._open.wait(10)
        return []

    def open(self):
        self._open.set()
        self.future.result(10)


def test_requests_that_gather_share_a_transaction(store):
    """And each gets its own receipt."""
    gate = Gate(store)
    futures = [store.writer.submit(IngestRequest([event_chunk([i, i + 1])])) for i in range(1, 20)]

    gate.open()

    receipts = [future.result(10) for future in futures]
    assert [receipt.accepted for receipt in receipts] == [2] + [1] * 18
    assert {receipt.revision for receipt in receipts} == {1}
    assert store.writer.stats()[2:6] == (2, 20, 20, 18)
    assert sorted(stored_data(store).columns["seq"]) == list(range(1, 21))


def test_a_request_that_fails_takes_no_other_with_it(store):
    """Nor anything of its own chunks."""

    def fail(next_seq):
        raise RuntimeError("no such span")

    gate = Gate(store)
    good = [store.writer.submit(IngestRequest([event_chunk([1])]))]
    bad = store.writer.submit(IngestRequest([event_chunk([2, 3])], build=fail))
    large = json_body(ChunkType.PROCESS, {"x": "x" * 700_000}), json_body(ChunkType.PROCESS, {"y": "y" * 700_000})
    too_large = store.writer.submit(IngestRequest([*check_chunks(b"".join(large)), event_chunk([4])]))
    good.append(store.writer.submit(IngestRequest([event_chunk([3])])))

    gate.open()

    assert [future.result(10).accepted for future in good] == [1, 1]
    assert isinstance(bad.exception(10), RuntimeError)
    assert isinstance(too_large.exception(10), FormatError)
    assert sorted(stored_data(store).columns["seq"]) == [1, 3]
    assert store.process(PROCESS_ID).head == "{}"


def test_a_request_the_database_refuses_takes_no_other_with_it(store):
    """What was not foreseen is found by storing each alone."""
    gate = Gate(store)
    good = [store.writer.submit(IngestRequest([event_chunk([i])])) for i in (1, 2)]
    bad = store.writer.submit(IngestRequest([event_chunk([1], process=PROCESS + 1)], source=None))
    good.append(store.writer.submit(IngestRequest([event_chunk([3])])))

    gate.open()

    assert [future.result(10).accepted for future in good] == [1, 1, 1]
    assert bad.exception(10) is not None
    assert store.process(f"{PROCESS + 1:016x}") is None


def test_more_than_fits_is_refused_at_once(sqlite_store):
    """With a hint when to come again; what was taken is stored."""
    gate = Gate(sqlite_store)
    sqlite_store.writer._max_requests = 2
    taken = [sqlite_store.writer.submit(IngestRequest([event_chunk([i])])) for i in (1, 2)]

    with pytest.raises(StoreBusyError) as caught:
        sqlite_store.writer.submit(IngestRequest([event_chunk([3])]))

    gate.open()
    assert caught.value.retry_after_s >= 1
    assert [future.result(10).accepted for future in taken] == [1, 1]
    assert sqlite_store.writer.stats().refused == 1


def test_bytes_are_bounded_too(sqlite_store):
    """A request larger than the bound goes in alone."""
    small = Writer(sqlite_store, max_bytes=2_000)
    gate = Gate(sqlite_store)  # holds the lock, so the small one's thread waits within its first group
    first = small.submit(IngestRequest(size=1 << 20))
    while small.stats().waiting_requests:
        wait([first], timeout=0.001)
    second = small.submit(IngestRequest(size=1 << 20))

    with pytest.raises(StoreBusyError):
        small.submit(IngestRequest())

    gate.open()
    assert {first.result(10).accepted, second.result(10).accepted} == {0}
    small.close()


def test_a_closed_writer_stores_what_waits_and_takes_no_more(sqlite_store):
    """A server that stops has acknowledged nothing that it did not store."""
    futures = [sqlite_store.writer.submit(IngestRequest([event_chunk([i])])) for i in range(1, 30)]

    sqlite_store.writer.close()

    assert all(future.done() for future in futures)
    with pytest.raises(StoreError, match="store-closed"):
        sqlite_store.writer.submit(IngestRequest([event_chunk([1])]))
    assert len(stored_data(sqlite_store)) == 29


def test_events_without_numbers_get_the_next_ones(store):
    """Those of requests of the same group too."""

    def build(next_seq):
        first = next_seq(PROCESS_ID)
        return [event_chunk(range(first, first + 3))]

    gate = Gate(store)
    futures = [store.writer.submit(IngestRequest([event_chunk([1, 2, 10])]))]
    futures += [store.writer.submit(IngestRequest(build=build, source="otlp")) for _ in range(3)]
    gate.open()
    futures.append(store.writer.submit(IngestRequest(build=build)))

    assert [future.result(10).accepted for future in futures] == [3] * 5
    assert sorted(stored_data(store).columns["seq"]) == [1, 2, *range(10, 23)]


def test_a_request_with_a_key_is_answered_once_and_for_all(store, open_store):
    """Within a group, after it, and after a restart."""
    request = IngestRequest(build=lambda next_seq: [event_chunk([next_seq(PROCESS_ID)])], key="k" * 64, answer="hello")
    gate = Gate(store)
    futures = [store.writer.submit(request) for _ in range(2)]
    gate.open()
    futures.append(store.writer.submit(request))

    receipts = [future.result(10) for future in futures]
    with open_store() as again:
        receipts.append(again.writer.submit(request).result(10))

    assert [(receipt.accepted, receipt.repeated_answer) for receipt in receipts] == [(1, None)] + [(0, "hello")] * 3


def test_whoever_gave_up_is_not_stored(store):
    """A request that was cancelled while it waited leaves nothing."""
    gate = Gate(store)
    future = store.writer.submit(IngestRequest([event_chunk([1])]))

    assert future.cancel()

    gate.open()
    assert store.writer.submit(IngestRequest([event_chunk([2])])).result(10).accepted == 1
    assert list(stored_data(store).columns["seq"]) == [2]


def test_another_process_that_writes_is_waited_for(sqlite_store):
    """By a lock that wakes whoever waits, not by looking again and again."""
    folder = os.open(sqlite_store.catalog.path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)

    future = sqlite_store.writer.submit(IngestRequest([event_chunk([1])]))

    assert wait([future], timeout=0.1).done == set()
    os.close(folder)
    assert future.result(10).accepted == 1


def test_a_transaction_within_a_transaction_is_refused(sqlite_store):
    """It would wait for itself."""
    future = sqlite_store.writer.submit(
        IngestRequest(build=lambda next_seq: sqlite_store.numbers_of(PROCESS_ID, "site", ["a"]))
    )

    with pytest.raises(RuntimeError, match="open in this thread"):
        future.result(10)


def test_a_full_disk_fails_what_waits_and_nothing_after(sqlite_store):
    """SQLite says so when its file may not grow; when there is room again, it goes on."""
    sqlite_store.writer.submit(IngestRequest([event_chunk([1])])).result(10)
    engine = sqlite_store.engine
    limit = "PRAGMA max_page_count=1"

    @event.listens_for(engine, "begin")
    def fill(connection):
        connection.exec_driver_sql(limit)

    gate = Gate(sqlite_store)
    futures = [sqlite_store.writer.submit(IngestRequest([event_chunk(range(i, i + 90_000))])) for i in (2, 100_000)]
    gate.open()

    for future in futures:
        assert isinstance(future.exception(10), StoreUnavailableError)
        assert "full" in str(future.exception())
    assert sqlite_store.writer.problem is future.exception()
    limit = "PRAGMA max_page_count=1000000"
    assert sqlite_store.writer.submit(IngestRequest([event_chunk(range(2, 90_000))])).result(10).accepted == 89_998
    assert sqlite_store.writer.problem is None


def test_a_database_that_goes_away_is_found_again(postgresql_store, postgresql_url):
    """Its connections are cut in the middle of a transaction; the next request opens new ones."""
    import psycopg

    store = postgresql_store
    store.writer.submit(IngestRequest([event_chunk([1])])).result(10)
    gate = Gate(store)
    waiting = store.writer.submit(IngestRequest([event_chunk([2])]))
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            (store.catalog.url.database,),
        )

    gate._open.set()

    assert isinstance(gate.future.exception(10), StoreUnavailableError)
    outcome = waiting.exception(10)
    assert outcome is None or isinstance(outcome, StoreUnavailableError)
    assert store.writer.submit(IngestRequest([event_chunk([2, 3])])).result(10).accepted in (1, 2)
    assert sorted(stored_data(store).columns["seq"]) == [1, 2, 3]
    store.ping()


def test_a_conflict_with_another_server_is_tried_again(postgresql_store, monkeypatch):
    """The loser of a deadlock has stored nothing, and needs not tell its sender."""
    import psycopg

    attempts = []
    plain = Writer._try

    def lose_once(self, group):
        attempts.append(len(group))
        if len(attempts) == 1:
            raise OperationalError("x", {}, psycopg.errors.DeadlockDetected("deadlock"))
        return plain(self, group)

    monkeypatch.setattr(Writer, "_try", lose_once)

    assert postgresql_store.writer.submit(IngestRequest([event_chunk([1])])).result(10).accepted == 1
    assert attempts == [1, 1]


def test_two_servers_write_into_one_store(store, open_store):
    """What both are sent is stored once, and revisions come in order."""
    with open_store() as other:
        futures = [
            writer_.submit(IngestRequest([event_chunk(range(i, i + 7), process=PROCESS + i % 3)]))
            for i in range(1, 200, 5)
            for writer_ in (store.writer, other.writer)
        ]
        receipts = [future.result(20) for future in futures]

    wanted = {(i % 3, seq) for i in range(1, 200, 5) for seq in range(i, i + 7)}
    stored = [
        (process, seq) for process in range(3) for seq in stored_data(store, f"{PROCESS + process:016x}").columns["seq"]
    ]
    assert sorted(stored) == sorted(wanted)
    assert sum(receipt.accepted for receipt in receipts) == len(wanted)
    revisions = [row.revision for row in store.changes(0)]
    assert revisions == sorted(revisions)
    assert store.revision == max(revisions)


def test_an_error_of_our_own_does_not_end_the_writer(sqlite_store, monkeypatch, caplog):
    """A server that takes nothing ever again would be worse than any error."""
    plain = writer.Batch

    def fail(*args):
        raise KeyError("bug")

    monkeypatch.setattr(writer, "Batch", fail)
    failed = sqlite_store.writer.submit(IngestRequest([event_chunk([1])]))

    assert isinstance(failed.exception(10), KeyError)
    monkeypatch.setattr(writer, "Batch", plain)
    assert sqlite_store.writer.submit(IngestRequest([event_chunk([1])])).result(10).accepted == 1
    assert "could not be stored" in caplog.text


def test_commits_wait_for_the_disk(sqlite_store):
    """What is acknowledged outlives a power failure, as far as the disk tells the truth."""
    with sqlite_store.engine.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    with sqlite3.connect(sqlite_store.catalog.path) as connection:
        assert connection.execute("PRAGMA page_size").fetchone() == (1024,)
    connection.close()
